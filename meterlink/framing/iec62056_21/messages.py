"""Messages of IEC 62056-21: requests, identification, block check, and the events of a sign-on."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import reduce
from operator import xor
from types import MappingProxyType
from typing import Final

from meterlink.errors import UsageError

ACK: Final = 0x06
NAK: Final = 0x15
SOH: Final = 0x01
STX: Final = 0x02
ETX: Final = 0x03

SIGN_ON_BAUD: Final = 300

REACTION_TIME: Final = 1.5
"""Longest time from a request to the first character of the answer, in seconds (6.3.2.6, t_r)."""
CHARACTER_TIME: Final = 1.5
"""Longest pause between two characters of a message, in seconds (t_a)."""
MAX_MESSAGE: Final = 1 << 18
"""Octets after which a readout that does not end is given up."""

BAUD_MODE_C: Final = MappingProxyType({"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200})
BAUD_MODE_B: Final = MappingProxyType({"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200})

_IDENTIFICATION = re.compile(rb"/([A-Za-z]{3})([!-~])((?:\\[!-~])*)([^\r\n/!]{0,16})\r?\n")


class Mode(enum.Enum):
    """Protocol modes (6.3)."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"


class Want(enum.Enum):
    """What the sign-on is for; the value is the mode control character of the acknowledgement."""

    READOUT = "0"
    PROGRAMMING = "1"
    HDLC = "2"


@dataclass(frozen=True, slots=True)
class Identified:
    """The meter's identification. ``baud`` is the speed it proposes."""

    manufacturer: str
    baud_character: str
    text: str
    mode: Mode
    baud: int


@dataclass(frozen=True, slots=True)
class Unnamed:
    """The meter sends blank lines in place of an identification. Its data follow, at a speed that only its family's
    profile can tell."""


@dataclass(frozen=True, slots=True)
class ChangeSpeed:
    """The line must change to ``baud`` once everything sent so far has left it."""

    baud: int


@dataclass(frozen=True, slots=True)
class ReadoutReceived:
    """The whole readout as it came, identification line and block check included. ``valid`` is the block check's word;
    None where the meter sends none."""

    data: bytes
    valid: bool | None


@dataclass(frozen=True, slots=True)
class ProgrammingReady:
    """Programming mode is on; ``operand`` is what the meter asks to be used for the password."""

    operand: str


@dataclass(frozen=True, slots=True)
class HdlcReady:
    """The meter has agreed to mode E: HDLC frames follow."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a command: ``data`` is its text, empty for a plain acknowledgement; ``refused`` for NAK or an
    error message ``(ER..)``."""

    data: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """It came to nothing: ``reason`` is ``no-answer``, ``no-identification``, ``incomplete``, ``block-check``,
    ``too-long`` or ``broken-off``. ``data`` is what did arrive."""

    reason: str
    data: bytes


Event = Identified | Unnamed | ChangeSpeed | ReadoutReceived | ProgrammingReady | HdlcReady | Answered | Failed


def checked(block: bytes) -> bytes:
    """Return ``block`` with its block check character; the block begins after SOH or STX and ends with ETX."""
    return block + bytes((reduce(xor, block, 0) & 0x7F,))


def request_message(address: str = "", start: str = "?") -> bytes:
    """Return the request ``/?address!``. ``start`` is ``?``, or another character that a meter understands there.

    Raises UsageError for an address that is longer than 32 characters or has others than letters, digits and blanks.
    """
    if not re.fullmatch(r"[0-9A-Za-z ]{0,32}", address):
        raise UsageError(f"{address!r} is no device address: up to 32 letters, digits and blanks", code="address")
    return f"/{start}{address}!\r\n".encode("ascii")


def find_identification(data: bytes) -> tuple[Identified, int, int] | None:
    """Find an identification line in ``data``; return it with its place and that of its end, None if there is none."""
    match = _IDENTIFICATION.search(data)
    if match is None:
        return None
    manufacturer, character, sequences, text = (part.decode("ascii", "replace") for part in match.groups())
    if "\\2" in sequences:
        mode, baud = Mode.E, BAUD_MODE_C.get(character, SIGN_ON_BAUD)
    elif character in BAUD_MODE_C:
        mode, baud = Mode.C, BAUD_MODE_C[character]
    elif character in BAUD_MODE_B:
        mode, baud = Mode.B, BAUD_MODE_B[character]
    else:
        mode, baud = Mode.A, SIGN_ON_BAUD
    return Identified(manufacturer, character, text.strip(), mode, baud), match.start(), match.end()
