"""A serial port run by two threads of its own, so that no call of a driver ever stops the event loop.

One thread opens the port, reads, and at last closes it; the other writes and changes settings. Threads of asyncio's
default executor are not used: a driver that hangs would take them away from everybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import serial

from meterlink.transport.base import LineSettings

POLL: Final = 0.2
"""Seconds after which the reader looks whether the port is still there. A port that is gone shows at once on Linux;
elsewhere only when it is asked."""

MAX_PENDING: Final = 65536
"""Bytes read that the event loop has not fetched yet; the reader waits beyond."""

DRAIN_GRACE: Final = 1.0
"""Seconds that bytes in flight get to leave the line before a close drops them: the driver alone would wait 30."""

_T = TypeVar("_T")


class PortThread:
    """The threads of one port. All methods but the constructor's callbacks belong to the event loop.

    ``feed`` gets what arrived, ``lost`` the driver's error when the port is gone; both on the event loop.
    """

    def __init__(self, port: serial.Serial, feed: Callable[[bytes], None], lost: Callable[[Exception], None]) -> None:
        self._port = port
        self._feed = feed
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.Event()
        self._stop = threading.Event()
        self._room = threading.Event()
        self._room.set()
        self._lock = threading.Lock()
        self._pending = bytearray()
        self._full = False
        self._shutting = False
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle_at = 0.0
        name = f"meterlink {port.port}"
        self._reader = threading.Thread(target=self._read, name=f"{name} reader", daemon=True)
        self._writer = threading.Thread(target=self._write, name=f"{name} writer", daemon=True)

    # -- on the event loop

    async def open(self) -> None:
        """Open the port; raises what the driver raises. Cancelled, the port is closed once the driver comes back."""
        self._reader.start()
        await asyncio.shield(self._opened)

    async def write(self, data: bytes, line: LineSettings) -> None:
        """Write all; cancelled, stop as soon as the driver lets go."""
        cancelled = threading.Event()
        try:
            await self._call(lambda: self._write_all(data, line.byte_time, cancelled))
        except asyncio.CancelledError:
            cancelled.set()
            self._wake()
            raise

    async def configure(self, settings: dict[str, object]) -> None:
        """Change attributes of the port (pyserial's names), once everything before is written."""
        await self._call(lambda: self._apply(settings))

    async def control(self, dtr: bool | None, rts: bool | None) -> None:
        """Set the modem lines that are not None."""
        await self._call(lambda: self._set_lines(dtr, rts))

    async def drain(self) -> None:
        """Return when the last byte written has left the line, by the driver's queue and by the clock."""
        while (wait := await self._call(self._time_to_idle)) > 0.0:  # noqa: ASYNC110  # no driver tells when
            await asyncio.sleep(wait)

    def pause(self, full: bool) -> None:
        """Stop reading (True) or go on (False)."""
        with self._lock:
            self._full = full
            if not full and len(self._pending) < MAX_PENDING:
                self._room.set()

    async def close(self) -> None:
        """Close the port and end both threads. A driver that hangs is left behind after a while, with its threads."""
        if not self._reader.is_alive() and not self._ended.is_set():
            return
        with contextlib.suppress(TimeoutError, OSError, serial.SerialException):
            async with asyncio.timeout(DRAIN_GRACE):
                if self._is_open() and not self._stop.is_set():
                    await self.drain()
        self._stop.set()
        self._room.set()
        self._wake(reader=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self._ended.wait()
                # It has nothing left to do but return.
                self._reader.join(1.0)

    def _is_open(self) -> bool:
        """Return whether the port was opened: without that nothing waits to be written."""
        opened = self._opened
        return opened.done() and not opened.cancelled() and opened.exception() is None

    def _wake(self, *, reader: bool = False) -> None:
        """Get the threads out of a blocking call. Under the lock: a port being closed has given its wake-up pipe back
        to the system, and another file may have its number already."""
        with self._lock, contextlib.suppress(OSError):
            if not self._shutting:
                self._port.cancel_write()
                if reader:
                    self._port.cancel_read()

    def _fetch(self) -> None:
        with self._lock:
            data = bytes(self._pending)
            self._pending.clear()
            if not self._full:
                self._room.set()
        self._feed(data)

    def _call(self, command: Callable[[], _T]) -> asyncio.Future[_T]:
        """Run a command in the writer's thread."""
        future: asyncio.Future[_T] = self._loop.create_future()

        def settle(result: _T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]  # without an error there is a result
            else:
                future.set_exception(error)

        def run() -> None:
            try:
                result = command()
            except Exception as error:  # noqa: BLE001  # whatever the driver raises belongs to the caller
                self._post(settle, None, error)
            else:
                self._post(settle, result, None)

        if self._stop.is_set():
            settle(None, serial.PortNotOpenError())
        else:
            self._commands.put(run)
        return future

    # -- in the threads

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        # The loop may be gone when its program ends without closing; there is nobody left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _settle_open(self, error: Exception | None) -> None:
        if self._opened.cancelled():
            return
        if error is None:
            self._opened.set_result(None)
        else:
            self._opened.set_exception(error)
            self._opened.exception()  # an opener that was cancelled does not come back for it

    def _read(self) -> None:
        try:
            try:
                self._port.open()
            except Exception as error:  # noqa: BLE001  # termios.error and others come through pyserial
                self._post(self._settle_open, error)
                return
            self._writer.start()
            self._post(self._settle_open, None)
            self._read_until_stopped()
        finally:
            self._shut()
            self._post(self._ended.set)

    def _read_until_stopped(self) -> None:
        try:
            while not self._stop.is_set():
                self._room.wait()
                data = self._port.read(1)
                if waiting := self._port.in_waiting:
                    data += self._port.read(waiting)
                if data:
                    self._hand_over(data)
        except Exception as error:  # noqa: BLE001  # any error of the driver means that the port is gone
            if not self._stop.is_set():
                self._post(self._lost, error)

    def _hand_over(self, data: bytes) -> None:
        with self._lock:
            first = not self._pending
            self._pending += data
            if self._full or len(self._pending) >= MAX_PENDING:
                self._room.clear()
        if first:
            self._post(self._fetch)

    def _shut(self) -> None:
        self._stop.set()
        self._commands.put(None)
        self._wake()
        if self._writer.ident is not None:
            self._writer.join()
        with self._lock:
            self._shutting = True
        with contextlib.suppress(Exception):  # a port that is gone can fail here in any way, and is closed all the same
            if self._port.is_open:
                self._port.reset_output_buffer()
        with contextlib.suppress(Exception):  # as above
            self._port.close()

    def _write(self) -> None:
        while (command := self._commands.get()) is not None:
            command()

    def _write_all(self, data: bytes, byte_time: float, cancelled: threading.Event) -> None:
        rest = memoryview(data)
        while rest and not cancelled.is_set():
            if self._stop.is_set():
                raise serial.PortNotOpenError
            start = time.monotonic()
            # Fewer than all are written when a cancel came in between, be it one meant for an earlier write.
            written = self._port.write(bytes(rest)) or 0
            rest = rest[written:]
            self._idle_at = max(self._idle_at, start) + written * byte_time

    def _time_to_idle(self) -> float:
        by_clock = self._idle_at - time.monotonic()
        return max(by_clock, 0.002 if self._port.out_waiting else 0.0)

    def _apply(self, settings: dict[str, object]) -> None:
        before = self._port.get_settings()
        try:
            self._port.apply_settings(dict(settings))
        except Exception:
            # pyserial notes the new values before the driver refuses them; they would spoil the next change.
            self._port.apply_settings(before)
            raise

    def _set_lines(self, dtr: bool | None, rts: bool | None) -> None:
        if dtr is not None:
            self._port.dtr = dtr
        if rts is not None:
            self._port.rts = rts
