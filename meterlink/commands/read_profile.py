"""Read the rows of a profile (IC 7, Profile generic) as a table with names, units and scaled values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from meterlink.commands.read import about
from meterlink.commands.read_all import Progress
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.data import Data, Tag
from meterlink.cosem.names import Attribute, CaptureObject, RangeSelection
from meterlink.cosem.objects.profile import decode_rows
from meterlink.cosem.objects.units import ScalerUnit
from meterlink.errors import MeterRefused, UsageError
from meterlink.meters.profile import CosemObject, Profile
from meterlink.session import Session
from meterlink.values import Value, value_as_json

_BUFFER, _CAPTURE_OBJECTS, _CAPTURE_PERIOD, _ENTRIES_IN_USE = 2, 3, 4, 7
_TIME: Final = 2
_NO_SELECTION: Final = frozenset({"scope-of-access-violated", "service-not-supported", "other-reason"})
"""Refusals of meters that cannot select a part of a profile."""

_OCTETS_OF_TIME, _OCTETS_OF_NUMBER, _OCTETS_OF_ROW = 14, 5, 2
"""About so many octets stand in the answer for a time, a number, and around a row: for the progress alone."""


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


@dataclass(frozen=True, slots=True)
class ProfileTable:
    """The rows of one profile, the oldest first, as the meter gives them."""

    meter: dict[str, str]
    name: str
    obis: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the table in the form of ``read --profile --json``."""
        columns = [
            {
                "name": column.name,
                "unit": column.unit,
                "obis": str(column.source.instance),
                "class": column.source.class_id,
            }
            for column in self.columns
        ]
        rows = [[value_as_json(value) for value in row] for row in self.rows]
        return {"meter": self.meter, "profile": self.name, "obis": self.obis, "columns": columns, "rows": rows}


@dataclass(frozen=True, slots=True)
class ReadProfile:
    """Read the rows of ``thing`` captured from ``start`` to ``end``, both included; None leaves that end open.

    A meter that cannot select by time gives all rows, and the others are dropped here. ``progress`` counts octets, of
    a total that is an estimate.
    """

    name: ClassVar[str] = "read --profile"
    permission: ClassVar[Permission] = Permission.READ

    profile: Profile
    thing: CosemObject
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    progress: Progress = lambda done, total: None

    async def run(self, session: Session) -> ProfileTable:
        """Return the table. Raises MeterRefused; UsageError ``not-a-profile`` for an object of another class."""
        await self._check_class(session)
        columns = await self._columns(session)
        period = (await session.get(self._attribute(_CAPTURE_PERIOD))).as_int()
        entries = (await session.get(self._attribute(_ENTRIES_IN_USE))).as_int()
        expected = self._expected_rows(entries, period) * _octets_of_row(columns)
        first = session.octets_received

        def watch(octets: int) -> None:
            self.progress(min(octets - first, expected), expected)

        session.on_octets = watch
        try:
            buffer = await self._buffer(session, columns)
        finally:
            session.on_octets = None
        self.progress(expected, expected)
        rows = tuple(row for row in _rows(buffer, columns, period) if self._is_wanted(row, columns))
        return ProfileTable(about(self.profile, session), self.thing.name, str(self.thing.obis), columns, rows)

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
        sources = [CaptureObject.from_data(item) for item in captured.as_items()]
        scaled_ones = [source for source in sources if _has_scaler(source)]
        wanted = [Attribute(item.class_id, item.instance, SCALER_UNIT[item.class_id]) for item in scaled_ones]
        found = dict(zip(scaled_ones, await session.get_many(wanted) if wanted else (), strict=True))
        return tuple(Column(item, _column_name(self.profile, item), _scaler_unit(found.get(item))) for item in sources)

    async def _buffer(self, session: Session, columns: Sequence[Column]) -> Data:
        time = next((column.source for column in columns if column.is_time), None)
        everything = self._attribute(_BUFFER)
        selects = Conformance.SELECTIVE_ACCESS in session.association.conformance
        if time is None or not selects or (self.start is None and self.end is None):
            return await session.get(everything)
        start = self.start or dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
        end = self.end or dt.datetime(2099, 12, 31, tzinfo=dt.UTC)
        part = Attribute(PROFILE_GENERIC, self.thing.obis, _BUFFER, RangeSelection.by_time(start, end, time))
        try:
            return await session.get(part)
        except MeterRefused as refused:
            if refused.code not in _NO_SELECTION:
                raise
        return await session.get(everything)

    def _is_wanted(self, row: tuple[Value, ...], columns: Sequence[Column]) -> bool:
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


def _rows(buffer: Data, columns: tuple[Column, ...], period: int) -> Iterator[tuple[Value, ...]]:
    clocks = [index for index, column in enumerate(columns) if column.is_time]
    for row in decode_rows(buffer, len(columns), clock_columns=clocks, capture_period=period):
        yield tuple(column.value(data) for column, data in zip(columns, row, strict=True))


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
