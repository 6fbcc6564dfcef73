"""A telegram: what stands in the data of a long frame (EN 13757-7; EN 13757-3 for the records)."""

from __future__ import annotations

import functools
import struct
from types import MappingProxyType
from typing import Final, NamedTuple

from meterlink.errors import DataError
from meterlink.framing.mbus.frame import LongFrame
from meterlink.mbus import fixed
from meterlink.mbus.compact import FormatStore
from meterlink.mbus.identity import manufacturer_letters, medium_name, status_words
from meterlink.mbus.protection import ENCRYPTED_MODES, OTHER_MODES, Protection, read_authentication_layer, unprotect
from meterlink.mbus.record import Record, Records, read_records

CI_APPLICATION_ERROR: Final = frozenset({0x6E, 0x6F, 0x70})
CI_FIXED: Final = 0x73
CI_AUTHENTICATION: Final = 0x90
CI_NO_HEADER: Final = frozenset({0x51, 0x71, 0x78})
CI_SHORT_HEADER: Final = frozenset({0x5A, 0x6E, 0x74, 0x7A})
CI_LONG_HEADER: Final = frozenset({0x5B, 0x6F, 0x72, 0x75})
CI_COMPACT: Final = MappingProxyType({0x79: "none", 0x7B: "short"})
CI_MODE_2: Final = frozenset({0x55, 0x76, 0x77})

APPLICATION_ERRORS: Final = MappingProxyType(
    {
        0x00: "unspecified error",
        0x01: "the CI field is not implemented",
        0x02: "the buffer is too long",
        0x03: "too many records",
        0x04: "premature end of a record",
        0x05: "more than ten DIFEs",
        0x06: "more than ten VIFEs",
        0x08: "the application is too busy to answer",
        0x09: "too many readouts (for a meter with a limited number)",
        0x10: "access denied: no permission",
        0x11: "access denied: key or authentication is unknown",
        0x12: "access denied: wrong authentication",
    }
)
"""What a meter reports in a telegram with CI 70 (EN 13757-3, 10)."""

_LONG: Final = struct.Struct("<IHBBBBH")
_SHORT: Final = struct.Struct("<BBH")
_NO_RECORDS: Final = Records(())
_OLD_SIGNATURE: Final = "the configuration field names no security mode (an old meter's signature): read as plain"


class Identity(NamedTuple):
    """Who sent a telegram: eight digits, three letters, version 0..255, device type 0..255."""

    number: str
    manufacturer: str
    version: int
    medium: int

    @property
    def medium_name(self) -> str:
        """The device type in words."""
        return medium_name(self.medium)


class Telegram(NamedTuple):
    """A decoded telegram.

    ``identity`` is None where the telegram carries none. ``configuration`` is the configuration field (0 is plain).
    ``error`` is the application error that the meter reports instead of data. ``notes`` say what could not be done.
    """

    address: int
    ci: int
    identity: Identity | None = None
    access: int = 0
    status: int = 0
    configuration: int = 0
    content: Records = _NO_RECORDS
    error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> tuple[Record, ...]:
        """The data records."""
        return self.content.records

    @property
    def status_words(self) -> tuple[str, ...]:
        """What the status byte says."""
        return status_words(self.status)


class _Opening(NamedTuple):
    """What is needed to open a telegram."""

    key: bytes | None
    protection: Protection | None
    formats: FormatStore | None


def decode_telegram(frame: LongFrame, *, key: bytes | None = None, formats: FormatStore | None = None) -> Telegram:
    """Decode the data of a frame.

    ``key`` (16 octets) opens an encrypted telegram; without it the telegram comes without records and a note says so.
    ``formats`` remembers full telegrams, so that compact ones can be read.

    Raises DataError: ``mbus-ci`` for a CI field that is not known, ``mbus-header`` for a header that is cut off,
    ``wrong-key``, ``mbus-authentication``, ``compact-format`` for a compact telegram whose full one is not known.
    """
    ci, data = frame.ci, frame.data
    protection: Protection | None = None
    if ci == CI_AUTHENTICATION:
        protection, ci, data = read_authentication_layer(data)
    opening = _Opening(key, protection, formats)
    if ci == 0x72 and len(data) >= _LONG.size:
        identity, access, status, configuration = _long_header(data)
        telegram = Telegram(frame.address, ci, identity, access, status, configuration)
        if not configuration and protection is None and formats is None:
            # The plain telegram of every wired meter: nothing further to ask.
            return telegram._replace(content=read_records(data[_LONG.size :]))
        return _with_records(telegram, data[: _LONG.size], data[_LONG.size :], opening)
    return _decode_other(frame, ci, data, opening)


