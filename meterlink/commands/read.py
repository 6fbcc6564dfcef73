"""Read objects of a COSEM meter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from certs.levels import Permission
from meterlink.commands.object_list import classes_of
from meterlink.commands.objects import UNKNOWN_CLASS, attributes_of, reading_of
from meterlink.cosem.conformance import Conformance
from meterlink.errors import MeterRefused
from meterlink.meters.profile import CosemObject, Profile
from meterlink.session import Session
from meterlink.values import MeterReport, Reading

_AT_ONCE: Final = 16
"""Objects that are asked for together: with all their attributes they fill one request with a list."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read ``objects``, or the profile's default ones when none is named.

    An object that the meter refuses costs that object alone: its reading has no value and a note with the refusal. The
    class of an object that the profile does not know is looked up in the meter's object list.
    """

    name: ClassVar[str] = "read"
    permission: ClassVar[Permission] = Permission.READ

    profile: Profile
    objects: tuple[CosemObject, ...] = ()

    async def run(self, session: Session) -> MeterReport:
        """Return the report. Raises MeterRefused when objects were named and the meter refuses every one of them."""
        default = tuple(thing for thing in self.profile.objects if thing.default)
        wanted = await _with_classes(self.objects or default, session)
        readings: list[Reading] = []
        refusals: list[MeterRefused] = []
        # The values of one request are made readings, which are short, before the next ones are asked for.
        at_once = _AT_ONCE if Conformance.MULTIPLE_REFERENCES in session.association.conformance else 1
        for start in range(0, len(wanted), at_once):
            things = wanted[start : start + at_once]
            attributes = [attribute for thing in things for attribute in attributes_of(thing)]
            results = iter(await session.get_many(attributes))
            for thing in things:
                got = [next(results) for _ in attributes_of(thing)]
                refused = [result for result in got if isinstance(result, MeterRefused)]
                values = [result for result in got if not isinstance(result, MeterRefused)]
                refusals += refused[:1]
                readings.append(_refused(thing, refused[0]) if refused else reading_of(thing, values))
        if self.objects and len(refusals) == len(wanted):
            raise refusals[0]
        return MeterReport(meter=about(self.profile, session), readings=tuple(readings))


async def _with_classes(things: tuple[CosemObject, ...], session: Session) -> tuple[CosemObject, ...]:
    unknown = [thing.obis for thing in things if thing.class_id == UNKNOWN_CLASS]
    if not unknown:
        return things
    classes = await classes_of(session, unknown)
    return tuple(
        replace(thing, class_id=classes[thing.obis]) if thing.class_id == UNKNOWN_CLASS else thing for thing in things
    )


def _refused(thing: CosemObject, error: MeterRefused) -> Reading:
    return Reading(thing.name, None, thing.unit, obis=thing.obis, note=f"the meter refused: {error.code}")


def about(profile: Profile, session: Session) -> dict[str, str]:
    """Return what the session itself tells of the meter."""
    title = session.association.server_title
    known = {"family": profile.name}
    if title:
        known["system_title"] = title.hex().upper()
    return known
