"""Runs of elements of one shape, as they stand in a long array: found, and read, many at a time.

The rows of a profile are structures of simple types, and most have the same tags and lengths as the row before. As long
as that holds, finding the next row costs one comparison of its fixed octets, and reading it one unpack. Where
null-data stand for what has not changed, the rows are of a few shapes in turn; which one a row has, its fixed octets
tell, because no encoding of one value is also that of another.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, cycle, repeat
from typing import Any, Final

from meterlink.cosem.data import NULL, Data, Tag
from meterlink.cosem.items import LazyItems
from meterlink.cosem.leaves import FIXED_FORMATS

LEAST: Final = 16
"""A run of fewer elements is not worth keeping as one."""

MOST_SHAPES: Final = 8
"""Shapes that the elements of one run may have in turn."""

_FIRST_LOOK: Final = 64
"""Elements that are compared first."""

_AT_ONCE: Final = 256
"""Elements of a run that are unpacked at a time."""

_SHORT: Final = 0x80
"""Lengths and counts below this one take one octet."""

make_data: Final = partial(tuple.__new__, Data)
"""Data from a tag and a value, without the checks of a call to the class."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How an element lies in memory: one of a simple type, or a structure of these.

    ``layout`` unpacks the values and skips the tags and lengths, which ``fixed`` holds with their offsets; null-data
    have no value, so ``tags`` has an entry for every value and ``layout`` one for each that is not null.
    """

    layout: struct.Struct
    fixed: tuple[tuple[int, bytes], ...]
    tags: tuple[Tag, ...]
    is_structure: bool

    @property
    def pattern(self) -> bytes:
        """A regular expression for an element of this shape."""
        fixed, parts, offset = dict(self.fixed), [], 0
        for place in sorted(fixed):
            parts.append(b".{%d}" % (place - offset) if place > offset else b"")
            parts.append(re.escape(fixed[place]))
            offset = place + 1
        parts.append(b".{%d}" % (self.layout.size - offset))
        return b"".join(parts)

    def reader(self) -> Callable[[bytes, int], Data]:
        """Return what reads the element of this shape at a position."""
        unpack, tags = self.layout.unpack_from, self.tags
        first = next((place for place, tag in enumerate(tags) if tag is not Tag.NULL_DATA), len(tags))
        nulls, rest = (NULL,) * first, tags[first:]

        def read(octets: bytes, position: int) -> Data:
            # What did not change since the row before is null, and mostly stands in front: the clock.
            values = zip(rest, unpack(octets, position), strict=True)
            return make_data((Tag.STRUCTURE, (*nulls, *map(make_data, values))))

        def read_any(octets: bytes, position: int) -> Data:
            values = iter(unpack(octets, position))
            items = [NULL if tag is Tag.NULL_DATA else make_data((tag, next(values))) for tag in tags]
            return make_data((Tag.STRUCTURE, tuple(items))) if self.is_structure else items[0]

        return read if self.is_structure and Tag.NULL_DATA not in rest else read_any

    @property
    def width(self) -> int:
        """The number of values in an element, itself not counted."""
        return len(self.tags) if self.is_structure else 0

    def count(self, buffer: bytes, position: int, most: int) -> int:
        """Return how many elements of this shape, up to ``most``, stand at ``position`` one after the other."""
        size = self.layout.size
        most = min(most, (len(buffer) - position) // size)
        found, looked_at = 0, _FIRST_LOOK
        # No further ahead than twice what was found, so that many short runs cost no more than a long one.
        while found < most:
            rows = min(looked_at, most - found)
            same = self._count(buffer, position + found * size, rows)
            found += same
            if same < rows:
                break
            looked_at *= 2
        return found

    def _count(self, buffer: bytes, position: int, rows: int) -> int:
        size = self.layout.size
        for offset, octet in self.fixed:
            if not rows:
                break
            # Every size-th octet is the same one as long as the elements are of this shape.
            column = buffer[position + offset : position + rows * size : size]
            rows -= len(column.lstrip(octet))
        return rows

    def read(self, octets: bytes | memoryview) -> Iterator[Data]:
        """Yield the elements that stand in ``octets``."""
        valued = [tag for tag in self.tags if tag is not Tag.NULL_DATA]
        if not valued:
            return repeat(make_data((Tag.STRUCTURE, (NULL,) * len(self.tags))), len(octets) // self.layout.size)
        unpacked = chain.from_iterable(self.layout.iter_unpack(octets))
        # No bytecode runs per element from here on: one iterator gives all values, and zip deals them out to the
        # columns.
        values: Any = map(make_data, zip(cycle(valued), unpacked))
        if not self.is_structure:
            return iter(values)
        nulls = repeat(NULL)
        columns = [nulls if tag is Tag.NULL_DATA else values for tag in self.tags]
        return map(make_data, zip(repeat(Tag.STRUCTURE), zip(*columns, strict=False)))


def shape_of(element: Data) -> Shape | None:
    """Return the shape of an element, or None where nothing is to be gained from one."""
    tag, value = element
    is_structure = tag is Tag.STRUCTURE
    values: Sequence[Data] = value if is_structure else (element,)  # type: ignore[assignment]
    if not 0 < len(values) < _SHORT or tag is Tag.NULL_DATA:
        return None
    fields: list[tuple[Tag, int]] = []
    for tag, value in values:
        if tag is Tag.OCTET_STRING and len(value) < _SHORT:  # type: ignore[arg-type]
            fields.append((tag, len(value)))  # type: ignore[arg-type]
        elif tag is Tag.NULL_DATA or tag in FIXED_FORMATS:
            fields.append((tag, 0))
        else:
            return None
    return _build_shape(tuple(fields), is_structure)


@lru_cache(maxsize=64)
def _build_shape(fields: tuple[tuple[Tag, int], ...], is_structure: bool) -> Shape:
    head = bytes((Tag.STRUCTURE, len(fields))) if is_structure else b""
    form = f">{len(head)}x"
    fixed = bytearray(head)
    offsets = list(range(len(head)))
    offset = len(head)
    for tag, length in fields:
        is_string = tag is Tag.OCTET_STRING
        constant = bytes((tag, length)) if is_string else bytes((tag,))
        offsets += range(offset, offset + len(constant))
        fixed += constant
        value = "" if tag is Tag.NULL_DATA else f"{length}s" if is_string else FIXED_FORMATS[tag]
        form += f"{len(constant)}x{value}"
        offset += len(constant) + struct.calcsize(">" + value)
    places = zip(offsets, fixed, strict=True)
    constants = tuple((place, bytes((octet,))) for place, octet in places)
    return Shape(struct.Struct(form), constants, tuple(tag for tag, _ in fields), is_structure)


class Run(LazyItems[Data]):
    """Elements of one shape, kept as their octets."""

    __slots__ = ("_octets", "_shape")

    def __init__(self, shape: Shape, octets: bytes) -> None:
        self._shape = shape
        self._octets = octets

    def __len__(self) -> int:
        return len(self._octets) // self._shape.layout.size

    def __iter__(self) -> Iterator[Data]:
        octets, step = memoryview(self._octets), self._shape.layout.size * _AT_ONCE
        parts = (octets[start : start + step] for start in range(0, len(octets), step))
        return chain.from_iterable(map(self._shape.read, parts))


class Shapes:
    """Up to :data:`MOST_SHAPES` shapes that elements have in turn."""

    def __init__(self, shapes: tuple[Shape, ...]) -> None:
        self._find = re.compile(b"|".join(b"(%s)" % shape.pattern for shape in shapes), re.DOTALL)
        # By the number of the group that matched: groups are counted from 1.
        self._widths = (0, *(shape.width for shape in shapes))
        self._readers = (None, *(shape.reader() for shape in shapes))
        self.widest = max(self._widths)
        """The most values in an element."""

    def count(self, buffer: bytes, position: int, most: int) -> tuple[int, int, int]:
        """Return how many elements of these shapes, up to ``most``, stand at ``position`` one after the other, how many
        values they hold, and where they end."""
        match, widths = self._find.match, self._widths
        found = values = 0
        while found < most:
            element = match(buffer, position)
            if element is None:
                break
            found += 1
            values += widths[element.lastindex or 0]
            position = element.end()
        return found, values, position

    def read(self, octets: bytes) -> Iterator[Data]:
        """Yield the elements that ``octets`` are."""
        readers: Any = self._readers
        return (readers[element.lastindex](octets, element.start()) for element in self._find.finditer(octets))


@lru_cache(maxsize=16)
def shapes_in_turn(shapes: tuple[Shape, ...]) -> Shapes:
    """Return what finds and reads elements of these shapes."""
    return Shapes(shapes)


class MixedRun(LazyItems[Data]):
    """``length`` elements of a few shapes in turn, kept as their octets."""

    __slots__ = ("_length", "_octets", "_shapes")

    def __init__(self, shapes: Shapes, octets: bytes, length: int) -> None:
        self._shapes = shapes
        self._octets = octets
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Data]:
        return self._shapes.read(self._octets)


class Elements(LazyItems[Data]):
    """The elements of an array: runs, and between them elements of their own, in their order."""

    __slots__ = ("_length", "_parts")

    def __init__(self, parts: Iterable[Run | MixedRun | tuple[Data, ...]]) -> None:
        self._parts = tuple(parts)
        self._length = sum(map(len, self._parts))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Data]:
        return chain.from_iterable(self._parts)
