"""The header of a data record: DIF, DIFEs, VIF, VIFEs (EN 13757-3, 6.3 and 6.4).

The bytes of a header decide everything about its record: how long the data are, how they are read, what they mean. A
header is therefore taken apart once, when it is met for the first time.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from meterlink.mbus import vif, vif_fb, vif_fd
from meterlink.mbus.quantity import Kind, Quantity
from meterlink.mbus.reading import LENGTHS, reader_for
from meterlink.mbus.types import scaled
from meterlink.mbus.vife import COMBINABLE, COMBINABLE_FC, MANUFACTURER_SPECIFIC, SECOND_TABLE, Effect, Extension
from meterlink.values import Value


class Function(enum.Enum):
    """What kind of value a record holds (6.3.2)."""

    INSTANTANEOUS = "current"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    ERROR = "during error"


VARIABLE_LENGTH: Final = 0x0D
HEADER: Final = re.compile(rb"[\x80-\xff]{0,10}[\x00-\x7f][\x80-\xff]{0,10}[\x00-\x7f]", re.DOTALL)
"""A DIF with at most ten DIFEs, then a VIF with at most ten VIFEs: the top bit says that another one follows."""

_FUNCTIONS: Final = tuple(Function)
_UNKNOWN: Final = Quantity("unknown", kind=Kind.COUNTED)

_OF_STANDARD: Final = {"kWh": 3, "kW": 3, "MJ": 6, "MJ/h": 6}
"""Our unit is ten to so many times the one that the standard's table gives (Wh, W, J, J/h); any other is the same."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordHeader:
    """A header, taken apart.

    ``raw`` are its octets; ``length`` those of the data field, -1 for variable length. ``read`` turns the data field
    into the value in ``unit``. ``extensions`` are the VIFEs in words; ``error`` is what a VIFE says is wrong with this
    record; ``profile`` is the VIFE of a compact profile, 0 for none.
    """

    raw: bytes
    function: Function
    storage: int
    tariff: int
    subunit: int
    field: int
    length: int
    quantity: str
    unit: str
    kind: Kind
    extensions: tuple[str, ...]
    error: str
    profile: int
    vib: bytes
    exponent: int
    read: Callable[[bytes], Value]

    @property
    def is_known(self) -> bool:
        """False when the VIF stands in no table: the data are then kept as they came."""
        return self.quantity != _UNKNOWN.name


def read_header(raw: bytes, plain_text: str | None = None) -> RecordHeader:
    """Take the octets of a header apart. ``plain_text`` is the unit of a plain-text VIF, already cut out of ``raw``."""
    dib_end = 0
    while raw[dib_end] & 0x80:
        dib_end += 1
    field, function = raw[0] & 0x0F, _FUNCTIONS[raw[0] >> 4 & 0x03]
    storage, tariff, subunit = raw[0] >> 6 & 0x01, 0, 0
    for n, dife in enumerate(raw[1 : dib_end + 1]):
        storage |= (dife & 0x0F) << (1 + 4 * n)
        tariff |= (dife >> 4 & 0x03) << (2 * n)
        subunit |= (dife >> 6 & 0x01) << n
    vib = raw[dib_end + 1 :]
    meaning = _Meaning(vib, plain_text)
    return RecordHeader(
        raw, function, storage, tariff, subunit, field, LENGTHS[field],
        meaning.quantity.name, meaning.unit, meaning.kind, tuple(meaning.words), meaning.error, meaning.profile, vib,
        meaning.exponent, reader_for(field, meaning.kind, meaning.exponent, meaning.offset),
    )  # fmt: skip


