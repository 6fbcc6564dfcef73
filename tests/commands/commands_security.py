"""A meter of the field with a master key, key files for it, and technicians of every level at the program."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path

from commands_field import FieldMeter
from session_support import credential, utc_now

from certs.domain import make_domain
from certs.entries import Credential, Notice
from certs.levels import Level
from hil.meter.credentials import FieldKeys
from hil.meter.messages import MessageHandler, Reply
from hil.wire import WireHandler

MASTER, NEW = bytes(range(0x30, 0x40)), bytes(range(0x80, 0x90))
OTHER_UNICAST, OTHER_AUTHENTICATION = bytes(range(0x40, 0x50)), bytes(range(0x50, 0x60))
GMAC, ECDSA = "security=hls-gmac&client=19", "security=hls-ecdsa&ciphering=glo&client=21"


class OneCertificate:
    """A store with a certificate of one level."""

    def __init__(self, level: Level) -> None:
        self._who = credential(make_domain("Any", "any@example.org", utc_now()), level)

    def notices(self) -> list[Notice]:
        return []

    def active(self) -> Credential:
        return self._who


def shared(meter: FieldMeter) -> FieldKeys:
    """What the meter shares with its clients."""
    keys = meter.server._device.field_keys
    assert keys is not None
    return keys


def with_keys(path: Path, name: str, **keys: bytes) -> Path:
    """A copy of a key file with other keys."""
    content = tomllib.loads(path.read_text()) | {key: value.hex() for key, value in keys.items()}
    out = path.with_name(name)
    out.touch(mode=0o600)
    out.write_text("".join(f"{key} = {value!r}\n" for key, value in content.items()))
    return out


class Cut:
    """A meter on TCP that drops the connection at a client's ``at``-th message, before it is taken or after; the first
    time alone, or with ``for_ever`` every connection after that. Two messages make the association."""

    def __init__(self, meter: FieldMeter, *, delivered: bool, at: int = 3, for_ever: bool = False) -> None:
        self._meter, self._delivered, self._at, self._for_ever = meter, delivered, at, for_ever
        self.cuts = 0
        self.drop: Callable[[], None] = lambda: None
        """Drops all connections; whoever serves this puts it in."""

    def wrapper_connection(self) -> WireHandler:
        """The meter's end of one connection."""
        return self._meter.server.wrapper_connection(wrap=self._wrap)

    def _wrap(self, association: MessageHandler) -> MessageHandler:
        cut, messages = self, iter(range(1, 1000))

        def dropped() -> Reply:
            asyncio.get_running_loop().call_soon(cut.drop)
            return Reply(close=True)

        class Cutting:
            def receive(self, apdu: bytes, now: float) -> Reply:
                number = next(messages)
                if cut.cuts and cut._for_ever:
                    return dropped()
                if number != cut._at or cut.cuts:
                    return association.receive(apdu, now)
                cut.cuts += 1
                if cut._delivered:
                    association.receive(apdu, now)
                return dropped()

            def link_lost(self) -> None:
                association.link_lost()

        return Cutting()


class Meanwhile:
    """A meter on TCP where ``what`` happens once it has taken a client's ``at``-th message, before it answers; with
    ``silent`` it does not answer that at all. Two messages make the association."""

    def __init__(self, meter: FieldMeter, what: Callable[[], object], *, at: int = 3, silent: bool = False) -> None:
        self._meter, self._what, self._at, self._silent = meter, what, at, silent

    def wrapper_connection(self) -> WireHandler:
        """The meter's end of one connection."""
        return self._meter.server.wrapper_connection(wrap=self._wrap)

    def _wrap(self, association: MessageHandler) -> MessageHandler:
        this, messages = self, iter(range(1, 1000))

        class Interrupted:
            def receive(self, apdu: bytes, now: float) -> Reply:
                reply = association.receive(apdu, now)
                if next(messages) != this._at:
                    return reply
                this._what()
                return Reply() if this._silent else reply

            def link_lost(self) -> None:
                association.link_lost()

        return Interrupted()
