"""Combinable (orthogonal) extensions of a value information field (EN 13757-3, 6.4.7) and their second table, VIFE FC.

An extension can change what the data are: with "date of the end of the last ..." (6F and its kin) the data field is a
time point, whatever the VIF before it says. A decoder that overlooks this takes the date of a maximum for a power.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

SECOND_TABLE: Final = 0x7C
MANUFACTURER_SPECIFIC: Final = 0x7F


class Effect(enum.Enum):
    """What an extension does to the value of its record."""

    LABEL = "label"
    TIME_POINT = "time point"
    DURATION = "duration"
    COUNT = "count"
    FACTOR = "factor"
    OFFSET = "offset"
    PER = "per"
    TIMES = "times"
    OTHER_UNIT = "other unit"
    UNSIGNED = "unsigned"
    FLAGS = "flags"
    OCTETS = "octets"
    ERROR = "error"
    PROFILE = "profile"


@dataclass(frozen=True, slots=True)
class Extension:
    """One row: ``words`` for the user; ``number`` is a power of ten (factor, offset), ``unit`` that of a duration,
    divisor or multiplier."""

    words: str
    effect: Effect = Effect.LABEL
    number: int = 0
    unit: str = ""


def _time_points() -> dict[int, Extension]:
    rows = {}
    for last, which in ((0, "first"), (1, "last")):
        for end, edge in ((0, "begin"), (1, "end")):
            # E110 1f1b: f first or last, b begin or end; E100 uf1b the same for limits, u lower or upper.
            rows[0x6A | last << 2 | end] = Extension(f"{edge} of {which}", Effect.TIME_POINT)
            for upper, limit in ((0, "lower"), (1, "upper")):
                words = f"{edge} of {which} {limit} limit exceed"
                rows[0x42 | upper << 3 | last << 2 | end] = Extension(words, Effect.TIME_POINT)
    return rows


def _durations() -> dict[int, Extension]:
    rows = {}
    for n, unit in enumerate(("s", "min", "h", "d")):
        for last, which in ((0, "first"), (1, "last")):
            rows[0x60 | last << 2 | n] = Extension(f"duration of {which}", Effect.DURATION, unit=unit)
            for upper, limit in ((0, "lower"), (1, "upper")):
                words = f"duration of {which} {limit} limit exceed"
                rows[0x50 | upper << 3 | last << 2 | n] = Extension(words, Effect.DURATION, unit=unit)
    return rows


_ERRORS: Final = {
    0x01: "too many DIFEs",
    0x02: "storage number not implemented",
    0x03: "unit number not implemented",
    0x04: "tariff number not implemented",
    0x05: "function not implemented",
    0x06: "data class not implemented",
    0x07: "data size not implemented",
    0x0B: "too many VIFEs",
    0x0C: "illegal VIF group",
    0x0D: "illegal VIF exponent",
    0x0E: "VIF and DIF do not match",
    0x0F: "unimplemented action",
    0x15: "no data available",
    0x16: "data overflow",
    0x17: "data underflow",
    0x18: "data error",
    0x1C: "premature end of record",
}

_PER: Final = {
    0x20: "s",
    0x21: "min",
    0x22: "h",
    0x23: "d",
    0x24: "week",
    0x25: "month",
    0x26: "year",
    0x27: "revolution",
    0x28: "input pulse (channel 0)",
    0x29: "input pulse (channel 1)",
    0x2A: "output pulse (channel 0)",
    0x2B: "output pulse (channel 1)",
    0x2C: "l",
    0x2D: "m³",
    0x2E: "kg",
    0x2F: "K",
    0x30: "kWh",
    0x31: "GJ",
    0x32: "kW",
    0x33: "(K·l)",
    0x34: "V",
    0x35: "A",
}

_TIMES: Final = {0x36: "s", 0x37: "s/V", 0x38: "s/A"}

COMBINABLE: Final = MappingProxyType(
    {
        0x00: Extension("no error"),
        **{code: Extension(words, Effect.ERROR) for code, words in _ERRORS.items()},
        0x12: Extension("average"),
        0x13: Extension("inverse compact profile", Effect.PROFILE),
        0x14: Extension("relative deviation"),
        0x1D: Extension("standard conform data content"),
        0x1E: Extension("compact profile with registers", Effect.PROFILE),
        0x1F: Extension("compact profile", Effect.PROFILE),
        **{code: Extension(f"per {unit}", Effect.PER, unit=unit) for code, unit in _PER.items()},
        **{code: Extension(f"multiplied by {unit}", Effect.TIMES, unit=unit) for code, unit in _TIMES.items()},
        0x39: Extension("start", Effect.TIME_POINT),
        0x3A: Extension("uncorrected"),
        0x3B: Extension("forward flow only"),
        0x3C: Extension("backward flow only"),
        0x3D: Extension("non-metric unit", Effect.OTHER_UNIT),
        0x3E: Extension("at base conditions"),
        0x3F: Extension("OBIS declaration", Effect.OCTETS),
        0x40: Extension("lower limit"),
        0x48: Extension("upper limit"),
        0x41: Extension("number of lower limit exceeds", Effect.COUNT),
        0x49: Extension("number of upper limit exceeds", Effect.COUNT),
        **_time_points(),
        **_durations(),
        0x68: Extension("during lower limit exceed"),
        0x6C: Extension("during upper limit exceed"),
        0x69: Extension("leakage"),
        0x6D: Extension("overflow"),
        **{0x70 + n: Extension(f"times 10^{n - 6}", Effect.FACTOR, n - 6) for n in range(8)},
        **{0x78 + n: Extension(f"plus 10^{n - 3}", Effect.OFFSET, n - 3) for n in range(4)},
        0x7D: Extension("times 10^3", Effect.FACTOR, 3),
        0x7E: Extension("future value"),
    }
)

COMBINABLE_FC: Final = MappingProxyType(
    {
        0x01: Extension("phase L1"),
        0x02: Extension("phase L2"),
        0x03: Extension("phase L3"),
        0x04: Extension("neutral"),
        0x05: Extension("between L1 and L2"),
        0x06: Extension("between L2 and L3"),
        0x07: Extension("between L3 and L1"),
        0x08: Extension("quadrant 1"),
        0x09: Extension("quadrant 2"),
        0x0A: Extension("quadrant 3"),
        0x0B: Extension("quadrant 4"),
        0x0C: Extension("import minus export"),
        0x0D: Extension("alternative non-metric unit", Effect.OTHER_UNIT),
        0x0E: Extension("secondary sensor"),
        0x0F: Extension("higher resolution register"),
        0x10: Extension("import plus export"),
        0x11: Extension("data type C", Effect.UNSIGNED),
        0x12: Extension("data type D", Effect.FLAGS),
        0x13: Extension("end", Effect.TIME_POINT),
        0x14: Extension("to the meter"),
        0x15: Extension("from the meter"),
    }
)
