"""`meterlink read`."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Group, RenderableType
from rich.text import Text

from certs.cli.output import emit, json_option, table, wants_json
from meterlink import notation
from meterlink.cli.acting import SessionOptions, act, notes_for, session_options
from meterlink.cli.progress import progress
from meterlink.cli.readings import Delivery, deliver, reading_options
from meterlink.cli.report import shown
from meterlink.commands.connect import Target, target_of
from meterlink.commands.objects import any_object
from meterlink.commands.read_all import Inventory, ReadAll
from meterlink.commands.read_profile import ProfileTable, ReadProfile
from meterlink.errors import MeterRefused, UsageError
from meterlink.values import Value, value_as_json

_LONGEST_SHOWN: Final = 120
"""Characters of a value that are shown to people; ``--json`` has all of them."""


@click.command()
@click.argument("url")
@click.option(
    "--object",
    "names",
    metavar="NAME|OBIS",
    multiple=True,
    help="Read this object alone, by name or OBIS code (1-0:1.8.0); may be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Walk the meter's object list and read every attribute.")
@click.option(
    "--profile", "profile_name", metavar="NAME|OBIS", help="Read the rows of a profile, such as load-profile."
)
@click.option("--from", "start", metavar="TIME", help="First row of the profile: ISO 8601, local time without a zone.")
@click.option("--to", "end", metavar="TIME", help="Last row of the profile.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the readings, or the rows of the profile, as CSV.")
@reading_options
@session_options
@json_option
def read(
    url: str,
    names: tuple[str, ...],
    everything: bool,
    profile_name: str | None,
    start: str | None,
    end: str | None,
    as_csv: bool,
    watch: float | None,
    mqtt: str | None,
    keys: Path | None,
    trace: Path | None,
) -> None:
    """Read a meter: the usual values of its family, the objects asked for, all there is, or a profile."""
    delivery = Delivery(watch, mqtt, as_csv)
    _check(names, everything, profile_name, start, end, delivery)
    target, options = target_of(url), SessionOptions(keys, trace)
    if everything:
        _read_all(target, options)
    elif profile_name is not None:
        _read_profile(target, options, profile_name, (start, end), as_csv)
    else:
        objects = tuple(any_object(target.profile, name) for name in names)
        deliver(target, objects, options, delivery)


def _check(
    names: tuple[str, ...],
    everything: bool,
    profile_name: str | None,
    start: str | None,
    end: str | None,
    delivery: Delivery,
) -> None:
    if bool(names) + everything + (profile_name is not None) > 1:
        raise UsageError("--object, --all and --profile exclude each other", hint="meterlink read --help")
    if profile_name is None and (start or end):
        raise UsageError("--from and --to belong to --profile", hint="meterlink read --help")
    if delivery.as_csv and (everything or wants_json()):
        raise UsageError(f"--csv and {'--all' if everything else '--json'} exclude each other")
    if (everything or profile_name is not None) and (delivery.watch is not None or delivery.mqtt is not None):
        raise UsageError("--watch and --mqtt are for readings, not for --all and --profile")


def _read_all(target: Target, options: SessionOptions) -> None:
    with progress("reading") as tell:
        inventory = act(target, ReadAll(target.profile, tell), options)
    inventory = replace(inventory, notes=(*inventory.notes, *notes_for(target)))
    emit(inventory.as_json(), lambda: _shown_inventory(inventory))


def _shown_inventory(inventory: Inventory) -> RenderableType:
    rows = []
    for item in inventory.objects:
        code = str(item.listed.obis)
        rows.append(("" if item.name == code else item.name.replace("_", " "), code, item.class_name, "", ""))
        for attribute in item.attributes:
            value = attribute.value
            text = f"({value.code})" if isinstance(value, MeterRefused) else notation.write(value)
            cut = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
            rows.append(("", "", "", f"{attribute.index} {attribute.name}", cut))
    head = Text("  ".join(f"{key.replace('_', ' ')}: {value}" for key, value in inventory.meter.items()))
    notes = [Text(f"note: {note}", style="yellow") for note in inventory.notes]
    return Group(head, table(("Object", "OBIS", "Class", "Attribute", "Value"), rows), *notes)


def _read_profile(
    target: Target, options: SessionOptions, name: str, period: tuple[str | None, str | None], as_csv: bool
) -> None:
    thing = any_object(target.profile, name)
    start, end = _moment(period[0]), _moment(period[1])
    if start is not None and end is not None and end < start:
        raise UsageError("--to is before --from", code="time-invalid")
    with progress(thing.name.replace("_", " ")) as tell:
        rows = act(target, ReadProfile(target.profile, thing, start, end, tell), options)
    if as_csv:
        click.echo(_csv(rows), nl=False)
        return
    out: dict[str, Any] = {**rows.as_json(), "notes": list(notes_for(target))}
    emit(out, lambda: _shown_rows(rows, notes_for(target)))


def _moment(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no date or time", code="time-invalid", hint="write ISO 8601: 2026-11-22 or 2026-11-22T14:30"
        ) from None
    return moment if moment.tzinfo else moment.astimezone()


def _headings(rows: ProfileTable) -> list[str]:
    return [f"{column.name} [{column.unit}]" if column.unit else column.name for column in rows.columns]


def _csv(rows: ProfileTable) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_headings(rows))
    writer.writerows([value_as_json(value) for value in row] for row in rows.rows)
    return out.getvalue()


def _cell(value: Value) -> str:
    """Return a value as it stands in a narrow table: of a time the minutes, without the zone of the meter's clock."""
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M" if value.second == 0 else "%Y-%m-%d %H:%M:%S")
    return shown(value)


def _shown_rows(rows: ProfileTable, notes: tuple[str, ...]) -> RenderableType:
    headings = [heading.replace("_", " ") for heading in _headings(rows)]
    shown_rows = table(headings, ([_cell(value) for value in row] for row in rows.rows))
    return Group(shown_rows, Text(f"{len(rows.rows)} rows", style="dim"), *(Text(f"note: {note}") for note in notes))
