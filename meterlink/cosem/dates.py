"""Dates and times of COSEM, every field of which may be left open (Blue Book, 4.1.6.1).

On the wire a date has 5 octets, a time 4 and a date-time 12. An octet FF, a year FFFF and a deviation 8000 stand for
"not specified". Reading is lossless: what is no real date is kept as it came, and only
:meth:`CosemDateTime.as_datetime` says that it is none.
"""

from __future__ import annotations

import datetime as dt
import enum
import struct
from dataclasses import dataclass
from typing import Final, Self

from meterlink.errors import ProtocolError, UsageError

MONTH_DST_END: Final = 0xFD
MONTH_DST_BEGIN: Final = 0xFE
DAY_SECOND_LAST: Final = 0xFD
DAY_LAST: Final = 0xFE

_OPEN: Final = 0xFF
_OPEN_YEAR: Final = 0xFFFF
_OPEN_DEVIATION: Final = -0x8000

_DATE: Final = struct.Struct(">HBBB")
_TIME: Final = struct.Struct(">BBBB")
_DATE_TIME: Final = struct.Struct(">HBBBBBBBhB")


class ClockStatus(enum.IntFlag):
    """The status octet of a date-time."""

    INVALID = 0x01
    DOUBTFUL = 0x02
    DIFFERENT_BASE = 0x04
    INVALID_STATUS = 0x08
    DST_ACTIVE = 0x80


def _octet(name: str, value: int | None) -> int:
    if value is None:
        return _OPEN
    if not 0 <= value < _OPEN:
        raise UsageError(f"the {name} of a COSEM date or time is 0..254 or open, not {value}")
    return value


def _year(value: int | None) -> int:
    if value is None:
        return _OPEN_YEAR
    if not 0 <= value < _OPEN_YEAR:
        raise UsageError(f"the year of a COSEM date is 0..65534 or open, not {value}")
    return value


def _or_open(value: int) -> int | None:
    return None if value == _OPEN else value


def _check_length(name: str, data: bytes, length: int) -> None:
    if len(data) != length:
        raise ProtocolError(f"a {name} has {length} octets, not {len(data)}")


