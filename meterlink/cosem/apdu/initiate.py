"""InitiateRequest and InitiateResponse: what an association may do (Green Book, 9.3.2 and 9.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from meterlink.cosem.conformance import KNOWN, Conformance
from meterlink.cosem.leaves import write_octets
from meterlink.cosem.octets import Reader
from meterlink.errors import ProtocolError
from meterlink.security.keys import Secret

DLMS_VERSION: Final = 6

_CONFORMANCE: Final = bytes((0x5F, 0x1F, 0x04, 0x00))
"""Application tag 31 in BER, length, and the number of unused bits."""

_KNOWN: Final = int(KNOWN)

VAA_NAME_LN: Final = 0x0007
"""The dummy short name of an association with logical names."""


def _conformance_to_bytes(conformance: Conformance) -> bytes:
    return _CONFORMANCE + int(conformance).to_bytes(3, "big")


def _read_conformance(reader: Reader) -> Conformance:
    if reader.u8() != 0x5F:
        raise ProtocolError("the conformance block is missing")
    size = reader.u8()
    # Some old implementations write the tag as 5F without 1F.
    if size == 0x1F:
        size = reader.u8()
    if size != 4:
        raise ProtocolError("the conformance block has a wrong length")
    reader.u8()
    return Conformance(int.from_bytes(reader.octets(3), "big") & _KNOWN)


@dataclass(frozen=True, slots=True)
class InitiateRequest:
    """What the client proposes. ``max_pdu`` is the largest APDU it receives, in octets, 0 for no bound."""

    TAG: ClassVar[int] = 0x01
    conformance: Conformance
    max_pdu: int = 0
    dedicated_key: bytes | None = field(default=None, repr=False)
    response_allowed: bool = True
    quality_of_service: int | None = None
    version: int = DLMS_VERSION

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG,))
        if self.dedicated_key is None:
            out.append(0)
        else:
            out.append(1)
            write_octets(out, self.dedicated_key)
        out += b"\x00" if self.response_allowed else b"\x01\x00"
        out += b"\x00" if self.quality_of_service is None else bytes((1, self.quality_of_service))
        out.append(self.version)
        return bytes(out) + _conformance_to_bytes(self.conformance) + self.max_pdu.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class InitiateResponse:
    """What the server grants. ``max_pdu`` is the largest APDU it receives, in octets, 0 for no bound."""

    TAG: ClassVar[int] = 0x08
    conformance: Conformance
    max_pdu: int = 0
    quality_of_service: int | None = None
    version: int = DLMS_VERSION
    vaa_name: int = VAA_NAME_LN

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG,))
        out += b"\x00" if self.quality_of_service is None else bytes((1, self.quality_of_service))
        out.append(self.version)
        out += _conformance_to_bytes(self.conformance)
        return bytes(out) + self.max_pdu.to_bytes(2, "big") + self.vaa_name.to_bytes(2, "big")


def read_initiate_request(reader: Reader) -> InitiateRequest:
    """Read an InitiateRequest behind its tag. Raises ProtocolError."""
    key = Secret(reader.octet_string()) if reader.boolean() else None
    allowed = reader.boolean() if reader.boolean() else True
    quality = reader.u8() if reader.boolean() else None
    version = reader.u8()
    return InitiateRequest(_read_conformance(reader), reader.u16(), key, allowed, quality, version)


def read_initiate_response(reader: Reader) -> InitiateResponse:
    """Read an InitiateResponse behind its tag. Raises ProtocolError."""
    quality = reader.u8() if reader.boolean() else None
    version = reader.u8()
    return InitiateResponse(_read_conformance(reader), reader.u16(), quality, version, reader.u16())
