"""`meterlink read`."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from certs.cli.output import json_option, wants_json
from meterlink.cli.acting import SessionOptions, act, notes_for, session_options
from meterlink.cli.inventory import InventoryStream, JsonInventory, TableInventory
from meterlink.cli.profile_rows import CsvRows, JsonRows, RowStream, TableRows
from meterlink.cli.progress import Bar, bar
from meterlink.cli.readings import Delivery, deliver, reading_options
from meterlink.cli.streams import Away
from meterlink.commands.connect import Target, target_of
from meterlink.commands.objects import any_object
from meterlink.commands.read_all import PROFILES_LEFT_OUT, ReadAll
from meterlink.commands.read_profile import ReadProfile
from meterlink.errors import MeterlinkError, UsageError


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
        if names and not target.speaks_cosem:
            raise UsageError(
                f"{target.profile.title} sends all it has: it cannot be asked for objects",
                code="profile",
                hint="leave --object out",
            )
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
    with bar("reading") as shown:
        stream: InventoryStream = JsonInventory() if wants_json() else TableInventory(_away(shown))
        with _ended(stream, (PROFILES_LEFT_OUT, *notes_for(target))):
            act(target, ReadAll(target.profile, stream, shown.tell), options)


def _read_profile(
    target: Target, options: SessionOptions, name: str, period: tuple[str | None, str | None], as_csv: bool
) -> None:
    thing = any_object(target.profile, name)
    start, end = _moment(period[0]), _moment(period[1])
    if start is not None and end is not None and end < start:
        raise UsageError("--to is before --from", code="time-invalid")
    with bar(thing.name.replace("_", " ")) as shown:
        rows: RowStream = CsvRows(_away(shown)) if as_csv else JsonRows() if wants_json() else TableRows(_away(shown))
        with _ended(rows, notes_for(target)):
            act(target, ReadProfile(target.profile, thing, rows.take, start, end, shown.tell), options)


def _away(shown: Bar) -> Away:
    """Return what makes room for the output where both go to the same screen."""
    return shown.away if sys.stdout.isatty() else contextlib.nullcontext


@contextlib.contextmanager
def _ended(stream: RowStream | InventoryStream, notes: Sequence[str]) -> Iterator[None]:
    """Bring the output to an end, also one that breaks off."""
    try:
        yield
    except MeterlinkError as error:
        stream.end(notes, error)
        raise
    stream.end(notes)


def _moment(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no date or time", code="time-invalid", hint="write ISO 8601: 2026-11-22 or 2026-11-22T14:30"
        ) from None
    try:
        # Without a zone it is local time; the first and last days of the calendar have none of their own.
        return moment if moment.tzinfo else moment.astimezone()
    except (OverflowError, ValueError, OSError):
        raise UsageError(f"{text!r} lies beyond the calendar", code="time-invalid") from None