@dataclass(frozen=True, slots=True)
class CosemDate:
    """A date: year 0..65534, month 1..12 (253 end, 254 begin of daylight saving), day of month 1..31 (253 last but
    one, 254 last), weekday 1 (Monday) .. 7. None leaves a field open."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None

    @classmethod
    def of(cls, date: dt.date) -> Self:
        """Return the date of ``date``, weekday included."""
        return cls(date.year, date.month, date.day, date.isoweekday())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read five octets. Raises ProtocolError on any other number of them."""
        _check_length("date", data, _DATE.size)
        year, month, day, weekday = _DATE.unpack(data)
        return cls(None if year == _OPEN_YEAR else year, _or_open(month), _or_open(day), _or_open(weekday))

    def to_bytes(self) -> bytes:
        """Return the five octets. Raises UsageError when a field is out of its range."""
        return _DATE.pack(
            _year(self.year), _octet("month", self.month), _octet("day", self.day), _octet("weekday", self.weekday)
        )

    def as_date(self) -> dt.date | None:
        """Return the date, or None when a field is open or the date does not exist."""
        if self.year is None or self.month is None or self.day is None:
            return None
        try:
            return dt.date(self.year, self.month, self.day)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class CosemTime:
    """A time of day: hour, minute, second, hundredths of a second. None leaves a field open."""

    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    hundredths: int | None = None

    @classmethod
    def of(cls, time: dt.time) -> Self:
        """Return the time of ``time``, cut to hundredths of a second."""
        return cls(time.hour, time.minute, time.second, time.microsecond // 10_000)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read four octets. Raises ProtocolError on any other number of them."""
        _check_length("time", data, _TIME.size)
        return cls(*(_or_open(octet) for octet in data))

    def to_bytes(self) -> bytes:
        """Return the four octets. Raises UsageError when a field is out of its range."""
        return _TIME.pack(
            _octet("hour", self.hour),
            _octet("minute", self.minute),
            _octet("second", self.second),
            _octet("hundredths", self.hundredths),
        )

    def as_time(self) -> dt.time | None:
        """Return the time, or None when hour or minute are open or the time does not exist. Open seconds are 0."""
        if self.hour is None or self.minute is None:
            return None
        try:
            return dt.time(self.hour, self.minute, self.second or 0, (self.hundredths or 0) * 10_000)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class CosemDateTime:
    """A date-time. Fields as in :class:`CosemDate` and :class:`CosemTime`; None leaves a field open.

    ``deviation`` is in minutes and counts from local time to UTC: local time + deviation = UTC, so that Central
    European Time has -60. ``status`` is the clock status octet, see :class:`ClockStatus`.
    """

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    hundredths: int | None = None
    deviation: int | None = None
    status: int | None = None

    @classmethod
    def of(cls, moment: dt.datetime, status: int | None = 0) -> Self:
        """Return the date-time of ``moment``; without a time zone the deviation stays open.

        The daylight saving bit of the status is set from the time zone where there is one.
        """
        offset = moment.utcoffset()
        if status is not None and moment.dst():
            status |= ClockStatus.DST_ACTIVE
        return cls(
            moment.year,
            moment.month,
            moment.day,
            moment.isoweekday(),
            moment.hour,
            moment.minute,
            moment.second,
            moment.microsecond // 10_000,
            None if offset is None else -round(offset.total_seconds() / 60),
            status,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read twelve octets. Raises ProtocolError on any other number of them."""
        _check_length("date-time", data, _DATE_TIME.size)
        year, *octets, deviation, status = _DATE_TIME.unpack(data)
        month, day, weekday, hour, minute, second, hundredths = map(_or_open, octets)
        return cls(
            None if year == _OPEN_YEAR else year,
            month,
            day,
            weekday,
            hour,
            minute,
            second,
            hundredths,
            None if deviation == _OPEN_DEVIATION else deviation,
            _or_open(status),
        )

    def to_bytes(self) -> bytes:
        """Return the twelve octets. Raises UsageError when a field is out of its range."""
        deviation = _OPEN_DEVIATION if self.deviation is None else self.deviation
        if self.deviation is not None and not _OPEN_DEVIATION < self.deviation <= 0x7FFF:
            raise UsageError(f"the deviation is in minutes, -32767..32767, not {self.deviation}")
        return _DATE_TIME.pack(
            _year(self.year),
            _octet("month", self.month),
            _octet("day", self.day),
            _octet("weekday", self.weekday),
            _octet("hour", self.hour),
            _octet("minute", self.minute),
            _octet("second", self.second),
            _octet("hundredths", self.hundredths),
            deviation,
            _octet("status", self.status),
        )

    @property
    def date(self) -> CosemDate:
        """The date part."""
        return CosemDate(self.year, self.month, self.day, self.weekday)

    @property
    def time(self) -> CosemTime:
        """The time part."""
        return CosemTime(self.hour, self.minute, self.second, self.hundredths)

    def as_datetime(self) -> dt.datetime | None:
        """Return the moment, with a time zone when the deviation is known.

        None when year, month, day, hour or minute are open or the moment does not exist. Open seconds are 0.
        """
        date, time = self.date.as_date(), self.time.as_time()
        if date is None or time is None:
            return None
        if self.deviation is None:
            return dt.datetime.combine(date, time)
        try:
            zone = dt.timezone(dt.timedelta(minutes=-self.deviation))
        except ValueError:
            return None
        return dt.datetime.combine(date, time, zone)

    def __str__(self) -> str:
        def field(value: int | None, width: int) -> str:
            return "*" * width if value is None else f"{value:0{width}d}"

        date = f"{field(self.year, 4)}-{field(self.month, 2)}-{field(self.day, 2)}"
        time = f"{field(self.hour, 2)}:{field(self.minute, 2)}:{field(self.second, 2)}"
        if self.deviation is None:
            return f"{date} {time}"
        sign, minutes = "-+"[self.deviation <= 0], abs(self.deviation)
        return f"{date} {time}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
