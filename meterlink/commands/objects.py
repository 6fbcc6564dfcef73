"""COSEM objects as readings: which attributes an object is read by, and what they say together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from meterlink import notation
from meterlink.cosem.data import Data, Tag
from meterlink.cosem.dates import CosemDate, CosemDateTime
from meterlink.cosem.names import Attribute
from meterlink.cosem.objects.units import ScalerUnit
from meterlink.errors import ProtocolError, UsageError
from meterlink.meters.profile import CosemObject, Profile
from meterlink.values import Obis, Reading, Value

UNKNOWN_CLASS: Final = 0
"""Class of an object whose class only the meter can tell."""

DATA, REGISTER, EXTENDED_REGISTER, DEMAND_REGISTER, PROFILE_GENERIC, CLOCK = 1, 3, 4, 5, 7, 8

SCALER_UNIT: Final[Mapping[int, int]] = MappingProxyType({REGISTER: 3, EXTENDED_REGISTER: 3, DEMAND_REGISTER: 4})
"""Interface class -> the attribute with scaler and unit."""

LONGEST: Final = 16_384
"""Characters or octets of a value that a reading holds."""

_TOO_LONG: Final = (
    f"longer than {LONGEST} characters: `meterlink cosem get` shows it, `read --profile` the rows of a profile"
)

_CAPTURE_TIME: Final[Mapping[int, int]] = MappingProxyType({EXTENDED_REGISTER: 5, DEMAND_REGISTER: 6})
_DATE_LENGTH: Final = 5


def find_object(profile: Profile, wanted: str) -> CosemObject:
    """Return the object of ``profile`` that the user calls ``wanted``, by name or by OBIS code.

    Raises UsageError ``unknown-object`` with the list of known names.
    """
    name = wanted.strip().lower().replace("-", "_")
    code = _code(wanted)
    for known in profile.objects:
        if known.name == name or known.obis == code:
            return known
    names = ", ".join(known.name.replace("_", "-") for known in profile.objects)
    raise UsageError(
        f"the profile {profile.name} has no object {wanted!r}", code="unknown-object", hint=f"known are {names}"
    )


def any_object(profile: Profile, wanted: str) -> CosemObject:
    """Return the object called ``wanted``, also one that ``profile`` does not have, by its OBIS code: its class is
    :data:`UNKNOWN_CLASS` then. Raises UsageError ``unknown-object`` for a name that is not known."""
    code = _code(wanted)
    if code is None or any(known.obis == code for known in profile.objects):
        return find_object(profile, wanted)
    return CosemObject(str(code), code, UNKNOWN_CLASS)


def name_of(profile: Profile, obis: Obis) -> str:
    """Return the name that ``profile`` gives to an object, or its OBIS code."""
    return next((known.name for known in profile.objects if known.obis == obis), str(obis))


def attributes_of(thing: CosemObject) -> tuple[Attribute, ...]:
    """Return the attributes to read for one object: the value, then scaler and unit and the capture time where the
    class has them."""
    extras = (SCALER_UNIT.get(thing.class_id), _CAPTURE_TIME.get(thing.class_id))
    indexes = (thing.attribute, *(index for index in extras if index is not None))
    return tuple(Attribute(thing.class_id, thing.obis, index) for index in indexes)


def reading_of(thing: CosemObject, values: Sequence[Data]) -> Reading:
    """Make a reading of the values of :func:`attributes_of`, in their order; one whose value is longer than
    :data:`LONGEST` has a note in its place. Raises ProtocolError for a wrong type."""
    value: Value
    if thing.class_id in SCALER_UNIT:
        scaler_unit = ScalerUnit.from_data(values[1])
        value, unit = scaled(values[0], scaler_unit), scaler_unit.symbol
    else:
        value, unit = _plain(thing, values[0]), thing.unit
    time = moment_of(values[2]) if thing.class_id in _CAPTURE_TIME else None
    source = f"{thing.class_id}/{thing.obis}/{attributes_of(thing)[0].index}"
    if isinstance(value, str | bytes) and len(value) > LONGEST:
        return Reading(thing.name, None, unit, obis=thing.obis, source=source, note=_TOO_LONG)
    return Reading(thing.name, value, unit, obis=thing.obis, time=time, storage=thing.storage, source=source)


def scaled(data: Data, scaler_unit: ScalerUnit) -> Value:
    """Return the value of a register; registers may also hold text, and null-data while there is no value."""
    if data.tag is Tag.NULL_DATA:
        return None
    if isinstance(data.value, str | bytes) and not isinstance(data.value, bool):
        return plain_value(data)
    return scaler_unit.apply(data)


def plain_value(data: Data) -> Value:
    """Return what ``data`` says on its own; what Python has no type for as people write it, see
    :mod:`meterlink.notation`."""
    if data.tag is Tag.OCTET_STRING:
        return _text(data.as_bytes())
    value = data.value
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return Decimal(str(value))
    moment = moment_of(data) if isinstance(value, CosemDateTime) else None
    return notation.shortened(data, LONGEST + 1) if moment is None else moment


def moment_of(data: Data) -> dt.datetime | None:
    """Return the moment in a date-time; None for one that is not wholly told. Raises ProtocolError."""
    try:
        return data.as_date_time().as_datetime()
    except ValueError as error:
        raise ProtocolError(f"the meter's date and time make no sense: {error}") from error


def _plain(thing: CosemObject, data: Data) -> Value:
    if thing.class_id == CLOCK and thing.attribute == 2:
        return moment_of(data)
    if thing.form == "day" and isinstance(data.value, bytes) and len(data.value) == _DATE_LENGTH:
        day = CosemDate.from_bytes(data.value)
        return f"{day.month or 0:02d}-{day.day or 0:02d}"
    return plain_value(data)


def _code(text: str) -> Obis | None:
    try:
        return Obis.parse(text)
    except ValueError:
        return None


def _text(octets: bytes) -> str | bytes:
    """Octet strings hold text as often as octets (IEC 62056-6-2 leaves it open): printable ASCII is taken for text."""
    if octets and all(0x20 <= octet < 0x7F for octet in octets):
        return octets.decode("ascii")
    return octets
