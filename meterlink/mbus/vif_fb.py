"""Alternate extension table, VIF FB (EN 13757-3, 6.4.6)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from meterlink.mbus.quantity import Quantity, decades

EXTENSION: Final = MappingProxyType(
    {
        **decades(0x00, 2, "energy", "MWh", -1),
        **decades(0x02, 2, "reactive_energy", "kvarh", 0),
        **decades(0x04, 2, "apparent_energy", "kVAh", 0),
        0x06: Quantity("coefficient_of_performance", "", -1),
        **decades(0x08, 2, "energy", "GJ", -1),
        **decades(0x0C, 4, "energy", "Mcal", -1),
        **decades(0x10, 2, "volume", "m³", 2),
        **decades(0x14, 4, "reactive_power", "kvar", -3),
        **decades(0x18, 2, "mass", "t", 2),
        **decades(0x1A, 2, "relative_humidity", "%", -1),
        0x20: Quantity("volume", "ft³"),
        0x21: Quantity("volume", "ft³", -1),
        0x22: Quantity("volume", "gal (US)", -1),
        0x23: Quantity("volume", "gal (US)"),
        0x24: Quantity("flow", "gal (US)/min", -3),
        0x25: Quantity("flow", "gal (US)/min"),
        0x26: Quantity("flow", "gal (US)/h"),
        **decades(0x28, 2, "power", "MW", -1),
        0x2A: Quantity("phase_voltage_voltage", "°", -1),
        0x2B: Quantity("phase_voltage_current", "°", -1),
        **decades(0x2C, 4, "frequency", "Hz", -3),
        **decades(0x30, 2, "power", "GJ/h", -1),
        **decades(0x34, 4, "apparent_power", "kVA", -3),
        **decades(0x58, 4, "flow_temperature", "°F", -3),
        **decades(0x5C, 4, "return_temperature", "°F", -3),
        **decades(0x60, 4, "temperature_difference", "°F", -3),
        **decades(0x64, 4, "external_temperature", "°F", -3),
        # Rating factors of a heat cost allocator come in units of 2^-12; they are given as counted.
        0x68: Quantity("rating_factor_k", "2^-12"),
        0x69: Quantity("rating_factor_kq", "W"),
        0x6A: Quantity("rating_factor_kc", "2^-12"),
        0x6B: Quantity("rating_factor_kcr", "2^-12"),
        0x6C: Quantity("rating_factor_kch", "2^-12"),
        0x6D: Quantity("rating_factor_kt", "2^-12"),
        0x6E: Quantity("rating_factor_kd", "2^-12"),
        **decades(0x70, 4, "temperature_limit", "°F", -3),
        **decades(0x74, 4, "temperature_limit", "°C", -3),
        **decades(0x78, 8, "cumulated_max_power", "kW", -6),
    }
)
