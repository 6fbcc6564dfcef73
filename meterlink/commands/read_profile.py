"""Read the rows of a profile (IC 7, Profile generic) as a table with names, units and scaled values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Final

from certs.levels import Permission
from meterlink.commands.object_list import classes_of
from meterlink.commands.objects import (
    CLOCK,
    DATA,
    PROFILE_GENERIC,
    SCALER_UNIT,
    UNKNOWN_CLASS,
    moment_of,
    name_of,
    plain_value,
    scaled,
)
from meterlink.commands.profile_parts import Course, Layout, PartReader
from meterlink.commands.read import about
from meterlink.commands.read_all import Progress
from meterlink.cosem.data import Data, Tag
from meterlink.cosem.names import Attribute, CaptureObject
from meterlink.cosem.objects.units import ScalerUnit
from meterlink.errors import MeterRefused, ProtocolError, UsageError
from meterlink.meters.profile import CosemObject, Profile
from meterlink.session import Session
from meterlink.values import Value

_CAPTURE_OBJECTS, _CAPTURE_PERIOD, _ENTRIES_IN_USE = 3, 4, 7
_TIME: Final = 2
_MOST: Final = 0xFFFFFFFF
_MOST_COLUMNS: Final = 1_000

_OCTETS_OF_TIME, _OCTETS_OF_NUMBER, _OCTETS_OF_ROW = 14, 5, 2
"""About so many octets stand in the answer for a time, a number, and around a row, until a first part came."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what is captured, its name, and the unit of its values (empty for none)."""

    source: CaptureObject
    name: str
    scaler_unit: ScalerUnit | None = None

    @property
    def unit(self) -> str:
        """The symbol of the unit."""
        return "" if self.scaler_unit is None else self.scaler_unit.symbol

    @property
    def is_time(self) -> bool:
        """True for the column that says when a row was captured."""
        return self.source.class_id == CLOCK and self.source.index == _TIME

    def value(self, data: Data) -> Value:
        """Return what one cell says."""
        if data.tag is Tag.NULL_DATA:
            return None
        if self.is_time:
            return moment_of(data)
        return plain_value(data) if self.scaler_unit is None else scaled(data, self.scaler_unit)


