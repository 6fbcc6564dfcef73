"""What a master sends (EN 13757-2, 5.7; EN 13757-7, 8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from meterlink.errors import UsageError
from meterlink.framing.mbus.frame import LongFrame, ShortFrame

SND_NKE: Final = 0x40
SND_UD: Final = 0x53
REQ_UD1: Final = 0x5A
REQ_UD2: Final = 0x5B
FCB: Final = 0x20
"""Frame count bit: toggled with each new request, kept for a repetition."""

UNCONFIGURED: Final = 0
NETWORK: Final = 253
"""Address of whichever meter is selected by its secondary address."""
BROADCAST_ANSWERED: Final = 254
"""Every meter answers: for a single one on the line."""
BROADCAST: Final = 255
"""Every meter listens, none answers."""
LAST_PRIMARY: Final = 250

CI_RESET: Final = 0x50
CI_DATA: Final = 0x51
CI_SELECT: Final = 0x52
BAUD_CI: Final = MappingProxyType(
    {300: 0xB8, 600: 0xB9, 1200: 0xBA, 2400: 0xBB, 4800: 0xBC, 9600: 0xBD, 19200: 0xBE, 38400: 0xBF}
)

_ADDRESS_HINT: Final = (
    "primary: 0..250, 254 for a single meter on the line; secondary: eight digits, F for any; "
    "`meterlink find --bus URL` lists the meters of a line"
)
_SECONDARY = re.compile(r"([0-9Ff]{8})(?:([0-9A-Fa-f]{4})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2}))?\Z")


@dataclass(frozen=True, slots=True)
class SecondaryAddress:
    """A meter's own address: eight digits, ``F`` standing for any; manufacturer code, version and medium, None for any.

    As text: the digits, then, if wanted, eight hex digits as they stand on the wire (manufacturer, least significant
    octet first, version, medium): ``12345678A7320704``.
    """

    number: str
    manufacturer: int | None = None
    version: int | None = None
    medium: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9F]{8}", self.number):
            raise UsageError(f"{self.number!r} is no secondary address", code="address", hint=_ADDRESS_HINT)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form. Raises UsageError ``address``."""
        match = _SECONDARY.match(text.strip())
        if match is None:
            raise UsageError(f"{text!r} is no secondary address", code="address", hint=_ADDRESS_HINT)
        number, manufacturer, version, medium = match.groups()
        if manufacturer is None:
            return cls(number.upper())
        return cls(
            number.upper(),
            _some(int.from_bytes(bytes.fromhex(manufacturer), "little"), 0xFFFF),
            _some(int(version, 16), 0xFF),
            _some(int(medium, 16), 0xFF),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the eight octets of a long header."""
        number = data[3::-1].hex().upper()
        # A meter may have letters in its number; only digits and wildcards can be selected by.
        number = re.sub(r"[A-E]", "F", number)
        return cls(number, int.from_bytes(data[4:6], "little"), data[6], data[7])

    def to_bytes(self) -> bytes:
        """Return the eight octets of a selection."""
        manufacturer = 0xFFFF if self.manufacturer is None else self.manufacturer
        rest = (0xFF if self.version is None else self.version, 0xFF if self.medium is None else self.medium)
        return bytes.fromhex(self.number)[::-1] + manufacturer.to_bytes(2, "little") + bytes(rest)

    def __str__(self) -> str:
        octets = self.to_bytes()
        return self.number if octets[4:] == b"\xff" * 4 else self.number + octets[4:].hex().upper()


def parse_address(text: str) -> int | SecondaryAddress:
    """Read a primary address 0..250 or 254, or a secondary one. Raises UsageError ``address``."""
    if text.isascii() and text.isdigit() and len(text) <= 3:
        number = int(text)
        if number <= LAST_PRIMARY or number == BROADCAST_ANSWERED:
            return number
        raise UsageError(f"{text} is no primary address", code="address", hint=_ADDRESS_HINT)
    return SecondaryAddress.parse(text)


def reset_link(address: int) -> bytes:
    """SND_NKE: the meter answers E5 and expects frame count bit 1 next."""
    return ShortFrame(SND_NKE, address).to_bytes()


def request_data(address: int, toggle: bool, *, alarms: bool = False) -> bytes:
    """REQ_UD2, or REQ_UD1 for alarms. ``toggle`` is the frame count bit."""
    return ShortFrame((REQ_UD1 if alarms else REQ_UD2) | (FCB if toggle else 0), address).to_bytes()


def send_data(address: int, data: bytes, toggle: bool, *, ci: int = CI_DATA) -> bytes:
    """SND_UD: data to the meter."""
    return LongFrame(SND_UD | (FCB if toggle else 0), address, ci, data).to_bytes()


def select(address: SecondaryAddress) -> bytes:
    """Choose the meters that match; they answer E5 and then listen to address 253."""
    return LongFrame(SND_UD, NETWORK, CI_SELECT, address.to_bytes()).to_bytes()


def reset_application(address: int, subcode: int | None = None) -> bytes:
    """Reset the application, or choose what the next readout brings (``subcode`` 0..255)."""
    return LongFrame(SND_UD, address, CI_RESET, b"" if subcode is None else bytes((subcode,))).to_bytes()


def change_baud(address: int, baud: int) -> bytes:
    """Change the speed of the meter's line; it answers at the old one. Raises UsageError ``baud``."""
    if baud not in BAUD_CI:
        raise UsageError(f"{baud} Bd is none of {', '.join(map(str, BAUD_CI))}", code="baud")
    return LongFrame(SND_UD, address, BAUD_CI[baud]).to_bytes()


def _some(value: int, wildcard: int) -> int | None:
    return None if value == wildcard else value
