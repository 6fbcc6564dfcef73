"""Compact profiles: a series of values in one record of variable length (EN 13757-3, annex F).

A profile hangs on a base value and a base time with the same storage number. Its first octet says how large an element
is, how far apart in time, and whether elements are values or differences; the second how many units lie between them.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from meterlink.mbus import types
from meterlink.mbus.header import RecordHeader
from meterlink.mbus.quantity import Kind
from meterlink.mbus.reading import LENGTHS
from meterlink.mbus.record import Record

INVERSE: Final = 0x13
WITH_REGISTERS: Final = 0x1E
_ABSOLUTE, _INCREMENTS, _DECREMENTS, _DIFFERENCES = range(4)
_MONTHS: Final = 254
_MAX_SPACING: Final = 250
_BCD_FIELDS: Final = frozenset({0x9, 0xA, 0xB, 0xC, 0xE})
_REAL: Final = 0x5


class ProfilePoint(NamedTuple):
    """One element: its storage number, the time it belongs to (None when it cannot be told), the value in the unit of
    the profile's record (None for an invalid one)."""

    storage: int
    time: dt.datetime | dt.date | None
    value: Decimal | None


def expand(record: Record, records: Sequence[Record]) -> list[ProfilePoint]:
    """Return the points of a compact profile, in the order of their storage numbers.

    ``records`` are all of its telegram. A profile of differences without its base value, or with one that is malformed,
    gives no points: the octets stay in the record.
    """
    data = record.data[1:]
    if len(data) < 2:
        return []
    control, spacing = data[0], data[1]
    field, unit, mode = control & 0x0F, control >> 4 & 0x03, control >> 6
    size = LENGTHS[field]
    if size <= 0 or (len(data) - 2) % size:
        return []
    base_time, base_value = _bases(record.header, records)
    inverse = record.header.profile == INVERSE
    points = []
    running = base_value
    for n, at in enumerate(range(2, len(data), size), start=1):
        element = _element(data[at : at + size], field, mode)
        if mode == _ABSOLUTE:
            running = element
        elif running is None or element is None:
            running = None
        else:
            # Differences are younger minus older; an inverse profile walks from the youngest back.
            step = -element if mode == _DECREMENTS else element
            running = running - step if inverse else running + step
        value = None if running is None else types.EXACT.scaleb(running, record.header.exponent)
        moment = _moment(base_time, -n if inverse else n, unit, spacing)
        points.append(ProfilePoint(record.header.storage + n, moment, value))
    return points


def _bases(header: RecordHeader, records: Sequence[Record]) -> tuple[dt.datetime | dt.date | None, Decimal | None]:
    """Return base time and base value (as counted, without its power of ten)."""
    time: dt.datetime | dt.date | None = None
    value: Decimal | None = None
    for other in records:
        candidate = other.header
        if candidate.storage != header.storage or candidate.profile:
            continue
        if candidate.kind is Kind.TIME_POINT and candidate.quantity in ("date", "time"):
            time = other.value if isinstance(other.value, dt.date) else time
        elif (
            isinstance(other.value, Decimal)
            and (candidate.tariff, candidate.subunit) == (header.tariff, header.subunit)
            and candidate.quantity == header.quantity
        ):
            value = types.EXACT.scaleb(other.value, -header.exponent)
    return time, value


def _element(data: bytes, field: int, mode: int) -> Decimal | None:
    if field == _REAL:
        return types.real(data)
    if field in _BCD_FIELDS:
        digits = types.bcd(data)
        return None if digits is None else Decimal(digits)
    if mode in (_INCREMENTS, _DECREMENTS):
        number = int.from_bytes(data, "little")
        return None if number == (1 << 8 * len(data)) - 1 else Decimal(number)
    signed = types.signed(data)
    return None if signed is None else Decimal(signed)


def _moment(base: dt.datetime | dt.date | None, steps: int, unit: int, spacing: int) -> dt.datetime | dt.date | None:
    if base is None or spacing == 0:
        return None
    if spacing == _MONTHS:
        # The unit chooses between one, six and three months; unit 0 is met with one month, too.
        months = (1, 6, 3, 1)[unit]
        return _add_months(base, steps * months)
    if spacing > _MAX_SPACING:
        return None
    seconds = (1, 60, 3600, 86400)[unit] * spacing * steps
    try:
        return base + dt.timedelta(seconds=seconds)
    except OverflowError:
        return None


def _add_months(base: dt.datetime | dt.date, months: int) -> dt.datetime | dt.date | None:
    """Move by whole months. The last day of a month stays the last day, as meters store it."""
    index = base.year * 12 + base.month - 1 + months
    year, month = divmod(index, 12)
    if not dt.MINYEAR <= year <= dt.MAXYEAR:
        return None
    last = calendar.monthrange(year, month + 1)[1]
    was_last = base.day == calendar.monthrange(base.year, base.month)[1]
    return base.replace(year=year, month=month + 1, day=last if was_last else min(base.day, last))
