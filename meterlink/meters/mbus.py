"""From M-Bus telegrams to readings."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable, Sequence
from typing import Final

from meterlink.mbus import Function, Kind, Record, RecordHeader, Telegram
from meterlink.mbus.identity import MANUFACTURERS
from meterlink.mbus.profile import ProfilePoint, expand
from meterlink.meters.notes import ENFORCES_NOTHING
from meterlink.meters.profile import Profile, profile, profiles
from meterlink.values import MeterReport, Obis, Reading

_GENERIC: Final = "generic-mbus"
_HEAT: Final = frozenset({0x04, 0x0C, 0x0D})
_COOLING: Final = frozenset({0x0A, 0x0B})
_OBIS_C: Final = {
    "energy": 1,
    "volume": 2,
    "power": 8,
    "flow": 9,
    "flow_temperature": 10,
    "return_temperature": 11,
    "temperature_difference": 12,
}
_OBIS_D: Final = {Function.INSTANTANEOUS: 0, Function.MAXIMUM: 5, Function.MINIMUM: 4}
_PREFIX: Final = {
    Function.INSTANTANEOUS: "",
    Function.MAXIMUM: "max_",
    Function.MINIMUM: "min_",
    Function.ERROR: "error_",
}
_MOMENT_OF_EXTREME: Final = frozenset({"end of last", "begin of last", "end of first", "begin of first"})


def choose_profile(telegram: Telegram) -> Profile:
    """Return the family that a telegram's header belongs to, the generic one when none claims it."""
    identity = telegram.identity
    for candidate in profiles():
        for device in candidate.devices:
            if (
                identity is not None
                and device.manufacturer == identity.manufacturer
                and (not device.versions or identity.version in device.versions)
                and (not device.media or identity.medium in device.media)
            ):
                return candidate
    return profile(_GENERIC)


def report(telegrams: Sequence[Telegram], family: Profile | None = None, notes: Iterable[str] = ()) -> MeterReport:
    """Turn the telegrams of a readout, at least one, into a report. ``notes`` are put before those of the telegrams."""
    first = next((telegram for telegram in telegrams if telegram.identity is not None), telegrams[0])
    meter = _meter(first, family or choose_profile(first))
    readings: dict[Reading, None] = {}
    said = list(notes)
    numbers = list(dict.fromkeys(filter(None, map(_number, telegrams))))
    times: dict[str, _Times] = {}
    for telegram in telegrams:
        times.setdefault(_number(telegram), _Times()).learn(telegram.records)
    for telegram in telegrams:
        chosen = family or choose_profile(telegram)
        found = _readings(telegram, chosen, times[_number(telegram)])
        if len(numbers) > 1 and telegram.identity is not None:
            number = telegram.identity.number
            found = [dataclasses.replace(reading, source=f"{number}: {reading.source}") for reading in found]
        readings |= dict.fromkeys(found)
        said += telegram.notes
        said += [f"the meter reports: {words}" for words in telegram.status_words]
        if telegram.content.problem and telegram.content.problem != "encrypted":
            said.append(f"a telegram could be read in part only: {telegram.content.problem}")
        said += chosen.notes
    if len(numbers) > 1:
        said.append(f"these are telegrams of {len(numbers)} meters: {', '.join(numbers)}")
    if telegrams and telegrams[-1].content.more_follow:
        said.append("the meter has further telegrams that are not among these")
    said.append(ENFORCES_NOTHING)
    return MeterReport(meter, tuple(readings), tuple(dict.fromkeys(said)))


def _meter(telegram: Telegram, family: Profile) -> dict[str, str]:
    meter = {"family": family.name}
    if telegram.identity is not None:
        identity = telegram.identity
        if identity.manufacturer:
            meter["manufacturer"] = MANUFACTURERS.get(identity.manufacturer, identity.manufacturer)
            meter["manufacturer_code"] = identity.manufacturer
            meter["version"] = str(identity.version)
        meter["serial_number"] = identity.number
        meter["medium"] = identity.medium_name
    if family.name != _GENERIC:
        meter["model"] = family.title.partition(" ")[2]
    return meter


def _number(telegram: Telegram) -> str:
    return "" if telegram.identity is None else telegram.identity.number


