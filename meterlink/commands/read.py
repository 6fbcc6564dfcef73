"""Read objects of a COSEM meter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from certs.levels import Permission
from meterlink.commands.objects import attributes_of, reading_of
from meterlink.errors import MeterRefused
from meterlink.meters.profile import CosemObject, Profile
from meterlink.session import Session
from meterlink.values import MeterReport, Reading


@dataclass(frozen=True, slots=True)
class Read:
    """Read ``objects``, or all objects of the profile when none is named.

    An object that the meter refuses costs that object alone: its reading has no value and a note with the refusal.
    """

    name: ClassVar[str] = "read"
    permission: ClassVar[Permission] = Permission.READ

    profile: Profile
    objects: tuple[CosemObject, ...] = ()

    async def run(self, session: Session) -> MeterReport:
        """Return the report. Raises MeterRefused when objects were named and the meter refuses every one of them."""
        wanted = self.objects or self.profile.objects
        attributes = [attribute for thing in wanted for attribute in attributes_of(thing)]
        results = iter(await session.get_many(attributes))
        readings: list[Reading] = []
        refusals: list[MeterRefused] = []
        for thing in wanted:
            values = [next(results) for _ in attributes_of(thing)]
            refused = [value for value in values if isinstance(value, MeterRefused)]
            refusals += refused[:1]
            good = [value for value in values if not isinstance(value, MeterRefused)]
            readings.append(_refused(thing, refused[0]) if refused else reading_of(thing, good))
        if self.objects and len(refusals) == len(wanted):
            raise refusals[0]
        return MeterReport(meter=_about(self.profile, session), readings=tuple(readings))


def _refused(thing: CosemObject, error: MeterRefused) -> Reading:
    return Reading(thing.name, None, thing.unit, obis=thing.obis, note=f"the meter refused: {error.code}")


def _about(profile: Profile, session: Session) -> dict[str, str]:
    title = session.association.server_title
    about = {"family": profile.name}
    if title:
        about["system_title"] = title.hex().upper()
    return about
