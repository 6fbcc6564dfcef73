"""Set objects of a COSEM meter, and read back what was set."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from certs.levels import Permission
from meterlink.commands.command import Command
from meterlink.commands.objects import attributes_of, reading_of
from meterlink.commands.settings import Setting, parse_setting
from meterlink.cosem.data import Data
from meterlink.errors import LinkError, LinkLost, ProtocolError
from meterlink.meters.profile import CosemObject
from meterlink.session import Session
from meterlink.values import Reading

_CLOCK_WENT_ON: Final = dt.timedelta(minutes=2)
"""How far a clock may be from what it was set to when it is read back over a new link, which may take a minute."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one setting: the reading before and after."""

    name: str
    before: Reading
    after: Reading

    def as_json(self) -> dict[str, Any]:
        """Return the change in the form of ``configure --json``."""
        return {"name": self.name, "before": self.before.as_json(), "after": self.after.as_json()}


class WriteUncertain(LinkError):
    """The session broke during a write. ``done`` holds the changes that are certain, ``before`` what the meter had, and
    ``intended`` what it was to have."""

    default_code = "write-uncertain"

    def __init__(
        self, told: LinkError, setting: Setting, done: tuple[Change, ...], before: Reading, intended: Reading
    ) -> None:
        super().__init__(told.message, hint=told.hint)
        self.setting = setting
        self.done = done
        self.before = before
        self.intended = intended


@dataclass(frozen=True, slots=True)
class Configure:
    """Apply ``settings`` in their order; each is read before and after. Those in ``done`` are applied already."""

    name: ClassVar[str] = "configure"
    permission: ClassVar[Permission] = Permission.CONFIGURE

    settings: tuple[Setting, ...]
    done: tuple[Change, ...] = ()

    async def run(self, session: Session) -> tuple[Change, ...]:
        """Return what changed. Raises MeterRefused, or :class:`WriteUncertain` when the link broke during a write."""
        done = self.done
        for setting in self.settings[len(done) :]:
            done += (await _apply(setting, session, done),)
        return done

    def resumed(self, error: LinkError) -> Command[tuple[Change, ...]] | None:
        """Return a command that reads back what is uncertain, and goes on from there if it holds."""
        return ReadBack(self.settings, error) if isinstance(error, WriteUncertain) else None


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Find out on a new link what became of a write, and apply the settings after it if it holds."""

    name: ClassVar[str] = "configure"
    permission: ClassVar[Permission] = Permission.CONFIGURE

    settings: tuple[Setting, ...]
    uncertain: WriteUncertain

    async def run(self, session: Session) -> tuple[Change, ...]:
        """Return what changed. Raises LinkError ``write-lost`` where the meter does not have the new value."""
        lost = self.uncertain
        after = await _read(lost.setting.thing, session)
        if not _is_the_same(after, lost.intended):
            raise LinkError(
                f"the link broke while {after.name} was being set; read back over a new one, the meter has "
                f"{after.as_json()['value']}, not the new value {lost.intended.as_json()['value']}",
                code="write-lost",
                hint=f"before, it had {lost.before.as_json()['value']}; set it again",
            )
        done = (*lost.done, Change(after.name, lost.before, after))
        return await Configure(self.settings, done).run(session)

    def resumed(self, error: LinkError) -> Command[tuple[Change, ...]] | None:
        """Return the same for a link that broke before the value was read back, and what a later write asks for."""
        if isinstance(error, WriteUncertain):
            return ReadBack(self.settings, error)
        return self if isinstance(error, LinkLost) else None


def _is_the_same(reading: Reading, intended: Reading) -> bool:
    """Tell whether a reading is the intended one; a clock has gone on since it was set."""
    now, then = reading.value, intended.value
    if isinstance(now, dt.datetime) and isinstance(then, dt.datetime):
        return abs(now - then) < _CLOCK_WENT_ON
    return now == then


@contextlib.contextmanager
def told_when_uncertain(what: str, hint: str) -> Iterator[None]:
    """Run a write to ``what``; when it ends neither in success nor in the meter's refusal, nobody knows whether it
    arrived. Raises LinkError ``write-uncertain`` then."""
    try:
        yield
    except (LinkError, ProtocolError) as error:
        raise LinkError(
            f"the session broke while {what} was being set ({error.message}): "
            "the meter has the old value or the new one",
            code="write-uncertain",
            hint=hint,
        ) from error


async def _apply(setting: Setting, session: Session, done: tuple[Change, ...]) -> Change:
    thing = setting.thing
    had = await _values(thing, session)
    before = reading_of(thing, had)
    value = setting.make()
    hint = f"connect again and read {thing.name}: before, it was {before.as_json()['value']}"
    try:
        with told_when_uncertain(thing.name, hint):
            await session.set(setting.attribute, value)
            after = await _read(thing, session)
    except LinkError as told:
        intended = reading_of(thing, [value, *had[1:]])
        raise WriteUncertain(told, setting, done, before, intended) from told.__cause__
    return Change(thing.name, before, after)


async def _values(thing: CosemObject, session: Session) -> list[Data]:
    return [await session.get(attribute) for attribute in attributes_of(thing)]


async def _read(thing: CosemObject, session: Session) -> Reading:
    return reading_of(thing, await _values(thing, session))


__all__ = ["Change", "Configure", "ReadBack", "Setting", "WriteUncertain", "parse_setting", "told_when_uncertain"]
