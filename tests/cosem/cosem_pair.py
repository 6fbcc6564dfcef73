"""A client and a server association back to back, and the configurations that the tests of this folder use."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from meterlink.cosem.association import (
    ActionIndication,
    AssociationConfig,
    Ciphering,
    ClientAssociation,
    ClientEvent,
    GetIndication,
    Mechanism,
    PeerCheck,
    Send,
    ServerAssociation,
    ServerEvent,
    SetIndication,
)
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.results import ActionResponse, ActionResult, DataAccessResult
from meterlink.errors import MeterNotTrusted
from meterlink.security.counters import SendCounter
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite

CLIENT_TITLE = bytes.fromhex("4D4C4B0000000001")
SERVER_TITLE = bytes.fromhex("4D4C4B00000000AA")
CLIENT_CERTIFICATE = b"certificate of the client"
SERVER_CERTIFICATE = b"certificate of the server"
SECRET = b"a secret of sixteen octets"

KEYS = {
    Suite.SUITE_0: KeySet(bytes(range(16)), bytes(range(0xD0, 0xE0))),
    Suite.SUITE_1: KeySet(bytes(range(16)), bytes(range(0xD0, 0xE0))),
    Suite.SUITE_2: KeySet(bytes(range(32)), bytes(range(0xC0, 0xE0))),
}


@cache
def private_key(name: str, suite: Suite) -> ec.EllipticCurvePrivateKey:
    """Return a private key of its own for each name and suite."""
    return ec.generate_private_key(suite.curve)


def trusting(title: bytes, certificate: bytes, key: ec.EllipticCurvePublicKey) -> PeerCheck:
    """Return a judge that trusts exactly one peer."""

    def judge(peer_title: bytes, peer_certificate: bytes) -> ec.EllipticCurvePublicKey:
        if (peer_title, peer_certificate) != (title, certificate):
            raise MeterNotTrusted("not the peer that was expected")
        return key

    return judge


def _counted(parts: dict[str, object]) -> dict[str, object]:
    """Return ``parts``, with a send counter where there are keys. Both sides may have one: their titles differ."""
    return {"send_counter": SendCounter() if parts.get("keys") else None, **parts}


def certificate_configs(suite: Suite = Suite.SUITE_1, **changes: object) -> tuple[AssociationConfig, AssociationConfig]:
    """Return the configurations of a session with certificates: keys come by agreement."""
    client_key, server_key = private_key("client", suite), private_key("server", suite)
    common = {"mechanism": Mechanism.ECDSA, "ciphering": Ciphering.GLOBAL, "suite": suite, **_counted(changes)}
    client = AssociationConfig(
        system_title=CLIENT_TITLE,
        certificate=CLIENT_CERTIFICATE,
        signer=client_key,
        verify_peer=trusting(SERVER_TITLE, SERVER_CERTIFICATE, server_key.public_key()),
        **common,  # type: ignore[arg-type]
    )
    server = AssociationConfig(
        system_title=SERVER_TITLE,
        certificate=SERVER_CERTIFICATE,
        signer=server_key,
        verify_peer=trusting(CLIENT_TITLE, CLIENT_CERTIFICATE, client_key.public_key()),
        **common,  # type: ignore[arg-type]
    )
    return client, server


def shared_configs(
    mechanism: Mechanism, ciphering: Ciphering | None = None, suite: Suite = Suite.SUITE_0, **changes: object
) -> tuple[AssociationConfig, AssociationConfig]:
    """Return the configurations of a session with what was shared before: password, secret, keys."""
    if mechanism is Mechanism.ECDSA:
        suite = Suite.SUITE_1 if suite is Suite.SUITE_0 else suite
        return certificate_configs(suite, ciphering=ciphering, keys=KEYS[suite] if ciphering else None, **changes)
    needs_keys = ciphering is not None or mechanism is Mechanism.GMAC
    common = {
        "mechanism": mechanism,
        "ciphering": ciphering,
        "suite": suite,
        "secret": SECRET,
        **_counted({"keys": KEYS[suite] if needs_keys else None, **changes}),
    }
    client = AssociationConfig(system_title=CLIENT_TITLE, **common)  # type: ignore[arg-type]
    return client, AssociationConfig(system_title=SERVER_TITLE, **common)  # type: ignore[arg-type]


@dataclass
class Store:
    """The objects of the server: attributes that can be read and written, methods that give back what they get."""

    values: dict[tuple[int, bytes, int], Data] = field(default_factory=dict)
    calls: list[tuple[Method, Data | None]] = field(default_factory=list)
    seen: list[Attribute] = field(default_factory=list)

    def get(self, attribute: Attribute) -> Data | DataAccessResult:
        self.seen.append(attribute)
        key = (attribute.class_id, attribute.instance.to_bytes(), attribute.index)
        return self.values.get(key, DataAccessResult.OBJECT_UNDEFINED)

    def set(self, attribute: Attribute, value: Data) -> DataAccessResult:
        if attribute.index == 1:
            return DataAccessResult.READ_WRITE_DENIED
        self.values[attribute.class_id, attribute.instance.to_bytes(), attribute.index] = value
        return DataAccessResult.SUCCESS

    def call(self, method: Method, parameters: Data | None) -> ActionResponse:
        self.calls.append((method, parameters))
        if method.index == 99:
            return ActionResponse(ActionResult.READ_WRITE_DENIED)
        return ActionResponse(ActionResult.SUCCESS, parameters)


class Pair:
    """A client and a server, with every APDU that went between them."""

    def __init__(self, client: AssociationConfig, server: AssociationConfig) -> None:
        self.client = ClientAssociation(client)
        self.server = ServerAssociation(server)
        self.store = Store()
        self.to_server: list[bytes] = []
        self.to_client: list[bytes] = []
        self.server_events: list[ServerEvent] = []

    def serve(self, apdu: bytes) -> list[bytes]:
        """Give one APDU to the server; return what it sends."""
        self.to_server.append(apdu)
        answers = []
        for event in self.server.receive(apdu):
            self.server_events.append(event)
            match event:
                case Send(apdu=out):
                    answers.append(out)
                case GetIndication(attributes=attributes):
                    answers.append(self.server.respond_get([self.store.get(item) for item in attributes]))
                case SetIndication(items=items):
                    answers.append(self.server.respond_set([self.store.set(*item) for item in items]))
                case ActionIndication(items=items):
                    answers.append(self.server.respond_action([self.store.call(*item) for item in items]))
        return answers

    def run(self, apdu: bytes) -> list[ClientEvent]:
        """Play an exchange to its end; return the client's events but for what it sends."""
        events: list[ClientEvent] = []
        pending = [apdu]
        while pending:
            for answer in self.serve(pending.pop(0)):
                self.to_client.append(answer)
                for event in self.client.receive(answer):
                    if isinstance(event, Send):
                        pending.append(event.apdu)
                    else:
                        events.append(event)
        return events

    def open(self, agree: bool = False) -> list[ClientEvent]:
        """Associate, and agree on keys where asked to."""
        events = self.run(self.client.open())
        if agree:
            events += self.run(self.client.agree_keys())
        return events
