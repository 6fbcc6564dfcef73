"""What a simulated meter looks like from the wire, and what lets one live on an event loop.

A handler does no I/O and reads no clock: bytes and the time go in, bytes come out, the next deadline is asked for.
:class:`WireDriver` gives it a loop; pseudo-terminals, sockets and the simulated radio each put one on their end of the
line. :class:`WireTransport` needs no line at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from meterlink.errors import LinkLost
from meterlink.transport.stream import StreamTransport


class WireHandler(Protocol):
    """The meter's end of one physical line or one connection. ``now`` is a monotonic clock in seconds."""

    def receive(self, data: bytes, now: float) -> bytes:
        """Take bytes from the line, in any chunking; return the bytes to send back now."""
        ...

    def handle_timer(self, now: float) -> bytes:
        """Let time pass, at :attr:`next_deadline` or later; return the bytes to send now."""
        ...

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` wants to be called; None when nothing is pending."""
        ...

    def closed(self, now: float) -> None:
        """The line is gone. Nothing else is called after this."""
        ...


HandlerFactory = Callable[[], WireHandler]
"""Makes the meter's end for one new connection."""


class WireDriver:
    """Runs one handler on the running event loop.

    What the handler says goes to ``write``, which must not block. After :meth:`close` nothing is written any more.
    """

    def __init__(self, handler: WireHandler, write: Callable[[bytes], None]) -> None:
        self._handler = handler
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._schedule()

    def receive(self, data: bytes) -> None:
        """Give the handler bytes from the line."""
        if not self._closed:
            self._answer(self._handler.receive(data, self._loop.time()))

    def say(self, data: bytes) -> None:
        """Put bytes on the line that the handler did not send: a push, a fault."""
        if not self._closed:
            self._write(data)

    def close(self) -> None:
        """Tell the handler that its line is gone. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._handler.closed(self._loop.time())

    def _answer(self, data: bytes) -> None:
        # The deadline first: writing may close the line, and with it this driver.
        self._schedule()
        if data:
            self._write(data)

    def _schedule(self) -> None:
        """Have the handler's deadline met. Every message puts it off, so a timer that is set earlier stays, and sets
        itself anew, instead of one being made and cancelled each time."""
        deadline = self._handler.next_deadline
        if self._timer is not None:
            if deadline is not None and self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._closed:
            return
        now, deadline = self._loop.time(), self._handler.next_deadline
        if deadline is None or now < deadline:
            self._schedule()
        else:
            self._answer(self._handler.handle_timer(now))


class WireTransport(StreamTransport):
    """A transport whose other end is a handler in the same process, for ``sim:`` and for tests."""

    def __init__(self, factory: HandlerFactory, url: str = "sim:") -> None:
        super().__init__(url)
        self._factory = factory
        self._driver: WireDriver | None = None

    @property
    def driver(self) -> WireDriver:
        """What drives the meter's end, for faults that are put on the line by hand."""
        if self._driver is None:
            raise RuntimeError("the line is not open")
        return self._driver

    async def cut(self) -> None:
        """Break the line."""
        self._lost(LinkLost(f"{self.url} was cut"))

    async def _open(self) -> None:
        self._driver = WireDriver(self._factory(), self._buffer.feed)

    async def _send(self, data: bytes) -> None:
        if self._driver is not None:
            self._driver.receive(data)
        # A real line hands over to the loop here; without it a sender in a tight loop would starve every timer.
        await asyncio.sleep(0)

    async def _close(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None