class _Meaning:
    """What a value information block says, gathered from its octets from left to right."""

    def __init__(self, vib: bytes, plain_text: str | None) -> None:
        self.words: list[str] = []
        self.error = ""
        self.profile = 0
        self.offset = Decimal(0)
        self.quantity, used = _quantity(vib, plain_text)
        self.unit = self.quantity.unit
        self.kind = self.quantity.kind
        self.exponent = self.quantity.exponent
        if vib[0] & 0x7F == vif.MANUFACTURER_SPECIFIC:
            if vib[used:]:
                self.words.append(vib[used:].hex(" ").upper())
            return
        rest = vib[used:]
        while rest:
            code, rest = rest[0] & 0x7F, rest[1:]
            if code == MANUFACTURER_SPECIFIC:
                self._manufacturer(rest)
                return
            if code == SECOND_TABLE and rest:
                code, rest = rest[0] & 0x7F, rest[1:]
                self._apply(COMBINABLE_FC.get(code), f"VIFE FC {code:02X}")
            else:
                self._apply(COMBINABLE.get(code), f"VIFE {code:02X}", code)

    def _manufacturer(self, rest: bytes) -> None:
        codes = " ".join(f"{code:02X}" for code in rest)
        self.words.append(f"manufacturer specific {codes}".strip())

    def _apply(self, extension: Extension | None, name: str, code: int = 0) -> None:
        if extension is None:
            self.words.append(name)
            return
        match extension.effect:
            case Effect.ERROR:
                self.error = extension.words
                return
            case Effect.TIME_POINT:
                self.kind, self.unit, self.exponent = Kind.TIME_POINT, "", 0
            case Effect.DURATION:
                self.kind, self.unit, self.exponent = Kind.NUMBER, extension.unit, 0
            case Effect.COUNT:
                self.kind, self.unit, self.exponent = Kind.UNSIGNED, "", 0
            case Effect.FACTOR:
                self.exponent += extension.number
                return
            case Effect.OFFSET:
                # The constant counts the unit of the VIF itself, whatever power of ten the number has.
                self.offset += scaled(1, extension.number - _OF_STANDARD.get(self.quantity.unit, 0))
                return
            case Effect.PER:
                self.unit = f"{self.unit}/{extension.unit}" if self.unit else f"1/{extension.unit}"
                return
            case Effect.TIMES:
                self.unit = f"{self.unit}·{extension.unit}" if self.unit else extension.unit
                return
            case Effect.OTHER_UNIT:
                # Which one is said in annex C alone: rather none than a wrong one.
                self.exponent += _OF_STANDARD.get(self.unit, 0)
                self.unit = ""
            case Effect.UNSIGNED:
                self.kind = Kind.UNSIGNED
            case Effect.FLAGS:
                self.kind, self.unit, self.exponent = Kind.FLAGS, "", 0
            case Effect.OCTETS:
                self.kind, self.unit, self.exponent = Kind.OCTETS, "", 0
            case Effect.PROFILE:
                self.profile, self.kind = code, Kind.OCTETS
            case Effect.LABEL:
                pass
        if code or extension.words != "no error":
            self.words.append(extension.words)


def _quantity(vib: bytes, plain_text: str | None) -> tuple[Quantity, int]:
    """Return the quantity of a value information block and how many of its octets said so."""
    first = vib[0]
    if first & 0x7F == vif.PLAIN_TEXT:
        return Quantity(plain_text or "plain text"), 1
    if first in (vif.EXTENSION_FD, vif.EXTENSION_FB) and len(vib) > 1:
        if first == vif.EXTENSION_FB:
            return vif_fb.EXTENSION.get(vib[1] & 0x7F, _UNKNOWN), 2
        if vib[1] & 0x7F == vif_fd.SECOND_LEVEL and len(vib) > 2:
            return vif_fd.SECOND.get(vib[2] & 0x7F, _UNKNOWN), 3
        return vif_fd.EXTENSION.get(vib[1] & 0x7F, _UNKNOWN), 2
    if first == vif.EXTENSION_EF:
        return _UNKNOWN, min(2, len(vib))
    return vif.PRIMARY.get(first & 0x7F, _UNKNOWN), 1
