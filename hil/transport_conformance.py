"""What every transport must do, as tests: one class to subclass.

A subclass says how a line is made, pytest does the rest::

    class TestMyTransport(TransportConformance):
        @asynccontextmanager
        async def line(self):
            far = FarEnd()
            async with my_server(far.handler) as server:
                yield MyTransport(server.address), far

The far end collects what arrives and says what the test wants said. Where a kind of line cannot hold back or be cut,
the attributes say so.
"""

from __future__ import annotations

import abc
import asyncio
import gc
import os
import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import pytest

from meterlink.errors import LinkError, LinkLost, LinkTimeout, LocalProtocolError
from meterlink.transport.base import Transport

PATIENCE: Final = 5.0
"""Seconds after which a test calls something a hang."""


class FarEnd:
    """The far end of a line in a test; its :meth:`handler` is a wire handler that never answers by itself."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.connections = 0
        self.closings = 0
        self.say: Callable[[bytes], object] = _not_connected
        """Puts bytes on the line; set by whoever makes the line."""
        self.cut: Callable[[], Awaitable[None]] = _cannot_cut
        """Breaks the line from the far end, or pulls the plug."""
        self.hold: Callable[[bool], object] = _cannot_hold
        """Stops taking bytes from the line (True), or goes on (False)."""
        self._arrived = asyncio.Event()

    def handler(self) -> FarEnd:
        """Return the handler of a new connection: this far end itself."""
        self.connections += 1
        return self

    def receive(self, data: bytes, now: float) -> bytes:
        """Collect what arrives."""
        self.received += data
        self._arrived.set()
        return b""

    def handle_timer(self, now: float) -> bytes:
        """Say nothing."""
        return b""

    @property
    def next_deadline(self) -> float | None:
        """No deadline."""
        return None

    def closed(self, now: float) -> None:
        """Count the end of a connection."""
        self.closings += 1

    async def wait_for(self, count: int) -> bytes:
        """Return what arrived once it is ``count`` bytes or more."""
        async with asyncio.timeout(PATIENCE):
            while len(self.received) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return bytes(self.received)


def _not_connected(data: bytes) -> None:
    raise RuntimeError("the line is not made yet")


async def _cannot_cut() -> None:
    raise RuntimeError("this line cannot be cut")


def _cannot_hold(on: bool) -> None:
    raise RuntimeError("this line cannot be held")


class TransportConformance(abc.ABC):
    """The tests. Every one runs on a line of its own."""

    can_hold = True
    """The far end can stop taking bytes, so that a sender has to wait."""
    can_reopen = True
    """A closed transport can be opened again."""
    size = 20_000
    """Bytes of the bulk tests."""
    flood = 1 << 20
    """More bytes than a held line takes."""
    unread = 1 << 20
    """Bytes said to a reader that does not come; more than the transport buffers."""
    rounds = 5
    """How often a line is opened and closed in the search for leaks."""

    @abc.abstractmethod
    def line(self) -> AbstractAsyncContextManager[tuple[Transport, FarEnd]]:
        """Make a line; give the transport, not opened, and its far end. At the end take everything down."""

    async def test_bytes_keep_their_order_in_both_directions(self) -> None:
        """Random chunks, all byte values, both directions at once."""
        rng = random.Random(1)  # noqa: S311  # test data
        up, down = rng.randbytes(self.size), rng.randbytes(self.size)
        async with self.line() as (transport, far), transport:

            async def send() -> None:
                for chunk in _chunks(up, rng):
                    await transport.send(chunk, PATIENCE)

            async def say() -> None:
                for chunk in _chunks(down, rng):
                    far.say(chunk)
                    await asyncio.sleep(0)

            async with asyncio.timeout(4 * PATIENCE), asyncio.TaskGroup() as group:
                group.create_task(send())
                group.create_task(say())
                got = await receive_exactly(transport, len(down))
            assert got == down
            assert await far.wait_for(len(up)) == up

    async def test_receive_gives_up_at_its_deadline(self) -> None:
        """Not early; a hang is for the runner's own patience to tell."""
        async with self.line() as (transport, _), transport:
            start = _now()
            with pytest.raises(LinkTimeout):
                await transport.receive(0.1)
            assert _now() - start >= 0.09
            with pytest.raises(LinkTimeout):
                await transport.receive(0.0)

    async def test_nothing_is_lost_by_a_deadline_or_a_cancellation(self) -> None:
        """What comes after a reader gave up is there for the next one."""
        async with self.line() as (transport, far), transport:
            with pytest.raises(LinkTimeout):
                await transport.receive(0.01)
            reader = asyncio.create_task(transport.receive())
            await asyncio.sleep(0)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            far.say(b"still here")
            assert await receive_exactly(transport, 10) == b"still here"

    async def test_a_second_reader_is_refused(self) -> None:
        """Two readers would share the stream between them."""
        async with self.line() as (transport, far), transport:
            reader = asyncio.create_task(transport.receive(PATIENCE))
            await asyncio.sleep(0)
            with pytest.raises(LocalProtocolError):
                await transport.receive(0.1)
            far.say(b"x")
            assert await reader == b"x"

    async def test_close_ends_a_pending_receive(self) -> None:
        """With LinkLost, at once."""
        async with self.line() as (transport, _):
            await transport.open()
            reader = asyncio.create_task(transport.receive())
            await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                await transport.close()
                with pytest.raises(LinkLost):
                    await reader

    async def test_a_closed_transport_refuses(self) -> None:
        """Sending and receiving after close; closing twice is no fault."""
        async with self.line() as (transport, _):
            with pytest.raises(LinkLost):
                await transport.receive(1.0)
            await transport.close()
            await transport.open()
            await transport.close()
            await transport.close()
            with pytest.raises(LinkLost):
                await transport.send(b"x", 1.0)
            with pytest.raises(LinkLost):
                await transport.receive(1.0)

    async def test_a_line_that_is_cut_ends_the_stream(self) -> None:
        """What came before is delivered first; afterwards LinkLost, soon."""
        async with self.line() as (transport, far), transport:
            far.say(b"last words")
            assert await receive_exactly(transport, 10) == b"last words"
            reader = asyncio.create_task(transport.receive())
            await asyncio.sleep(0)
            await far.cut()
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(LinkLost):
                    await reader
            with pytest.raises(LinkLost):
                await transport.send(b"x", 1.0)
            with pytest.raises(LinkLost):
                await transport.receive(1.0)

    async def test_send_gives_up_at_its_deadline(self) -> None:
        """When the far end takes nothing; memory stays bounded, and the stream can still be used."""
        if not self.can_hold:
            return
        async with self.line() as (transport, far), transport:
            far.hold(True)
            start = _now()
            with pytest.raises(LinkTimeout):
                await transport.send(bytes(self.flood), 0.2)
            assert _now() - start >= 0.19
            far.hold(False)
            await transport.send(b"\x01", PATIENCE)
            await self._arrives(far, b"\x01")

    async def test_a_cancelled_send_leaves_the_stream_usable(self) -> None:
        """A part may have been sent, nothing else follows it."""
        if not self.can_hold:
            return
        async with self.line() as (transport, far), transport:
            far.hold(True)
            sender = asyncio.create_task(transport.send(bytes(self.flood)))
            await asyncio.sleep(0.05)
            sender.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sender
            far.hold(False)
            await transport.send(b"\x01", PATIENCE)
            await self._arrives(far, b"\x01")
            assert not any(far.received[:-1])

    async def test_close_and_cut_end_a_pending_send(self) -> None:
        """With LinkLost, at once."""
        if not self.can_hold:
            return
        for cut in (False, True):
            async with self.line() as (transport, far):
                await transport.open()
                far.hold(True)
                sender = asyncio.create_task(transport.send(bytes(self.flood)))
                await asyncio.sleep(0.05)
                assert not sender.done()
                async with asyncio.timeout(PATIENCE):
                    await (far.cut() if cut else transport.close())
                    with pytest.raises(LinkLost):
                        await sender
                    await transport.close()

    async def test_a_second_writer_is_refused(self) -> None:
        """Two writers would mix their bytes."""
        if not self.can_hold:
            return
        async with self.line() as (transport, far), transport:
            far.hold(True)
            sender = asyncio.create_task(transport.send(bytes(self.flood)))
            await asyncio.sleep(0.02)
            with pytest.raises(LocalProtocolError):
                await transport.send(b"x", 0.1)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def test_what_nobody_reads_is_bounded(self) -> None:
        """A far end that never stops: the reader comes late and gets an unbroken beginning, or all of it."""
        async with self.line() as (transport, far), transport:
            said, page = 0, bytes(range(256)) * 16
            while said < self.unread:
                far.say(page)
                said += len(page)
                await asyncio.sleep(0)
            got = bytearray()
            try:
                while len(got) < said:
                    got += await transport.receive(PATIENCE)
            except LinkLost as error:
                assert error.code == "link-overflow"  # noqa: PT017  # only where the source cannot be stopped
            assert got == bytes(range(256)) * (len(got) // 256) + bytes(range(len(got) % 256))

    async def test_it_can_be_opened_again(self) -> None:
        """After a close, and after a loss with a close."""
        if not self.can_reopen:
            return
        async with self.line() as (transport, far):
            for turn in range(2):
                async with transport:
                    await transport.send(bytes([turn]), PATIENCE)
                    await far.wait_for(turn + 1)
                    far.say(bytes([turn]))
                    assert await transport.receive(PATIENCE) == bytes([turn])

    async def test_opening_can_be_cancelled_at_any_point(self) -> None:
        """Nothing is left open, and the next opening works."""
        if not self.can_reopen:
            return
        async with self.line() as (transport, far):
            for steps in (0, 1, 2, 5, 20):
                opening = asyncio.create_task(transport.open())
                for _ in range(steps):
                    await asyncio.sleep(0)
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
                async with asyncio.timeout(PATIENCE):
                    await transport.close()
            async with transport:
                await transport.send(b"x", PATIENCE)
                await far.wait_for(1)

    async def test_nothing_leaks(self) -> None:
        """Tasks, threads and descriptors are as many after a number of rounds as after the first."""
        before: tuple[int, int, int] | None = None
        for _ in range(self.rounds):
            async with self.line() as (transport, far):
                async with transport:
                    await transport.send(b"x", PATIENCE)
                    await far.wait_for(1)
                    reader = asyncio.create_task(transport.receive())
                    await asyncio.sleep(0)
                with pytest.raises(LinkError):
                    await reader
            held = await _held()
            before = before or held
            assert held == before

    async def _arrives(self, far: FarEnd, tail: bytes) -> None:
        async with asyncio.timeout(2 * PATIENCE):
            while not far.received.endswith(tail):
                await far.wait_for(len(far.received) + 1)


async def receive_exactly(transport: Transport, count: int, timeout: float = PATIENCE) -> bytes:
    """Receive ``count`` bytes or more; each piece must come within ``timeout``."""
    data = bytearray()
    while len(data) < count:
        data += await transport.receive(timeout)
    return bytes(data)


def _chunks(data: bytes, rng: random.Random) -> list[bytes]:
    chunks, start = [], 0
    while start < len(data):
        end = start + rng.choice((1, 2, 7, 20, 64, 300, 1000))
        chunks.append(data[start:end])
        start = end
    return chunks


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _held() -> tuple[int, int, int]:
    """Return how many tasks, threads and descriptors there are once everything that is ending has ended."""
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    return len(asyncio.all_tasks()), threading.active_count(), open_descriptors()


def open_descriptors() -> int:
    """Return how many file descriptors this process holds; 0 where the system does not tell."""
    try:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208  # names only, no Path objects that could keep anything open
    except OSError:
        return 0
