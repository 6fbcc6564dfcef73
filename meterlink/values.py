"""What a meter's answer means: OBIS codes and readings."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

_OBIS = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[*.](\d{1,3}))?\Z")


@dataclass(frozen=True, slots=True, order=True)
class Obis:
    """An OBIS code, value groups A to F, each 0..255 (IEC 62056-61)."""

    a: int
    b: int
    c: int
    d: int
    e: int
    f: int = 255

    def __post_init__(self) -> None:
        for group in (self.a, self.b, self.c, self.d, self.e, self.f):
            if not 0 <= group <= 255:
                raise ValueError(f"an OBIS value group is 0..255, not {group}")

    @classmethod
    def parse(cls, text: str) -> Obis:
        """Read ``A-B:C.D.E*F``; group F may be left out (255) or follow a dot.

        Raises ``ValueError``.
        """
        match = _OBIS.match(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not an OBIS code like 6-0:1.0.0*255")
        groups = [int(group) for group in match.groups(default="255")]
        return cls(*groups)

    @classmethod
    def from_bytes(cls, data: bytes) -> Obis:
        """Read a COSEM logical name of six octets. Raises ``ValueError``."""
        if len(data) != 6:
            raise ValueError(f"a logical name has 6 octets, not {len(data)}")
        return _logical_name(bytes(data))

    def to_bytes(self) -> bytes:
        """Return the COSEM logical name, six octets."""
        return bytes((self.a, self.b, self.c, self.d, self.e, self.f))

    def __str__(self) -> str:
        return f"{self.a}-{self.b}:{self.c}.{self.d}.{self.e}*{self.f}"


@lru_cache(maxsize=1024)
def _logical_name(data: bytes) -> Obis:
    """Read a logical name. A meter has some hundred of them, and every message speaks of one."""
    return Obis(*data)


Value = Decimal | dt.datetime | dt.date | str | bytes | bool | None
"""What a reading can hold. Numbers are always ``Decimal``, so that no digit of the meter is lost."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value that a meter gave.

    ``unit`` is the symbol (``MWh``, ``m³``, ``°C``; empty for none), ``time`` the moment the value belongs to where
    the meter says so, ``storage`` the storage number (0 is current, 1 the last stored set, ...), ``tariff`` the
    tariff register (0 is the total), ``source`` what the meter itself calls it (``6.8*01``, a DIF/VIF in hex, a COSEM
    attribute). ``note`` says what is wrong with a value that could only be read in part; such a reading has ``value``
    None and the raw text in ``raw``.
    """

    name: str
    value: Value
    unit: str = ""
    obis: Obis | None = None
    time: dt.datetime | dt.date | None = None
    storage: int = 0
    tariff: int = 0
    source: str = ""
    note: str = ""
    raw: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the reading in the form of ``read --json``; a number is a decimal string."""
        out: dict[str, Any] = {
            "name": self.name,
            "obis": None if self.obis is None else str(self.obis),
            "value": value_as_json(self.value),
            "unit": self.unit,
            "time": None if self.time is None else self.time.isoformat(),
            "storage": self.storage,
            "tariff": self.tariff,
            "source": self.source,
        }
        if self.note:
            out["note"] = self.note
            out["raw"] = self.raw
        return out


@dataclass(frozen=True, slots=True)
class MeterReport:
    """A meter and what it said: the result of ``read`` and ``decode``.

    ``meter`` holds what is known of the meter itself (manufacturer, model, serial number, firmware), ``notes``
    sentences for the user.
    """

    meter: dict[str, str] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the report in the form of ``read --json`` and ``decode --json``."""
        return {
            "meter": self.meter,
            "readings": [reading.as_json() for reading in self.readings],
            "notes": list(self.notes),
        }


def value_as_json(value: Value) -> str | bool | None:
    """Return a value for JSON: a number as decimal string, a time in ISO 8601, octets in hex."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.date):  # datetime is one, too
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value
