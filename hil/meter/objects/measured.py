"""Data, Register and Extended register (IC 1, 3, 4): what the meter measured and what it is called."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from certs.levels import Permission
from hil.meter.objects.base import Attribute, Context, CosemObject, Getter, Method, Right, Setter, constant
from meterlink.cosem.data import Data, date_time_octets, enum_, i8, null, structure, u8
from meterlink.cosem.dates import CosemDateTime

WH, W, CUBIC_METRE, CUBIC_METRE_PER_HOUR, CELSIUS, KELVIN, HOUR, MINUTE = 30, 27, 13, 15, 9, 52, 5, 6
"""Units by their number in the Blue Book, 4.3.2, table 4."""


def data_object(
    name: str,
    get: Getter,
    *,
    read: Right = Permission.READ,
    write_with: Setter | None = None,
    write: Right = None,
) -> CosemObject:
    """Return a Data object (IC 1)."""
    return CosemObject(1, name, {2: Attribute(get, read=read, set=write_with, write=write)})


def register(
    name: str,
    get: Getter,
    scaler: int,
    unit: int,
    *,
    read: Right = Permission.READ,
    write_with: Setter | None = None,
    write: Right = None,
    reset: Method | None = None,
) -> CosemObject:
    """Return a Register (IC 3): the value counts ``10 ** scaler`` of ``unit``."""
    attributes = {
        2: Attribute(get, read=read, set=write_with, write=write),
        3: constant(scaler_unit(scaler, unit), read),
    }
    return CosemObject(3, name, attributes, {1: reset} if reset else None)


def extended_register(
    name: str, get: Getter, scaler: int, unit: int, time: Callable[[Context], dt.datetime | None]
) -> CosemObject:
    """Return an Extended register (IC 4): a value that belongs to a moment; status 0 while it holds."""
    attributes = {
        2: Attribute(get),
        3: constant(scaler_unit(scaler, unit)),
        4: constant(u8(0)),
        5: Attribute(lambda context: time_stamp(time(context))),
    }
    return CosemObject(4, name, attributes)


def scaler_unit(scaler: int, unit: int) -> Data:
    """Return the structure ``scal_unit_type``."""
    return structure(i8(scaler), enum_(unit))


def time_stamp(time: dt.datetime | None) -> Data:
    """Return a moment as clocks and profiles hold it; null-data for none."""
    return null() if time is None else date_time_octets(CosemDateTime.of(time))
