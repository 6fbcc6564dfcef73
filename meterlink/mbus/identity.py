"""Who a meter is: manufacturer code, medium, status (EN 13757-3, 5.6 to 5.10; EN 13757-7 table 13)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

MANUFACTURERS: Final = MappingProxyType(
    {
        "ABB": "ABB",
        "ACW": "Itron",
        "DME": "Diehl Metering",
        "EFE": "Engelmann",
        "ELS": "Elster",
        "ELV": "Elvaco",
        "HYD": "Diehl Metering",
        "IST": "ista",
        "ITW": "Itron",
        "KAM": "Kamstrup",
        "LGB": "Landis+Gyr",
        "LGZ": "Landis+Gyr",
        "LSZ": "Siemens",
        "LUG": "Landis+Gyr",
        "QDS": "Qundis",
        "REL": "Relay",
        "SEN": "Sensus",
        "SIE": "Siemens",
        "SVM": "Kamstrup (SVM)",
        "TCH": "Techem",
        "ZRI": "ZENNER",
    }
)
"""Names of manufacturers met in this project's captures; any other is shown by its three letters."""

MEDIA: Final = MappingProxyType(
    {
        0x00: "other",
        0x01: "oil",
        0x02: "electricity",
        0x03: "gas",
        0x04: "heat (return)",
        0x05: "steam",
        0x06: "warm water",
        0x07: "water",
        0x08: "heat cost allocator",
        0x09: "compressed air",
        0x0A: "cooling (return)",
        0x0B: "cooling (flow)",
        0x0C: "heat (flow)",
        0x0D: "heat and cooling",
        0x0E: "bus or system",
        0x0F: "unknown",
        0x14: "calorific value",
        0x15: "hot water",
        0x16: "cold water",
        0x17: "hot and cold water",
        0x18: "pressure",
        0x19: "A/D converter",
        0x1A: "smoke detector",
        0x1B: "room sensor",
        0x1C: "gas detector",
        0x20: "breaker (electricity)",
        0x21: "valve",
        0x25: "customer unit",
        0x28: "waste water",
        0x29: "garbage",
        0x2B: "VOC sensor",
        0x30: "service tool",
        0x31: "gateway",
        0x36: "radio converter (system)",
        0x37: "radio converter (meter)",
    }
)

MEDIA_FIXED: Final = (
    "other",
    "oil",
    "electricity",
    "gas",
    "heat",
    "steam",
    "warm water",
    "water",
    "heat cost allocator",
    "reserved",
    "gas mode 2",
    "heat mode 2",
    "warm water mode 2",
    "water mode 2",
    "heat cost allocator mode 2",
    "reserved",
)
"""Media of the fixed data structure, a table of its own."""

_STATUS: Final = (
    (0x03, 0x01, "application busy"),
    (0x03, 0x02, "application error"),
    (0x03, 0x03, "abnormal condition"),
    (0x04, 0x04, "battery low"),
    (0x08, 0x08, "permanent error"),
    (0x10, 0x10, "temporary error"),
)


def manufacturer_letters(code: int) -> str:
    """Return the three letters of a manufacturer code (EN 62056-21 FLAG); ``?`` for a value outside A..Z."""
    letters = (code >> 10 & 0x1F, code >> 5 & 0x1F, code & 0x1F)
    return "".join(chr(64 + letter) if 1 <= letter <= 26 else "?" for letter in letters)


def manufacturer_code(letters: str) -> int:
    """Return the code of three letters A..Z. Raises ``ValueError``."""
    if len(letters) != 3 or not all("A" <= letter <= "Z" for letter in letters):
        raise ValueError(f"a manufacturer is three letters A..Z, not {letters!r}")
    first, second, third = (ord(letter) - 64 for letter in letters)
    return first << 10 | second << 5 | third


def medium_name(code: int) -> str:
    """Return the device type in words."""
    return MEDIA.get(code, f"medium 0x{code:02X}")


def status_words(status: int) -> tuple[str, ...]:
    """Return what the status byte says; bits 5 to 7 are the manufacturer's own and come as a hex number."""
    words = [text for mask, value, text in _STATUS if status & mask == value]
    if status & 0xE0:
        words.append(f"manufacturer status 0x{status & 0xE0:02X}")
    return tuple(words)
