"""HDLC addresses: one octet for a client, one, two or four for a server (IEC 62056-46, 6.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from meterlink.errors import ProtocolError

MAX_SHORT_PART: Final = 0x7F
"""Largest part of an address of one or two octets."""

MAX_LONG_PART: Final = 0x3FFF
"""Largest part of an address of four octets."""

ALL_STATIONS: Final = 0x7F
"""Broadcast, upper or lower part of one octet; with two octets per part it is :data:`ALL_STATIONS_LONG`."""

ALL_STATIONS_LONG: Final = 0x3FFF

CALLING_STATION: Final = 0x7E
"""Lower part that stands for "whoever is calling"; its long form is :data:`CALLING_STATION_LONG`."""

CALLING_STATION_LONG: Final = 0x3FFE

_ANY_STATION: Final = frozenset({ALL_STATIONS, ALL_STATIONS_LONG, CALLING_STATION, CALLING_STATION_LONG})


@dataclass(frozen=True, slots=True)
class HdlcAddress:
    """An address: ``upper`` names the client or the logical device, ``lower`` the physical device (None: not given).

    ``size`` is the number of octets, 1, 2 or 4. Parts have 7 bits each, 14 in the four-octet form. Raises
    ``ValueError`` for what no frame can carry.
    """

    upper: int
    lower: int | None = None
    size: int = 1
    _octets: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.size not in (1, 2, 4) or (self.size == 1) != (self.lower is None):
            raise ValueError("an HDLC address has one octet without, two or four octets with a lower part")
        limit = MAX_LONG_PART if self.size == 4 else MAX_SHORT_PART
        if not 0 <= self.upper <= limit or not 0 <= (self.lower or 0) <= limit:
            raise ValueError(f"a part of an HDLC address of {self.size} octets is 0..{limit}")
        object.__setattr__(self, "_octets", _write(self.upper, self.lower or 0, self.size))

    @classmethod
    def of(cls, upper: int, lower: int | None = None, size: int | None = None) -> HdlcAddress:
        """Return the address in its shortest form, or in the one of ``size`` octets. Raises ``ValueError``.

        An address of one octet that must be sent with more gets the lower part 0.
        """
        if size is None:
            size = 4 if max(upper, lower or 0) > MAX_SHORT_PART else 1 if lower is None else 2
        return cls(upper, (lower or 0) if size > 1 else lower, size)

    def to_bytes(self) -> bytes:
        """Return the octets; bit 0 is set in the last alone."""
        return self._octets

    @classmethod
    def from_bytes(cls, data: bytes) -> HdlcAddress:
        """Read the octets of one address. Raises :class:`~meterlink.errors.ProtocolError` (``address``)."""
        return _read(data)

    def answers_for(self, asked: HdlcAddress) -> bool:
        """Return whether a station with this address may answer a frame to ``asked``: the form may differ, and where
        no or every physical device was asked, any may answer."""
        return self.upper == asked.upper and (
            self.lower == asked.lower or self.lower is None or asked.lower is None or asked.lower in _ANY_STATION
        )

    @property
    def is_broadcast(self) -> bool:
        """True when every station is meant."""
        return self.upper == (ALL_STATIONS_LONG if self.size == 4 else ALL_STATIONS)

    def __str__(self) -> str:
        return str(self.upper) if self.lower is None else f"{self.upper}/{self.lower}"


def _write(upper: int, lower: int, size: int) -> bytes:
    if size == 1:
        return bytes((upper << 1 | 1,))
    if size == 2:
        return bytes((upper << 1, lower << 1 | 1))
    return bytes((upper >> 6 & 0xFE, upper << 1 & 0xFE, lower >> 6 & 0xFE, lower << 1 & 0xFE | 1))


@lru_cache(maxsize=1024)
def _read(data: bytes) -> HdlcAddress:
    size = len(data)
    if size not in (1, 2, 4) or any(octet & 1 for octet in data[:-1]) or not data[-1] & 1:
        raise ProtocolError(f"{data.hex()} is not an HDLC address", code="address")
    parts = [octet >> 1 for octet in data]
    if size == 1:
        return HdlcAddress(parts[0])
    if size == 2:
        return HdlcAddress(parts[0], parts[1], 2)
    return HdlcAddress(parts[0] << 7 | parts[1], parts[2] << 7 | parts[3], 4)