def _decode_other(frame: LongFrame, ci: int, data: bytes, opening: _Opening) -> Telegram:
    if ci in CI_MODE_2:
        raise DataError(
            f"CI {ci:02X}: a telegram with the most significant octet first (mode 2) is not supported", code="mbus-ci"
        )
    if ci == CI_FIXED:
        return _fixed(frame, data)
    telegram, header = Telegram(frame.address, ci), b""
    if ci in CI_LONG_HEADER:
        _need(data, _LONG.size, ci)
        header, data = data[: _LONG.size], data[_LONG.size :]
        identity, access, status, configuration = _long_header(header)
        telegram = Telegram(frame.address, ci, identity, access, status, configuration)
    elif ci in CI_SHORT_HEADER or CI_COMPACT.get(ci) == "short":
        _need(data, _SHORT.size, ci)
        access, status, configuration = _SHORT.unpack_from(data)
        telegram, data = Telegram(frame.address, ci, None, access, status, configuration), data[_SHORT.size :]
    elif ci not in CI_NO_HEADER and ci not in CI_APPLICATION_ERROR and ci not in CI_COMPACT:
        raise DataError(f"CI {ci:02X} is not one of a meter's answer", code="mbus-ci")
    if ci in CI_APPLICATION_ERROR:
        code = data[0] if data else 0
        return telegram._replace(error=APPLICATION_ERRORS.get(code, f"error 0x{code:02X}"))
    return _with_records(telegram, header, data, opening)


def _with_records(telegram: Telegram, header: bytes, data: bytes, opening: _Opening) -> Telegram:
    """Open the encryption, if there is any, and read the records."""
    mode = telegram.configuration >> 8 & 0x1F
    if mode in ENCRYPTED_MODES and opening.key is not None:
        data = unprotect(mode, header, telegram.configuration, data, opening.key, opening.protection)
    elif mode in ENCRYPTED_MODES or mode in OTHER_MODES:
        note = f"the telegram is encrypted (security mode {mode}): its key is needed to read it"
        if mode in OTHER_MODES:
            note = f"security mode {mode} ({OTHER_MODES[mode]}) is not supported"
        return telegram._replace(notes=(note,), content=Records((), problem="encrypted", rest=data))
    compact = telegram.ci in CI_COMPACT
    if compact:
        data = (opening.formats or FormatStore()).expand(data)
    content = read_records(data)
    if opening.formats is not None and not compact:
        opening.formats.learn(content.records)
    notes = (_OLD_SIGNATURE,) if mode and mode not in ENCRYPTED_MODES else ()
    return telegram._replace(content=content, notes=notes)


def _fixed(frame: LongFrame, data: bytes) -> Telegram:
    content = fixed.read(data)
    identity = Identity(content.number, "", 0, content.medium)
    notes = ("fixed data structure: it names no manufacturer",)
    records = Records(content.records)
    return Telegram(frame.address, CI_FIXED, identity, content.access, content.status, 0, records, notes=notes)


def _long_header(data: bytes) -> tuple[Identity, int, int, int]:
    number, manufacturer, version, medium, access, status, configuration = _LONG.unpack_from(data)
    return Identity(f"{number:08X}", _letters(manufacturer), version, medium), access, status, configuration


_letters = functools.lru_cache(maxsize=1024)(manufacturer_letters)


def _need(data: bytes, size: int, ci: int) -> None:
    if len(data) < size:
        raise DataError(f"CI {ci:02X}: the header has {len(data)} of {size} octets", code="mbus-header")
