"""Set objects of a COSEM meter, and read back what was set."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from certs.levels import Permission
from meterlink.commands.command import Command
from meterlink.commands.objects import attributes_of, reading_of
from meterlink.commands.settings import Setting, parse_setting
from meterlink.commands.uncertain import untold_raises
from meterlink.commands.verdict import Seen, Span, Verdict, judge
from meterlink.cosem.data import Data
from meterlink.errors import LinkError, LinkLost, ProtocolError
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


class WriteUncertain(LinkError):
    """The session broke during a write. ``done`` holds the changes that are certain, ``before`` what the meter had and
    ``intended`` what it was to have, each with the ``..._span`` in which that was."""

    default_code = "write-uncertain"

    def __init__(
        self,
        told: LinkError,
        setting: Setting,
        done: tuple[Change, ...],
        before: tuple[Reading, Span],
        intended: tuple[Reading, Span],
    ) -> None:
        super().__init__(told.message, hint=told.hint)
        self.setting = setting
        self.done = done
        self.before, self.before_span = before
        self.intended, self.intended_span = intended


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
        """Return what changed.

        Raises LinkError ``write-lost`` where the meter does not have the new value, and ``write-uncertain`` for a clock
        that was hardly wrong, so that its old time cannot be told from the new one, and where the meter does not say.
        """
        lost = self.uncertain
        begin = _clock()
        with untold_raises(lost):
            after = await _read(lost.setting.thing, session)
        verdict = judge(
            Seen(lost.before.value, lost.before_span),
            Seen(lost.intended.value, lost.intended_span),
            Seen(after.value, Span(begin, _clock())),
        )
        if verdict is not Verdict.NEW:
            raise _not_confirmed(lost, after, verdict)
        done = (*lost.done, Change(after.name, lost.before, after))
        return await Configure(self.settings, done).run(session)

    def resumed(self, error: LinkError) -> Command[tuple[Change, ...]] | None:
        """Return the same for a link that broke before the value was read back, and what a later write asks for."""
        if isinstance(error, WriteUncertain):
            return ReadBack(self.settings, error)
        return self if isinstance(error, LinkLost) else None


def _not_confirmed(lost: WriteUncertain, after: Reading, verdict: Verdict) -> LinkError:
    has, wanted = after.as_json()["value"], lost.intended.as_json()["value"]
    fits = "which fits the old value as well as the new one," if verdict is Verdict.OPEN else "not the new value"
    return LinkError(
        f"the link broke while {after.name} was being set; "
        f"read back over a new one, the meter has {has}, {fits} {wanted}",
        code="write-uncertain" if verdict is Verdict.OPEN else "write-lost",
        hint=f"before, it had {lost.before.as_json()['value']}; set it again",
    )


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
    begin = _clock()
    had = await _values(thing, session)
    before = reading_of(thing, had)
    asked = Span(begin, _clock())
    value = setting.make()
    hint = f"connect again and read {thing.name}: before, it was {before.as_json()['value']}"
    try:
        with told_when_uncertain(thing.name, hint):
            await session.set(setting.attribute, value)
            after = await _read(thing, session)
    except LinkError as told:
        intended = (reading_of(thing, [value, *had[1:]]), Span(asked.end, _clock()))
        raise WriteUncertain(told, setting, done, (before, asked), intended) from told.__cause__
    return Change(thing.name, before, after)


def _clock() -> float:
    return asyncio.get_running_loop().time()


async def _values(thing: CosemObject, session: Session) -> list[Data]:
    return [await session.get(attribute) for attribute in attributes_of(thing)]


async def _read(thing: CosemObject, session: Session) -> Reading:
    return reading_of(thing, await _values(thing, session))


__all__ = ["Change", "Configure", "ReadBack", "Setting", "WriteUncertain", "parse_setting", "told_when_uncertain"]
