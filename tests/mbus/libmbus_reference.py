"""Reads libmbus' decoding of a telegram and says where ours differs from it."""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ElementTree
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from meterlink.framing.mbus.frame import LongFrame, read_frame
from meterlink.mbus import Function, Record, Telegram, decode_telegram

CAPTURES = Path(__file__).parent.parent / "data" / "mbus"

# libmbus gives plain SI-like units; ours are those a person reads. Factor from ours to its.
_FACTORS = {
    "kWh": ("Wh", 10**3),
    "MWh": ("Wh", 10**6),
    "MJ": ("J", 10**6),
    "GJ": ("J", 10**9),
    "kW": ("W", 10**3),
    "m³": ("m^3", 1),
    "m³/h": ("m^3/h", 1),
    "min": ("s", 60),
    "h": ("s", 3600),
    "d": ("s", 86400),
}
_FUNCTIONS = {
    "Instantaneous value": Function.INSTANTANEOUS,
    "Maximum value": Function.MAXIMUM,
    "Minimum value": Function.MINIMUM,
    "Value during error state": Function.ERROR,
}


class Difference(NamedTuple):
    """One place where the decodings part."""

    record: int
    field: str
    libmbus: str
    ours: str


def telegram_of(name: str) -> Telegram:
    """Decode the capture called ``name``."""
    found = read_frame(bytes.fromhex(re.sub(r"\s", "", (CAPTURES / f"{name}.hex").read_text())))
    assert isinstance(found, tuple)
    assert isinstance(found[0], LongFrame)
    return decode_telegram(found[0])


def names() -> list[str]:
    """Return the names of all captures that libmbus decodes."""
    return sorted(path.name.removesuffix(".norm.xml") for path in CAPTURES.glob("*.norm.xml"))


def differences(name: str) -> list[Difference]:
    """Compare our decoding of a capture with libmbus', record by record."""
    telegram = telegram_of(name)
    root = ElementTree.parse(CAPTURES / f"{name}.norm.xml").getroot()
    theirs = [element for element in root if element.tag == "DataRecord"]
    plain = [element for element in theirs if element.findtext("Function") not in _ENDS]
    found = [Difference(-1, "records", str(len(plain)), str(len(telegram.records)))]
    if len(plain) == len(telegram.records):
        found.clear()
    for index, (element, record) in enumerate(zip(plain, telegram.records, strict=False)):
        found += _compare(index, element, record)
    return found


_ENDS = {"Manufacturer specific", "More records follow"}


def _compare(index: int, element: ElementTree.Element, record: Record) -> list[Difference]:
    found = []
    header = record.header
    function = _FUNCTIONS.get(element.findtext("Function") or "")
    if function is not None and function is not header.function:
        found.append(Difference(index, "function", function.value, header.function.value))
    for field, ours in (("StorageNumber", header.storage), ("Tariff", header.tariff), ("Device", header.subunit)):
        text = element.findtext(field)
        if text is not None and int(text) != ours:
            found.append(Difference(index, field, text, str(ours)))
    theirs_value, theirs_unit = _theirs(element)
    ours_value, ours_unit = _normalised(record)
    if not _same_value(theirs_value, ours_value):
        found.append(Difference(index, "value", theirs_value, ours_value))
    if ours_unit and theirs_unit != ours_unit:
        found.append(Difference(index, "unit", theirs_unit, ours_unit))
    return found


def _theirs(element: ElementTree.Element) -> tuple[str, str]:
    value, unit = element.findtext("Value") or "", element.findtext("Unit") or ""
    # The files are UTF-8 and say that they are ISO 8859-1.
    unit = unit.encode("latin-1").decode("utf-8")
    # Of the fixed data structure it gives the meter's own units.
    factor, plain = {"kWh": (1000, "Wh"), "l": (Decimal("0.001"), "m^3")}.get(unit, (1, unit))
    return (value, unit) if factor == 1 else (str(Decimal(value) * factor), plain)


def _normalised(record: Record) -> tuple[str, str]:
    unit, factor = _FACTORS.get(record.header.unit, (record.header.unit, 1))
    value = record.value
    if isinstance(value, Decimal):
        return format(value * factor, "f"), unit
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ"), unit
    if isinstance(value, bytes):
        return value.hex(" ").upper(), unit
    return str(value), unit


def _same_value(theirs: str, ours: str) -> bool:
    if theirs.strip() == ours.strip():
        return True
    try:
        left, right = Decimal(theirs), Decimal(ours)
    except ArithmeticError:
        return False
    # libmbus prints floats with six decimals.
    return abs(left - right) <= max(Decimal("0.0000006"), abs(right) * Decimal("0.0000005"))
