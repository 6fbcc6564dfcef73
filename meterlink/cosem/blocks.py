"""Long values and parameters in blocks, without I/O, for both roles (Green Book, 9.4.6.4 to 9.4.6.6).

Blocks are numbered from 1 and come in order, each one confirmed before the next. What is put together is bounded: a
peer that never sends a last block runs into the bound, one that sends empty blocks is stopped at the first.
"""

from __future__ import annotations

from meterlink.cosem.budget import TOO_LONG_HINT
from meterlink.errors import ProtocolError


class Assembler:
    """Puts the blocks of one transfer together. ``limit`` bounds the octets of all of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._content = bytearray()
        self._number = 0

    @property
    def number(self) -> int:
        """The number of the last block that was added, 0 before the first."""
        return self._number

    def add(self, last: bool, number: int, content: bytes) -> bytes | None:
        """Add a block; return the whole when it was the last.

        Raises ProtocolError: ``data-block-number-invalid``, ``transfer-too-long``, ``block-empty``.
        """
        if number != self._number + 1:
            raise ProtocolError(
                f"block {number} came where {self._number + 1} was due", code="data-block-number-invalid"
            )
        if not content and not last:
            raise ProtocolError("an empty block came that is not the last", code="block-empty")
        if len(self._content) + len(content) > self._limit:
            raise ProtocolError(
                f"a transfer of more than {self._limit} octets", code="transfer-too-long", hint=TOO_LONG_HINT
            )
        self._number = number
        self._content += content
        return bytes(self._content) if last else None


class Splitter:
    """Cuts one long content into blocks."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0
        self._number = 0

    @property
    def number(self) -> int:
        """The number of the last block that was taken, 0 before the first."""
        return self._number

    @property
    def is_done(self) -> bool:
        """True when the last block was taken."""
        return self._number > 0 and self._position >= len(self._content)

    def take(self, size: int) -> tuple[bool, int, bytes]:
        """Return the next block of at most ``size`` octets: whether it is the last, its number, its content."""
        content = self._content[self._position : self._position + size]
        self._position += len(content)
        self._number += 1
        return self._position >= len(self._content), self._number, content
