"""Set objects of a COSEM meter, and read back what was set."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final

from certs.levels import Permission
from meterlink.commands.objects import attributes_of, find_object, reading_of
from meterlink.cosem.data import Data, octet_string
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import Attribute
from meterlink.errors import LinkError, UsageError
from meterlink.meters.profile import CosemObject, Profile
from meterlink.session import Session
from meterlink.values import Reading

_CLOCK: Final = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """One object and how its new value is made at the moment it is sent: `clock=now` must not age while connecting."""

    thing: CosemObject
    attribute: Attribute
    make: Callable[[], Data]


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one setting: the reading before and after."""

    name: str
    before: Reading
    after: Reading

    def as_json(self) -> dict[str, Any]:
        """Return the change in the form of ``configure --json``."""
        return {"name": self.name, "before": self.before.as_json(), "after": self.after.as_json()}


@dataclass(frozen=True, slots=True)
class Configure:
    """Apply ``settings`` in their order; each is read before and after."""

    name: ClassVar[str] = "configure"
    permission: ClassVar[Permission] = Permission.CONFIGURE

    settings: tuple[Setting, ...]

    async def run(self, session: Session) -> tuple[Change, ...]:
        """Return what changed.

        Raises MeterRefused, or LinkError ``write-uncertain`` when the link broke during a write.
        """
        return tuple([await _apply(setting, session) for setting in self.settings])


def parse_setting(profile: Profile, text: str, clock: Callable[[], dt.datetime]) -> Setting:
    """Read ``NAME=VALUE``. ``clock`` gives the time for ``clock=now``. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise UsageError(f"{text!r} is not NAME=VALUE", code="setting-invalid", hint="for example: clock=now")
    thing = find_object(profile, name)
    parser = _PARSERS.get(thing.class_id)
    if parser is None:
        raise UsageError(
            f"{thing.name} cannot be set",
            code="setting-invalid",
            hint="only " + ", ".join(known.name for known in profile.objects if known.class_id in _PARSERS),
        )
    return Setting(thing, Attribute(thing.class_id, thing.obis, thing.attribute), parser(value.strip(), clock))


async def _apply(setting: Setting, session: Session) -> Change:
    before = await _read(setting.thing, session)
    try:
        await session.set(setting.attribute, setting.make())
    except LinkError as error:
        raise LinkError(
            f"the link broke while {setting.thing.name} was being set ({error.message}): "
            "the meter has the old value or the new one",
            code="write-uncertain",
            hint=f"connect again and read {setting.thing.name}: before, it was {before.as_json()['value']}",
        ) from error
    return Change(setting.thing.name, before, await _read(setting.thing, session))


async def _read(thing: CosemObject, session: Session) -> Reading:
    return reading_of(thing, [await session.get(attribute) for attribute in attributes_of(thing)])


def _parse_moment(text: str, clock: Callable[[], dt.datetime]) -> Callable[[], Data]:
    if text.lower() == "now":
        return lambda: _date_time(clock())
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no date and time",
            code="setting-invalid",
            hint="write `now` or ISO 8601, for example 2026-11-22T14:30:00+01:00",
        ) from None
    return lambda: _date_time(moment if moment.tzinfo else moment.astimezone())


def _date_time(moment: dt.datetime) -> Data:
    # Attribute 2 of the Clock is an octet-string of 12 octets (IEC 62056-6-2, 4.5.1).
    return octet_string(CosemDateTime.of(moment.replace(microsecond=0)).to_bytes())


_PARSERS: Final[Mapping[int, Callable[[str, Callable[[], dt.datetime]], Callable[[], Data]]]] = MappingProxyType(
    {_CLOCK: _parse_moment}
)
"""Interface class -> how a new value is read from the command line."""
