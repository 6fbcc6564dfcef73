"""Compact arrays: the type once, then the contents of all elements without tags (Green Book, 9.5).

A few octets can announce very many values here (a structure of a thousand nulls and one octet), so what one compact
array may unfold to is taken from the budget of the message. The elements stay octets until somebody looks at them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from meterlink.cosem.budget import CONTAINER, REFERENCE, TOO_LONG_HINT, Budget
from meterlink.cosem.data import CompactArray, Data, Tag, TypeDescription
from meterlink.cosem.items import LazyItems
from meterlink.cosem.leaves import COSTS, READERS, WRITERS, read_length, read_octets, write_length, write_octets
from meterlink.errors import ProtocolError

MAX_TYPE_DEPTH: Final = 8

MAX_TYPE_PARTS: Final = 1_000
"""Most types in the description of one compact array; a row of a profile has one for each column."""

_PART: Final = 160
"""Octets of memory that a type of a description takes."""


def read_compact_array(buffer: bytes, position: int, budget: Budget) -> tuple[CompactArray, int]:
    """Return the compact array whose type description starts at ``position``, and the position behind it.

    Raises ProtocolError, and IndexError when the buffer ends early.
    """
    parts = [MAX_TYPE_PARTS]
    description, position = _read_description(buffer, position, 0, parts)
    used = MAX_TYPE_PARTS - parts[0]
    budget.count(used)
    contents, position = read_octets(buffer, position)
    budget.hold(CONTAINER + _PART * used + len(contents))
    # All are read once, one at a time, to know that they are sound and how many there are.
    at = length = 0
    while at < len(contents):
        before, memory = at, budget.memory
        _, at = _read_element(contents, at, description, budget)
        if at == before:
            raise ProtocolError("the elements of a compact array have no contents")
        budget.memory = memory
        length += 1
    return CompactArray(description, _Contents(description, contents, length)), position


class _Contents(LazyItems[Data]):
    """The elements of a compact array, kept as they came."""

    __slots__ = ("_description", "_length", "_octets")

    def __init__(self, description: TypeDescription, octets: bytes, length: int) -> None:
        self._description = description
        self._octets = octets
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Data]:
        at, budget = 0, Budget()
        while at < len(self._octets):
            memory = budget.memory
            item, at = _read_element(self._octets, at, self._description, budget)
            budget.memory = memory
            yield item


def write_compact_array(out: bytearray, value: CompactArray) -> None:
    """Append type description and contents. Raises TypeError when an element is not of the described type."""
    _write_description(out, value.description)
    contents = bytearray()
    for item in value.items:
        _write_element(contents, item, value.description)
    write_octets(out, bytes(contents))


def _read_description(buffer: bytes, position: int, depth: int, parts: list[int]) -> tuple[TypeDescription, int]:
    """Read a type. ``parts`` holds, in its one element, how many more there may be."""
    if depth > MAX_TYPE_DEPTH:
        raise ProtocolError("the type of a compact array is nested too deep")
    parts[0] -= 1
    if parts[0] < 0:
        raise ProtocolError(
            f"the type of a compact array has more than {MAX_TYPE_PARTS} parts",
            code="too-many-values",
            hint=TOO_LONG_HINT,
        )
    tag = buffer[position]
    position += 1
    if tag == Tag.ARRAY:
        if position + 2 > len(buffer):
            raise IndexError
        count = int.from_bytes(buffer[position : position + 2], "big")
        part, position = _read_description(buffer, position + 2, depth + 1, parts)
        return TypeDescription(Tag.ARRAY, (part,), count), position
    if tag == Tag.STRUCTURE:
        inner = []
        count, position = read_length(buffer, position)
        for _ in range(count):
            part, position = _read_description(buffer, position, depth + 1, parts)
            inner.append(part)
        return TypeDescription(Tag.STRUCTURE, tuple(inner)), position
    if tag not in READERS:
        raise ProtocolError(f"a compact array of type {tag}")
    return TypeDescription(Tag(tag)), position


def _read_element(buffer: bytes, position: int, kind: TypeDescription, budget: Budget) -> tuple[Data, int]:
    budget.count(1)
    tag = kind.tag
    if tag not in (Tag.ARRAY, Tag.STRUCTURE):
        value, end = READERS[tag](buffer, position)
        each, of_octet = COSTS[tag]
        budget.hold(each + REFERENCE + of_octet * (end - position))
        return Data(tag, value), end
    count = kind.count if tag is Tag.ARRAY else len(kind.parts)
    budget.hold(CONTAINER + REFERENCE)
    items: list[Data] = []
    for index in range(count):
        item, position = _read_element(buffer, position, kind.parts[0 if tag is Tag.ARRAY else index], budget)
        items.append(item)
    return Data(tag, tuple(items)), position


def _write_description(out: bytearray, kind: TypeDescription) -> None:
    out.append(kind.tag)
    if kind.tag is Tag.ARRAY:
        out += kind.count.to_bytes(2, "big")
    elif kind.tag is Tag.STRUCTURE:
        write_length(out, len(kind.parts))
    for part in kind.parts:
        _write_description(out, part)


def _write_element(out: bytearray, item: Data, kind: TypeDescription) -> None:
    if item.tag is not kind.tag:
        raise TypeError(f"{item.tag.label} in a compact array of {kind.tag.label}")
    if kind.tag not in (Tag.ARRAY, Tag.STRUCTURE):
        WRITERS[kind.tag](out, item.value)
        return
    items = item.as_items()
    parts = kind.parts * kind.count if kind.tag is Tag.ARRAY else kind.parts
    if len(items) != len(parts):
        raise TypeError(f"{len(items)} elements in a compact array of {len(parts)}")
    for element, part in zip(items, parts, strict=True):
        _write_element(out, element, part)
