"""COSEM data: a value together with its type (Green Book, 9.5, type Data).

A :class:`Data` is a tuple of the type's tag and the value, and not a dataclass: a profile holds thousands of them, and
a tuple is built three times as fast. The functions of this module build them with a check of the range.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from meterlink.cosem.dates import CosemDate, CosemDateTime, CosemTime
from meterlink.cosem.items import LazyItems
from meterlink.errors import ProtocolError, UsageError
from meterlink.values import Obis


class Tag(enum.IntEnum):
    """The type of a value, by the tag that A-XDR puts before it."""

    NULL_DATA = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    DOUBLE_LONG = 5
    DOUBLE_LONG_UNSIGNED = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INTEGER = 15
    LONG = 16
    UNSIGNED = 17
    LONG_UNSIGNED = 18
    COMPACT_ARRAY = 19
    LONG64 = 20
    LONG64_UNSIGNED = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27
    DELTA_INTEGER = 28
    DELTA_LONG = 29
    DELTA_DOUBLE_LONG = 30
    DELTA_UNSIGNED = 31
    DELTA_LONG_UNSIGNED = 32
    DELTA_DOUBLE_LONG_UNSIGNED = 33
    DONT_CARE = 255

    @property
    def label(self) -> str:
        """The name in the standard, such as ``double-long-unsigned``."""
        return self.name.lower().replace("_", "-")


INTEGER_BITS: Final[dict[int, tuple[int, bool]]] = {
    Tag.INTEGER: (8, True),
    Tag.LONG: (16, True),
    Tag.DOUBLE_LONG: (32, True),
    Tag.LONG64: (64, True),
    Tag.UNSIGNED: (8, False),
    Tag.LONG_UNSIGNED: (16, False),
    Tag.DOUBLE_LONG_UNSIGNED: (32, False),
    Tag.LONG64_UNSIGNED: (64, False),
    Tag.ENUM: (8, False),
    Tag.BCD: (8, False),
    Tag.DELTA_INTEGER: (8, True),
    Tag.DELTA_LONG: (16, True),
    Tag.DELTA_DOUBLE_LONG: (32, True),
    Tag.DELTA_UNSIGNED: (8, False),
    Tag.DELTA_LONG_UNSIGNED: (16, False),
    Tag.DELTA_DOUBLE_LONG_UNSIGNED: (32, False),
}
"""Width in bits, and whether signed, of every type whose value is an ``int``."""


@dataclass(frozen=True, slots=True)
class TypeDescription:
    """The type of a compact array's elements: a tag; an array has ``count`` elements of the one type in ``parts``, a
    structure one element for each of ``parts``."""

    tag: Tag
    parts: tuple[TypeDescription, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class CompactArray:
    """An array whose elements are all of one type, which is sent once."""

    description: TypeDescription
    items: tuple[Data, ...] | LazyItems[Data]


Value = (
    None
    | bool
    | int
    | float
    | str
    | bytes
    | CosemDateTime
    | CosemDate
    | CosemTime
    | CompactArray
    | tuple["Data", ...]
    | LazyItems["Data"]
)


class Data(NamedTuple):
    """A value and its type.

    ``value`` is None for null-data and don't-care, ``bool``, ``int`` for every integer, enum and bcd (the octet as it
    is), ``float``, ``bytes`` for octet-string, ``str`` for both character strings and for a bit-string (of ``0`` and
    ``1``, first bit first), a tuple of Data for array and structure (for a long array that was read a
    :class:`~meterlink.cosem.items.LazyItems`, which is equal to it), else the class of the type's name.
    """

    tag: Tag
    value: Value

    def as_int(self) -> int:
        """Return an integer, enum or bcd. Raises ProtocolError (``unexpected-type``) for any other type."""
        if self.tag in INTEGER_BITS and isinstance(self.value, int):
            return self.value
        raise self._unexpected("a number")

    def as_bool(self) -> bool:
        """Return a boolean. Raises ProtocolError (``unexpected-type``) for any other type."""
        if isinstance(self.value, bool):
            return self.value
        raise self._unexpected("a boolean")

    def as_bytes(self) -> bytes:
        """Return an octet-string. Raises ProtocolError (``unexpected-type``) for any other type."""
        if isinstance(self.value, bytes):
            return self.value
        raise self._unexpected("an octet-string")

    def as_text(self) -> str:
        """Return a character string, or an octet-string that holds UTF-8.

        Raises ProtocolError (``unexpected-type``) for any other.
        """
        if self.tag in (Tag.VISIBLE_STRING, Tag.UTF8_STRING) and isinstance(self.value, str):
            return self.value
        if isinstance(self.value, bytes):
            try:
                return self.value.decode()
            except UnicodeDecodeError:
                pass
        raise self._unexpected("a text")

    @property
    def is_container(self) -> bool:
        """True for an array, structure or compact array."""
        return isinstance(self.value, tuple | LazyItems | CompactArray)

    def as_items(self) -> Sequence[Data]:
        """Return the elements of an array, structure or compact array: a tuple, or what is equal to one.

        Raises ProtocolError (``unexpected-type``) for any other type.
        """
        if isinstance(self.value, CompactArray):
            return self.value.items
        if isinstance(self.value, tuple | LazyItems):
            return self.value
        raise self._unexpected("an array or structure")

    def as_structure(self, count: int) -> tuple[Data, ...]:
        """Return the elements of a structure of exactly ``count``. Raises ProtocolError (``unexpected-type``)."""
        if self.tag is Tag.STRUCTURE and isinstance(self.value, tuple) and len(self.value) == count:
            return self.value
        raise self._unexpected(f"a structure of {count}")

    def as_date_time(self) -> CosemDateTime:
        """Return a date-time, also one that comes as an octet-string of twelve.

        Raises ProtocolError (``unexpected-type``) for any other.
        """
        if isinstance(self.value, CosemDateTime):
            return self.value
        if isinstance(self.value, bytes) and len(self.value) == 12:
            return CosemDateTime.from_bytes(self.value)
        raise self._unexpected("a date-time")

    def as_obis(self) -> Obis:
        """Return the logical name in an octet-string of six. Raises ProtocolError (``unexpected-type``)."""
        if isinstance(self.value, bytes) and len(self.value) == 6:
            return Obis.from_bytes(self.value)
        raise self._unexpected("a logical name")

    def native(self) -> Any:
        """Return the value in Python's own types: a list for arrays, a tuple for structures, else the value."""
        if not self.is_container:
            return self.value
        items = [item.native() for item in self.as_items()]
        return tuple(items) if self.tag is Tag.STRUCTURE else items

    def _unexpected(self, wanted: str) -> ProtocolError:
        return ProtocolError(f"{wanted} was expected, {self.tag.label} came", code="unexpected-type")


