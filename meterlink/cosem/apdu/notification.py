"""DataNotification and EventNotification: what a meter sends unasked (Green Book, 9.3.10, 9.3.11 and 9.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from meterlink.cosem import axdr
from meterlink.cosem.data import Data
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.leaves import write_octets
from meterlink.cosem.names import Attribute, write_descriptor
from meterlink.cosem.octets import Reader
from meterlink.values import Obis


def _time_to_octets(time: CosemDateTime | None) -> bytes:
    return b"" if time is None else time.to_bytes()


def _time_from_octets(octets: bytes) -> CosemDateTime | None:
    return CosemDateTime.from_bytes(octets) if octets else None


@dataclass(frozen=True, slots=True)
class DataNotification:
    """Values that a meter pushes. ``invoke`` is the long-invoke-id-and-priority, 32 bits."""

    TAG: ClassVar[int] = 0x0F
    invoke: int
    time: CosemDateTime | None
    body: Data

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG,))
        out += self.invoke.to_bytes(4, "big")
        write_octets(out, _time_to_octets(self.time))
        axdr.encode_into(out, self.body)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class EventNotification:
    """One attribute's value that a meter reports."""

    TAG: ClassVar[int] = 0xC2
    time: CosemDateTime | None
    attribute: Attribute
    value: Data

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG,))
        if self.time is None:
            out.append(0)
        else:
            out.append(1)
            write_octets(out, self.time.to_bytes())
        write_descriptor(out, self.attribute)
        axdr.encode_into(out, self.value)
        return bytes(out)


def read_data_notification(reader: Reader) -> DataNotification:
    """Read a DataNotification behind its tag. Raises ProtocolError."""
    return DataNotification(reader.u32(), _time_from_octets(reader.octet_string()), reader.data())


def read_event_notification(reader: Reader) -> EventNotification:
    """Read an EventNotification behind its tag. Raises ProtocolError."""
    time = _time_from_octets(reader.octet_string()) if reader.boolean() else None
    attribute = Attribute(reader.u16(), Obis.from_bytes(reader.octets(6)), reader.i8())
    return EventNotification(time, attribute, reader.data())
