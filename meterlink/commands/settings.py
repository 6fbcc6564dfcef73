"""New values for objects, as people write them: read and checked before anything is sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from meterlink.commands.objects import CLOCK, find_object
from meterlink.cosem.data import Data, date_time_octets, octet_string, u8, visible_string
from meterlink.cosem.dates import CosemDate, CosemDateTime
from meterlink.cosem.names import Attribute
from meterlink.errors import UsageError
from meterlink.meters.profile import CosemObject, Profile

Clock = Callable[[], dt.datetime]
Maker = Callable[[], Data]

_MOST_DIGITS: Final = 8
_LEAP_YEAR: Final = 2000


@dataclass(frozen=True, slots=True)
class Setting:
    """One object and how its new value is made at the moment it is sent: `clock=now` must not age while connecting."""

    thing: CosemObject
    attribute: Attribute
    make: Maker


def parse_setting(profile: Profile, text: str, clock: Clock) -> Setting:
    """Read ``NAME=VALUE``. ``clock`` gives the time for ``clock=now``. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise _invalid(f"{text!r} is not NAME=VALUE", "for example: clock=now")
    thing = find_object(profile, name)
    parser = _CLOCK_PARSER if thing.class_id == CLOCK else _PARSERS.get(thing.form)
    if parser is None or not thing.writable:
        names = ", ".join(known.name.replace("_", "-") for known in profile.objects if known.writable)
        raise _invalid(f"{thing.name.replace('_', ' ')} cannot be set", f"only {names}")
    return Setting(thing, Attribute(thing.class_id, thing.obis, thing.attribute), parser(thing, value.strip(), clock))


def _moment(_: CosemObject, text: str, clock: Clock) -> Maker:
    if text.lower() == "now":
        return lambda: _date_time(clock())
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(
            f"{text!r} is no date and time", "write `now` or ISO 8601, for example 2026-11-22T14:30:00+01:00"
        ) from None
    return lambda: _date_time(moment if moment.tzinfo else moment.astimezone())


def _date_time(moment: dt.datetime) -> Data:
    # Attribute 2 of the Clock is an octet-string of 12 octets (IEC 62056-6-2, 4.5.1).
    return date_time_octets(CosemDateTime.of(moment.replace(microsecond=0)))


def _digits(thing: CosemObject, text: str, _: Clock) -> Maker:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise _invalid(f"{text!r} is no {thing.name.replace('_', ' ')}", f"write up to {_MOST_DIGITS} digits")
    value = visible_string(text.zfill(_MOST_DIGITS))
    return lambda: value


def _day(thing: CosemObject, text: str, _: Clock) -> Maker:
    try:
        # A leap year, so that the 29th of February is a day of some years.
        day = dt.date.fromisoformat(f"{_LEAP_YEAR}-{text}")
    except ValueError:
        raise _invalid(f"{text!r} is no day of the year", "write month and day, for example 12-31") from None
    value = octet_string(CosemDate(month=day.month, day=day.day).to_bytes())
    return lambda: value


def _minutes(thing: CosemObject, text: str, _: Clock) -> Maker:
    minutes = int(text) if text.isascii() and text.isdigit() and len(text) <= len("255") else -1
    if minutes not in (thing.choices or range(256)):
        choices = ", ".join(map(str, thing.choices)) or "0..255"
        raise _invalid(f"{text!r} is no {thing.name.replace('_', ' ')}", f"write one of {choices} (minutes)")
    value = u8(minutes)
    return lambda: value


_Parser = Callable[[CosemObject, str, Clock], Maker]

_CLOCK_PARSER: Final[_Parser] = _moment
_PARSERS: Final[Mapping[str, _Parser]] = MappingProxyType({"digits": _digits, "day": _day, "minutes": _minutes})
"""Form of an object -> how a new value is read."""


def _invalid(message: str, hint: str) -> UsageError:
    return UsageError(message, code="setting-invalid", hint=hint)
