"""The fixed data structure, CI 73: two counters and no further records (EN 1434-3, 1997; still met in the field)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

from meterlink.errors import DataError
from meterlink.mbus import types
from meterlink.mbus.header import Function, RecordHeader
from meterlink.mbus.quantity import Kind, Quantity, decades
from meterlink.mbus.reading import reader_for
from meterlink.mbus.record import Record

_LENGTH: Final = 16
_BINARY, _STORED = 0x01, 0x02
_SAME_BUT_HISTORIC, _NO_UNIT = 0x3E, 0x3F
_FIELD_BCD, _FIELD_INTEGER = 0x0C, 0x04

_UNITS: Final = MappingProxyType(
    {
        0x00: Quantity("time", "h:min:s"),
        0x01: Quantity("date", "D.M.Y"),
        **decades(0x02, 9, "energy", "kWh", -3),
        **decades(0x0B, 9, "energy", "MJ", -3),
        **decades(0x14, 9, "power", "kW", -3),
        **decades(0x1D, 9, "power", "MJ/h", -3),
        **decades(0x26, 9, "volume", "m³", -6),
        **decades(0x2F, 9, "flow", "m³/h", -6),
        0x38: Quantity("temperature", "°C", -3),
        0x39: Quantity("heat_cost_units"),
        _NO_UNIT: Quantity("dimensionless"),
    }
)


class FixedData(NamedTuple):
    """The fixed data structure: eight digits, medium 0..15 of its own table, access number, status, two records."""

    number: str
    medium: int
    access: int
    status: int
    records: tuple[Record, ...]


def read(data: bytes) -> FixedData:
    """Read the fixed data structure. Raises DataError ``mbus-header`` when it is cut off."""
    if len(data) < _LENGTH:
        raise DataError(f"the fixed data structure has {len(data)} of {_LENGTH} octets", code="mbus-header")
    status = data[5]
    first, second = data[6] & 0x3F, data[7] & 0x3F
    medium = data[6] >> 6 | data[7] >> 6 << 2
    stored = 1 if status & _STORED else 0
    records = [_record(first, data[8:12], status, stored)]
    if second == _SAME_BUT_HISTORIC:
        records.append(_record(first, data[12:16], status, 1))
    else:
        records.append(_record(second, data[12:16], status, stored))
    number = types.bcd_digits(data[:4])
    # The status bits above the two of the counters mean the same as in the variable structure.
    return FixedData(number, medium, data[4], status & 0xFC, tuple(records))


def _record(unit: int, data: bytes, status: int, storage: int) -> Record:
    quantity = _UNITS.get(unit, Quantity("unknown"))
    field = _FIELD_INTEGER if status & _BINARY else _FIELD_BCD
    read = reader_for(field, Kind.UNSIGNED if status & _BINARY else Kind.NUMBER, quantity.exponent)
    header = RecordHeader(
        bytes((unit,)), Function.INSTANTANEOUS, storage, 0, 0, field, 4, quantity.name, quantity.unit, quantity.kind,
        (), "", 0, bytes((unit,)), quantity.exponent, read,
    )  # fmt: skip
    return Record(header, data, read(data))
