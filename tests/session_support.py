"""A trust domain, a simulated meter and technicians of every level, for tests of whole sessions."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from certs import profile
from certs.domain import NewDomain, make_domain
from certs.entries import Credential, Status
from certs.levels import Level
from hil.meter.server import MeterServer
from hil.trust import issue_identity
from hil.wire import WireTransport
from meterlink.commands.connect import certificate_session, target_of
from meterlink.session import Deadlines, Session
from meterlink.transport.base import Transport
from meterlink.transport.replay import Entry, record

METER_TITLE = b"MLKT\x00\x00\x00\x01"
QUICK = Deadlines(link=5.0, answer=5.0, farewell=1.0)


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def credential(made: NewDomain, level: Level, *, title: bytes = b"MLKC\x00\x00\x00\x07", suite: int = 1) -> Credential:
    """A certificate of ``level``; a Consumer's is signed by the consumer CA, as in the field."""
    key = ec.generate_private_key(profile.SUITE_CURVES[suite].curve)
    domain = made.domain
    is_consumer = level is Level.CONSUMER
    issuer = domain.consumer_ca if is_consumer else domain.issuing_ca
    certificate = profile.build_leaf(
        key.public_key(),
        issuer,
        domain.consumer_ca_key if is_consumer else made.issuing_key,
        utc_now(),
        system_title=title,
        policy=level,
        organization="Warm AG",
    )
    return Credential(
        id=level.value,
        certificate=certificate,
        chain=(issuer, domain.root),
        level=level,
        organization="Warm AG",
        tag="test",
        system_title=title,
        suite=suite,
        domain=domain,
        status=Status.VALID,
        unlock=lambda: key,
    )


@dataclass
class Bench:
    """One meter and its domain; every session is made over a line of its own."""

    made: NewDomain = field(default_factory=lambda: make_domain("Bench", "certs@bench.example", utc_now()))

    def __post_init__(self) -> None:
        identity = issue_identity(self.made.domain, self.made.issuing_key, utc_now(), system_title=METER_TITLE)
        self.server = MeterServer(time.monotonic(), utc_now(), identity)

    def credential(self, level: Level) -> Credential:
        return credential(self.made, level)

    def transport(self, framing: str = "hdlc") -> Transport:
        return WireTransport(self.server.hdlc_line if framing == "hdlc" else self.server.wrapper_connection)

    def session(
        self,
        level: Level,
        *,
        wire: list[Entry] | None = None,
        client: int | None = None,
        framing: str = "hdlc",
        transport: Transport | None = None,
        who: Credential | None = None,
    ) -> Session:
        keys = [f"framing={framing}"] + ([f"client={client}"] if client is not None else [])
        inner = transport or self.transport(framing)
        return certificate_session(
            target_of(f"sim:heat?{'&'.join(keys)}"),
            inner if wire is None else record(inner, wire.append),
            who or self.credential(level),
            utc_now,
            deadlines=QUICK,
        )


class Breaking(WireTransport):
    """Breaks at its ``at``-th message from the client, before the meter has it or after."""

    def __init__(self, bench: Bench, at: int, *, delivered: bool) -> None:
        super().__init__(bench.server.hdlc_line)
        self._left = at
        self._delivered = delivered

    async def _send(self, data: bytes) -> None:
        self._left -= 1
        if self._left != 0 or self._delivered:
            await super()._send(data)
        if self._left == 0:
            await self.cut()
