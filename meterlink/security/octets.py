"""Octet strings with a length in front, as A-XDR and BER write them (IEC 62056-6-2, IEC 61334-6)."""

from __future__ import annotations

from meterlink.errors import ProtocolError


def length_to_bytes(length: int) -> bytes:
    """Return ``length`` in A-XDR: one octet up to 127, else 0x80 + number of octets, then the octets."""
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def octet_string(data: bytes) -> bytes:
    """Return ``data`` with its length in front."""
    return length_to_bytes(len(data)) + data


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Return the length that stands at offset ``at`` and the offset behind it.

    Raises :class:`~meterlink.errors.ProtocolError` (``malformed``) when it is cut off or has more than four octets.
    """
    try:
        first = data[at]
    except IndexError:
        raise ProtocolError("a length is missing", code="malformed") from None
    if first < 0x80:
        return first, at + 1
    end = at + 1 + (first & 0x7F)
    if not 1 <= first & 0x7F <= 4 or end > len(data):
        raise ProtocolError("a length is cut off or out of range", code="malformed")
    return int.from_bytes(data[at + 1 : end], "big"), end


def read_octet_string(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the octet string that stands at offset ``at`` and the offset behind it.

    Raises :class:`~meterlink.errors.ProtocolError` (``malformed``) when it is cut off.
    """
    length, start = read_length(data, at)
    end = start + length
    if end > len(data):
        raise ProtocolError(f"an octet string of {length} octets is cut off", code="malformed")
    return data[start:end], end
