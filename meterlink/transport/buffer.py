"""The bounded buffer between what the system delivers and what the session reads, and deadlines for both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from meterlink.errors import LinkError, LinkLost, LinkTimeout, LocalProtocolError
from meterlink.transport.prompt import PromptFuture

MAX_CHUNK: Final = 65536
"""Most bytes that one ``receive`` returns."""

DEFAULT_LIMIT: Final = 1 << 18
"""Bytes held for a reader that does not come. A meter's longest telegram is some ten kilobytes."""


class ReceiveBuffer:
    """Bytes that arrived and were not read yet. Belongs to one event loop; :meth:`feed` is synchronous.

    ``on_full`` is called with True when half the limit is passed and with False when the reader has caught up: a
    source that can wait stops and goes on there. A source that cannot wait ends with LinkLost ``link-overflow`` when
    the limit is passed, because a stream with a hole in it is worse than none.

    With ``prompt`` a reader goes on within :meth:`feed` and :meth:`end` (see :class:`.prompt.PromptFuture`): the source
    must have nothing left to do after them.
    """

    def __init__(
        self, limit: int = DEFAULT_LIMIT, on_full: Callable[[bool], None] | None = None, *, prompt: bool = False
    ) -> None:
        self._limit = limit
        self._high = limit // 2
        self._on_full = on_full
        self._full = False
        self._data = bytearray()
        self._prompt = prompt
        self._waiter: asyncio.Future[None] | PromptFuture | None = None
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end: LinkError | None = None

    def __len__(self) -> int:
        return len(self._data)

    @property
    def ended(self) -> bool:
        """True when nothing more will come."""
        return self._end is not None

    @property
    def error(self) -> LinkError | None:
        """What ended the stream, a fresh one each time: an exception raised twice would chain its tracebacks."""
        return (
            None if self._end is None else type(self._end)(self._end.message, code=self._end.code, hint=self._end.hint)
        )

    def feed(self, data: bytes | bytearray) -> None:
        """Append what arrived; ignored after the end."""
        if self._end is not None or not data:
            return
        if len(self._data) + len(data) > self._limit:
            self.end(LinkLost(f"more than {self._limit} bytes came that nobody read", code="link-overflow"))
            return
        self._data += data
        if len(self._data) > self._high and not self._full:
            self._report_full(True)
        self._wake()  # last: the reader goes on within it

    def end(self, error: LinkError) -> None:
        """End the stream: what came before is still delivered, then ``error`` is raised. The first end counts."""
        if self._end is None:
            self._end = error
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._wake()

    def clear(self) -> bytes:
        """Take everything that is there, without waiting."""
        data = bytes(self._data)
        self._data.clear()
        if self._full:
            self._report_full(False)
        return data

    async def receive(self, timeout: float | None) -> bytes:
        """Return what is there, at least one byte; see :meth:`Transport.receive`."""
        if self._data:
            return self._take()
        if self._waiter is not None:
            raise LocalProtocolError("two tasks read one transport at once")
        await self._wait(timeout)
        if self._data:
            return self._take()
        if (error := self.error) is not None:
            raise error
        raise LinkTimeout(f"nothing came within {timeout:g} s")

    async def _wait(self, timeout: float | None) -> None:
        if self._end is not None:
            return
        loop = asyncio.get_running_loop()
        waiter = self._waiter = PromptFuture(loop) if self._prompt else loop.create_future()
        self._due = None if timeout is None else loop.time() + max(timeout, 0.0)
        if self._due is not None:
            self._watch(loop, self._due)
        try:
            await waiter
        finally:
            self._waiter = None

    def _watch(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        """Have the clock looked at when ``due`` comes. Nearly every wait ends long before, and the next begins at once:
        a timer that is set earlier stays, and sets itself anew, instead of one being made and cancelled each time."""
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        if self._waiter is None or self._due is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._due:
            self._watch(loop, self._due)
        else:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self) -> bytes:
        if len(self._data) <= MAX_CHUNK:
            return self.clear()
        data = bytes(self._data[:MAX_CHUNK])
        del self._data[:MAX_CHUNK]
        if self._full and len(self._data) <= self._high // 2:
            self._report_full(False)
        return data

    def _report_full(self, full: bool) -> None:
        self._full = full
        if self._on_full is not None:
            self._on_full(full)
