"""Read everything that a COSEM meter shows to this client: the object list, and every attribute that may be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from certs.levels import Permission
from meterlink.commands.object_list import OBJECT_LIST, ListedObject, object_list
from meterlink.commands.objects import PROFILE_GENERIC, name_of
from meterlink.commands.read import about
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute
from meterlink.cosem.objects.classes import INTERFACE_CLASSES
from meterlink.errors import MeterRefused, ProtocolError
from meterlink.meters.profile import Profile
from meterlink.session import Session

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much; the same measure in both."""

_LOGICAL_NAME: Final = 1
_BUFFER: Final = 2

_AT_ONCE: Final = 16
"""Attributes of an object that are asked for together; most have fewer."""

_TOO_LONG: Final = frozenset({"transfer-too-long", "too-many-values"})

PROFILES_LEFT_OUT: Final = "the rows of profiles are not shown here: `meterlink read URL --profile NAME` reads them"


@dataclass(frozen=True, slots=True)
class ReadAttribute:
    """One attribute: index, name by the class, and its value or why there is none."""

    index: int
    name: str
    value: Data | MeterRefused


@dataclass(frozen=True, slots=True)
class ShownObject:
    """One object; ``name`` is the profile's, else the OBIS code."""

    listed: ListedObject
    name: str
    class_name: str

    def as_json(self) -> dict[str, Any]:
        """Return what ``read --all --json`` says of the object beside its attributes."""
        return {
            "name": self.name,
            "obis": str(self.listed.obis),
            "class": self.listed.class_id,
            "class_name": self.class_name,
            "version": self.listed.version,
        }


class Inventory(Protocol):
    """Takes what a meter shows as it comes, one after the other: nothing of it is kept here."""

    def begin(self, meter: dict[str, str]) -> None:
        """Take what is known of the meter itself; called once, first."""

    def show(self, item: ShownObject) -> None:
        """Take an object; the attributes that follow are its own."""

    def add(self, attribute: ReadAttribute) -> None:
        """Take an attribute."""


@dataclass(slots=True)
class _Course:
    """How far the walk is, so that it can go on over another link."""

    listed: tuple[ListedObject, ...] | None = None
    objects: int = 0
    attributes: int = 0
    """Attributes of the object that the walk is at."""


@dataclass(frozen=True, slots=True)
class ReadAll:
    """Walk the object list and hand all on to ``inventory``. The rows of profiles and the object list itself are left
    out: they are long, and have commands of their own. ``progress`` counts objects. Over a new link a walk goes on
    where it stood, so each wants an object of its own."""

    name: ClassVar[str] = "read --all"
    permission: ClassVar[Permission] = Permission.READ

    profile: Profile
    inventory: Inventory
    progress: Progress = lambda done, total: None
    _course: _Course = field(default_factory=_Course, init=False, repr=False, compare=False)

    async def run(self, session: Session) -> None:
        """Walk. Raises MeterRefused when the meter does not show its object list."""
        course = self._course
        if course.listed is None:
            course.listed = await object_list(session)
            self.inventory.begin(about(self.profile, session))
        for item in course.listed[course.objects :]:
            self.progress(course.objects, len(course.listed))
            await self._read(session, item)
            course.objects, course.attributes = course.objects + 1, 0
        self.progress(len(course.listed), len(course.listed))

    async def _read(self, session: Session, item: ListedObject) -> None:
        course, known = self._course, INTERFACE_CLASSES.get(item.class_id)
        if not course.attributes:
            class_name = known.name if known else f"class {item.class_id}"
            self.inventory.show(ShownObject(item, name_of(self.profile, item.obis), class_name))
        attributes = [Attribute(item.class_id, item.obis, index) for index in item.readable if _is_wanted(item, index)]
        # No more is held at once than one answer brings.
        at_once = _AT_ONCE if Conformance.MULTIPLE_REFERENCES in session.association.conformance else 1
        while course.attributes < len(attributes):
            asked = attributes[course.attributes : course.attributes + at_once]
            for attribute, value in zip(asked, await _values(session, asked), strict=True):
                name = known.attribute(attribute.index) if known else f"attribute {attribute.index}"
                self.inventory.add(ReadAttribute(attribute.index, name, value))
            course.attributes += len(asked)


async def _values(session: Session, asked: list[Attribute]) -> list[Data | MeterRefused]:
    try:
        return await session.get_many(asked)
    except ProtocolError as error:
        if error.code not in _TOO_LONG:
            raise
        names = ", ".join(map(str, asked))
        hint = "the others can be read one by one: `meterlink cosem get`, or read --object"
        raise ProtocolError(f"{names}: {error.message}", code=error.code, hint=hint) from None


def _is_wanted(item: ListedObject, index: int) -> bool:
    if index == _LOGICAL_NAME or Attribute(item.class_id, item.obis, index) == OBJECT_LIST:
        return False
    return not (item.class_id == PROFILE_GENERIC and index == _BUFFER)
