"""Primary value information fields (EN 13757-3, 6.4.2), codes without the extension bit.

Energy is in kWh and power in kW, whatever power of ten the meter counts in: the digits stay as they are.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from meterlink.mbus.quantity import Kind, Quantity, decades, durations

PLAIN_TEXT: Final = 0x7C
ANY: Final = 0x7E
MANUFACTURER_SPECIFIC: Final = 0x7F
EXTENSION_FB: Final = 0xFB
EXTENSION_FD: Final = 0xFD
EXTENSION_EF: Final = 0xEF

PRIMARY: Final = MappingProxyType(
    {
        **decades(0x00, 8, "energy", "kWh", -6),
        **decades(0x08, 8, "energy", "MJ", -6),
        **decades(0x10, 8, "volume", "m³", -6),
        **decades(0x18, 8, "mass", "kg", -3),
        **durations(0x20, "on_time"),
        **durations(0x24, "operating_time"),
        **decades(0x28, 8, "power", "kW", -6),
        **decades(0x30, 8, "power", "MJ/h", -6),
        **decades(0x38, 8, "flow", "m³/h", -6),
        **decades(0x40, 8, "flow", "m³/min", -7),
        **decades(0x48, 8, "flow", "m³/s", -9),
        **decades(0x50, 8, "mass_flow", "kg/h", -3),
        **decades(0x58, 4, "flow_temperature", "°C", -3),
        **decades(0x5C, 4, "return_temperature", "°C", -3),
        **decades(0x60, 4, "temperature_difference", "K", -3),
        **decades(0x64, 4, "external_temperature", "°C", -3),
        **decades(0x68, 4, "pressure", "bar", -3),
        0x6C: Quantity("date", kind=Kind.TIME_POINT),
        0x6D: Quantity("time", kind=Kind.TIME_POINT),
        0x6E: Quantity("heat_cost_units"),
        **durations(0x70, "averaging_duration"),
        **durations(0x74, "actuality_duration"),
        0x78: Quantity("fabrication_number", kind=Kind.IDENTIFICATION),
        0x79: Quantity("enhanced_identification", kind=Kind.IDENTIFICATION),
        0x7A: Quantity("bus_address", kind=Kind.UNSIGNED),
        ANY: Quantity("any", kind=Kind.OCTETS),
        MANUFACTURER_SPECIFIC: Quantity("manufacturer_specific", kind=Kind.COUNTED),
    }
)