NULL: Final = Data(Tag.NULL_DATA, None)
DONT_CARE: Final = Data(Tag.DONT_CARE, None)


def _integer(tag: Tag, value: int) -> Data:
    bits, signed = INTEGER_BITS[tag]
    low = -(1 << bits - 1) if signed else 0
    high = low + (1 << bits) - 1
    if isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"{value!r} does not fit {tag.label} ({low}..{high})")
    return Data(tag, value)


def null() -> Data:
    """Return null-data."""
    return NULL


def dont_care() -> Data:
    """Return don't-care."""
    return DONT_CARE


def boolean(value: bool) -> Data:
    """Return a boolean."""
    return Data(Tag.BOOLEAN, bool(value))


def i8(value: int) -> Data:
    """Return an integer (8 bits, signed). Raises UsageError out of range, as all of these functions do."""
    return _integer(Tag.INTEGER, value)


def i16(value: int) -> Data:
    """Return a long (16 bits, signed)."""
    return _integer(Tag.LONG, value)


def i32(value: int) -> Data:
    """Return a double-long (32 bits, signed)."""
    return _integer(Tag.DOUBLE_LONG, value)


def i64(value: int) -> Data:
    """Return a long64 (64 bits, signed)."""
    return _integer(Tag.LONG64, value)


def u8(value: int) -> Data:
    """Return an unsigned (8 bits)."""
    return _integer(Tag.UNSIGNED, value)


def u16(value: int) -> Data:
    """Return a long-unsigned (16 bits)."""
    return _integer(Tag.LONG_UNSIGNED, value)


def u32(value: int) -> Data:
    """Return a double-long-unsigned (32 bits)."""
    return _integer(Tag.DOUBLE_LONG_UNSIGNED, value)


def u64(value: int) -> Data:
    """Return a long64-unsigned (64 bits)."""
    return _integer(Tag.LONG64_UNSIGNED, value)


def enum_(value: int) -> Data:
    """Return an enum, 0..255."""
    return _integer(Tag.ENUM, value)


def bcd(value: int) -> Data:
    """Return a bcd: one octet, 0..255, as it is on the wire."""
    return _integer(Tag.BCD, value)


def f32(value: float) -> Data:
    """Return a float32. Raises UsageError for a finite number that is too large for one."""
    try:
        struct.pack(">f", value)
    except OverflowError:
        raise UsageError(f"{value!r} does not fit {Tag.FLOAT32.label}") from None
    return Data(Tag.FLOAT32, float(value))


def f64(value: float) -> Data:
    """Return a float64."""
    return Data(Tag.FLOAT64, float(value))


def octet_string(value: bytes) -> Data:
    """Return an octet-string."""
    return Data(Tag.OCTET_STRING, bytes(value))


def visible_string(value: str) -> Data:
    """Return a visible-string. Raises UsageError when a character needs more than one octet."""
    if not all(ord(character) < 256 for character in value):
        raise UsageError(f"{value!r} does not fit a visible-string", hint="Use a utf8-string.")
    return Data(Tag.VISIBLE_STRING, value)


def utf8_string(value: str) -> Data:
    """Return a utf8-string."""
    return Data(Tag.UTF8_STRING, value)


def bit_string(value: str) -> Data:
    """Return a bit-string from its bits as text, such as ``"0101"``."""
    if value.strip("01"):
        raise UsageError(f"{value!r} is not a string of 0 and 1")
    return Data(Tag.BIT_STRING, value)


def array(items: Iterable[Data] = ()) -> Data:
    """Return an array."""
    return Data(Tag.ARRAY, tuple(items))


def structure(*items: Data) -> Data:
    """Return a structure."""
    return Data(Tag.STRUCTURE, items)


def date_time(value: CosemDateTime) -> Data:
    """Return a date-time. Most attributes want it as an octet-string: see :func:`date_time_octets`."""
    return Data(Tag.DATE_TIME, value)


def date_time_octets(value: CosemDateTime) -> Data:
    """Return a date-time as an octet-string of twelve, the form of clocks and time stamps."""
    return Data(Tag.OCTET_STRING, value.to_bytes())


def date(value: CosemDate) -> Data:
    """Return a date."""
    return Data(Tag.DATE, value)


def time(value: CosemTime) -> Data:
    """Return a time."""
    return Data(Tag.TIME, value)


def logical_name(value: Obis) -> Data:
    """Return a logical name as an octet-string of six."""
    return Data(Tag.OCTET_STRING, value.to_bytes())


def compact_array(description: TypeDescription, items: Iterable[Data]) -> Data:
    """Return a compact array of elements that are all of the type ``description``."""
    return Data(Tag.COMPACT_ARRAY, CompactArray(description, tuple(items)))
