"""Cuts a stream into the units that faults act on: chunks as they come, HDLC frames, wrapper messages."""

from __future__ import annotations

from typing import Final, Protocol

_FLAG: Final = 0x7E
_WRAPPER_HEADER: Final = 8


class Splitter(Protocol):
    """Takes a stream in any chunking, gives whole units."""

    def __call__(self, data: bytes) -> list[bytes]:
        """Return the units that ``data`` completes; what is incomplete stays inside."""
        ...


class Chunks:
    """Every chunk is a unit, as it came."""

    def __call__(self, data: bytes) -> list[bytes]:
        """Return the chunk."""
        return [data] if data else []


class Octets:
    """Every octet is a unit."""

    def __call__(self, data: bytes) -> list[bytes]:
        """Return the octets one by one."""
        return [data[index : index + 1] for index in range(len(data))]


class HdlcFrames:
    """Every HDLC frame of type 3 is a unit, its flags included (IEC 62056-46, 6.2.3: the format field holds the
    length). What is no frame passes as it is."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __call__(self, data: bytes) -> list[bytes]:
        """Return the frames that ``data`` completes."""
        self._buffer += data
        units = []
        while unit := self._next():
            units.append(unit)
        return units

    def _next(self) -> bytes:
        buffer = self._buffer
        if buffer and buffer[0] != _FLAG:
            end = buffer.find(_FLAG)
            return self._take(len(buffer) if end < 0 else end)
        if len(buffer) < 3:
            return b""
        if buffer[1] & 0xF0 != 0xA0:  # two flags in a row, or no frame of type 3
            return self._take(1)
        length = ((buffer[1] & 0x07) << 8 | buffer[2]) + 2
        return self._take(length) if len(buffer) >= length else b""

    def _take(self, length: int) -> bytes:
        unit = bytes(self._buffer[:length])
        del self._buffer[:length]
        return unit


class WrapperMessages:
    """Every wrapper message (IEC 62056-47: eight octets of header, the last two the length) is a unit."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __call__(self, data: bytes) -> list[bytes]:
        """Return the messages that ``data`` completes."""
        self._buffer += data
        units = []
        while len(self._buffer) >= _WRAPPER_HEADER:
            length = _WRAPPER_HEADER + int.from_bytes(self._buffer[6:8], "big")
            if len(self._buffer) < length:
                break
            units.append(bytes(self._buffer[:length]))
            del self._buffer[:length]
        return units
