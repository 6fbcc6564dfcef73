"""One HDLC frame, to and from octets. :mod:`.description` says what the fields are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fastcrc.crc16 import ibm_sdlc

from meterlink.errors import LocalProtocolError, ProtocolError
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import CONTROLS, Control

FLAG_OCTET: Final = 0x7E
MAX_LENGTH: Final = 2047
"""Largest length that the format field can tell: the octets between the flags."""

MIN_LENGTH: Final = 7
"""Smallest frame: format, two addresses of one octet, control, FCS."""

MAX_INFORMATION: Final = 2030
"""Largest information field that IEC 62056-46 allows (6.4.4.4.3.2); it fits with the longest addresses."""

_FORMAT: Final = 0xA000
_SEGMENTED: Final = 0x0800
_FLAG: Final = b"\x7e"


@dataclass(frozen=True, slots=True)
class HdlcFrame:
    """A frame without its checks. ``segmented``: more frames of the same service data unit follow."""

    destination: HdlcAddress
    source: HdlcAddress
    control: Control
    information: bytes = field(default=b"", repr=False)
    segmented: bool = False

    def to_bytes(self) -> bytes:
        """Return the octets with both flags.

        Raises :class:`~meterlink.errors.LocalProtocolError` when the information field is too long.
        """
        addresses = self.destination.to_bytes() + self.source.to_bytes()
        return encode(addresses, self.control, self.information, self.segmented)

    @classmethod
    def from_bytes(cls, data: bytes) -> HdlcFrame:
        """Read one frame with both its flags. Raises :class:`~meterlink.errors.ProtocolError` with the code ``noise``,
        ``length``, ``address``, ``hcs`` or ``fcs``; a frame that is cut off has ``length``."""
        if len(data) < MIN_LENGTH + 2 or data[0] != FLAG_OCTET:
            raise ProtocolError("this is not an HDLC frame", code="noise")
        header = read_header(data)
        if header is None or header.length + 2 != len(data):
            raise ProtocolError("the length of an HDLC frame is not the one it tells", code="length")
        return read_rest(data, header)


def encode(addresses: bytes, control: Control, information: bytes, segmented: bool) -> bytes:
    """Return the octets of a frame with both flags; ``addresses`` are those of destination and source.

    Raises :class:`~meterlink.errors.LocalProtocolError` when the information field is too long.
    """
    length = len(addresses) + (len(information) + 7 if information else 5)
    if length > MAX_LENGTH:
        raise LocalProtocolError(f"an information field of {len(information)} octets does not fit in a frame")
    format_field = _FORMAT | (_SEGMENTED if segmented else 0) | length
    content = format_field.to_bytes(2, "big") + addresses + bytes((control.byte,))
    if information:
        content += ibm_sdlc(content).to_bytes(2, "little") + information
    return _FLAG + content + ibm_sdlc(content).to_bytes(2, "little") + _FLAG


class Header(NamedTuple):
    """What stands in front of a frame: its ``length`` and where the parts end, as offsets from the opening flag."""

    length: int
    destination_end: int
    source_end: int
    has_information: bool


def read_header(data: bytes | bytearray) -> Header | None:
    """Read the header of the frame whose opening flag is ``data[0]``; None when more octets are needed.

    Raises :class:`~meterlink.errors.ProtocolError`: ``noise`` when this is no frame, ``length``, ``address``, ``hcs``.
    """
    size = len(data)
    if size < 2:
        return None
    if data[1] & 0xF0 != 0xA0:
        raise ProtocolError("no frame format of type 3", code="noise")
    if size < 3:
        return None
    length = (data[1] & 0x07) << 8 | data[2]
    if length < MIN_LENGTH:
        raise ProtocolError(f"a frame of {length} octets is too short", code="length")
    destination_end = _address_end(data, 3)
    source_end = _address_end(data, destination_end) if destination_end else 0
    if not source_end:
        return None
    # source_end is also how many octets precede the checks: the flag is not counted in the length, the control field is
    if length == source_end + 2:
        return Header(length, destination_end, source_end, False)
    if length < source_end + 4:
        raise ProtocolError(f"a frame of {length} octets does not hold its header", code="length")
    if size < source_end + 3:
        return None
    if ibm_sdlc(bytes(data[1 : source_end + 1])) != data[source_end + 1] | data[source_end + 2] << 8:
        raise ProtocolError("a header does not match its check sequence", code="hcs")
    return Header(length, destination_end, source_end, True)


def read_rest(data: bytes | bytearray, header: Header) -> HdlcFrame:
    """Read the frame that begins with ``data[0]`` and is there as a whole.

    Raises :class:`~meterlink.errors.ProtocolError`: ``length`` when no flag stands where the frame ends, ``fcs``.
    """
    end = header.length - 1
    if data[header.length + 1] != FLAG_OCTET:
        raise ProtocolError("no flag where the frame ends", code="length")
    if ibm_sdlc(bytes(data[1:end])) != data[end] | data[end + 1] << 8:
        raise ProtocolError("a frame does not match its check sequence", code="fcs")
    return HdlcFrame(
        HdlcAddress.from_bytes(bytes(data[3 : header.destination_end])),
        HdlcAddress.from_bytes(bytes(data[header.destination_end : header.source_end])),
        CONTROLS[data[header.source_end]],
        bytes(data[header.source_end + 3 : end]) if header.has_information else b"",
        bool(data[1] & 0x08),
    )


def _address_end(data: bytes | bytearray, start: int) -> int:
    """Return the offset behind the address at ``start``, 0 when more octets are needed."""
    for end in range(start + 1, min(len(data), start + 4) + 1):
        if data[end - 1] & 1:
            if end - start == 3:
                raise ProtocolError("an address of three octets", code="address")
            return end
    if len(data) >= start + 4:
        raise ProtocolError("an address of more than four octets", code="address")
    return 0
