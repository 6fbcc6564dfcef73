"""COSEM objects as readings: which attributes an object is read by, and what they say together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from meterlink.cosem.data import Data, Tag
from meterlink.cosem.names import Attribute
from meterlink.cosem.objects.units import ScalerUnit
from meterlink.errors import ProtocolError, UsageError
from meterlink.meters.profile import CosemObject, Profile
from meterlink.values import Obis, Reading, Value

_DATA, _REGISTER, _EXTENDED_REGISTER, _CLOCK = 1, 3, 4, 8

_ATTRIBUTES: Final[Mapping[int, tuple[int, ...]]] = MappingProxyType(
    {
        _DATA: (2,),
        _REGISTER: (2, 3),
        _EXTENDED_REGISTER: (2, 3, 5),
        _CLOCK: (2,),
    }
)
"""Interface class -> the attributes that make a reading: value, then scaler and unit, then capture time."""


def find_object(profile: Profile, wanted: str) -> CosemObject:
    """Return the object of ``profile`` that the user calls ``wanted``, by name or by OBIS code.

    Raises UsageError ``unknown-object`` with the list of known names.
    """
    name = wanted.strip().lower().replace("-", "_")
    code: Obis | None
    try:
        code = Obis.parse(wanted)
    except ValueError:
        code = None
    for known in profile.objects:
        if known.name == name or known.obis == code:
            return known
    names = ", ".join(known.name.replace("_", "-") for known in profile.objects)
    raise UsageError(
        f"the profile {profile.name} has no object {wanted!r}", code="unknown-object", hint=f"known are {names}"
    )


def attributes_of(thing: CosemObject) -> tuple[Attribute, ...]:
    """Return the attributes to read for one object: those of its class's rule, else the one that the profile names."""
    indexes = _ATTRIBUTES.get(thing.class_id, (thing.attribute,))
    return tuple(Attribute(thing.class_id, thing.obis, index) for index in indexes)


def reading_of(thing: CosemObject, values: Sequence[Data]) -> Reading:
    """Make a reading of the values of :func:`attributes_of`, in their order. Raises ProtocolError for a wrong type."""
    value: Value
    if thing.class_id in {_REGISTER, _EXTENDED_REGISTER}:
        scaler_unit = ScalerUnit.from_data(values[1])
        value, unit = scaler_unit.apply(values[0]), scaler_unit.symbol
    else:
        value, unit = _plain(thing, values[0]), thing.unit
    time = _moment(values[2]) if thing.class_id == _EXTENDED_REGISTER else None
    source = f"{thing.class_id}/{thing.obis}/{attributes_of(thing)[0].index}"
    return Reading(thing.name, value, unit, obis=thing.obis, time=time, source=source)


def _plain(thing: CosemObject, data: Data) -> Value:
    if thing.class_id == _CLOCK:
        return _moment(data)
    native = data.native()
    if data.tag is Tag.OCTET_STRING:
        return _text(data.as_bytes())
    if isinstance(native, bool) or native is None:
        return native
    if isinstance(native, int | float):
        return Decimal(str(native))
    if isinstance(native, str | bytes | dt.datetime):
        return native
    return str(native)


def _text(octets: bytes) -> str | bytes:
    """Octet strings hold text as often as octets (IEC 62056-6-2 leaves it open): printable ASCII is taken for text."""
    if octets and all(0x20 <= octet < 0x7F for octet in octets):
        return octets.decode("ascii")
    return octets


def _moment(data: Data) -> dt.datetime | None:
    try:
        return data.as_date_time().as_datetime()
    except ValueError as error:
        raise ProtocolError(f"the meter's date and time make no sense: {error}") from error
