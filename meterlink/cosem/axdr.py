"""A-XDR: COSEM data to bytes and back (IEC 61334-6; Green Book, 9.5).

Written by hand, because this is where the time goes when a profile is read. Runs of array elements of one shape are
found by :mod:`meterlink.cosem.rows` and stay octets until somebody looks at them; any other element is read value by
value.
"""

from __future__ import annotations

import struct
from typing import Final

from meterlink.cosem.budget import CONTAINER, REFERENCE, Budget
from meterlink.cosem.compact import read_compact_array, write_compact_array
from meterlink.cosem.data import DONT_CARE, NULL, CompactArray, Data, Tag
from meterlink.cosem.items import LazyItems
from meterlink.cosem.leaves import COSTS, READERS, SHARED, WRITERS, read_length, write_length
from meterlink.cosem.rows import (
    LEAST,
    MOST_SHAPES,
    Elements,
    MixedRun,
    Run,
    Shape,
    make_data,
    shape_of,
    shapes_in_turn,
)
from meterlink.errors import LocalProtocolError, ProtocolError

MAX_DEPTH: Final = 32
"""Deepest nesting of arrays and structures that is read or written. The deepest in the standard, an object list, has
seven."""

_SHAPE_MISSES: Final = 16
"""After so many elements in a row that began no run, an array is read value by value to its end."""

_RUN: Final = 200
"""Octets of memory that a run takes beside its own octets."""

_TAGS: Final[tuple[Tag | None, ...]] = tuple(
    Tag(number) if number in Tag._value2member_map_ else None for number in range(256)
)
_NULLS: Final = tuple({Tag.NULL_DATA: NULL, Tag.DONT_CARE: DONT_CARE}.get(number) for number in range(256))  # type: ignore[call-overload]
_LEAVES: Final = tuple(READERS.get(number) for number in range(256))
_SHARED: Final = tuple(SHARED.get(number) for number in range(256))
_COSTS: Final = tuple(COSTS.get(number, (0, 0)) for number in range(256))


def decode(buffer: bytes) -> Data:
    """Read one value that takes all of ``buffer``. Raises ProtocolError."""
    data, end = decode_from(buffer)
    if end != len(buffer):
        raise ProtocolError(f"{len(buffer) - end} octets follow the data")
    return data


def decode_from(buffer: bytes, offset: int = 0, budget: Budget | None = None) -> tuple[Data, int]:
    """Read one value at ``offset``; return it and the offset behind it. Raises ProtocolError.

    Values of one message that are read one by one share a ``budget``.
    """
    budget = budget or Budget()
    try:
        data, end = _read(buffer, offset, MAX_DEPTH, budget)
        budget.hold(0)
        return data, end
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


def _read(buffer: bytes, position: int, depth: int, budget: Budget) -> tuple[Data, int]:
    """Read one value and take what it costs from ``budget``."""
    number = buffer[position]
    shared = _SHARED[number]
    if shared is not None:
        return shared[buffer[position + 1]], position + 2
    null = _NULLS[number]
    if null is not None:
        return null, position + 1
    leaf = _LEAVES[number]
    if leaf is not None:
        value, end = leaf(buffer, position + 1)
        # The container looks at what is left: a call for each value would take a third of the time.
        each, of_octet = _COSTS[number]
        budget.memory -= each + of_octet * (end - position)
        return make_data((_TAGS[number], value)), end
    if number == Tag.COMPACT_ARRAY:
        compact, position = read_compact_array(buffer, position + 1, budget)
        return Data(Tag.COMPACT_ARRAY, compact), position
    if number not in (Tag.ARRAY, Tag.STRUCTURE):
        raise ProtocolError(f"no type of data has the tag {number}")
    if depth == 0:
        raise ProtocolError(f"data are nested deeper than {MAX_DEPTH}")
    count, position = read_length(buffer, position + 1)
    if count > len(buffer) - position:
        raise IndexError
    budget.count(count)
    budget.hold(CONTAINER)
    if number == Tag.ARRAY:
        return _read_array(buffer, position, count, depth - 1, budget)
    budget.hold(REFERENCE * count)
    items = []
    for _ in range(count):
        item, position = _read(buffer, position, depth - 1, budget)
        if budget.memory < 0:
            budget.hold(0)
        items.append(item)
    return make_data((Tag.STRUCTURE, tuple(items))), position


def _read_array(buffer: bytes, position: int, count: int, depth: int, budget: Budget) -> tuple[Data, int]:
    parts: list[Run | MixedRun | tuple[Data, ...]] = []
    items: list[Data] = []
    seen: tuple[Shape, ...] = ()
    left, misses = count, 0
    while left:
        start = position
        item, position = _read(buffer, position, depth, budget)
        left -= 1
        shape = shape_of(item) if misses < _SHAPE_MISSES else None
        if shape is not None:
            if shape not in seen and len(seen) < MOST_SHAPES:
                seen = (*seen, shape)
                budget.mixtures -= len(seen) > 1
            run, found, position = _read_run(buffer, start, position, shape, seen, left, budget)
            if run is not None:
                parts += ((*items,), run) if items else (run,)
                items, left, misses = [], left - found, 0
                continue
            misses += 1
        budget.hold(REFERENCE)
        items.append(item)
    if not parts:
        return make_data((Tag.ARRAY, tuple(items))), position
    return make_data((Tag.ARRAY, Elements([*parts, tuple(items)]))), position


def _read_run(
    buffer: bytes, start: int, position: int, shape: Shape, seen: tuple[Shape, ...], left: int, budget: Budget
) -> tuple[Run | MixedRun | None, int, int]:
    """Look for a run that begins with the element from ``start`` to ``position``, of ``shape``; ``seen`` are all shapes
    of late. Return it, None where there is none, with how many of the ``left`` elements are in it, and its end."""
    found = shape.count(buffer, position, min(left, budget.values // (shape.width or 1)))
    end, values = position + found * shape.layout.size, found * shape.width
    run: Run | MixedRun | None = None
    if found >= LEAST:
        run = Run(shape, buffer[start:end])
    elif len(seen) > 1 and budget.mixtures >= 0:
        shapes = shapes_in_turn(seen)
        found, values, end = shapes.count(buffer, position, min(left, budget.values // (shapes.widest or 1)))
        if found >= LEAST:
            run = MixedRun(shapes, buffer[start:end], found + 1)
    if run is None:
        return None, 0, position
    budget.count(values)
    budget.hold(_RUN + end - start)
    return run, found, end


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
        if not isinstance(value, tuple | LazyItems):
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
