"""What all our transports share: one buffer, one writer, deadlines raced against the loss of the link, one close."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

from meterlink.errors import LinkError, LinkLost, LinkTimeout, LocalProtocolError
from meterlink.transport.base import Transport
from meterlink.transport.buffer import DEFAULT_LIMIT, ReceiveBuffer

_T = TypeVar("_T")


class StreamTransport(Transport):
    """A transport over a source that delivers by callback.

    A child fills in :meth:`_open`, :meth:`_send` and :meth:`_close`, feeds :attr:`_buffer`, and calls :meth:`_lost` as
    soon as it knows that the link is gone: whatever is waiting then ends at once. One that does nothing after these two
    may set :attr:`_prompt`.
    """

    _prompt: ClassVar[bool] = False
    """Whether a reader goes on within the source's own call."""

    def __init__(self, url: str, limit: int = DEFAULT_LIMIT) -> None:
        self.url = url
        self._limit = limit
        self._buffer = self._make_buffer()
        self._is_open = False
        self._sending = False
        self._scopes: set[asyncio.Timeout] = set()
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """True between a successful :meth:`open` and the loss or the close."""
        return self._is_open and not self._buffer.ended

    @abc.abstractmethod
    async def _open(self) -> None:
        """Open; raise LinkUnavailable or LinkTimeout. What was begun is undone by :meth:`_close`."""

    @abc.abstractmethod
    async def _send(self, data: bytes) -> None:
        """Send all; cancelled at the deadline and at the loss of the link."""

    def _send_at_once(self, data: bytes) -> bool:
        """Send all without waiting, where that can be done; return whether it was. Most messages are small and find
        the way free: a deadline for them would cost more than they do."""
        return False

    @abc.abstractmethod
    async def _close(self) -> None:
        """Free everything, whatever state it is in; end within a bounded time; never raise."""

    def _on_full(self, full: bool) -> None:
        """Stop the source (True) or let it go on (False). Nothing to do for one that cannot stop."""

    def _make_buffer(self) -> ReceiveBuffer:
        return ReceiveBuffer(self._limit, self._on_full, prompt=self._prompt)

    async def open(self) -> None:
        """Open the stream; one that was closed may be opened again."""
        if self._is_open:
            raise LocalProtocolError(f"{self.url} is open already")
        if self._closing is not None:
            await asyncio.shield(self._closing)
        if self._buffer.ended:
            self._buffer = self._make_buffer()
        self._is_open = True
        try:
            await self._bounded(self._open, None, "it did not open")
        except BaseException:  # cancellation, too, must not leave a half-open port behind
            await self.close()
            raise

    async def receive(self, timeout: float | None = None) -> bytes:
        """Return what arrived; see :meth:`Transport.receive`."""
        if not self._is_open:
            raise LinkLost(f"{self.url} is closed")
        return await self._buffer.receive(timeout)

    async def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send all of it; see :meth:`Transport.send`."""
        if self._sending:
            raise LocalProtocolError("two tasks write one transport at once")
        if not self._is_open:
            raise LinkLost(f"{self.url} is closed")
        if not self._buffer.ended and self._send_at_once(data):
            return
        self._sending = True
        try:
            await self._bounded(lambda: self._send(data), timeout, "the bytes were not taken")
        finally:
            self._sending = False

    async def close(self) -> None:
        """Close, once; a caller that is cancelled leaves the closing running to its end."""
        if self._closing is None:
            if not self._is_open:
                return
            self._lost(LinkLost(f"{self.url} was closed"))
            self._closing = asyncio.get_running_loop().create_task(self._finish())
        await asyncio.shield(self._closing)

    async def _finish(self) -> None:
        try:
            await self._close()
        finally:
            self._buffer.clear()
            self._is_open = False
            self._closing = None

    async def _bounded(self, operation: Callable[[], Awaitable[_T]], timeout: float | None, what: str) -> _T:
        """Await an operation until the deadline or the loss of the link, whichever is first."""
        if (error := self._buffer.error) is not None:
            raise error
        scope = asyncio.timeout(timeout)
        try:
            async with scope:
                self._scopes.add(scope)
                return await operation()
        except TimeoutError:
            if (error := self._buffer.error) is not None:
                raise error from None
            raise LinkTimeout(f"{what} within {timeout:g} s" if timeout is not None else what) from None
        finally:
            self._scopes.discard(scope)

    def _lost(self, error: LinkError) -> None:
        """The link is gone: end the stream and whatever waits on it. The first loss counts."""
        now = asyncio.get_running_loop().time()
        for scope in self._scopes:
            if not scope.expired():
                scope.reschedule(now)
        self._buffer.end(error)  # last: a reader goes on within it
