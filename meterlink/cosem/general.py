"""General block transfer, without I/O, for both roles (Green Book, 9.3.13 and 9.4.6.13).

It carries any APDU, protected or not, in blocks, and lies between the association and the link. We take what a peer
streams, and send one block at a time ourselves: every link below confirms anyway. A block with a window of 0 and
content is part of an unconfirmed stream, a push: it is not answered, and leaves a transfer that is under way alone.
"""

from __future__ import annotations

from typing import Final

from meterlink.cosem.apdu.general_block import GeneralBlock, read_general_block
from meterlink.cosem.octets import Reader
from meterlink.errors import LocalProtocolError, ProtocolError

_TAG: Final = bytes((GeneralBlock.TAG,))

_WINDOW: Final = 1
"""Blocks that a peer may send us without an answer."""

_HEADER: Final = 1 + 1 + 2 + 2 + 5
"""Octets of a block before its content, at most."""

_MAX_BLOCKS: Final = 0xFFFF

_PATIENCE: Final = 16
"""Blocks in a row that bring nothing new; then the peer is not serious."""

MAX_PUSH: Final = 0xFFFF
"""Octets of the longest APDU that is taken in an unconfirmed stream: what nobody asked for must not fill memory."""


class UnconfirmedStream:
    """Joins the blocks of a push. The first begins anew; a gap, which nobody can ask to be filled, drops the rest."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._received = 0

    def add(self, block: GeneralBlock) -> bytes | None:
        """Take a block; return the whole APDU with the last one."""
        if block.number == 1:
            self._forget()
        if block.number != self._received + 1 or len(self._content) + len(block.content) > MAX_PUSH:
            self._forget()
            return None
        self._content += block.content
        self._received += 1
        if not block.last:
            return None
        whole = bytes(self._content)
        self._forget()
        return whole

    def _forget(self) -> None:
        self._content.clear()
        self._received = 0


class GeneralTransfer:
    """One transfer each way at most. ``limit`` bounds the octets of an APDU that comes in blocks."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._out: list[bytes] = []
        self._number = 0
        self._in = bytearray()
        self._received = 0
        self._fruitless = 0
        self._pushed = UnconfirmedStream()

    def start(self, apdu: bytes, room: int) -> GeneralBlock:
        """Begin to send ``apdu`` in blocks that are no longer than ``room`` octets; return the first.

        Raises LocalProtocolError when it cannot be done.
        """
        size = room - _HEADER
        if size < 1 or len(apdu) > size * _MAX_BLOCKS:
            raise LocalProtocolError("the APDU cannot be cut into blocks that the peer takes")
        self.forget()
        self._out = [apdu[start : start + size] for start in range(0, len(apdu), size)]
        return self._block(1)

    def receive(self, data: bytes) -> bytes | GeneralBlock | None:
        """Take any APDU: one that is no block is returned as it is, a block is fed to :meth:`feed`. Raises
        ProtocolError."""
        if data[:1] != _TAG:
            return data
        return self.feed(_read(data))

    def receive_push(self, data: bytes) -> bytes | None:
        """Take what came outside the sequence of requests and responses: return the APDU, None for a block that is not
        the last, or that belongs to no push. Raises ProtocolError."""
        if data[:1] != _TAG:
            return data
        block = _read(data)
        return None if block.window else self._pushed.add(block)

    def feed(self, block: GeneralBlock) -> bytes | GeneralBlock | None:
        """Take a block: return the whole APDU, or the block to send next, or None when more is to come by itself.

        Raises ProtocolError (``transfer-too-long``, ``block-unexpected``).
        """
        if not block.window and block.content:
            return self._pushed.add(block)
        if self._out:
            # A block with content shows that the peer has all of ours and goes on, confirmed or not.
            all_sent = self._number == len(self._out)
            if block.acknowledged < len(self._out) and not (all_sent and block.content):
                return self._resume(block)
            self._out = []
            if not block.content:
                return None
        if block.number == self._received + 1 and (block.content or block.last):
            self._add(block.content)
            if block.last:
                whole = bytes(self._in)
                self.forget()
                return whole
        else:
            # One is missing or doubled: the confirmation asks for what comes after the last good one.
            self._waste()
        return None if block.streaming or not block.window else self._confirmation()

    def forget(self) -> None:
        """Drop the transfers of requests and responses: one of them was given up, or came without blocks."""
        self._out = []
        self._in.clear()
        self._received = self._number = self._fruitless = 0

    def _add(self, content: bytes) -> None:
        if len(self._in) + len(content) > self._limit:
            raise ProtocolError(f"a transfer of more than {self._limit} octets", code="transfer-too-long")
        self._in += content
        self._received += 1
        self._fruitless = 0

    def _resume(self, block: GeneralBlock) -> GeneralBlock:
        if block.content or block.acknowledged > self._number:
            raise ProtocolError("a block came in the middle of our own transfer", code="block-unexpected")
        if block.acknowledged < self._number:
            self._waste()
        else:
            self._fruitless = 0
        return self._block(block.acknowledged + 1)

    def _block(self, number: int) -> GeneralBlock:
        self._number = number
        return GeneralBlock(number == len(self._out), False, _WINDOW, number, self._received, self._out[number - 1])

    def _confirmation(self) -> GeneralBlock:
        self._number += 1
        return GeneralBlock(True, False, _WINDOW, self._number & _MAX_BLOCKS, self._received, b"")

    def _waste(self) -> None:
        self._fruitless += 1
        if self._fruitless > _PATIENCE:
            raise ProtocolError("blocks come that bring nothing new", code="block-unexpected")


def _read(data: bytes) -> GeneralBlock:
    reader = Reader(data, 1)
    block = read_general_block(reader)
    reader.end()
    return block
