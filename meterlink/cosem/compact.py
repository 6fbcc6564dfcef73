"""Compact arrays: the type once, then the contents of all elements without tags (Green Book, 9.5).

A few octets can announce very many values here (a structure of a thousand nulls and one octet), so the number of
values that one compact array may unfold to is bounded by :data:`MAX_VALUES`.
"""

from __future__ import annotations

from typing import Final

from meterlink.cosem.data import CompactArray, Data, Tag, TypeDescription
from meterlink.cosem.leaves import READERS, WRITERS, read_length, read_octets, write_length, write_octets
from meterlink.errors import ProtocolError

MAX_TYPE_DEPTH: Final = 8

_COST: Final = 4
"""What a compact array counts for itself: with its type it takes the room of so many values."""


def read_compact_array(buffer: bytes, position: int, budget: int) -> tuple[CompactArray, int, int]:
    """Return the compact array whose type description starts at ``position``, the position behind it, and what it
    leaves of ``budget``, the number of values that it may hold, containers included.

    Raises ProtocolError, and IndexError when the buffer ends early.
    """
    budget = _spend(budget, _COST)
    description, position = _read_description(buffer, position, 0)
    contents, position = read_octets(buffer, position)
    items: list[Data] = []
    at = 0
    while at < len(contents):
        before = at
        item, at, budget = _read_element(contents, at, description, budget)
        if at == before:
            raise ProtocolError("the elements of a compact array have no contents")
        items.append(item)
    return CompactArray(description, tuple(items)), position, budget


def write_compact_array(out: bytearray, value: CompactArray) -> None:
    """Append type description and contents. Raises TypeError when an element is not of the described type."""
    _write_description(out, value.description)
    contents = bytearray()
    for item in value.items:
        _write_element(contents, item, value.description)
    write_octets(out, bytes(contents))


def _spend(budget: int, values: int) -> int:
    if budget < values:
        raise ProtocolError("too many values in the compact arrays of one message", code="too-many-values")
    return budget - values


def _read_description(buffer: bytes, position: int, depth: int) -> tuple[TypeDescription, int]:
    if depth > MAX_TYPE_DEPTH:
        raise ProtocolError("the type of a compact array is nested too deep")
    tag = buffer[position]
    position += 1
    if tag == Tag.ARRAY:
        if position + 2 > len(buffer):
            raise IndexError
        count = int.from_bytes(buffer[position : position + 2], "big")
        part, position = _read_description(buffer, position + 2, depth + 1)
        return TypeDescription(Tag.ARRAY, (part,), count), position
    if tag == Tag.STRUCTURE:
        parts = []
        count, position = read_length(buffer, position)
        for _ in range(count):
            part, position = _read_description(buffer, position, depth + 1)
            parts.append(part)
        return TypeDescription(Tag.STRUCTURE, tuple(parts)), position
    if tag not in READERS:
        raise ProtocolError(f"a compact array of type {tag}")
    return TypeDescription(Tag(tag)), position


def _read_element(buffer: bytes, position: int, kind: TypeDescription, budget: int) -> tuple[Data, int, int]:
    budget = _spend(budget, 1)
    if not kind.parts and kind.tag not in (Tag.ARRAY, Tag.STRUCTURE):
        value, position = READERS[kind.tag](buffer, position)
        return Data(kind.tag, value), position, budget
    items: list[Data] = []
    for part in kind.parts * kind.count if kind.tag is Tag.ARRAY else kind.parts:
        item, position, budget = _read_element(buffer, position, part, budget)
        items.append(item)
    return Data(kind.tag, tuple(items)), position, budget


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
