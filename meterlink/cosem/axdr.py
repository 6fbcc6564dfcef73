"""A-XDR: COSEM data to bytes and back (IEC 61334-6; Green Book, 9.5).

Written by hand, because this is where the time goes when a profile is read. An array of structures of simple types is
read with one :class:`struct.Struct` per row, built from the row before it: as long as the tags and lengths stay the
same, a row costs one unpack and one comparison. Any other row is read value by value.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, cycle, repeat
from typing import Any, Final

from meterlink.cosem.compact import read_compact_array, write_compact_array
from meterlink.cosem.data import DONT_CARE, NULL, CompactArray, Data, Tag
from meterlink.cosem.leaves import FIXED_FORMATS, READERS, WRITERS, read_length, write_length
from meterlink.errors import LocalProtocolError, ProtocolError

MAX_DEPTH: Final = 32
"""Deepest nesting of arrays and structures that is read or written. The deepest in the standard, an object list, has
seven."""

MAX_VALUES: Final = 200_000
"""Most values that one message may hold: about 20 MB as Python objects, and a profile of 28,000 rows of six."""

_SHAPE_MISSES: Final = 16
"""After so many rows that were unlike the row before, an array is read value by value to its end."""

_make: Final = partial(tuple.__new__, Data)
"""Data from a tag and a value, without the checks of a call to the class."""

_TAGS: Final[tuple[Tag | None, ...]] = tuple(
    Tag(number) if number in Tag._value2member_map_ else None for number in range(256)
)
_LEAVES: Final = tuple(READERS.get(number) for number in range(256))


def decode(buffer: bytes) -> Data:
    """Read one value that takes all of ``buffer``. Raises ProtocolError."""
    data, end = decode_from(buffer)
    if end != len(buffer):
        raise ProtocolError(f"{len(buffer) - end} octets follow the data")
    return data


def decode_from(buffer: bytes, offset: int = 0, budget: list[int] | None = None) -> tuple[Data, int]:
    """Read one value at ``offset``; return it and the offset behind it. Raises ProtocolError.

    Values of one message that are read one by one share a ``budget``: a list of one element, :data:`MAX_VALUES` at
    first, from which what each announces is taken.
    """
    try:
        return _read(buffer, offset, MAX_DEPTH, [MAX_VALUES] if budget is None else budget)
    except (IndexError, struct.error):
        raise ProtocolError("the data end early") from None


def encode(data: Data) -> bytes:
    """Return the octets of ``data``. Raises LocalProtocolError when a value does not fit its tag."""
    out = bytearray()
    encode_into(out, data)
    return bytes(out)


def encode_into(out: bytearray, data: Data) -> None:
    """Append the octets of ``data`` to ``out``. Raises LocalProtocolError when a value does not fit its tag."""
    try:
        _write(out, data, MAX_DEPTH)
    except (struct.error, TypeError, ValueError, AttributeError, OverflowError, KeyError) as error:
        raise LocalProtocolError(f"a value does not fit its type: {type(error).__name__}") from None


def _read(buffer: bytes, position: int, depth: int, budget: list[int]) -> tuple[Data, int]:
    """Read one value. ``budget`` holds, in its one element, how many values may still be announced."""
    number = buffer[position]
    leaf = _LEAVES[number]
    if leaf is not None:
        value, position = leaf(buffer, position + 1)
        return _make((_TAGS[number], value)), position
    if number == Tag.COMPACT_ARRAY:
        compact, position, budget[0] = read_compact_array(buffer, position + 1, budget[0])
        return Data(Tag.COMPACT_ARRAY, compact), position
    if number not in (Tag.ARRAY, Tag.STRUCTURE):
        raise ProtocolError(f"no type of data has the tag {number}")
    if depth == 0:
        raise ProtocolError(f"data are nested deeper than {MAX_DEPTH}")
    count, position = read_length(buffer, position + 1)
    if count > len(buffer) - position:
        raise IndexError
    budget[0] -= count
    if budget[0] < 0:
        raise ProtocolError(f"more than {MAX_VALUES} values in one message", code="too-many-values")
    if number == Tag.ARRAY:
        return _read_array(buffer, position, count, depth - 1, budget)
    items = []
    for _ in range(count):
        item, position = _read(buffer, position, depth - 1, budget)
        items.append(item)
    return _make((Tag.STRUCTURE, tuple(items))), position


def _read_array(buffer: bytes, position: int, count: int, depth: int, budget: list[int]) -> tuple[Data, int]:
    items: list[Data] = []
    misses = 0
    while len(items) < count:
        item, position = _read(buffer, position, depth, budget)
        items.append(item)
        if item[0] is Tag.STRUCTURE and misses < _SHAPE_MISSES:
            shape = _shape_of(item)
            if shape is not None:
                width, before = len(shape.tags), len(items)
                most = min(count - before, budget[0] // width)
                position = _read_rows(buffer, position, most, shape, items)
                budget[0] -= (len(items) - before) * width
            misses += 1
    return _make((Tag.ARRAY, tuple(items))), position


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a structure of simple types lies in memory.

    ``layout`` unpacks the values and skips the tags and lengths, which ``fixed`` holds with their offsets; null-data
    have no value, so ``tags`` has an entry for every element and ``layout`` one for each that is not null.
    """

    layout: struct.Struct
    fixed: tuple[tuple[int, bytes], ...]
    tags: tuple[Tag, ...]


