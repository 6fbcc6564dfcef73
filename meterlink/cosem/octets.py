"""Reading the fields of an APDU one after the other."""

from __future__ import annotations

from typing import TypeVar

from meterlink.cosem import axdr
from meterlink.cosem.budget import Budget
from meterlink.cosem.data import Data
from meterlink.cosem.leaves import read_length, read_octets
from meterlink.errors import ProtocolError

_T = TypeVar("_T")

MAX_LIST: int = 1_000
"""Most elements of a list of attributes, methods or results in one APDU."""


class Reader:
    """A position in a buffer. Every method raises ProtocolError when the buffer ends early."""

    __slots__ = ("_budget", "_buffer", "_position")

    def __init__(self, buffer: bytes, position: int = 0) -> None:
        self._buffer = buffer
        self._position = position
        self._budget: Budget | None = None

    def u8(self) -> int:
        """Return one octet."""
        try:
            octet = self._buffer[self._position]
        except IndexError:
            raise ProtocolError("the message ends early") from None
        self._position += 1
        return octet

    def i8(self) -> int:
        """Return one octet, signed."""
        return int.from_bytes(self.octets(1), "big", signed=True)

    def u16(self) -> int:
        """Return two octets."""
        return int.from_bytes(self.octets(2), "big")

    def u32(self) -> int:
        """Return four octets."""
        return int.from_bytes(self.octets(4), "big")

    def boolean(self) -> bool:
        """Return one octet, true unless it is 0. Also says whether an optional field is there."""
        return self.u8() != 0

    def octets(self, count: int) -> bytes:
        """Return ``count`` octets."""
        end = self._position + count
        if end > len(self._buffer):
            raise ProtocolError("the message ends early")
        octets = self._buffer[self._position : end]
        self._position = end
        return octets

    def octet_string(self) -> bytes:
        """Return an octet string with its length before it."""
        try:
            octets, self._position = read_octets(self._buffer, self._position)
        except IndexError:
            raise ProtocolError("the message ends early") from None
        return octets

    def data(self) -> Data:
        """Return one A-XDR value."""
        if self._budget is None:
            self._budget = Budget()
        data, self._position = axdr.decode_from(self._buffer, self._position, self._budget)
        return data

    def count(self) -> int:
        """Return the number of elements of a list. Raises ProtocolError over :data:`MAX_LIST`."""
        try:
            count, self._position = read_length(self._buffer, self._position)
        except IndexError:
            raise ProtocolError("the message ends early") from None
        if count > MAX_LIST:
            raise ProtocolError(f"a list of {count} elements")
        return count

    def rest(self) -> bytes:
        """Return everything that is left."""
        octets = self._buffer[self._position :]
        self._position = len(self._buffer)
        return octets

    def end(self) -> None:
        """Raise ProtocolError unless everything was read."""
        left = len(self._buffer) - self._position
        if left:
            raise ProtocolError(f"{left} octets follow the message")
