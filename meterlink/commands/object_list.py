"""The objects of a meter, as its current association lists them (IC 15, attribute object_list)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute
from meterlink.errors import MeterRefused
from meterlink.session import Session
from meterlink.values import Obis

ASSOCIATION_LN: Final = 15
CURRENT_ASSOCIATION: Final = Obis(0, 0, 40, 0, 0)
OBJECT_LIST: Final = Attribute(ASSOCIATION_LN, CURRENT_ASSOCIATION, 2)

_READ_MODES: Final = frozenset({1, 3, 4, 6})
"""Access modes of attributes that can be read, in Association LN of versions 0 to 2; from version 3 on bit 0 tells."""

_BIT_MODES_FROM: Final = 3
_READ_BIT: Final = 0x01


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object: interface class and version, logical name, and the indexes of the attributes that this client may
    read."""

    class_id: int
    version: int
    obis: Obis
    readable: tuple[int, ...]


async def object_list(session: Session) -> tuple[ListedObject, ...]:
    """Return the objects that the meter lists for this client. Raises MeterRefused."""
    entries = (await session.get(OBJECT_LIST)).as_items()
    version = _association_version(entries)
    return tuple(
        ListedObject(class_id.as_int(), number.as_int(), name.as_obis(), _readable(rights, version))
        for class_id, number, name, rights in (entry.as_structure(4) for entry in entries)
    )


async def classes_of(session: Session, wanted: Iterable[Obis]) -> Mapping[Obis, int]:
    """Return the interface classes of the objects ``wanted``.

    Raises MeterRefused ``object-undefined`` for the first that the meter does not list.
    """
    listed = {item.obis: item.class_id for item in await object_list(session)}
    for obis in wanted:
        if obis not in listed:
            raise MeterRefused(
                f"the meter lists no object {obis} for this client",
                code="object-undefined",
                hint="`meterlink read URL --all` shows what there is",
            )
    return MappingProxyType(listed)


def _association_version(entries: Iterable[Data]) -> int:
    for class_id, version, name, _ in (entry.as_structure(4) for entry in entries):
        if class_id.as_int() == ASSOCIATION_LN and name.as_obis() == CURRENT_ASSOCIATION:
            return version.as_int()
    return 0


def _readable(rights: Data, version: int) -> tuple[int, ...]:
    attributes, _ = rights.as_structure(2)
    readable: dict[int, None] = {}  # in the meter's order, each index once
    for item in attributes.as_items():
        index, mode, _ = item.as_structure(3)
        access = mode.as_int()
        if access & _READ_BIT if version >= _BIT_MODES_FROM else access in _READ_MODES:
            readable[index.as_int()] = None
    return tuple(readable)
