"""From the octets of a data field to a value: one reader for each combination of coding and meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from meterlink.mbus import types
from meterlink.mbus.identity import manufacturer_letters, medium_name
from meterlink.mbus.quantity import Kind
from meterlink.values import Value

Reader = Callable[[bytes], Value]

LENGTHS: Final = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, -1, 6, 0)
"""Octets of the data field by the low nibble of the DIF; -1: the data say it themselves."""

_REAL, _LVAR, _BCD = 0x5, 0xD, frozenset({0x9, 0xA, 0xB, 0xC, 0xE})
_TYPE_K_FIELD: Final = 0x4
_EMPTY: Final = frozenset({0x0, 0x8, 0xF})
_NONE: Final = Decimal(0)

LVAR_TEXT_END: Final = 0xBF
_LVAR_BINARY: Final = range(0xE1, 0xF0)
_NAMES: Final = frozenset({Kind.IDENTIFICATION, Kind.TEXT})
"""Digits of these keep their leading zeros."""

_KEPT_KINDS: Final = frozenset({Kind.OCTETS, Kind.DAYLIGHT_SAVING, Kind.LISTENING_WINDOW})


def lvar_length(first: int) -> int:
    """Return how many octets follow the first one of a field of variable length (6.3.4), -1 for a reserved value."""
    if first <= LVAR_TEXT_END:
        return first
    if 0xC0 <= first <= 0xC9 or 0xD0 <= first <= 0xD9 or 0xE0 <= first <= 0xEF:
        return first & 0x0F
    if 0xF0 <= first <= 0xF4:
        return 4 * (first - 0xEC)
    return {0xF5: 48, 0xF6: 64}.get(first, -1)


def unread_type(field: int, kind: Kind, data: bytes) -> str:
    """Return the letter of the data type of ``data`` where it is one that is kept as octets; else nothing.

    Types K (daylight saving), L (listening window) and M (date and time, or a duration) of annex A have no description
    of their bits that can be had and checked: a guess would show a wrong date. What is known of M (pyMBusMaster,
    ``value.py``): a count of 2 s, 1 s, 1/256 s or 1/32768 s since 2013 or 1970 in UTC, and an offset in hours to local
    time, of which -16 makes it a duration. Where in the octets these stand is not said.
    """
    if kind is Kind.TIME_POINT and field == _LVAR and data[:1] and data[0] in _LVAR_BINARY:
        return "M"
    if kind is Kind.DAYLIGHT_SAVING and field == _TYPE_K_FIELD:
        return "K"
    return "L" if kind is Kind.LISTENING_WINDOW and field == _LVAR else ""


def reader_for(field: int, kind: Kind, exponent: int, offset: Decimal = _NONE) -> Reader:
    """Return what reads a data field. ``exponent`` is a power of ten on the number, ``offset`` what is added to it."""
    read = _reader(field, kind, exponent)
    if not offset:
        return read

    def shifted(data: bytes) -> Value:
        value = read(data)
        return types.EXACT.add(value, offset) if isinstance(value, Decimal) else value

    return shifted


def _reader(field: int, kind: Kind, exponent: int) -> Reader:
    if field in _EMPTY:
        return _nothing
    if field == _LVAR:
        return _variable(kind, exponent)
    if kind is Kind.TIME_POINT:
        return _TIME_POINTS.get(field, _octets)
    if kind in _KEPT_KINDS:
        return _octets
    if field == _REAL:
        return _scaled_real(exponent)
    if field in _BCD:
        return _bcd_identification if kind in _NAMES else _scaled_bcd(exponent)
    return _of_binary(kind, exponent, LENGTHS[field])


def _of_binary(kind: Kind, exponent: int, octets: int) -> Reader:
    """Return what reads a binary number of so many octets."""
    if kind in _BINARY:
        return _BINARY[kind]
    if kind is Kind.NUMBER:
        return _scaled_signed(octets, exponent)
    return _counted if kind is Kind.COUNTED else _scaled_unsigned(exponent)


def _nothing(data: bytes) -> Value:
    return None


def _octets(data: bytes) -> Value:
    return bytes(data)


def _scaled_bcd(exponent: int) -> Reader:
    scaleb, low, zeros = types.EXACT.scaleb, min(exponent, 0), "0" * exponent

    def read(data: bytes) -> Value:
        digits = data[::-1].hex()
        if digits.isdigit():
            return scaleb(Decimal(digits + zeros), low)
        number = types.bcd(data)
        return None if number is None else types.scaled(number, exponent)

    return read


def _bcd_identification(data: bytes) -> Value:
    """An identification number keeps its leading zeros; it is a name, not an amount."""
    digits = types.bcd_digits(data)
    return digits if digits.isdigit() else None


def _scaled_signed(octets: int, exponent: int) -> Reader:
    scaleb, low, factor = types.EXACT.scaleb, min(exponent, 0), 10 ** max(exponent, 0)
    invalid = -1 << (8 * octets - 1)
    from_bytes = int.from_bytes

    def read(data: bytes) -> Value:
        number = from_bytes(data, "little", signed=True)
        return None if number == invalid else scaleb(Decimal(number * factor), low)

    return read


def _scaled_unsigned(exponent: int) -> Reader:
    def read(data: bytes) -> Value:
        return types.scaled(int.from_bytes(data, "little"), exponent)

    return read


def _scaled_real(exponent: int) -> Reader:
    def read(data: bytes) -> Value:
        number = types.real(data)
        return None if number is None else types.EXACT.scaleb(number, exponent)

    return read


def _variable(kind: Kind, exponent: int) -> Reader:
    """A reader for a field of variable length; ``data`` begins with the octet that says what follows."""

    def read(data: bytes) -> Value:
        first, rest = data[0], data[1:]
        if kind is Kind.TIME_POINT or kind in _KEPT_KINDS:
            return bytes(rest)
        if first <= LVAR_TEXT_END:
            return types.text(rest)
        if not rest:
            return None
        if first >> 4 in (0xC, 0xD):
            if kind in _NAMES and first >> 4 == 0xC:
                return _bcd_identification(rest)
            number = types.bcd(rest)
            if number is None:
                return None
            return types.scaled(-number if first >> 4 == 0xD else number, exponent)
        return _of_binary(kind, exponent, len(rest))(rest)

    return read


def _counted(data: bytes) -> Value:
    return Decimal(int.from_bytes(data, "little", signed=True))


def _flags(data: bytes) -> Value:
    return Decimal(int.from_bytes(data, "little"))


def _manufacturer(data: bytes) -> Value:
    return manufacturer_letters(int.from_bytes(data[:2], "little"))


def _medium(data: bytes) -> Value:
    return medium_name(data[0])


def _number_or_text(data: bytes) -> Value:
    return str(int.from_bytes(data, "little"))


def _raw_text(data: bytes) -> Value:
    return bytes(data)


_BINARY: Final[Mapping[Kind, Reader]] = MappingProxyType(
    {
        Kind.FLAGS: _flags,
        Kind.MANUFACTURER: _manufacturer,
        Kind.MEDIUM: _medium,
        Kind.IDENTIFICATION: _number_or_text,
        Kind.TEXT: _raw_text,
    }
)
_TIME_POINTS: Final[Mapping[int, Reader]] = MappingProxyType(
    {
        0x2: types.date,
        0x3: types.time_of_day,
        0x4: types.moment,
        0x6: types.moment_with_seconds,
        0xE: types.bcd_moment,
    }
)
