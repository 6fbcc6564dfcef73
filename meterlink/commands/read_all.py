"""Read everything that a COSEM meter shows to this client: the object list, and every attribute that may be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from certs.levels import Permission
from meterlink import notation
from meterlink.commands.object_list import OBJECT_LIST, ListedObject, object_list
from meterlink.commands.objects import PROFILE_GENERIC, name_of
from meterlink.commands.read import about
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute
from meterlink.cosem.objects.classes import INTERFACE_CLASSES
from meterlink.errors import MeterRefused
from meterlink.meters.profile import Profile
from meterlink.session import Session

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much; the same measure in both."""

_LOGICAL_NAME: Final = 1
_BUFFER: Final = 2

PROFILES_LEFT_OUT: Final = "the rows of profiles are not shown here: `meterlink read URL --profile NAME` reads them"


@dataclass(frozen=True, slots=True)
class ReadAttribute:
    """One attribute: index, name by the class, and its value or why there is none."""

    index: int
    name: str
    value: Data | MeterRefused

    def as_json(self) -> dict[str, Any]:
        """Return the attribute in the form of ``read --all --json``."""
        head = {"index": self.index, "name": self.name}
        if isinstance(self.value, MeterRefused):
            return {**head, "error": self.value.code}
        return {**head, **notation.to_json(self.value)}


@dataclass(frozen=True, slots=True)
class ReadObject:
    """One object with its attributes; ``name`` is the profile's, else the OBIS code."""

    listed: ListedObject
    name: str
    class_name: str
    attributes: tuple[ReadAttribute, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the object in the form of ``read --all --json``."""
        return {
            "name": self.name,
            "obis": str(self.listed.obis),
            "class": self.listed.class_id,
            "class_name": self.class_name,
            "version": self.listed.version,
            "attributes": [attribute.as_json() for attribute in self.attributes],
        }


@dataclass(frozen=True, slots=True)
class Inventory:
    """A meter and everything it shows."""

    meter: dict[str, str]
    objects: tuple[ReadObject, ...]
    notes: tuple[str, ...] = (PROFILES_LEFT_OUT,)

    def as_json(self) -> dict[str, Any]:
        """Return the inventory in the form of ``read --all --json``."""
        return {"meter": self.meter, "objects": [item.as_json() for item in self.objects], "notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class ReadAll:
    """Walk the object list. The rows of profiles and the object list itself are left out: they are long, and have
    commands of their own. ``progress`` counts objects."""

    name: ClassVar[str] = "read --all"
    permission: ClassVar[Permission] = Permission.READ

    profile: Profile
    progress: Progress = lambda done, total: None

    async def run(self, session: Session) -> Inventory:
        """Return the inventory. Raises MeterRefused when the meter does not show its object list."""
        listed = await object_list(session)
        objects = []
        for done, item in enumerate(listed):
            self.progress(done, len(listed))
            objects.append(await self._read(session, item))
        self.progress(len(listed), len(listed))
        return Inventory(about(self.profile, session), tuple(objects))

    async def _read(self, session: Session, item: ListedObject) -> ReadObject:
        known = INTERFACE_CLASSES.get(item.class_id)
        attributes = [Attribute(item.class_id, item.obis, index) for index in item.readable if _is_wanted(item, index)]
        values = await session.get_many(attributes) if attributes else []
        return ReadObject(
            item,
            name_of(self.profile, item.obis),
            known.name if known else f"class {item.class_id}",
            tuple(
                ReadAttribute(
                    attribute.index,
                    known.attribute(attribute.index) if known else f"attribute {attribute.index}",
                    value,
                )
                for attribute, value in zip(attributes, values, strict=True)
            ),
        )


def _is_wanted(item: ListedObject, index: int) -> bool:
    if index == _LOGICAL_NAME or Attribute(item.class_id, item.obis, index) == OBJECT_LIST:
        return False
    return not (item.class_id == PROFILE_GENERIC and index == _BUFFER)
