"""Telnet as far as RFC 2217 needs it, without I/O: escaping, options, subnegotiations (RFC 854, 855, 856, 858)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from meterlink.errors import ProtocolError

IAC: Final = 0xFF
_ESCAPED: Final = bytes((IAC, IAC))
SB: Final = 0xFA
SE: Final = 0xF0

BINARY: Final = 0
SUPPRESS_GO_AHEAD: Final = 3
COM_PORT: Final = 44
"""RFC 2217."""

MAX_SUBNEGOTIATION: Final = 1024
"""Octets; the longest of RFC 2217 is a signature text of some dozens."""


class Verb(enum.IntEnum):
    """What a side says about an option."""

    WILL = 0xFB
    WONT = 0xFC
    DO = 0xFD
    DONT = 0xFE


@dataclass(frozen=True, slots=True)
class Negotiation:
    """An option is offered, asked for or refused."""

    verb: Verb
    option: int


@dataclass(frozen=True, slots=True)
class Subnegotiation:
    """Parameters of an option."""

    option: int
    data: bytes


TelnetEvent = bytes | Negotiation | Subnegotiation


class _State(enum.Enum):
    DATA = enum.auto()
    COMMAND = enum.auto()
    OPTION = enum.auto()
    SUBNEGOTIATION = enum.auto()
    SUBNEGOTIATION_COMMAND = enum.auto()


class TelnetReader:
    """Takes a Telnet stream apart, in any chunking."""

    def __init__(self) -> None:
        self._state = _State.DATA
        self._verb = Verb.WILL
        self._inner = bytearray()

    def receive(self, data: bytes) -> list[TelnetEvent]:
        """Return what the bytes mean; plain bytes are the payload. Raises ProtocolError ``telnet``."""
        if self._state is _State.DATA and IAC not in data:
            return [data] if data else []
        events: list[TelnetEvent] = []
        plain = bytearray()
        for byte in data:
            event = self._step(byte, plain)
            if event is not None:
                if plain:
                    events.append(bytes(plain))
                    plain.clear()
                events.append(event)
        if plain:
            events.append(bytes(plain))
        return events

    def _step(self, byte: int, plain: bytearray) -> Negotiation | Subnegotiation | None:
        if self._state is _State.DATA:
            if byte == IAC:
                self._state = _State.COMMAND
            else:
                plain.append(byte)
        elif self._state is _State.COMMAND:
            self._command(byte, plain)
        elif self._state is _State.OPTION:
            self._state = _State.DATA
            return Negotiation(self._verb, byte)
        elif self._state is _State.SUBNEGOTIATION:
            if byte == IAC:
                self._state = _State.SUBNEGOTIATION_COMMAND
            else:
                self._collect(byte)
        elif byte == SE:
            self._state = _State.DATA
            return Subnegotiation(self._inner[0], bytes(self._inner[1:])) if self._inner else None
        else:
            self._state = _State.SUBNEGOTIATION
            self._collect(byte)
        return None

    def _command(self, byte: int, plain: bytearray) -> None:
        self._state = _State.DATA
        if byte == IAC:
            plain.append(IAC)
        elif byte == SB:
            self._inner.clear()
            self._state = _State.SUBNEGOTIATION
        elif byte >= Verb.WILL:
            self._verb = Verb(byte)
            self._state = _State.OPTION
        # Everything else (NOP, BREAK, GA, ...) has no meaning for a serial line.

    def _collect(self, byte: int) -> None:
        if len(self._inner) >= MAX_SUBNEGOTIATION:
            raise ProtocolError("the gateway sends a Telnet subnegotiation without end", code="telnet")
        self._inner.append(byte)


def escape(data: bytes) -> bytes:
    """Return payload as it goes on the wire: 255 stands twice."""
    return data.replace(b"\xff", _ESCAPED)


def negotiation(verb: Verb, option: int) -> bytes:
    """Return an offer, request or refusal."""
    return bytes((IAC, verb, option))


def subnegotiation(option: int, data: bytes) -> bytes:
    """Return the parameters of an option as they go on the wire."""
    return bytes((IAC, SB, option)) + escape(data) + bytes((IAC, SE))
