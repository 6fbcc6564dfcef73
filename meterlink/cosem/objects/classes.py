"""Interface classes: what their attributes and methods are called (IEC 62056-6-2, clause 4).

Only the classes that a heat meter has are listed. Any other one is still readable by class, logical name and attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class InterfaceClass:
    """Names of one class: attribute and method indexes count from 1, attribute 1 is always the logical name."""

    class_id: int
    name: str
    attributes: tuple[str, ...]
    methods: tuple[str, ...] = ()

    def attribute(self, index: int) -> str:
        """Return the name of attribute ``index``, or ``attribute N`` for one that the class does not name."""
        return _nth(self.attributes, index) or f"attribute {index}"

    def method(self, index: int) -> str:
        """Return the name of method ``index``, or ``method N`` for one that the class does not name."""
        return _nth(self.methods, index) or f"method {index}"

    def index_of(self, attribute: str) -> int:
        """Return the index of the attribute called ``attribute``. Raises ``KeyError``."""
        try:
            return self.attributes.index(attribute) + 1
        except ValueError:
            raise KeyError(attribute) from None


def _nth(names: tuple[str, ...], index: int) -> str:
    return names[index - 1] if 0 < index <= len(names) else ""


_ALL: Final = (
    InterfaceClass(1, "Data", ("logical_name", "value")),
    InterfaceClass(3, "Register", ("logical_name", "value", "scaler_unit"), ("reset",)),
    InterfaceClass(
        4, "Extended register", ("logical_name", "value", "scaler_unit", "status", "capture_time"), ("reset",)
    ),
    InterfaceClass(
        5,
        "Demand register",
        (
            "logical_name",
            "current_average_value",
            "last_average_value",
            "scaler_unit",
            "status",
            "capture_time",
            "start_time_current",
            "period",
            "number_of_periods",
        ),
        ("reset", "next_period"),
    ),
    InterfaceClass(
        7,
        "Profile generic",
        (
            "logical_name",
            "buffer",
            "capture_objects",
            "capture_period",
            "sort_method",
            "sort_object",
            "entries_in_use",
            "profile_entries",
        ),
        ("reset", "capture"),
    ),
    InterfaceClass(
        8,
        "Clock",
        (
            "logical_name",
            "time",
            "time_zone",
            "status",
            "daylight_savings_begin",
            "daylight_savings_end",
            "daylight_savings_deviation",
            "daylight_savings_enabled",
            "clock_base",
        ),
        (
            "adjust_to_quarter",
            "adjust_to_measuring_period",
            "adjust_to_minute",
            "adjust_to_preset_time",
            "preset_adjusting_time",
            "shift_time",
        ),
    ),
    InterfaceClass(9, "Script table", ("logical_name", "scripts"), ("execute",)),
    InterfaceClass(
        15,
        "Association LN",
        (
            "logical_name",
            "object_list",
            "associated_partners_id",
            "application_context_name",
            "xDLMS_context_info",
            "authentication_mechanism_name",
            "secret",
            "association_status",
            "security_setup_reference",
            "user_list",
            "current_user",
        ),
        (
            "reply_to_HLS_authentication",
            "change_HLS_secret",
            "add_object",
            "remove_object",
            "add_user",
            "remove_user",
        ),
    ),
    InterfaceClass(17, "SAP assignment", ("logical_name", "SAP_assignment_list"), ("connect_logical_device",)),
    InterfaceClass(
        18,
        "Image transfer",
        (
            "logical_name",
            "image_block_size",
            "image_transferred_blocks_status",
            "image_first_not_transferred_block_number",
            "image_transfer_enabled",
            "image_transfer_status",
            "image_to_activate_info",
        ),
        ("image_transfer_initiate", "image_block_transfer", "image_verify", "image_activate"),
    ),
    InterfaceClass(
        23,
        "IEC HDLC setup",
        (
            "logical_name",
            "comm_speed",
            "window_size_transmit",
            "window_size_receive",
            "max_info_field_length_transmit",
            "max_info_field_length_receive",
            "inter_octet_time_out",
            "inactivity_time_out",
            "device_address",
        ),
    ),
    InterfaceClass(
        40,
        "Push setup",
        (
            "logical_name",
            "push_object_list",
            "send_destination_and_method",
            "communication_window",
            "randomisation_start_interval",
            "number_of_retries",
            "repetition_delay",
        ),
        ("push",),
    ),
    InterfaceClass(
        64,
        "Security setup",
        (
            "logical_name",
            "security_policy",
            "security_suite",
            "client_system_title",
            "server_system_title",
            "certificates",
        ),
        (
            "security_activate",
            "key_transfer",
            "key_agreement",
            "generate_key_pair",
            "generate_certificate_request",
            "import_certificate",
            "export_certificate",
            "remove_certificate",
        ),
    ),
)

INTERFACE_CLASSES: Final[Mapping[int, InterfaceClass]] = MappingProxyType({known.class_id: known for known in _ALL})
"""Class id -> names."""
