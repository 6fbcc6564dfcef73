"""User data for an M-Bus meter: records of its maker's description, checked before anything is sent (EN 13757-3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from meterlink.errors import UsageError
from meterlink.framing.mbus.frame import LongFrame
from meterlink.framing.mbus.requests import CI_DATA
from meterlink.mbus import Record, decode_telegram
from meterlink.mbus.commands import MAX_USER_DATA
from meterlink.meters import mbus
from meterlink.values import Reading

_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}[\s:]*)+\Z")
_SECRETS: Final = frozenset(
    {
        "access_code_user",
        "access_code_operator",
        "access_code_system_operator",
        "access_code_developer",
        "password",
        "security_key",
    }
)
_WITHHELD: Final = "not shown"
_BCD_8: Final = 0xC


@dataclass(frozen=True, slots=True)
class UserData:
    """``octets`` are the data of the telegram, ``records`` what they say, without the values of keys and passwords."""

    octets: bytes = field(repr=False)
    records: tuple[Reading, ...]

    @property
    def is_secret(self) -> bool:
        """Whether a key or a password is among the records."""
        return any(record.note == _WITHHELD for record in self.records)


def parse_user_data(text: str) -> UserData:
    """Read user data in hex and make sure that they are whole records.

    Raises UsageError ``setting-invalid`` for what is no hex, no record, cut off, or longer than one telegram takes, and
    for records that change the meter's address: those have settings of their own, which make sure that it is free.
    """
    if not _HEX.match(text):
        raise _invalid("user data are written as hex digits, two for each octet", "for example user-data=06FD0C...")
    octets = bytes.fromhex(re.sub(r"[\s:]", "", text))
    if len(octets) > MAX_USER_DATA:
        raise _invalid(f"a telegram takes {MAX_USER_DATA} octets of user data, not {len(octets)}", "send them in parts")
    telegram = decode_telegram(LongFrame(0, 0, CI_DATA, octets))
    content = telegram.content
    if content.problem:
        place = len(octets) - len(content.rest)
        raise _invalid(f"the user data are no whole records: {content.problem} (from octet {place} on)", _HINT)
    if content.more_follow:
        raise _invalid("DIF 1F promises further telegrams, which a master does not send", "end with DIF 0F, or none")
    for record in content.records:
        _refuse_address(record)
    readings = mbus.report([telegram]).readings
    if not readings:
        raise _invalid("the user data have no record", _HINT)
    secret = {record.header.raw.hex(" ").upper() for record in content.records if record.header.quantity in _SECRETS}
    return UserData(octets, tuple(_withheld(reading) if reading.source in secret else reading for reading in readings))


def _withheld(reading: Reading) -> Reading:
    return replace(reading, value=None, note=_WITHHELD, raw="")


def _refuse_address(record: Record) -> None:
    header = record.header
    if header.quantity == "bus_address":
        raise _invalid("the primary address is set by a name of its own", "primary-address=0..250")
    if header.quantity == "enhanced_identification" and header.field == _BCD_8:
        raise _invalid("the secondary address is set by a name of its own", "secondary-address=12345678")


_HINT: Final = "each record is DIF, VIF and data, as the meter's description gives them"


def _invalid(message: str, hint: str) -> UsageError:
    return UsageError(message, code="setting-invalid", hint=hint)
