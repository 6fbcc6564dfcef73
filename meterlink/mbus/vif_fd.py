"""Main extension table, VIF FD (EN 13757-3, 6.4.5), and its second level, VIF FD FD."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from meterlink.mbus.quantity import Kind, Quantity, decades, durations

_TEXT: Final = Kind.TEXT
_FLAGS: Final = Kind.FLAGS

SECOND_LEVEL: Final = 0x7D

EXTENSION: Final = MappingProxyType(
    {
        **decades(0x00, 4, "credit", "currency units", -3),
        **decades(0x04, 4, "debit", "currency units", -3),
        0x08: Quantity("access_number", kind=Kind.UNSIGNED),
        0x09: Quantity("medium", kind=Kind.MEDIUM),
        0x0A: Quantity("manufacturer", kind=Kind.MANUFACTURER),
        0x0B: Quantity("parameter_set", kind=Kind.IDENTIFICATION),
        0x0C: Quantity("model_version", kind=Kind.IDENTIFICATION),
        0x0D: Quantity("hardware_version", kind=Kind.IDENTIFICATION),
        0x0E: Quantity("firmware_version", kind=Kind.IDENTIFICATION),
        0x0F: Quantity("software_version", kind=Kind.IDENTIFICATION),
        0x10: Quantity("customer_location", kind=_TEXT),
        0x11: Quantity("customer", kind=_TEXT),
        0x12: Quantity("access_code_user", kind=_TEXT),
        0x13: Quantity("access_code_operator", kind=_TEXT),
        0x14: Quantity("access_code_system_operator", kind=_TEXT),
        0x15: Quantity("access_code_developer", kind=_TEXT),
        0x16: Quantity("password", kind=_TEXT),
        0x17: Quantity("error_flags", kind=_FLAGS),
        0x18: Quantity("error_mask", kind=_FLAGS),
        0x19: Quantity("security_key", kind=Kind.OCTETS),
        0x1A: Quantity("digital_output", kind=_FLAGS),
        0x1B: Quantity("digital_input", kind=_FLAGS),
        0x1C: Quantity("baud_rate", "Bd", kind=Kind.UNSIGNED),
        0x1D: Quantity("response_delay", "bit times", kind=Kind.UNSIGNED),
        0x1E: Quantity("retries", kind=Kind.UNSIGNED),
        0x1F: Quantity("remote_control", kind=_FLAGS),
        0x20: Quantity("first_storage_number", kind=Kind.UNSIGNED),
        0x21: Quantity("last_storage_number", kind=Kind.UNSIGNED),
        0x22: Quantity("storage_block_size", kind=Kind.UNSIGNED),
        0x23: Quantity("tariff_subunit_descriptor", kind=_FLAGS),
        **durations(0x24, "storage_interval", ("s", "min", "h", "d", "months", "years")),
        0x2A: Quantity("operator_data", kind=Kind.OCTETS),
        0x2B: Quantity("time_point_second", "s", kind=Kind.UNSIGNED),
        **durations(0x2C, "duration_since_readout"),
        0x30: Quantity("tariff_start", kind=Kind.TIME_POINT),
        **durations(0x31, "tariff_duration", ("min", "h", "d")),
        **durations(0x34, "tariff_period", ("s", "min", "h", "d", "months", "years")),
        0x3A: Quantity("dimensionless"),
        0x3B: Quantity("wireless_container", kind=Kind.OCTETS),
        **durations(0x3C, "transmission_period"),
        **decades(0x40, 16, "voltage", "V", -9),
        **decades(0x50, 16, "current", "A", -12),
        0x60: Quantity("reset_counter", kind=Kind.UNSIGNED),
        0x61: Quantity("cumulation_counter", kind=Kind.UNSIGNED),
        0x62: Quantity("control_signal", kind=_FLAGS),
        0x63: Quantity("day_of_week", kind=Kind.UNSIGNED),
        0x64: Quantity("week_number", kind=Kind.UNSIGNED),
        0x65: Quantity("day_change_time", kind=Kind.TIME_POINT),
        0x66: Quantity("parameter_activation", kind=_FLAGS),
        0x67: Quantity("supplier_information", kind=Kind.OCTETS),
        **durations(0x68, "duration_since_cumulation", ("h", "d", "months", "years")),
        **durations(0x6C, "battery_operating_time", ("h", "d", "months", "years")),
        0x70: Quantity("battery_change", kind=Kind.TIME_POINT),
        0x71: Quantity("reception_level", "dBm"),
        0x72: Quantity("daylight_saving", kind=Kind.DAYLIGHT_SAVING),
        0x73: Quantity("listening_window", kind=Kind.LISTENING_WINDOW),
        0x74: Quantity("battery_remaining", "d", kind=Kind.UNSIGNED),
        0x75: Quantity("stop_counter", kind=Kind.UNSIGNED),
        0x76: Quantity("manufacturer_container", kind=Kind.OCTETS),
    }
)

SECOND: Final = MappingProxyType(
    {
        0x00: Quantity("selected_application", kind=Kind.UNSIGNED),
        0x02: Quantity("battery_remaining", "months", kind=Kind.UNSIGNED),
        0x03: Quantity("battery_remaining", "years", kind=Kind.UNSIGNED),
        0x3E: Quantity("moisture", "%"),
    }
)
