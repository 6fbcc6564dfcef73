"""From text data sets to readings, by the profile of the meter family."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from meterlink.meters.flags import describe
from meterlink.meters.notes import ENFORCES_NOTHING
from meterlink.meters.profile import Kind, Profile, ValueRule, profile, profiles
from meterlink.readout import (
    BlockCheck,
    DamagedText,
    DataSet,
    DataValue,
    TextTelegram,
    read_datasets,
    read_date,
    read_moment,
    read_number,
    read_set_day,
)
from meterlink.values import MeterReport, Obis, Reading, Value

_HISTORY = re.compile(r"(?P<code>.+?)\*(?P<storage>\d{1,2})\Z", re.ASCII)
_GENERIC: Final = "generic-text"
_OBIS_CURRENT, _OBIS_SET_DATE, _OBIS_NO_PERIOD = 0, 2, 255

LIVE_IS_EMPTY: Final = "the meter gives no value: it cannot measure now (air in the measuring tube?)"


def choose_profile(telegram: TextTelegram, codes: Iterable[str]) -> Profile:
    """Return the family of a readout: by its identification, or, when that was lost or is new, by the codes it has."""
    texts = [candidate for candidate in profiles() if candidate.protocol == "text"]
    name = "" if telegram.identification is None else str(telegram.identification)[1:]
    known = set(codes)
    identified = {beginning: one for one in texts for beginning in one.identify if name.startswith(beginning)}
    if identified:
        return identified[max(identified, key=len)]
    signed = [one for one in texts if one.signature and known.issuperset(one.signature)]
    return max(signed, key=lambda one: len({*one.signature}), default=profile(_GENERIC))


def report(telegrams: Sequence[TextTelegram], family: Profile | None = None) -> MeterReport:
    """Turn the readouts of one meter into a report. ``family`` None finds the profile from each readout."""
    meter: dict[str, str] = {}
    readings: dict[Reading, None] = {}
    notes: list[str] = []
    for telegram in telegrams:
        items = read_datasets(telegram.body)
        sets = [item for item in items if isinstance(item, DataSet)]
        chosen = family or choose_profile(telegram, (item.address for item in sets))
        found = _readings(items, chosen)
        readings |= dict.fromkeys(found)
        meter |= _meter(telegram, chosen, found)
        notes += telegram.notes
        notes += _about_family(telegram, chosen)
        notes += [f"{_label(reading)}: {reading.note} ({reading.raw!r})" for reading in found if reading.note]
        notes += chosen.notes
        if telegram.block_check is BlockCheck.ABSENT:
            notes.append("no block check came with this readout: a changed character cannot be noticed")
        elif telegram.block_check is BlockCheck.WRONG and not any(reading.note for reading in found):
            notes.append("which value the wrong block check speaks of cannot be told: trust none, read again")
    notes.append(ENFORCES_NOTHING)
    return MeterReport(meter, tuple(readings), tuple(dict.fromkeys(notes)))


def _about_family(telegram: TextTelegram, family: Profile) -> list[str]:
    identification = telegram.identification
    if identification is None or str(identification)[1:].startswith(family.identify or ("\0",)):
        return []
    if family.name == _GENERIC:
        return [f"{identification} is no family that is known here: codes are shown as they are"]
    return [f"{identification} is no family that is known here: read as {family.name}, whose codes it has"]


def _label(reading: Reading) -> str:
    return f"{reading.name} ({reading.source})" if reading.source != reading.name else reading.name


def _meter(telegram: TextTelegram, family: Profile, readings: Iterable[Reading]) -> dict[str, str]:
    meter = {"family": family.name}
    if family.manufacturer:
        meter["manufacturer"] = family.manufacturer
    if telegram.identification is not None:
        meter.setdefault("manufacturer", telegram.identification.manufacturer)
        meter["model"] = telegram.identification.text
        meter["identification"] = str(telegram.identification)
    for reading in readings:
        if reading.name in {"serial_number", "firmware"} and isinstance(reading.value, str) and reading.value:
            meter.setdefault(reading.name, reading.value)
    return meter


def _readings(items: Sequence[DataSet | DamagedText], family: Profile) -> list[Reading]:
    by_code = {item.address: item for item in items if isinstance(item, DataSet)}
    readings: list[Reading] = []
    for item in items:
        if isinstance(item, DamagedText):
            note = "damaged text: a parenthesis or a code was lost"
            readings.append(Reading("damaged", None, source=f"line {item.line}", note=note, raw=item.raw))
            continue
        rules, storage = _rules(item.address, family)
        if not rules:
            readings.append(_unknown(item, family))
        for rule in rules:
            readings.append(_reading(rule, item, storage, by_code, family))
    return readings


def _rules(address: str, family: Profile) -> tuple[tuple[ValueRule, ...], int]:
    """Return the rules of a code and its storage number; ``6.8*01`` is ``6.8`` of the first set day before."""
    rules = family.rules(address)
    match = _HISTORY.match(address)
    if rules or match is None:
        return rules, 0
    return family.rules(match["code"]), int(match["storage"])


def _reading(rule: ValueRule, item: DataSet, storage: int, by_code: dict[str, DataSet], family: Profile) -> Reading:
    part = _part(rule, item)
    moment = None
    if rule.time_code:
        dated = by_code.get(f"{rule.time_code}*{storage:02d}" if storage else rule.time_code)
        moment = None if dated is None else read_moment(dated.raw)
    reading = Reading(
        rule.name,
        None,
        unit=family.units.get(part.unit, part.unit) or rule.unit,
        obis=_stored(rule.obis, storage),
        time=moment,
        storage=storage,
        tariff=rule.tariff,
        source=item.address,
    )
    if not part.text.strip(" &"):
        note = LIVE_IS_EMPTY if rule.live else ""
        return dataclasses.replace(reading, note=note, raw=item.raw if note else "")
    value = _value(rule, part, family)
    if value is not None or _is_never(rule, part.text):
        return dataclasses.replace(reading, value=value)
    return dataclasses.replace(reading, note=f"is no {_WANTED[rule.kind]}", raw=item.raw)


_WANTED: Final[Mapping[Kind, str]] = {
    "number": "number",
    "date": "date",
    "moment": "date with time",
    "set-day": "set day",
    "text": "readable text",
    "flags": "readable error field",
}


def _part(rule: ValueRule, item: DataSet) -> DataValue:
    if rule.part is not None:
        return item.values[rule.part] if rule.part < len(item.values) else DataValue("")
    if rule.kind == "number" and len(item.values) == 1:
        return item.values[0]
    return DataValue(item.raw)


def _value(rule: ValueRule, part: DataValue, family: Profile) -> Value:
    if "\ufffd" in part.text:
        return None
    match rule.kind:
        case "number":
            return read_number(part.text)
        case "date":
            return read_date(part.text)
        case "moment":
            return read_moment(part.text)
        case "set-day":
            return read_set_day(part.text)
        case "flags":
            return describe(part.text, family)
        case "text":
            return part.text


def _is_never(rule: ValueRule, text: str) -> bool:
    """An all-zero date is the meter's way to say that it never happened."""
    return rule.kind in {"date", "moment"} and (not text.strip("0-.:& ") or text.startswith("2000-00-00"))


def _unknown(item: DataSet, family: Profile) -> Reading:
    """A code that the profile does not know keeps its name and its text; a plain OBIS code gets its number."""
    if family.name != _GENERIC:
        return Reading(item.address, item.raw, source=item.address)
    try:
        obis = Obis.parse(item.address)
    except ValueError:
        obis = None
    if len(item.values) == 1:
        value = read_number(item.values[0].text)
        if value is not None and (item.values[0].unit or "." in item.raw):
            unit = item.values[0].unit
            return Reading(item.address, value, family.units.get(unit, unit), obis, source=item.address)
    return Reading(item.address, item.raw, obis=obis, source=item.address)


def _stored(obis: Obis | None, storage: int) -> Obis | None:
    """Return the OBIS code of a stored value: group D becomes "set date value", group F counts the set days back."""
    if obis is None or storage == 0 or obis.f != _OBIS_NO_PERIOD:
        return obis
    return dataclasses.replace(obis, d=_OBIS_SET_DATE if obis.d == _OBIS_CURRENT else obis.d, f=storage)
