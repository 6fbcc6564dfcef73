"""What a service speaks of: attributes, methods, and the part of a profile that is wanted (Green Book, 9.3.2)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Final, Self

from meterlink.cosem import axdr
from meterlink.cosem import data as cosem
from meterlink.cosem.data import Data
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.octets import Reader
from meterlink.errors import LocalProtocolError, ProtocolError
from meterlink.values import Obis

PROFILE_GENERIC: Final = 7

_BY_RANGE: Final = 1
_BY_ENTRY: Final = 2


@dataclass(frozen=True, slots=True)
class CaptureObject:
    """An attribute that a profile captures; ``data_index`` picks an element of a structured one, 0 takes all."""

    class_id: int
    instance: Obis
    index: int
    data_index: int = 0

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read the structure of class, logical name, attribute and data index. Raises ProtocolError."""
        class_id, instance, index, data_index = data.as_structure(4)
        return cls(class_id.as_int(), instance.as_obis(), index.as_int(), data_index.as_int())

    def to_data(self) -> Data:
        """Return the structure. Raises UsageError when a number is out of its range."""
        return cosem.structure(
            cosem.u16(self.class_id),
            cosem.logical_name(self.instance),
            cosem.i8(self.index),
            cosem.u16(self.data_index),
        )


CLOCK: Final = CaptureObject(8, Obis(0, 0, 1, 0, 0), 2)
"""The time column of most profiles."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selective access in general: a selector and its parameters, as the interface class defines them."""

    selector: int
    parameters: Data

    def as_selection(self) -> Selection:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True)
class RangeSelection:
    """Rows of a profile whose ``column`` lies from ``start`` to ``end``, both included; of these the ``columns``
    (all when empty)."""

    start: Data
    end: Data
    column: CaptureObject = CLOCK
    columns: tuple[CaptureObject, ...] = ()

    @classmethod
    def by_time(cls, start: dt.datetime, end: dt.datetime, column: CaptureObject = CLOCK) -> Self:
        """Select by time. A moment without a time zone leaves the deviation open: it is the meter's local time."""
        first, last = (cosem.date_time_octets(CosemDateTime.of(moment)) for moment in (start, end))
        return cls(first, last, column)

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read the parameters of selector 1. Raises ProtocolError."""
        column, start, end, columns = data.as_structure(4)
        wanted = tuple(CaptureObject.from_data(item) for item in columns.as_items())
        return cls(start, end, CaptureObject.from_data(column), wanted)

    def as_selection(self) -> Selection:
        """Return selector 1 with its parameters."""
        columns = cosem.array(column.to_data() for column in self.columns)
        return Selection(_BY_RANGE, cosem.structure(self.column.to_data(), self.start, self.end, columns))


@dataclass(frozen=True, slots=True)
class EntrySelection:
    """Rows ``first`` to ``last`` of a profile and columns ``first_column`` to ``last_column``, counted from 1, both
    included; 0 as last is the last there is."""

    first: int
    last: int
    first_column: int = 1
    last_column: int = 0

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read the parameters of selector 2. Raises ProtocolError."""
        return cls(*(item.as_int() for item in data.as_structure(4)))

    def as_selection(self) -> Selection:
        """Return selector 2 with its parameters."""
        rows = (cosem.u32(self.first), cosem.u32(self.last))
        return Selection(_BY_ENTRY, cosem.structure(*rows, cosem.u16(self.first_column), cosem.u16(self.last_column)))


AnySelection = RangeSelection | EntrySelection | Selection


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of an object, and which part of it is wanted. Attribute 1 is the logical name."""

    class_id: int
    instance: Obis
    index: int
    selection: AnySelection | None = field(default=None)

    def __str__(self) -> str:
        return f"{self.class_id}/{self.instance}/{self.index}"


@dataclass(frozen=True, slots=True)
class Method:
    """A method of an object."""

    class_id: int
    instance: Obis
    index: int

    def __str__(self) -> str:
        return f"{self.class_id}/{self.instance}/method {self.index}"


def write_descriptor(out: bytearray, name: Attribute | Method) -> None:
    """Append class, logical name and index. Raises LocalProtocolError when a number is out of its range."""
    if not (0 <= name.class_id <= 0xFFFF and -0x80 <= name.index <= 0x7F):
        raise LocalProtocolError(f"{name} has a class or an index out of range")
    out += name.class_id.to_bytes(2, "big") + name.instance.to_bytes() + name.index.to_bytes(1, "big", signed=True)


def write_attribute(out: bytearray, attribute: Attribute) -> None:
    """Append the descriptor and the selection, or that there is none."""
    write_descriptor(out, attribute)
    if attribute.selection is None:
        out.append(0)
        return
    selection = attribute.selection.as_selection()
    out += bytes((1, selection.selector))
    axdr.encode_into(out, selection.parameters)


def read_method(reader: Reader) -> Method:
    """Read a method descriptor. Raises ProtocolError."""
    return Method(reader.u16(), Obis.from_bytes(reader.octets(6)), reader.i8())


def read_attribute(reader: Reader) -> Attribute:
    """Read an attribute descriptor and the selection behind it. Raises ProtocolError."""
    class_id, instance, index = reader.u16(), Obis.from_bytes(reader.octets(6)), reader.i8()
    if not reader.boolean():
        return Attribute(class_id, instance, index)
    selection = Selection(reader.u8(), reader.data())
    return Attribute(class_id, instance, index, _specific(class_id, selection))


def _specific(class_id: int, selection: Selection) -> AnySelection:
    """Return the selection of a profile in its own form; one that does not have it stays as it is for the object to
    refuse."""
    if class_id != PROFILE_GENERIC:
        return selection
    try:
        if selection.selector == _BY_RANGE:
            return RangeSelection.from_data(selection.parameters)
        if selection.selector == _BY_ENTRY:
            return EntrySelection.from_data(selection.parameters)
    except ProtocolError:
        pass
    return selection


__all__ = [
    "CLOCK",
    "AnySelection",
    "Attribute",
    "CaptureObject",
    "EntrySelection",
    "Method",
    "RangeSelection",
    "Selection",
    "read_attribute",
    "read_method",
    "write_attribute",
    "write_descriptor",
]