def _shape_of(row: Data) -> _Shape | None:
    """Return the shape of a structure, or None when one of its elements is not of a simple type."""
    lengths: list[tuple[Tag, int]] = []
    items: tuple[Data, ...] = row.value  # type: ignore[assignment]
    if len(items) >= 0x80:
        return None
    for tag, value in items:
        if tag is Tag.OCTET_STRING and len(value) < 0x80:  # type: ignore[arg-type]
            lengths.append((tag, len(value)))  # type: ignore[arg-type]
        elif tag is Tag.NULL_DATA or tag in FIXED_FORMATS:
            lengths.append((tag, 0))
        else:
            return None
    return _build_shape(tuple(lengths))


@lru_cache(maxsize=64)
def _build_shape(fields: tuple[tuple[Tag, int], ...]) -> _Shape | None:
    form = ">2x"
    fixed = bytearray((Tag.STRUCTURE, len(fields)))
    offsets = [0, 1]
    offset = 2
    for tag, length in fields:
        is_string = tag is Tag.OCTET_STRING
        constant = bytes((tag, length)) if is_string else bytes((tag,))
        offsets += range(offset, offset + len(constant))
        fixed += constant
        value = "" if tag is Tag.NULL_DATA else f"{length}s" if is_string else FIXED_FORMATS[tag]
        form += f"{len(constant)}x{value}"
        offset += len(constant) + struct.calcsize(">" + value)
    tags = tuple(tag for tag, _ in fields)
    if all(tag is Tag.NULL_DATA for tag in tags):
        return None
    places = zip(offsets, fixed, strict=True)
    return _Shape(struct.Struct(form), tuple((place, bytes((octet,))) for place, octet in places), tags)


def _read_rows(buffer: bytes, position: int, most: int, shape: _Shape, items: list[Data]) -> int:
    """Append up to ``most`` rows of ``shape`` to ``items``; return the position behind the last one."""
    size = shape.layout.size
    rows = min(most, (len(buffer) - position) // size)
    for offset, octet in shape.fixed:
        # Every size-th octet is the same one as long as the rows are of this shape.
        column = buffer[position + offset : position + rows * size : size]
        rows -= len(column.lstrip(octet))
        if not rows:
            return position
    end = position + rows * size
    nulls = repeat(NULL)
    unpacked = chain.from_iterable(shape.layout.iter_unpack(memoryview(buffer)[position:end]))
    # No bytecode runs per row from here on: one iterator gives all values, and zip deals them out to the columns.
    values: Any = map(_make, zip(cycle(tag for tag in shape.tags if tag is not Tag.NULL_DATA), unpacked))
    columns = [nulls if tag is Tag.NULL_DATA else values for tag in shape.tags]
    items.extend(map(_make, zip(repeat(Tag.STRUCTURE), zip(*columns, strict=False))))
    return end


def _write(out: bytearray, data: Data, depth: int) -> None:
    tag, value = data
    writer = WRITERS.get(tag)
    if writer is not None:
        out.append(tag)
        writer(out, value)
    elif tag in (Tag.ARRAY, Tag.STRUCTURE):
        if depth == 0:
            raise ValueError
        out.append(tag)
        if not isinstance(value, tuple):
            raise TypeError
        write_length(out, len(value))
        for item in value:
            _write(out, item, depth - 1)
    elif isinstance(value, CompactArray):
        out.append(tag)
        write_compact_array(out, value)
    else:
        raise TypeError


__all__ = ["DONT_CARE", "MAX_DEPTH", "NULL", "decode", "decode_from", "encode", "encode_into"]
