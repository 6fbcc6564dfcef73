"""Set what the M-Bus standard lets a master set in a meter, and read it back (EN 13757-3 and -7)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from certs.levels import Permission
from meterlink.commands.field import OpenTransport, answered_wrongly, is_on_a_bus
from meterlink.commands.user_data import UserData, parse_user_data
from meterlink.errors import (
    DataError,
    LinkError,
    LinkTimeout,
    MeterlinkError,
    MeterRefused,
    ProtocolError,
    UsageError,
)
from meterlink.framing.mbus import master, requests
from meterlink.framing.mbus.frame import LongFrame
from meterlink.framing.mbus.requests import SecondaryAddress, parse_address
from meterlink.gate import ActiveCertificate, decide
from meterlink.mbus import commands
from meterlink.meters.bus import MBus
from meterlink.meters.decode import decode_capture
from meterlink.meters.profile import LinePlan, Profile
from meterlink.values import Reading, Value, value_as_json

NAME: Final = "configure"

_CLOCK_TOLERANCE: Final = dt.timedelta(minutes=2)
"""A meter's clock has minutes only, and the reading back takes a while."""

_LONG_HEADER: Final = 8

Setable = dt.datetime | int | str | UserData
Address = int | SecondaryAddress
Clock = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class FieldSetting:
    """One value to set. ``make`` gives it at the moment it is sent: `clock=now` must not age on the way."""

    name: str
    make: Callable[[], Setable]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What became of one setting.

    ``before`` and ``after`` are what the meter's readout shows; ``after`` None: the meter acknowledged, but does not
    show this value. Of user data, ``records`` are what was written; no readout shows whether the meter took it.
    """

    name: str
    wanted: Value
    before: Value
    after: Value
    records: tuple[Reading, ...] = ()

    @property
    def confirmed(self) -> bool:
        """Whether the value was read back."""
        return self.after is not None

    def as_json(self) -> dict[str, Any]:
        """Return the change in the form of ``configure --json``."""
        out: dict[str, Any] = {
            "name": self.name,
            "wanted": value_as_json(self.wanted),
            "before": value_as_json(self.before),
            "after": value_as_json(self.after),
            "confirmed": self.confirmed,
        }
        return {**out, "records": [record.as_json() for record in self.records]} if self.records else out


def parse_field_setting(profile: Profile, text: str, clock: Clock) -> FieldSetting:
    """Read ``clock=now|ISO 8601``, ``primary-address=0..250``, ``secondary-address=DIGITS`` or ``user-data=HEX``.

    Raises UsageError ``setting-invalid``, and ``profile`` for a family that takes no settings this way.
    """
    _takes_settings(profile)
    name, equals, value = text.partition("=")
    name = name.strip().lower().replace("-", "_")
    parser = _PARSERS.get(name)
    if not equals or not value.strip():
        raise _invalid(f"{text!r} is not NAME=VALUE", "for example: clock=now")
    if parser is None:
        known = ", ".join(key.replace("_", "-") for key in _PARSERS)
        raise _invalid(f"{name.replace('_', ' ')} cannot be set in an M-Bus meter", f"only {known}")
    return FieldSetting(name, parser(value.strip(), clock))


def _takes_settings(profile: Profile) -> None:
    if is_on_a_bus(profile):
        return
    raise UsageError(
        f"{profile.title} cannot be set: {profile.no_settings or 'this way of speaking to a meter only reads'}",
        code="profile",
        hint="set it in the parameter menu of its display; a meter with an M-Bus module takes its clock and its "
        "addresses over that bus, with ?profile=generic-mbus",
    )


async def configure_field_meter(
    open_transport: OpenTransport,
    settings: tuple[FieldSetting, ...],
    certificate: ActiveCertificate,
    now: dt.datetime,
    *,
    address: str,
    key: bytes | None = None,
    plan: LinePlan | None = None,
) -> tuple[FieldChange, ...]:
    """Ask the gate, then open a transport, set ``settings`` in their order and read each back.

    ``address`` names one meter: where several answer, nothing is set. ``key`` opens encrypted telegrams; ``plan`` is
    how the meter is spoken to.

    Raises NotPermitted before anything is opened; UsageError ``address`` and ``address-taken``; LinkError
    ``write-uncertain`` when nobody knows whether a value arrived, or another one when it is certain that it did not;
    MeterRefused ``not-applied`` when the meter acknowledged and still shows another value. Every message says what was
    set before.
    """
    decide(NAME, Permission.CONFIGURE, certificate, now).enforce()
    at = one_meter(address)
    done: list[FieldChange] = []
    async with open_transport() as transport:
        bus = MBus.on(transport, plan, key)
        for setting in settings:
            with _telling(done, setting):
                change, at = await _apply(bus, at, setting, key)
            done.append(change)
    return tuple(done)


def one_meter(address: str) -> Address:
    """Return the address of the meter that is meant. Raises UsageError ``address`` where none is named."""
    if not address:
        raise UsageError(
            "which meter is meant must be told before anything is set",
            code="address",
            hint="name it in the URL: &address=5 or &address=12345678; 254 is a single meter on the line",
        )
    return parse_address(address)


async def _apply(bus: MBus, at: Address, setting: FieldSetting, key: bytes | None) -> tuple[FieldChange, Address]:
    """Set one value; return what became of it and where the meter is found from now on."""
    before = await _look(bus, at, key)
    value = setting.make()
    after_at = _moved(at, setting.name, value)
    await _free(bus, setting.name, value, before)
    await _write(bus, at, setting.name, value)
    try:
        shown = (await _look(bus, after_at, key)).value(setting.name)
    except LinkError as error:
        raise LinkError(
            f"the meter acknowledged, then the link broke before the value was read back ({error.message})",
            code="not-read-back",
            hint="connect again and read the meter to be sure",
        ) from error
    except ProtocolError as error:
        if error.code != "application-error":
            raise
        raise MeterRefused(
            f"the meter acknowledged, and then it does not answer with its data ({error.message})",
            code="not-applied",
            hint="compare what was sent with the meter's description",
        ) from error
    if shown is not None and not _same(shown, value):
        raise MeterRefused(
            f"the meter acknowledged {_words(setting.name)}={_shown(value)} and still shows {_shown(shown)}",
            code="not-applied",
            hint="the meter may be protected against changes, by its seal or a switch",
        )
    records = value.records if isinstance(value, UserData) else ()
    return FieldChange(setting.name, _plain(value), before.value(setting.name), shown, records), after_at


@dataclass(frozen=True, slots=True)
class _Look:
    """What a readout shows of the things that can be set."""

    primary: int
    number: str | None
    clock: Value

    def value(self, name: str) -> Value:
        shown = {"clock": self.clock, "primary_address": str(self.primary), "secondary_address": self.number}
        return shown.get(name)


async def _look(bus: MBus, at: Address, key: bytes | None) -> _Look:
    frames, _ = await bus.read(at)
    try:
        report = decode_capture(b"".join(frame.to_bytes() for frame in frames), key=key)
    except DataError as error:
        raise answered_wrongly(error) from error
    clocks = (reading.value for reading in report.readings if (reading.name, reading.storage) == ("clock", 0))
    return _Look(frames[0].address, _number(frames[0]), next(clocks, None))


def _number(frame: LongFrame) -> str | None:
    """Return the digits of the secondary address, None in a telegram without them."""
    return (
        SecondaryAddress.from_bytes(frame.data).number if frame.ci == 0x72 and len(frame.data) >= _LONG_HEADER else None
    )


async def _free(bus: MBus, name: str, value: object, before: _Look) -> None:
    """Make sure that no other meter on the line has the new address."""
    wanted: Address
    if name == "primary_address" and value not in (requests.UNCONFIGURED, before.primary):
        wanted = int(str(value))
    elif name == "secondary_address" and value != before.number:
        wanted = SecondaryAddress(str(value))
    else:
        return
    if await bus.run(master.select(wanted)) is not None:
        raise UsageError(
            f"another meter on this line has the address {value} already",
            code="address-taken",
            hint="choose another one; `meterlink find --bus URL` lists them",
        )


async def _write(bus: MBus, at: Address, name: str, value: Setable) -> None:
    telegram = _TELEGRAMS[name](value)
    here = await bus.run(master.select(at))
    if here is None:
        raise LinkTimeout(f"the meter at {at} answers no more", code="no-answer", hint="nothing was sent to it")
    try:
        acknowledged = await bus.run(master.send(here, telegram))
    except LinkError as error:
        raise _uncertain(name, f"the link broke ({error.message})") from error
    if not acknowledged:
        raise _uncertain(name, "the meter did not acknowledge")


def _uncertain(name: str, why: str) -> LinkError:
    if name == "user_data":
        return LinkError(
            f"{why} while the user data were being written: the meter has them or not, and no readout tells",
            code="write-uncertain",
            hint="write them again where that does no harm",
        )
    words = _words(name)
    return LinkError(
        f"{why} while the {words} was being set: the meter has the old value or the new one",
        code="write-uncertain",
        hint=f"connect again and read the meter to see its {words}",
    )


@contextmanager
def _telling(done: list[FieldChange], setting: FieldSetting) -> Iterator[None]:
    """Add to an error what is certain of the settings before this one."""
    try:
        yield
    except MeterlinkError as error:
        before = ", ".join(_words(change.name) for change in done)
        certain = f"set before that: {before}" if done else "nothing was set before that"
        error.message = f"{_words(setting.name)}: {error.message}; {certain}"
        raise


def _moved(at: Address, name: str, value: object) -> Address:
    """Return where the meter answers after the change."""
    if name == "primary_address" and isinstance(at, int) and at != requests.BROADCAST_ANSWERED:
        return int(str(value))
    if name == "secondary_address" and isinstance(at, SecondaryAddress):
        return replace(at, number=str(value))
    return at


def _same(shown: Value, wanted: object) -> bool:
    if isinstance(wanted, dt.datetime):
        if not isinstance(shown, dt.datetime):
            return False
        return abs(shown.replace(tzinfo=None) - wanted.replace(tzinfo=None)) <= _CLOCK_TOLERANCE
    return shown == str(wanted)


def _plain(value: Setable) -> Value:
    if isinstance(value, UserData):
        return None if value.is_secret else value.octets
    return str(value) if isinstance(value, int) else value


def _shown(value: object) -> str:
    return value.isoformat(" ", "minutes") if isinstance(value, dt.datetime) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _moment(text: str, clock: Clock) -> Callable[[], dt.datetime]:
    if text.lower() == "now":
        # The meter knows no time zones: it gets the time of this place.
        return lambda: clock().astimezone().replace(second=0, microsecond=0, tzinfo=None)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(
            f"{text!r} is no date and time", "write `now` or ISO 8601, for example 2026-11-22T14:30"
        ) from None
    local = (moment.astimezone() if moment.tzinfo else moment).replace(second=0, microsecond=0, tzinfo=None)
    commands.encode_moment(local)
    return lambda: local


def _primary(text: str, _: Clock) -> Callable[[], int]:
    if not (text.isascii() and text.isdigit() and len(text) <= len("250") and int(text) <= requests.LAST_PRIMARY):
        raise _invalid(f"{text!r} is no primary address", f"write a number 0..{requests.LAST_PRIMARY}")
    number = int(text)
    return lambda: number


def _digits(text: str, _: Clock) -> Callable[[], str]:
    if not (text.isascii() and text.isdigit() and len(text) <= _LONG_HEADER):
        raise _invalid(f"{text!r} is no secondary address", "write up to eight digits")
    return lambda: text.zfill(_LONG_HEADER)


def _user_data(text: str, _: Clock) -> Callable[[], UserData]:
    data = parse_user_data(text)
    return lambda: data


_PARSERS: Final[Mapping[str, Callable[[str, Clock], Callable[[], Setable]]]] = MappingProxyType(
    {"clock": _moment, "primary_address": _primary, "secondary_address": _digits, "user_data": _user_data}
)
_TELEGRAMS: Final[Mapping[str, Callable[[Any], bytes]]] = MappingProxyType(
    {
        "clock": commands.set_clock,
        "primary_address": commands.set_primary_address,
        "secondary_address": commands.set_identification,
        "user_data": lambda data: data.octets,
    }
)
"""Name -> the data that the meter is sent."""


def _invalid(message: str, hint: str) -> UsageError:
    return UsageError(message, code="setting-invalid", hint=hint)
