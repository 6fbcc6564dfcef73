"""Tables out of a report: stored values by date, maxima with their moments, faults with theirs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from meterlink.values import MeterReport, Reading, Value

_SET_DAYS: Final = 510
"""Storage numbers from here on hold the set days themselves, not what was stored on them."""
_MAXIMA: Final = ("max_power", "max_flow", "max_flow_temperature", "max_return_temperature")


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table. A cell is a value of a reading; None is an empty cell."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def tables(report: MeterReport) -> tuple[Table, ...]:
    """Return the tables that the report has something for, each with at least one row."""
    made = (_stored(report.readings), _maxima(report.readings), _faults(report.readings))
    return tuple(table for table in made if table.rows)


def is_stored_value(reading: Reading) -> bool:
    """Tell whether a reading stands in the table of stored values."""
    stored = 0 < reading.storage < _SET_DAYS and not reading.tariff
    known = reading.time is not None and reading.value is not None
    return stored and known and not reading.name.startswith(("max_", "min_"))


def _stored(readings: Iterable[Reading]) -> Table:
    """One row for each stored set that has a date, the youngest first; one column for each quantity, with its unit."""
    columns: dict[str, None] = {}
    rows: dict[tuple[dt.date, int], dict[str, Value]] = {}
    for reading in readings:
        if not is_stored_value(reading) or reading.time is None:
            continue
        # What was stored on another set day has a name of its own and stands in a row of its own.
        name = reading.name.partition("_unit")[0]
        column = f"{name} [{reading.unit}]" if reading.unit else name
        columns[column] = None
        rows.setdefault((reading.time, reading.storage), {}).setdefault(column, reading.value)
    ordered = sorted(rows.items(), key=lambda item: (_sortable(item[0][0]), -item[0][1]), reverse=True)
    body = tuple((day, *(cells.get(column) for column in columns)) for (day, _), cells in ordered)
    return Table("stored values", ("date", *columns), body)


def _maxima(readings: Iterable[Reading]) -> Table:
    rows: list[tuple[Value, ...]] = [
        (reading.name.removeprefix("max_").replace("_", " "), reading.value, reading.unit, reading.time)
        for reading in readings
        if reading.name in _MAXIMA and not reading.storage and reading.value is not None
    ]
    return Table("maxima", ("of", "value", "unit", "when"), tuple(rows))


def _faults(readings: Iterable[Reading]) -> Table:
    """Faults that the meter gives a moment for, the last one first, then what it counts."""
    dated: list[tuple[Value, ...]] = []
    counted: list[tuple[Value, ...]] = []
    for reading in readings:
        if reading.name.startswith("error_") and isinstance(reading.value, dt.date):
            words = reading.name.removeprefix("error_").replace("_", " ")
            dated.append((words, reading.value))
        elif reading.name == "missing_time" and isinstance(reading.value, Decimal):
            if reading.storage or not reading.value:
                continue
            counted.append((f"missing time: {reading.value} {reading.unit}", None))
        elif reading.name == "error_flags" and isinstance(reading.value, str) and reading.value != "no error":
            counted += [(words, None) for words in re.split(r"; (?=F\d)", reading.value)]
    dated.sort(key=lambda row: _sortable(row[1]), reverse=True)
    return Table("faults", ("fault", "when"), tuple(counted + dated))


def _sortable(value: Value) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    return dt.datetime(value.year, value.month, value.day) if isinstance(value, dt.date) else dt.datetime.min
