"""Data types of record values (EN 13757-3, annex A).

Every reader takes the octets of the data field, least significant first, and returns the value, or None where the
octets say "invalid" or "never". Numbers are exact.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from decimal import Context, Decimal
from typing import Final

EXACT: Final = Context(prec=200)
"""Wide enough for the longest binary number (64 octets); scaling never rounds."""

_EVERY_SECOND, _EVERY_MINUTE, _EVERY_HOUR, _EVERY_MONTH, _EVERY_YEAR = 63, 63, 31, 15, 127
_LAST_SHORT_YEAR: Final = 80
"""Two-digit years up to 80 are 2000..2080, later ones 1981..1999 (types F, G, I)."""


def scaled(number: int, exponent: int) -> Decimal:
    """Return ``number * 10 ** exponent``, exactly."""
    if exponent < 0:
        return EXACT.scaleb(Decimal(number), exponent)
    return Decimal(number * 10**exponent)


def bcd_digits(data: bytes) -> str:
    """Return the digits of a BCD field, most significant first, letters where a nibble is no digit."""
    return data[::-1].hex().upper()


def bcd(data: bytes) -> int | None:
    """Type A. A leading F is a minus sign; any other letter marks a number the meter could not give."""
    digits = data[::-1].hex()
    if digits.isdigit():
        return int(digits)
    if digits[:1] == "f" and digits[1:].isdigit():
        return -int(digits[1:])
    return None


def signed(data: bytes) -> int | None:
    """Type B; the most negative number means "invalid"."""
    value = int.from_bytes(data, "little", signed=True)
    if value < 0 and value == -1 << (8 * len(data) - 1):
        return None
    return value


def real(data: bytes) -> Decimal | None:
    """Type H, IEEE 754 single precision, with the digits that single precision has; None for what is no number."""
    value = struct.unpack("<f", data)[0]
    return Decimal(f"{value:.7g}") if math.isfinite(value) else None


def date(data: bytes) -> dt.date | str | None:
    """Type G, two octets. A recurring day comes as text: ``MM-DD`` every year, ``DD`` every month, ``*`` every day."""
    return _day(data[0], data[1])


def moment(data: bytes) -> dt.datetime | dt.date | str | None:
    """Type F, four octets: date with hour and minute. A recurring one comes as text, ``MM-DD hh:mm``."""
    minute, hour = data[0] & 0x3F, data[1] & 0x1F
    if data[0] & 0x80:
        return None
    century = data[1] >> 5 & 0x03
    return _with_time(_day(data[2], data[3], century), hour, minute, 0)


def moment_with_seconds(data: bytes) -> dt.datetime | dt.date | str | None:
    """Type I, six octets: date with hour, minute and second; without a date (day and month 0, year 127) the time of
    day alone."""
    if data[1] & 0x80:
        return None
    hour, minute, second = data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F
    if data[3] == 0xE0 and data[4] == 0xF0:
        return _clock_face(hour, minute, second)
    return _with_time(_day(data[3], data[4]), hour, minute, second)


def time_of_day(data: bytes) -> str | None:
    """Type J, three octets: ``hh:mm:ss``, with ``*`` for every hour, minute or second."""
    if data == b"\xff\xff\xff":
        return None
    return _clock_face(data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F)


def bcd_moment(data: bytes) -> dt.datetime | None:
    """Date and time as twelve BCD digits, ``YYMMDDhhmmss``, as some electricity meters send it."""
    digits = data[::-1].hex()
    if not digits.isdigit():
        return None
    year, month, day, hour, minute, second = (int(digits[n : n + 2]) for n in range(0, 12, 2))
    try:
        return dt.datetime(2000 + year, month, day, hour, minute, second)
    except ValueError:
        return None


def text(data: bytes) -> str:
    """Characters, the last one first (ISO 8859-1)."""
    return data[::-1].decode("latin-1").strip("\x00 ")


def _day(low: int, high: int, century: int = 0) -> dt.date | str | None:
    day, month, year = low & 0x1F, high & 0x0F, low >> 5 | high >> 4 << 3
    if month == _EVERY_MONTH:
        return f"{day:02d}" if day else "*"
    if year == _EVERY_YEAR:
        return f"{month:02d}-{day:02d}" if 1 <= month <= 12 and 1 <= day <= 31 else None
    short = 2000 if year <= _LAST_SHORT_YEAR else 1900
    full = year + (1900 + 100 * century if century else short)
    try:
        return dt.date(full, month, day)
    except ValueError:
        return None


def _with_time(day: dt.date | str | None, hour: int, minute: int, second: int) -> dt.datetime | dt.date | str | None:
    face = _clock_face(hour, minute, second)
    if day is None or face is None:
        return None
    if isinstance(day, str) or "*" in face:
        return f"{day} {face if second else face[:-3]}"
    return dt.datetime(day.year, day.month, day.day, hour, minute, second)


def _clock_face(hour: int, minute: int, second: int) -> str | None:
    """Return ``hh:mm:ss`` with ``*`` for what recurs; None where there is no such time."""
    parts = ((hour, 23, _EVERY_HOUR), (minute, 59, _EVERY_MINUTE), (second, 59, _EVERY_SECOND))
    if any(value > most and value != every for value, most, every in parts):
        return None
    return ":".join("*" if value == every else f"{value:02d}" for value, _, every in parts)
