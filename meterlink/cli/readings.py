"""Where readings go: the screen, CSV, JSON, an MQTT broker; once, or again and again."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import click
from rich.text import Text

from certs.cli.output import console, emit, json_text, note, wants_json, warn
from certs.clock import now
from meterlink.cli.acting import SessionOptions, notes_for, sessions, way_to
from meterlink.cli.report import as_renderable
from meterlink.cli.seconds import Seconds
from meterlink.cli.streams import csv_line
from meterlink.commands.command import perform
from meterlink.commands.connect import Target
from meterlink.commands.field import read_field_meter, telegram_key, with_line, with_patience
from meterlink.commands.read import Read
from meterlink.commands.secrets import meter_secrets
from meterlink.commands.watch import Outlet, ReadOnce, read_to
from meterlink.errors import MeterlinkError, UsageError
from meterlink.meters.notes import BATTERY_COST
from meterlink.meters.profile import CosemObject
from meterlink.mqtt.broker import PASSWORD_VARIABLE, Broker, parse_broker
from meterlink.values import MeterReport, value_as_json

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_COLUMNS: Final = ("read_at", "name", "obis", "value", "unit", "time", "storage", "tariff", "source", "note")

_Verb = TypeVar("_Verb", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where readings go, as the user asked for it: every ``watch`` seconds (None: once), to a broker, as CSV."""

    watch: float | None = None
    mqtt: str | None = None
    as_csv: bool = False


def reading_options(verb: _Verb) -> _Verb:
    """Give a click command the options ``--watch`` and ``--mqtt``, as parameters of these names."""
    watch = click.option(
        "--watch",
        type=Seconds(min=1),
        metavar="SECONDS",
        help="Read again and again, a reading every SECONDS, until Ctrl-C.",
    )
    mqtt = click.option(
        "--mqtt",
        metavar="URL",
        help="Publish the readings, with Home Assistant discovery: mqtt://[USER@]HOST[:PORT][/PREFIX]; the password "
        f"is taken from {PASSWORD_VARIABLE}.",
    )
    return watch(mqtt(verb))


def deliver(target: Target, objects: tuple[CosemObject, ...], options: SessionOptions, delivery: Delivery) -> None:
    """Read the meter at ``target`` (``objects``, or the usual ones of its family) and pass the readings on.

    Raises UsageError for what does not fit together, and what the gate, the meter or the broker raises.
    """
    rest = _rest(target, delivery.watch)
    outlets: list[Outlet] = []
    broker = None if delivery.mqtt is None else parse_broker(delivery.mqtt)
    if broker is not None:
        outlets.append(_publisher(broker, str(target.url), watched=delivery.watch is not None))
    outlets.append(_Screen(delivery))
    # aiomqtt needs a loop that watches sockets; it is not the default one on every system.
    loop = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
    with _reader(target, objects, options) as read, loop as runner, _ending_well(delivery.watch):
        runner.run(read_to(read, outlets, every=delivery.watch, rest=rest))
    if broker is not None and delivery.watch is None:
        note(f"published to {broker}")


def _rest(target: Target, every: float | None) -> float:
    """Return the pause that the family asks for, and tell what watching costs. Raises UsageError ``interval``."""
    plan = target.profile.line
    rest = 0.0 if plan is None else plan.rest
    if every is None:
        return rest
    if every < rest:
        raise UsageError(
            f"{target.profile.title} wants {rest:g} s between two readings, not {every:g}",
            code="interval",
            hint=f"give --watch {rest:g} or more; once an hour is plenty: --watch 3600",
        )
    if not target.speaks_cosem:
        warn("battery", BATTERY_COST, f"--watch {every:g} makes {86400 / every:.0f} readouts a day")
    return rest


@contextlib.contextmanager
def _ending_well(every: float | None) -> Iterator[None]:
    """Ctrl-C is the way a watch ends."""
    try:
        yield
    except KeyboardInterrupt:
        if every is None:
            raise
        note("stopped")