ProfileRow = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class ProfileHead:
    """What stands above the rows of a profile: the meter, the profile's name and OBIS code, its columns."""

    meter: dict[str, str]
    name: str
    obis: str
    columns: tuple[Column, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what ``read --profile --json`` says beside the rows."""
        columns = [
            {
                "name": column.name,
                "unit": column.unit,
                "obis": str(column.source.instance),
                "class": column.source.class_id,
            }
            for column in self.columns
        ]
        return {"meter": self.meter, "profile": self.name, "obis": self.obis, "columns": columns}


Take = Callable[[ProfileHead, Iterable[ProfileRow]], None]
"""Takes the rows of a part of a profile, the oldest first, each made as it is walked over."""


@dataclass(frozen=True, slots=True)
class ReadProfile:
    """Read the rows of ``thing`` captured from ``start`` to ``end``, both included; None leaves that end open.

    ``take`` is given the rows as they come, in one part or several, at least once. A meter that cannot select by time
    gives all rows, and the others are dropped here. ``progress`` counts octets, of a total that is an estimate. Over a
    new link a reading goes on where it stood, so each wants an object of its own.
    """

    name: ClassVar[str] = "read --profile"
    permission: ClassVar[Permission] = Permission.READ

    profile: Profile
    thing: CosemObject
    take: Take
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    progress: Progress = lambda done, total: None
    course: Course = field(default_factory=Course, init=False, repr=False, compare=False)

    async def run(self, session: Session) -> ProfileHead:
        """Return what stands above the rows. Raises MeterRefused; ProtocolError, see
        :class:`~meterlink.commands.profile_parts.PartReader`; UsageError ``not-a-profile`` for an object of another
        class."""
        await self._check_class(session)
        columns = await self._columns(session)
        head = ProfileHead(about(self.profile, session), self.thing.name, str(self.thing.obis), columns)
        layout = Layout(
            self.thing.obis,
            tuple(column.source for column in columns),
            tuple(index for index, column in enumerate(columns) if column.is_time),
            _bounded(await session.get(self._attribute(_CAPTURE_PERIOD))),
            _bounded(await session.get(self._attribute(_ENTRIES_IN_USE))),
        )
        expected = self._expected_rows(layout.entries, layout.period)
        gauge = _Gauge(session, self.course, expected, _octets_of_row(columns), self.progress)
        wanted = partial(self._is_wanted, columns)

        def take(rows: Iterable[tuple[Data, ...]]) -> None:
            made = (tuple(column.value(data) for column, data in zip(columns, row, strict=True)) for row in rows)
            self.take(head, filter(wanted, made))

        session.on_octets = gauge.look
        try:
            parts = PartReader(session, layout, self.course, self.start, self.end)
            await parts.read(expected * _octets_of_row(columns), take)
        finally:
            session.on_octets = None
        gauge.end()
        return head

    def _attribute(self, index: int) -> Attribute:
        return Attribute(PROFILE_GENERIC, self.thing.obis, index)

    async def _check_class(self, session: Session) -> None:
        class_id = self.thing.class_id
        if class_id == UNKNOWN_CLASS:
            class_id = (await classes_of(session, (self.thing.obis,)))[self.thing.obis]
        if class_id != PROFILE_GENERIC:
            raise UsageError(f"{self.thing.name} is not a profile", code="not-a-profile", hint=_profiles(self.profile))

    async def _columns(self, session: Session) -> tuple[Column, ...]:
        captured = await session.get(self._attribute(_CAPTURE_OBJECTS))
        if len(captured.as_items()) > _MOST_COLUMNS:
            raise ProtocolError(f"a profile of {len(captured.as_items())} columns", code="too-many-values")
        sources = [CaptureObject.from_data(item) for item in captured.as_items()]
        scaled_ones = [source for source in sources if _has_scaler(source)]
        wanted = [Attribute(item.class_id, item.instance, SCALER_UNIT[item.class_id]) for item in scaled_ones]
        found = dict(zip(scaled_ones, await session.get_many(wanted) if wanted else (), strict=True))
        return tuple(Column(item, _column_name(self.profile, item), _scaler_unit(found.get(item))) for item in sources)

    def _is_wanted(self, columns: Sequence[Column], row: ProfileRow) -> bool:
        for column, value in zip(columns, row, strict=True):
            if column.is_time and isinstance(value, dt.datetime):
                return (self.start is None or not _before(value, self.start)) and (
                    self.end is None or not _before(self.end, value)
                )
        return True

    def _expected_rows(self, entries: int, period: int) -> int:
        if self.start is None or not period:
            return max(entries, 1)
        end = self.end or dt.datetime.now(self.start.tzinfo)
        asked = int((end.timestamp() - self.start.timestamp()) // period) + 1
        return max(min(asked, entries), 1)


class _Gauge:
    """Turns octets that come into progress: what a row takes is an estimate until a first part is there."""

    def __init__(self, session: Session, course: Course, expected: int, octets_of_row: int, progress: Progress) -> None:
        self._course = course
        self._expected = expected
        self._octets_of_row = octets_of_row
        self._progress = progress
        self._delivered = course.delivered
        self._begin = session.octets_received

    def look(self, octets: int) -> None:
        """Take the octets that came in the session."""
        course = self._course
        of_row = course.octets_of_row or self._octets_of_row
        if course.delivered != self._delivered:
            self._delivered, self._begin = course.delivered, octets
        total = max(self._expected, course.delivered) * of_row
        self._progress(min(course.delivered * of_row + octets - self._begin, total), total)

    def end(self) -> None:
        """All is there."""
        total = self._expected * (self._course.octets_of_row or self._octets_of_row)
        self._progress(total, total)


def _bounded(data: Data) -> int:
    """Return a number of 32 bits: what a meter says beyond these is not meant."""
    return min(max(data.as_int(), 0), _MOST)


def _before(one: dt.datetime, other: dt.datetime) -> bool:
    """Compare moments; one without a time zone is the meter's local time, and so is the other then."""
    if one.tzinfo is None or other.tzinfo is None:
        return one.replace(tzinfo=None) < other.replace(tzinfo=None)
    return one < other


def _has_scaler(source: CaptureObject) -> bool:
    # Of registers the values are scaled; their status and their times are not.
    return source.class_id in SCALER_UNIT and source.index in (2, 3) and source.index != SCALER_UNIT[source.class_id]


def _scaler_unit(result: Data | MeterRefused | None) -> ScalerUnit | None:
    return None if result is None or isinstance(result, MeterRefused) else ScalerUnit.from_data(result)


def _column_name(profile: Profile, source: CaptureObject) -> str:
    name = name_of(profile, source.instance)
    if source.class_id == DATA or source.index == _TIME:
        return name
    return f"{name}/{source.index}"


def _octets_of_row(columns: Sequence[Column]) -> int:
    return _OCTETS_OF_ROW + sum(_OCTETS_OF_TIME if column.is_time else _OCTETS_OF_NUMBER for column in columns)


def _profiles(profile: Profile) -> str:
    names = [thing.name.replace("_", "-") for thing in profile.objects if thing.class_id == PROFILE_GENERIC]
    return f"profiles of {profile.name} are {', '.join(names) or 'not known: name one by its OBIS code'}"