class _Times:
    """When stored values and extremes were, gathered from all telegrams of one meter.

    A set of stored values has its date in a record of the same storage number; a maximum may have its moment in a
    record of its own, marked by VIFE 6F or one of its kin.
    """

    def __init__(self) -> None:
        self._sets: dict[tuple[int, int], dt.date] = {}
        self._extremes: dict[tuple[object, ...], dt.date] = {}

    def learn(self, records: Sequence[Record]) -> None:
        """Take the time points of one telegram."""
        for record in records:
            header = record.header
            if header.kind is not Kind.TIME_POINT or not isinstance(record.value, dt.date):
                continue
            if header.extensions:
                extreme = header.function in (Function.MAXIMUM, Function.MINIMUM)
                if extreme and header.extensions[0] in _MOMENT_OF_EXTREME:
                    self._extremes[_extreme(header)] = record.value
            elif header.quantity in ("date", "time") and header.function is Function.INSTANTANEOUS and header.storage:
                self._sets[header.storage, header.subunit] = record.value

    def of(self, header: RecordHeader) -> dt.datetime | dt.date | None:
        """Return the time that a record's value belongs to, None when the meter does not say."""
        if header.kind is Kind.TIME_POINT:
            return None
        if not header.extensions and (moment := self._extremes.get(_extreme(header))):
            return moment
        return self._sets.get((header.storage, header.subunit)) or self._sets.get((header.storage, 0))


def _extreme(header: RecordHeader) -> tuple[object, ...]:
    return (header.function, header.storage, header.tariff, header.subunit, header.quantity)


def _readings(telegram: Telegram, family: Profile, times: _Times) -> list[Reading]:
    content = telegram.content
    readings: list[Reading] = []
    for record in content.records:
        readings.append(_reading(record, telegram, family, times))
        if record.header.profile:
            readings += [_point(point, record, readings[-1]) for point in expand(record, content.records)]
    if content.manufacturer_data:
        source = "DIF 1F" if content.more_follow else "DIF 0F"
        readings.append(Reading("manufacturer_data", content.manufacturer_data, source=source))
    if content.rest:
        name = "encrypted" if content.problem == "encrypted" else "damaged"
        readings.append(Reading(name, None, note=content.problem, raw=content.rest.hex(" ")))
    return readings


def _reading(record: Record, telegram: Telegram, family: Profile, times: _Times) -> Reading:
    header = record.header
    name = family.names.get(header.raw.hex(" ").upper()) or _name(record)
    note = record.note
    return Reading(
        name,
        None if note else record.value,
        unit=header.unit,
        obis=_obis(record, telegram),
        time=times.of(header),
        storage=header.storage,
        tariff=header.tariff,
        source=header.raw.hex(" ").upper(),
        note=note,
        raw=record.data.hex(" ") if note else "",
    )


def _name(record: Record) -> str:
    header = record.header
    base = header.quantity
    words = list(header.extensions)
    if not header.is_known:
        base = f"vif_{header.vib.hex('_').upper()}"
    elif header.vib and header.vib[0] & 0x7F == 0x7C:
        base = _slug(header.quantity)
    if header.function is Function.ERROR and base == "on_time" and not words:
        name = "missing_time"
    elif base in ("time", "date") and not words and header.function is Function.INSTANTANEOUS:
        name = "clock" if base == "time" and not header.storage else base
    else:
        name = _PREFIX[header.function] + base
    if header.kind is Kind.TIME_POINT and words and words[0] in _MOMENT_OF_EXTREME:
        extreme = header.function in (Function.MAXIMUM, Function.MINIMUM)
        words[0] = "date" if extreme and words[0] == "end of last" else words[0]
    parts = [name, *(_slug(word) for word in words)]
    if header.subunit:
        parts.append(f"unit{header.subunit}")
    return "_".join(part for part in parts if part)


def _slug(words: str) -> str:
    return re.sub(r"[^0-9A-Za-z²³%°]+", "_", words).strip("_").lower()


def _obis(record: Record, telegram: Telegram) -> Obis | None:
    """Return the OBIS code of a heat or cooling meter's main values; None for anything else."""
    header = record.header
    medium = None if telegram.identity is None else telegram.identity.medium
    group = 6 if medium in _HEAT else 5 if medium in _COOLING else None
    quantity, function = _OBIS_C.get(header.quantity), _OBIS_D.get(header.function)
    if group is None or quantity is None or function is None:
        return None
    if header.extensions or header.subunit or header.storage > 1 or telegram.ci == 0x73:
        return None
    tariff = 0 if function else header.tariff
    stored = header.storage == 1
    return Obis(group, 0, quantity, 2 if stored and not function else function, tariff & 0xFF, 1 if stored else 255)


def _point(point: ProfilePoint, record: Record, parent: Reading) -> Reading:
    name = parent.name.replace("_" + _slug(record.header.extensions[-1]), "")
    return Reading(
        name,
        point.value,
        unit=record.header.unit,
        time=point.time,
        storage=point.storage,
        tariff=record.header.tariff,
        source=parent.source,
        note="" if point.value is not None else "invalid element of a profile",
    )