def _publisher(broker: Broker, source: str, *, watched: bool) -> Outlet:
    try:
        module = importlib.import_module("meterlink.mqtt.publisher")
    except ImportError:
        raise UsageError(
            "publishing needs a package that is not installed: aiomqtt",
            code="extra-missing",
            hint="pip install 'meterlink[mqtt]'",
        ) from None
    password = os.environ.get(PASSWORD_VARIABLE)
    if password and broker.user and not broker.tls and broker.host not in _LOOPBACK:
        warn("mqtt-plain", f"the password crosses the network to {broker.host} as it is", "use mqtts:// (TLS)")
    publisher: Outlet = module.Publisher(broker, password, source, watched=watched)
    return publisher


@contextlib.contextmanager
def _reader(target: Target, objects: tuple[CosemObject, ...], options: SessionOptions) -> Iterator[ReadOnce]:
    """Yield what reads the meter once."""
    if not target.speaks_cosem:
        with _field_reader(target, options) as read:
            yield read
        return
    secrets = meter_secrets(options.keys)
    with way_to(target, options) as (credential, transport):
        session = sessions(target, transport, credential, secrets)

        async def read_objects() -> MeterReport:
            report = await perform(Read(target.profile, objects), credential, session, now())
            return replace(report, notes=(*report.notes, *notes_for(target)))

        yield read_objects


@contextlib.contextmanager
def _field_reader(target: Target, options: SessionOptions) -> Iterator[ReadOnce]:
    keys = meter_secrets(options.keys).keys
    key = telegram_key(None if keys is None else bytes(keys.unicast))
    address = target.url.options.get("address", "")
    family = with_patience(target.profile, target.url)
    target = replace(target, url=with_line(target.url, family), profile=family)
    with way_to(target, options) as (credential, transport), told("reading") as tell:

        async def read_all() -> MeterReport:
            return await read_field_meter(
                target.profile, transport(), credential, now(), address=address, key=key, progress=tell
            )

        yield read_all


@contextlib.contextmanager
def told(label: str) -> Iterator[Callable[[str], None]]:
    """Yield what is to be told of the progress in words: shown on standard error where somebody looks at a terminal."""
    screen = console(stderr=True)
    if not screen.is_terminal or wants_json():
        yield lambda message: None
        return
    with screen.status(Text(label)) as status:
        yield lambda message: status.update(Text(f"{label}: {message}"))


class _Screen:
    """Prints reports: for people, as CSV, or as JSON. Watching, JSON comes as one line a report."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._begun = False

    async def open(self) -> None:
        """There is always a screen."""

    async def take(self, report: MeterReport) -> None:
        """Print a report."""
        moment, first = now(), not self._begun
        self._begun = True
        watching = self._delivery.watch is not None
        if self._delivery.as_csv:
            click.echo(_as_csv(report, moment, head=first), nl=False)
            return
        if watching and wants_json():
            click.echo(_json_line(report, moment))
            return
        if watching:
            click.echo(f"{moment:%Y-%m-%d %H:%M:%S} UTC" if first else f"\n{moment:%Y-%m-%d %H:%M:%S} UTC")
        emit(report.as_json(), lambda: as_renderable(report, with_tables=True))

    async def missed(self, error: MeterlinkError) -> None:
        """Say so; the next reading comes in its turn."""
        warn(error.code, error.message, error.hint)

    async def close(self) -> None:
        """Nothing is held."""


def _json_line(report: MeterReport, moment: dt.datetime) -> str:
    return json_text({"read_at": moment.isoformat(timespec="seconds"), **report.as_json()})


def _as_csv(report: MeterReport, moment: dt.datetime, *, head: bool) -> str:
    lines = [csv_line(_COLUMNS)] if head else []
    read_at = moment.isoformat(timespec="seconds")
    for reading in report.readings:
        code = "" if reading.obis is None else str(reading.obis)
        time = "" if reading.time is None else reading.time.isoformat()
        value = value_as_json(reading.value)
        where = (reading.storage, reading.tariff, reading.source, reading.note)
        lines.append(csv_line((read_at, reading.name, code, value, reading.unit, time, *where)))
    return "".join(lines)
