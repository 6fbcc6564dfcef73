"""What a value information field says a number is: quantity, unit, power of ten."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """How the data field of a record is read."""

    NUMBER = "number"
    COUNTED = "counted"
    """A number of which nothing is known: no value of it is a special one."""
    UNSIGNED = "unsigned"
    FLAGS = "flags"
    TIME_POINT = "time point"
    TEXT = "text"
    IDENTIFICATION = "identification"
    MANUFACTURER = "manufacturer"
    MEDIUM = "medium"
    DAYLIGHT_SAVING = "daylight saving"
    LISTENING_WINDOW = "listening window"
    OCTETS = "octets"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One row of a VIF table. A number is multiplied by ``10 ** exponent`` to be in ``unit``."""

    name: str
    unit: str = ""
    exponent: int = 0
    kind: Kind = Kind.NUMBER


def decades(first: int, count: int, name: str, unit: str, exponent: int) -> dict[int, Quantity]:
    """Rows whose last bits are a power of ten: code ``first + n`` has ``exponent + n``."""
    return {first + n: Quantity(name, unit, exponent + n) for n in range(count)}


def durations(first: int, name: str, units: tuple[str, ...] = ("s", "min", "h", "d")) -> dict[int, Quantity]:
    """Rows whose last bits are a unit of time."""
    return {first + n: Quantity(name, unit) for n, unit in enumerate(units)}
