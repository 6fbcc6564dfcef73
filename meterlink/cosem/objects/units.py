"""Units and scalers (IEC 62056-6-2, 4.3.2: scal_unit_type)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from meterlink.cosem.data import Data, enum_, i8, structure
from meterlink.errors import ProtocolError

NO_UNIT: Final = 255

UNITS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "a",
        2: "mo",
        3: "wk",
        4: "d",
        5: "h",
        6: "min",
        7: "s",
        8: "°",
        9: "°C",
        10: "currency",
        11: "m",
        12: "m/s",
        13: "m³",
        14: "m³",  # corrected volume
        15: "m³/h",
        16: "m³/h",  # corrected
        17: "m³/d",
        18: "m³/d",  # corrected
        19: "l",
        20: "kg",
        21: "N",
        22: "Nm",
        23: "Pa",
        24: "bar",
        25: "J",
        26: "J/h",
        27: "W",
        28: "VA",
        29: "var",
        30: "Wh",
        31: "VAh",
        32: "varh",
        33: "A",
        34: "C",
        35: "V",
        36: "V/m",
        37: "F",
        38: "Ω",
        39: "Ωm²/m",
        40: "Wb",
        41: "T",
        42: "A/m",
        43: "H",
        44: "Hz",
        45: "1/(Wh)",
        46: "1/(varh)",
        47: "1/(VAh)",
        48: "V²h",
        49: "A²h",
        50: "kg/s",
        51: "S",
        52: "K",
        53: "1/(V²h)",
        54: "1/(A²h)",
        55: "1/m³",
        56: "%",
        57: "Ah",
        60: "Wh/m³",
        61: "J/m³",
        62: "mol%",
        63: "g/m³",
        64: "Pa s",
        65: "J/kg",
        66: "g/cm²",
        67: "atm",
        70: "dBm",
        71: "dBµV",
        72: "dB",
        254: "other",
        NO_UNIT: "",
    }
)
"""Code -> symbol. Codes that are not listed are reserved or for the manufacturer."""


def symbol(code: int) -> str:
    """Return the symbol of a unit code 0..255; one that the table lacks is shown by its number."""
    return UNITS.get(code, f"unit {code}")


@dataclass(frozen=True, slots=True)
class ScalerUnit:
    """The scaler and unit of a register: a value counts ``10 ** scaler`` of ``unit``."""

    scaler: int
    unit: int

    @classmethod
    def from_data(cls, data: Data) -> ScalerUnit:
        """Read attribute scaler_unit: a structure of integer and enum. Raises ProtocolError."""
        scaler, unit = data.as_structure(2)
        exponent = scaler.as_int()
        if not -128 <= exponent <= 127:
            raise ProtocolError(f"a scaler is -128..127, not {exponent}", code="unexpected-type")
        return cls(exponent, unit.as_int())

    def to_data(self) -> Data:
        """Return the structure that stands in the attribute."""
        return structure(i8(self.scaler), enum_(self.unit))

    @property
    def symbol(self) -> str:
        """The symbol of the unit."""
        return symbol(self.unit)

    def apply(self, value: Data) -> Decimal:
        """Return the value in ``unit``, with as many digits as the register has. Raises ProtocolError for no number."""
        number = Decimal(repr(value.value)) if isinstance(value.value, float) else Decimal(value.as_int())
        if not number.is_finite():
            raise ProtocolError(f"{number} is no value of a register", code="unexpected-type")
        return number.scaleb(self.scaler)
