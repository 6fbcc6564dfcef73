"""An optical head (IEC 62056-21) over a serial line, and a line behind a bridge.

A wake-up goes out without a gap before its request when both are given to one ``send``. Changing the line waits until
the last character has left it.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from meterlink.errors import LinkLost, LinkTimeout, LinkUnavailable
from meterlink.transport.base import LineSettings, SerialTransport, Transport
from meterlink.transport.echo import EchoFilter, EchoMode
from meterlink.transport.line import line_options
from meterlink.transport.parity import add_parity, can_emulate, carrier, strip_parity
from meterlink.transport.url import Options

ECHO_SLACK: Final = 0.15
"""Seconds after the last character left the line within which its echo has come back, adapter included."""

Emulation = Literal["auto", "yes", "no"]
START: Final = LineSettings(300, 7, "E", 1)
"""The line every conversation begins on (IEC 62056-21, 6.1)."""


class OpticalTransport(SerialTransport):
    """A head over another serial transport: takes out its echo, and makes 7E1 where the line below cannot.

    ``emulation`` auto tries the line itself first. ``power_delay`` is how long a head that lives on DTR or RTS charges,
    in seconds.
    """

    def __init__(
        self,
        serial: SerialTransport,
        settings: LineSettings = START,
        *,
        echo: EchoMode = EchoMode.AUTO,
        emulation: Emulation = "auto",
        power_delay: float = 0.0,
        url: str | None = None,
    ) -> None:
        self.url = url or serial.url
        self._serial = serial
        self._settings = settings
        self._emulation = emulation
        self._emulating = False
        self._echo_mode = echo
        self._echo = EchoFilter(echo)
        self._echo_until = 0.0
        self._power_delay = power_delay
        self.parity_errors = 0
        """Characters with a wrong parity so far, where parity is emulated."""

    @property
    def line(self) -> LineSettings:
        """The settings in force, as the meter sees them."""
        return self._settings

    @property
    def emulates_parity(self) -> bool:
        """True while 7E1 or 7O1 is made of 8N1."""
        return self._emulating

    async def open(self) -> None:
        """Open the line below, let the head charge, set the line."""
        await self._serial.open()
        try:
            await asyncio.sleep(self._power_delay)
            self._echo = EchoFilter(self._echo_mode)
            await self.set_line(self._settings)
        except BaseException:  # cancellation, too, must not leave the port open
            await self._serial.close()
            raise

    async def set_line(self, settings: LineSettings) -> None:
        """Change the settings after the last character has left the line."""
        emulate = self._emulation == "yes" and can_emulate(settings)
        try:
            await self._serial.set_line(carrier(settings) if emulate else settings)
        except LinkUnavailable as error:
            if error.code != "line-settings" or emulate or self._emulation == "no" or not can_emulate(settings):
                raise
            await self._serial.set_line(carrier(settings))
            emulate = True
        self._emulating = emulate
        self._settings = settings

    async def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send in one write, so that no gap comes between a wake-up and its request."""
        now = asyncio.get_running_loop().time()
        if now > self._echo_until:
            self._echo.forget()
        out = add_parity(data, self._settings.parity) if self._emulating else data
        self._echo.sent(data)
        self._echo_until = max(self._echo_until, now) + len(data) * self._settings.byte_time + ECHO_SLACK
        await self._serial.send(out, timeout)

    async def receive(self, timeout: float | None = None) -> bytes:
        """Return what the meter said."""
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        while True:
            wait = None if end is None else max(0.0, end - loop.time())
            if self._echo.holding:
                left = max(0.0, self._echo_until - loop.time())
                wait = left if wait is None else min(wait, left)
            try:
                data = await self._serial.receive(wait)
            except LinkTimeout:
                if self._echo.holding and loop.time() >= self._echo_until:
                    return self._echo.release()
                if end is not None and loop.time() >= end:
                    raise LinkTimeout(f"nothing came within {timeout:g} s") from None
                continue
            except LinkLost:
                if self._echo.holding:
                    return self._echo.release()
                raise
            if answer := self._heard(data, loop.time()):
                return answer

    def _heard(self, data: bytes, now: float) -> bytes:
        if self._emulating:
            data, wrong = strip_parity(data, self._settings.parity)
            self.parity_errors += wrong
        if now > self._echo_until and not self._echo.holding:
            # The echo has come or never will: what comes so late is the meter's.
            self._echo.forget()
        return self._echo.receive(data)

    async def close(self) -> None:
        """Close the line below."""
        await self._serial.close()


class FixedLine(SerialTransport):
    """A line behind a bridge that sets it by itself: its speed is known here, and cannot be changed."""

    def __init__(self, transport: Transport, baud: int) -> None:
        self.url = transport.url
        self._transport = transport
        self._line = LineSettings(baud)

    @property
    def line(self) -> LineSettings:
        """The settings of the bridge."""
        return self._line

    async def set_line(self, settings: LineSettings) -> None:
        """Refuse any other than the one there is. Raises LinkUnavailable ``line-settings``."""
        if settings != self._line:
            raise LinkUnavailable(
                f"the bridge {self.url} keeps its line at {self._line}; {settings} cannot be set from here",
                code="line-settings",
                hint="set the bridge's line to what the meter wants, or use a gateway that speaks RFC 2217",
            )

    async def open(self) -> None:
        """Open the transport below."""
        await self._transport.open()

    async def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send over the transport below."""
        await self._transport.send(data, timeout)

    async def receive(self, timeout: float | None = None) -> bytes:
        """Receive from the transport below."""
        return await self._transport.receive(timeout)

    async def close(self) -> None:
        """Close the transport below."""
        await self._transport.close()


def on_bridge(transport: Transport, options: Options) -> Transport:
    """Return ``transport`` as a serial line where the URL has ``line`` (7E1, 8N1, ...) and ``baud``: a bridge with a
    line that is set at the bridge. 7E1 is made of its 8N1."""
    if not options.text("line"):
        return transport
    settings = line_options(options, LineSettings())
    return OpticalTransport(FixedLine(transport, settings.baud), settings, echo=EchoMode.NO)
