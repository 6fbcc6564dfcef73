"""A meter report for people: who the meter is, its readings as a table, and the notes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from certs.cli.output import printable
from meterlink.meters.tables import Table as MeterTable
from meterlink.meters.tables import is_stored_value, tables
from meterlink.values import MeterReport, Reading, Value

_LADDERS: Final[Mapping[str, tuple[tuple[int, str], ...]]] = MappingProxyType(
    {
        "Wh": ((6, "MWh"), (3, "kWh")),
        "W": ((6, "MW"), (3, "kW")),
        "J": ((9, "GJ"), (6, "MJ"), (3, "kJ")),
    }
)
"""Unit -> larger ones, the largest first, with the power of ten between them."""

_WIDEST: Final = 40
"""Columns that a value may take; a longer text goes on in the next line."""

_LONGEST: Final = 240
"""Characters of a value that are shown; ``--json`` has all of them."""


def as_renderable(report: MeterReport, *, with_tables: bool = False) -> RenderableType:
    """Return the report as something rich can print; nothing a meter said is read as markup.

    ``with_tables`` draws stored values, maxima and faults as tables of their own; the stored values then stand there
    alone.
    """
    parts: list[RenderableType] = []
    if report.meter:
        parts.append(heading(report.meter))
    filled = tuple(reading for reading in report.readings if reading.value is not None or reading.note)
    listed = tuple(reading for reading in filled if not (with_tables and is_stored_value(reading)))
    if listed:
        parts.append(_table(listed))
    if with_tables:
        parts += [_titled(each) for each in tables(report)]
    if empty := len(report.readings) - len(filled):
        parts.append(Text(f"{empty} values that the meter leaves empty are not shown (--json has them)", style="dim"))
    parts += [Text(printable(f"note: {note}"), style="yellow") for note in report.notes]
    return Group(*parts)


def heading(meter: Mapping[str, str]) -> Text:
    """Return the line that says who the meter is."""
    return Text("  ".join(f"{key.replace('_', ' ')}: {printable(value)}" for key, value in meter.items()))


def _titled(content: MeterTable) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title=content.title, title_justify="left")
    for column in content.columns:
        table.add_column(Text(printable(column.replace("_", " "))), justify="right" if column == "value" else "left")
    for row in content.rows:
        table.add_row(*(Text(cut(shown(cell), _LONGEST)) for cell in row))
    return table


def _table(readings: tuple[Reading, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("reading")
    table.add_column("value", justify="right", max_width=_WIDEST, overflow="fold")
    table.add_column("unit")
    with_time = any(reading.time is not None for reading in readings)
    with_set = any(reading.storage or reading.tariff for reading in readings)
    if with_set:
        table.add_column("set")
    if with_time:
        table.add_column("of")
    table.add_column("source", style="dim")
    for reading in readings:
        value, unit = in_usual_unit(reading.value, reading.unit)
        cells = [reading.name.replace("_", " "), cut(value, _LONGEST), unit]
        cells += [_set(reading)] if with_set else []
        cells += [shown(reading.time)] if with_time else []
        row = [Text(printable(cell)) for cell in (*cells, reading.source)]
        if reading.note:
            row[1] = Text(printable(reading.note), style="red")
        table.add_row(*row)
    return table


def in_usual_unit(value: Value, unit: str) -> tuple[str, str]:
    """Return a value and its unit as people use it: kWh or MWh instead of eight digits of Wh. No digit is lost."""
    if isinstance(value, Decimal):
        for exponent, larger in _LADDERS.get(unit, ()):
            if abs(value) >= 10**exponent:
                return shown(value.scaleb(-exponent)), larger
    return shown(value), unit


def shown(value: Value) -> str:
    """Return a value as a person reads it: no exponent, no trailing `+00:00` noise, bytes in hex, and no characters
    that steer a terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    return value.hex(" ") if isinstance(value, bytes) else printable(value)


def cut(text: str, longest: int) -> str:
    """Return ``text``, cut where it has more than ``longest`` characters."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _set(reading: Reading) -> str:
    words = [f"last {reading.storage}" if reading.storage else "", f"tariff {reading.tariff}" if reading.tariff else ""]
    return " ".join(word for word in words if word)
