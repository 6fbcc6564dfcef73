"""7E1 and 7O1 over a line that can only do 8N1: the parity bit is the eighth bit of the character."""

from __future__ import annotations

from typing import Final

from meterlink.transport.base import LineSettings, Parity

_EVEN: Final = bytes(value | (value.bit_count() & 1) << 7 for value in range(128)) * 2
_ODD: Final = bytes(value ^ 0x80 for value in _EVEN)
_TABLES: Final[dict[Parity, bytes]] = {"E": _EVEN, "O": _ODD}
_SEVEN: Final = bytes(value & 0x7F for value in range(256))


def can_emulate(settings: LineSettings) -> bool:
    """True for 7E1 and 7O1."""
    return settings.data_bits == 7 and settings.parity in _TABLES and settings.stop_bits == 1


def carrier(settings: LineSettings) -> LineSettings:
    """Return the line that carries the emulated one: the same bits on the wire."""
    return LineSettings(settings.baud)


def add_parity(data: bytes, parity: Parity) -> bytes:
    """Return seven-bit characters with their parity in the eighth bit."""
    return data.translate(_TABLES[parity])


def strip_parity(data: bytes, parity: Parity) -> tuple[bytes, int]:
    """Return the characters without their parity, and how many of them had a wrong one.

    A wrong one is passed on, as serial drivers do: the block check of the protocol above decides.
    """
    plain = data.translate(_SEVEN)
    wrong = sum(got != want for got, want in zip(data, plain.translate(_TABLES[parity]), strict=True))
    return plain, wrong
