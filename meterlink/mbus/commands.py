"""Data that a master sends to set something (EN 13757-3, 6.4.2; EN 13757-7, 8.5 and 8.6)."""

from __future__ import annotations

import datetime as dt
from typing import Final

from meterlink.errors import UsageError

MAX_USER_DATA: Final = 252
"""Octets of data that one telegram takes."""

_FIRST_YEAR, _LAST_YEAR = 2000, 2080


def encode_moment(moment: dt.datetime) -> bytes:
    """Return date and time as type F, four octets; seconds are dropped. Raises UsageError outside of 2000..2080."""
    low, high = _encode_day(moment)
    return bytes((moment.minute, moment.hour, low, high))


def encode_date(day: dt.date) -> bytes:
    """Return a date as type G, two octets. Raises UsageError outside of 2000..2080."""
    return bytes(_encode_day(day))


def set_clock(moment: dt.datetime) -> bytes:
    """Set the meter's date and time."""
    return b"\x04\x6d" + encode_moment(moment)


def set_primary_address(address: int) -> bytes:
    """Set the primary address. Raises UsageError outside of 0..250."""
    if not 0 <= address <= 250:
        raise UsageError(f"a primary address is 0..250, not {address}", code="address")
    return bytes((0x01, 0x7A, address))


def set_identification(number: str) -> bytes:
    """Set the eight digits of the secondary address. Raises UsageError for anything but up to eight digits."""
    if not (number.isascii() and number.isdigit() and len(number) <= 8):
        raise UsageError(f"{number!r} is no identification number: up to eight digits", code="address")
    return b"\x0c\x79" + bytes.fromhex(number.zfill(8))[::-1]


def set_full_identification(number: str, manufacturer: int, version: int, medium: int) -> bytes:
    """Set the whole secondary address. Raises UsageError for a number that is no number, or fields out of range."""
    fields = ((manufacturer, 0xFFFF), (version, 0xFF), (medium, 0xFF))
    if any(not 0 <= value <= most for value, most in fields):
        raise UsageError("manufacturer is 0..65535, version and medium are 0..255", code="address")
    digits = set_identification(number)[2:]
    return b"\x07\x79" + digits + manufacturer.to_bytes(2, "little") + bytes((version, medium))


def _encode_day(day: dt.date) -> tuple[int, int]:
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        # Two-digit years from 81 on mean 1981; not every meter understands the century bits of type F.
        raise UsageError(
            f"a meter's clock counts from {_FIRST_YEAR} to {_LAST_YEAR}, not {day.year}",
            code="setting-invalid",
            hint="write the year with four digits",
        )
    year = day.year - 2000
    return day.day | (year & 0x07) << 5, day.month | (year >> 3) << 4
