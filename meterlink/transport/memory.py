"""Two transports in one process, each the other's far end."""

from __future__ import annotations

import asyncio

from meterlink.errors import LinkLost, LinkUnavailable
from meterlink.transport.stream import StreamTransport


class MemoryTransport(StreamTransport):
    """One end of a :func:`pair`. A closed one stays closed.

    A sender waits while the far end holds more than half of its limit unread.
    """

    def __init__(self, url: str, limit: int) -> None:
        super().__init__(url, limit)
        self._peer: MemoryTransport | None = None
        self._room = asyncio.Event()
        self._room.set()

    def _join(self, peer: MemoryTransport) -> None:
        self._peer = peer

    def _on_full(self, full: bool) -> None:
        if full:
            self._room.clear()
        else:
            self._room.set()

    async def _open(self) -> None:
        if self._peer is None:
            raise LinkUnavailable(f"{self.url} was closed; make a new pair")

    async def _send(self, data: bytes) -> None:
        # A step is half the limit at most, and goes only when less than half is waiting: it always fits.
        rest, step = memoryview(data), self._limit // 2
        while rest and (peer := self._peer) is not None:
            await peer._room.wait()
            peer._buffer.feed(bytes(rest[:step]))
            rest = rest[step:]
        if rest:
            raise LinkLost("the far end closed the connection")
        await asyncio.sleep(0)

    async def _close(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            peer._peer = None
            peer._lost(LinkLost("the far end closed the connection"))


def pair(limit: int = 1 << 17) -> tuple[MemoryTransport, MemoryTransport]:
    """Return two joined transports; what one sends the other receives.

    ``limit`` is the most bytes that wait unread in each direction (at least 2).
    """
    if limit < 2:
        raise ValueError("a pair needs a limit of at least 2 bytes")
    left, right = MemoryTransport("memory:left", limit), MemoryTransport("memory:right", limit)
    left._join(right)
    right._join(left)
    return left, right
