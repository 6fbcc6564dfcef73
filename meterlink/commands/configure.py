"""Set objects of a COSEM meter, and read back what was set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from certs.levels import Permission
from meterlink.commands.objects import attributes_of, reading_of
from meterlink.commands.settings import Setting, parse_setting
from meterlink.errors import LinkError
from meterlink.meters.profile import CosemObject
from meterlink.session import Session
from meterlink.values import Reading


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


def write_uncertain(what: str, error: LinkError, hint: str) -> LinkError:
    """Return the error for a link that broke while ``what`` was on its way: nobody knows whether it arrived."""
    return LinkError(
        f"the link broke while {what} was being set ({error.message}): the meter has the old value or the new one",
        code="write-uncertain",
        hint=hint,
    )


async def _apply(setting: Setting, session: Session) -> Change:
    thing = setting.thing
    before = await _read(thing, session)
    try:
        await session.set(setting.attribute, setting.make())
    except LinkError as error:
        hint = f"connect again and read {thing.name}: before, it was {before.as_json()['value']}"
        raise write_uncertain(thing.name, error, hint) from error
    return Change(thing.name, before, await _read(thing, session))


async def _read(thing: CosemObject, session: Session) -> Reading:
    return reading_of(thing, [await session.get(attribute) for attribute in attributes_of(thing)])


__all__ = ["Change", "Configure", "Setting", "parse_setting", "write_uncertain"]
