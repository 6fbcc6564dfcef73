"""One client's association with the meter: the security state table on one side, the objects on the other.

What the table refuses is logged and counted; what it lets through is checked against the client's rights by the objects
themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from hil.meter.attempts import Claimant
from hil.meter.clients import ClientRow, Proof
from hil.meter.credentials import configure, suite_of
from hil.meter.eventlog import EventCode
from hil.meter.logical_device import LogicalDevice
from hil.meter.messages import Reply
from hil.meter.model import ObjectModel
from hil.meter.objects.association import AssociationFacts, association_object
from hil.meter.objects.base import Context, CosemObject, Refusal
from hil.meter.objects.security import NAME as SECURITY_SETUP
from hil.meter.objects.security import SecuritySetup, SharedKeys
from hil.trust import check_client
from meterlink.cosem.acse import Aare, Aarq, AssociationResult, Diagnostic
from meterlink.cosem.acse import Context as ApplicationContext
from meterlink.cosem.association import (
    ActionIndication,
    Associated,
    Closed,
    GetIndication,
    KeysAgreed,
    Refused,
    Released,
    Send,
    ServerAssociation,
    ServerEvent,
    SetIndication,
    State,
)
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.results import ActionResponse, ActionResult, DataAccessResult
from meterlink.errors import LocalProtocolError, MeterNotTrusted, ProtocolError, SecurityError
from meterlink.values import Obis

_AARQ: Final = 0x60

_T = TypeVar("_T")


class ClientSession:
    """One client SAP on one port. Forgets everything that was agreed when the link goes down."""

    def __init__(self, device: LogicalDevice, row: ClientRow, port: str) -> None:
        self._device = device
        self._row = row
        self._port = port
        self._now = 0.0
        self._association: ServerAssociation | None = None
        self._claimant = Claimant(port, row.sap)
        self._title = b""
        self._model: ObjectModel | None = None

    def receive(self, apdu: bytes, now: float) -> Reply:
        """Take one APDU of the client; return the answer. Never raises for what a client sends."""
        self._now = now
        self._device.meter.advance(now)
        reply = Reply()
        if apdu[:1] == bytes((_AARQ,)) and self._model is None and not self._prepare(apdu, reply):
            return reply
        if self._association is not None:
            try:
                for event in self._association.receive(apdu):
                    self._handle(event, reply)
            except SecurityError:  # a key of ours has used all its counters: nothing can be said under it any more
                self._log(EventCode.MESSAGE_REFUSED)
                self.link_lost()
                reply.close = True
        return reply

    def link_lost(self) -> None:
        """The link is down: keys, rights and whatever was half done are gone."""
        self._abandon()
        self._model = None

    def _abandon(self) -> None:
        """Drop the state table. A client that was asked for its proof and gave none has failed: else anybody could have
        the meter check certificates for ever, with one that was recorded."""
        if self._association is not None and self._association.state is State.CHALLENGED:
            self._refused("authentication-failed")
        self._association = None

    def _prepare(self, apdu: bytes, reply: Reply) -> bool:
        """Make a fresh state table for a new attempt, unless this client must wait."""
        self._abandon()
        request = _read(apdu)
        self._claimant = self._who(request)
        device = self._device
        if device.attempts.wait(self._claimant, self._now) > 0:
            self._log(EventCode.ATTEMPTS_SLOWED)
            reply.apdus.append(_try_again_later(self._row))
            return False
        title = b"" if request is None else request.system_title or b""
        config = configure(self._row, device.keys.identity, device.field_keys, self._check_client, title)
        if config is None:
            reply.close = True
            return False
        if not self._row.certificates and request is not None and request.certificate is None:
            config = replace(config, certificate=None)  # who shows no certificate knows our key, and may know no more
        self._association = ServerAssociation(config)
        return True

    def _who(self, request: Aarq | None) -> Claimant:
        """Return whom the attempt counts against: by system title only where that title must be proved."""
        title = request.system_title if request is not None and self._row.proof is Proof.ECDSA else None
        return Claimant(self._port, self._row.sap, title if title is not None and len(title) == 8 else b"")

    def _check_client(self, title: bytes, certificate: bytes) -> EllipticCurvePublicKey:
        device = self._device
        identity = device.keys.identity
        if not self._row.certificates:
            # The row says what its clients may do, and a certificate of any level would open it: only keys that were
            # shared before count here.
            known = device.field_keys.client_keys.get(title) if device.field_keys is not None else None
            if known is None:
                raise MeterNotTrusted("no key of this client is known")
            return known
        now = device.meter.security_time(self._now)
        checked = check_client(identity.domain, certificate, title, self._row.level, now)
        key = checked.certificate.public_key()
        if not isinstance(key, EllipticCurvePublicKey):
            raise MeterNotTrusted("the client's certificate holds no elliptic-curve key")
        return key

    def _handle(self, event: ServerEvent, reply: Reply) -> None:
        match event:
            case Send(apdu=apdu):
                reply.apdus.append(apdu)
            case Associated():
                self._associated(event)
            case GetIndication(attributes=attributes):
                reply.apdus.append(self._table.respond_get([self._get(item) for item in attributes]))
            case SetIndication(items=items):
                reply.apdus.append(self._table.respond_set([self._set(*item) for item in items]))
            case ActionIndication(items=items):
                reply.apdus.append(self._table.respond_action([self._act(*item) for item in items]))
            case Refused(code=code):
                self._refused(code)
            case KeysAgreed():
                self._agreed(event)
            case Released():
                self._model = None
            case Closed():
                self._model = None
                reply.close = True
            case _:
                pass

    @property
    def _table(self) -> ServerAssociation:
        if self._association is None:
            raise LocalProtocolError("an indication came without an association")
        return self._association

    def _associated(self, event: Associated) -> None:
        table = self._table
        self._device.attempts.succeeded(self._claimant)
        self._title = event.peer_title or b""
        setup = Obis.parse(SECURITY_SETUP) if self._row.ciphered else None
        facts = AssociationFacts(
            conformance=f"{int(table.conformance):024b}",
            max_receive=table.max_receive,
            max_send=table.max_send,
            context_id=table.context,
            security_setup=setup,
        )
        own: list[CosemObject] = [association_object(self._context, facts, lambda: self._model or ())]
        if setup is not None:
            own.append(self._security_setup())
        self._model = self._device.model.with_own(own)
        if self._row.proof is not Proof.NONE:
            self._log(EventCode.AUTHENTICATED)

    def _security_setup(self) -> SecuritySetup:
        device, field_keys = self._device, self._device.field_keys
        suite = suite_of(self._row, device.keys.identity)
        shared = None
        if field_keys is not None and not self._row.certificates:
            shared = SharedKeys(
                partial(field_keys.policy, suite),
                partial(field_keys.transfer, suite),
                partial(field_keys.strengthen, suite),
            )
        return SecuritySetup(device.meter, device.keys, self._title, suite, shared)

    def _agreed(self, event: KeysAgreed) -> None:
        """Keys that were agreed on take the place of shared ones; with certificates they go with the association."""
        if self._device.field_keys is not None and not self._row.certificates:
            self._device.field_keys.agreed(event.suite, self._row.sap, event.session)

    def _refused(self, code: str) -> None:
        """Log what the table refused. Before the client has proved itself it counts as a failed attempt."""
        if self._model is not None:
            self._log(EventCode.MESSAGE_REFUSED)
            return
        self._device.attempts.failed(self._claimant, self._now)
        wrong_proof = code == "authentication-failed"
        self._log(EventCode.AUTHENTICATION_FAILED if wrong_proof else EventCode.ASSOCIATION_REFUSED)

    def _get(self, attribute: Attribute) -> Data | DataAccessResult:
        return self._ask(
            lambda model: model.find(attribute.class_id, attribute.instance).get(
                attribute.index, self._context, attribute.selection
            )
        )

    def _set(self, attribute: Attribute, value: Data) -> DataAccessResult:
        def write(model: ObjectModel) -> None:
            if attribute.selection is not None:
                raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)  # nothing of this meter is written in part
            model.find(attribute.class_id, attribute.instance).set(attribute.index, value, self._context)

        result = self._ask(write)
        return DataAccessResult.SUCCESS if result is None else result

    def _act(self, method: Method, argument: Data | None) -> ActionResponse:
        result = self._ask(
            lambda model: model.find(method.class_id, method.instance).call(method.index, argument, self._context)
        )
        if isinstance(result, DataAccessResult):
            # The two result lists of the standard share their numbers for everything that an object refuses with.
            return ActionResponse(ActionResult(int(result)), None)
        return ActionResponse(ActionResult.SUCCESS, result)

    def _ask(self, question: Callable[[ObjectModel], _T]) -> _T | DataAccessResult:
        """Put ``question`` to the objects; a refusal becomes its result code, a denied access a row in the log."""
        if self._model is None:
            return DataAccessResult.OBJECT_UNAVAILABLE
        try:
            return question(self._model)
        except Refusal as refusal:
            if refusal.result is DataAccessResult.READ_WRITE_DENIED:
                self._log(EventCode.ACCESS_DENIED)
            return refusal.result

    @property
    def _context(self) -> Context:
        return Context(self._now, self._row, self._title)

    def _log(self, code: EventCode) -> None:
        self._device.log_security(self._now, code, self._row.sap)


def _read(apdu: bytes) -> Aarq | None:
    try:
        return Aarq.from_bytes(apdu)
    except ProtocolError:
        return None  # the state table says what is wrong with it


def _context_of(row: ClientRow) -> ApplicationContext:
    return ApplicationContext.LOGICAL_NAMES_CIPHERED if row.ciphered else ApplicationContext.LOGICAL_NAMES


def _try_again_later(row: ClientRow) -> bytes:
    """Return an association response that refuses for now, without a word about why."""
    rejected = AssociationResult.REJECTED_TRANSIENT
    return Aare(_context_of(row), rejected, Diagnostic.NO_REASON_GIVEN).to_bytes()
