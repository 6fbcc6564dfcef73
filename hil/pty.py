"""A simulated meter on a pseudo-terminal: any program that opens a serial port can talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import tty
from types import TracebackType
from typing import Final, Self

from hil.wire import HandlerFactory, WireDriver

_SPEEDS: Final = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


class PtyLine:
    """One serial line with a meter at its far end.

    The line stays while ports open and close at its near end, :attr:`port`, as a cable does; the meter notices nothing
    of it and keeps one handler from :meth:`start` to :meth:`stop`. Use it with ``async with``.
    """

    def __init__(self, factory: HandlerFactory) -> None:
        self._factory = factory
        self._master = -1
        self._slave = -1
        self._out = bytearray()
        self._driver: WireDriver | None = None
        self._reading = False
        self.port = ""

    @property
    def driver(self) -> WireDriver:
        """What drives the meter's end, for faults that are put on the line by hand."""
        if self._driver is None:
            raise RuntimeError("the line is not started")
        return self._driver

    async def start(self) -> None:
        """Make the line and put the meter on it."""
        self._master, self._slave = os.openpty()
        # The near end is held open, so that the line does not hang up between two programs; raw, so that it echoes
        # nothing while none has set it up.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._driver = WireDriver(self._factory(), self._write)
        self.listen(True)

    async def stop(self) -> None:
        """Hang up: a port that is open at the near end is gone at once. Safe to call twice."""
        self.listen(False)
        if self._driver is not None:
            self._driver.close()
            self._driver = None
        if self._master >= 0:
            asyncio.get_running_loop().remove_writer(self._master)
            os.close(self._slave)
            os.close(self._master)
            self._master = self._slave = -1
        self._out.clear()

    def listen(self, on: bool) -> None:
        """Take bytes from the line (True), or let them wait there (False)."""
        loop = asyncio.get_running_loop()
        if on and not self._reading:
            loop.add_reader(self._master, self._readable)
        elif not on and self._reading:
            loop.remove_reader(self._master)
        self._reading = on

    def take(self, count: int) -> bytes:
        """Take up to ``count`` bytes from the line by hand, while it is not listened to: a line with a speed."""
        if count <= 0:
            return b""
        try:
            return os.read(self._master, count)
        except BlockingIOError:
            return b""

    @property
    def speed(self) -> int:
        """The speed that a program set at the near end, in bit/s."""
        code = termios.tcgetattr(self._master)[4]
        return next((baud for baud in _SPEEDS if getattr(termios, f"B{baud}", None) == code), 0)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._master, 65536)
            if self._driver is not None:
                self._driver.receive(data)

    def _write(self, data: bytes) -> None:
        waiting = bool(self._out)
        self._out += data
        if not waiting:
            self._writable()

    def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(BlockingIOError):
            written = os.write(self._master, self._out)
            del self._out[:written]
        if self._out:
            loop.add_writer(self._master, self._writable)
        else:
            loop.remove_writer(self._master)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
