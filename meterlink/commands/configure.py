"""Set objects of a COSEM meter, and read back what was set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from certs.levels import Permission
from meterlink.commands.objects import attributes_of, reading_of
from meterlink.commands.settings import Setting, parse_setting
from meterlink.errors import LinkError, ProtocolError
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


async def _apply(setting: Setting, session: Session) -> Change:
    thing = setting.thing
    before = await _read(thing, session)
    value = setting.make()
    with told_when_uncertain(
        thing.name, f"connect again and read {thing.name}: before, it was {before.as_json()['value']}"
    ):
        await session.set(setting.attribute, value)
    return Change(thing.name, before, await _read(thing, session))


async def _read(thing: CosemObject, session: Session) -> Reading:
    return reading_of(thing, [await session.get(attribute) for attribute in attributes_of(thing)])


__all__ = ["Change", "Configure", "Setting", "parse_setting", "told_when_uncertain"]
