"""The contents of every simple type, as A-XDR writes them after the tag (IEC 61334-6; Green Book, 9.5).

One reader and one writer for each tag, in two tables. A reader takes the buffer and the position of the contents and
returns the value and the position behind it. It may raise ``IndexError`` or ``struct.error`` when the buffer ends
early; those who call it turn that into a ProtocolError once, at the top, and not at every octet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from meterlink.cosem.budget import TOO_LONG_HINT
from meterlink.cosem.data import Data, Tag, Value
from meterlink.cosem.dates import CosemDate, CosemDateTime, CosemTime
from meterlink.errors import ProtocolError

Reader = Callable[[bytes, int], tuple[Value, int]]
Writer = Callable[[bytearray, Any], None]

FIXED_FORMATS: Final[dict[int, str]] = {
    Tag.BOOLEAN: "?",
    Tag.DOUBLE_LONG: "i",
    Tag.DOUBLE_LONG_UNSIGNED: "I",
    Tag.BCD: "B",
    Tag.INTEGER: "b",
    Tag.LONG: "h",
    Tag.UNSIGNED: "B",
    Tag.LONG_UNSIGNED: "H",
    Tag.LONG64: "q",
    Tag.LONG64_UNSIGNED: "Q",
    Tag.ENUM: "B",
    Tag.FLOAT32: "f",
    Tag.FLOAT64: "d",
    Tag.DELTA_INTEGER: "b",
    Tag.DELTA_LONG: "h",
    Tag.DELTA_DOUBLE_LONG: "i",
    Tag.DELTA_UNSIGNED: "B",
    Tag.DELTA_LONG_UNSIGNED: "H",
    Tag.DELTA_DOUBLE_LONG_UNSIGNED: "I",
}
"""The types of fixed length whose value :mod:`struct` gives as it is, with its format character."""

MAX_BITS: Final = 1 << 21
"""Bits of one bit-string, which take an octet each as text. The longest in the standard has one for each block of an
image."""

_LONGEST_LENGTH: Final = 4
"""Octets of a length field after the first; four announce 4 GiB, more is never meant."""


def read_length(buffer: bytes, position: int) -> tuple[int, int]:
    """Return a length (or count) and the position behind it. A length longer than it need be is accepted."""
    first = buffer[position]
    position += 1
    if first < 0x80:
        return first, position
    size = first & 0x7F
    if not 1 <= size <= _LONGEST_LENGTH:
        raise ProtocolError(f"a length field of {size} octets")
    end = position + size
    if end > len(buffer):
        raise IndexError
    return int.from_bytes(buffer[position:end], "big"), end


def write_length(out: bytearray, length: int) -> None:
    """Append a length in as few octets as it needs."""
    if length < 0x80:
        out.append(length)
    else:
        octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
        out.append(0x80 | len(octets))
        out += octets


def read_octets(buffer: bytes, position: int) -> tuple[bytes, int]:
    """Return a length-prefixed octet string and the position behind it."""
    length, position = read_length(buffer, position)
    end = position + length
    if end > len(buffer):
        raise IndexError
    return buffer[position:end], end


def write_octets(out: bytearray, octets: bytes) -> None:
    """Append an octet string with its length before it."""
    write_length(out, len(octets))
    out += octets


def _fixed_reader(form: str) -> Reader:
    layout = struct.Struct(">" + form)
    unpack, size = layout.unpack_from, layout.size

    def read(buffer: bytes, position: int) -> tuple[Value, int]:
        return unpack(buffer, position)[0], position + size

    return read


def _fixed_writer(form: str) -> Writer:
    pack = struct.Struct(">" + form).pack

    def write(out: bytearray, value: Any) -> None:
        out += pack(value)

    return write


def _read_null(buffer: bytes, position: int) -> tuple[None, int]:
    return None, position


def _write_null(out: bytearray, value: None) -> None:
    if value is not None:
        raise TypeError("null-data has no value")


def _read_visible(buffer: bytes, position: int) -> tuple[str, int]:
    octets, position = read_octets(buffer, position)
    return octets.decode("latin-1"), position


def _write_visible(out: bytearray, value: str) -> None:
    write_octets(out, value.encode("latin-1"))


def _read_utf8(buffer: bytes, position: int) -> tuple[str, int]:
    octets, position = read_octets(buffer, position)
    try:
        return octets.decode(), position
    except UnicodeDecodeError:
        raise ProtocolError("a utf8-string is not UTF-8") from None


def _write_utf8(out: bytearray, value: str) -> None:
    write_octets(out, value.encode())


def _read_bits(buffer: bytes, position: int) -> tuple[str, int]:
    count, position = read_length(buffer, position)
    size = (count + 7) // 8
    end = position + size
    if end > len(buffer):
        raise IndexError
    if count > MAX_BITS:
        raise ProtocolError(f"a bit-string of {count} bits", code="too-many-values", hint=TOO_LONG_HINT)
    if not count:
        return "", end
    # What is left over in the last octet is shifted out: a slice would copy the whole text once more.
    return f"{int.from_bytes(buffer[position:end], 'big') >> (size * 8 - count):0{count}b}", end


def _write_bits(out: bytearray, value: str) -> None:
    write_length(out, len(value))
    size = (len(value) + 7) // 8
    out += int(value.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big")


def _date_reader(kind: type[CosemDateTime] | type[CosemDate] | type[CosemTime], size: int) -> Reader:
    def read(buffer: bytes, position: int) -> tuple[Value, int]:
        end = position + size
        if end > len(buffer):
            raise IndexError
        return kind.from_bytes(buffer[position:end]), end

    return read


def _write_date(out: bytearray, value: CosemDateTime | CosemDate | CosemTime) -> None:
    out += value.to_bytes()


READERS: Final[dict[int, Reader]] = {
    **{tag: _fixed_reader(form) for tag, form in FIXED_FORMATS.items()},
    Tag.NULL_DATA: _read_null,
    Tag.DONT_CARE: _read_null,
    Tag.BIT_STRING: _read_bits,
    Tag.OCTET_STRING: read_octets,
    Tag.VISIBLE_STRING: _read_visible,
    Tag.UTF8_STRING: _read_utf8,
    Tag.DATE_TIME: _date_reader(CosemDateTime, 12),
    Tag.DATE: _date_reader(CosemDate, 5),
    Tag.TIME: _date_reader(CosemTime, 4),
}

WRITERS: Final[dict[int, Writer]] = {
    **{tag: _fixed_writer(form) for tag, form in FIXED_FORMATS.items()},
    Tag.NULL_DATA: _write_null,
    Tag.DONT_CARE: _write_null,
    Tag.BIT_STRING: _write_bits,
    Tag.OCTET_STRING: write_octets,
    Tag.VISIBLE_STRING: _write_visible,
    Tag.UTF8_STRING: _write_utf8,
    Tag.DATE_TIME: _write_date,
    Tag.DATE: _write_date,
    Tag.TIME: _write_date,
}

SHARED: Final[dict[int, tuple[Data, ...]]] = {
    tag: tuple(Data(Tag(tag), READERS[tag](bytes((octet,)), 0)[0]) for octet in range(256))
    for tag, form in FIXED_FORMATS.items()
    if struct.calcsize(form) == 1
}
"""Tag of a type of one octet -> its values by that octet: there are so few that all messages share them."""

_DATA, _NUMBER, _TEXT, _DATE = 80, 32, 64, 160

COSTS: Final[dict[int, tuple[int, int]]] = {
    **dict.fromkeys(READERS, (_DATA, 1)),
    **{tag: (_DATA + _NUMBER, 1) for tag in FIXED_FORMATS if tag not in SHARED},
    Tag.OCTET_STRING: (_DATA + _TEXT, 1),
    Tag.VISIBLE_STRING: (_DATA + _TEXT, 1),
    Tag.UTF8_STRING: (_DATA + _TEXT, 4),
    Tag.BIT_STRING: (_DATA + _TEXT, 16),  # a character for each bit, and twice that while it is made
    Tag.DATE_TIME: (_DATA + _DATE, 1),
    Tag.DATE: (_DATA + _DATE, 1),
    Tag.TIME: (_DATA + _DATE, 1),
}
"""Tag -> octets that a value takes as a Python object: so many, and so many for each octet of its encoding."""
