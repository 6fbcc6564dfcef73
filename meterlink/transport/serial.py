"""``serial:PORT``: a serial port of this machine."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Final

import serial

from meterlink.errors import LinkLost, LinkTimeout, LinkUnavailable, UsageError
from meterlink.transport.base import LineSettings, SerialTransport, Transport
from meterlink.transport.line import line_options
from meterlink.transport.port_thread import POLL, PortThread
from meterlink.transport.stream import StreamTransport
from meterlink.transport.url import Context, Options, TransportUrl

OPEN_TIMEOUT: Final = 10.0
"""Seconds a driver gets to open the port."""


class SerialPortTransport(StreamTransport, SerialTransport):
    """A serial port, opened for this program alone.

    ``dtr`` and ``rts`` set the modem lines (None: as the system does). On a pseudo-terminal data bits and parity have
    no meaning and are not passed on; the timing is kept as if there were a line.
    """

    def __init__(
        self,
        port: str,
        settings: LineSettings | None = None,
        *,
        dtr: bool | None = None,
        rts: bool | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(url or f"serial:{port}")
        self._name = port
        self._settings = settings or LineSettings()
        self._dtr, self._rts = dtr, rts
        self._port: PortThread | None = None

    @property
    def line(self) -> LineSettings:
        """The settings in force."""
        return self._settings

    async def set_line(self, settings: LineSettings) -> None:
        """Change the settings once the last byte has left the line. Raises LinkUnavailable ``line-settings`` when the
        adapter cannot do them."""
        port = self._running()
        await self.drain()
        try:
            await self._bounded(lambda: port.configure(self._attributes(settings)), OPEN_TIMEOUT, "the port hangs")
        except (OSError, ValueError) as error:
            if isinstance(error, serial.PortNotOpenError):
                raise LinkLost(f"{self.url} is closed") from None
            raise self._cannot(settings, error) from None
        except Exception as error:  # noqa: BLE001  # termios.error is a plain Exception
            raise self._cannot(settings, error) from None
        self._settings = settings

    async def drain(self) -> None:
        """Return when everything sent so far has left the line. Raises LinkLost."""
        port = self._running()
        try:
            await self._bounded(port.drain, None, "the bytes did not leave")
        except (OSError, serial.SerialException) as error:
            raise self._gone(error) from None

    async def set_control_lines(self, dtr: bool | None = None, rts: bool | None = None) -> None:
        """Set DTR and RTS (None: leave it), for heads that take their power from them."""
        port = self._running()
        try:
            await self._bounded(lambda: port.control(dtr, rts), OPEN_TIMEOUT, "the port hangs")
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTTY):
                raise self._gone(error) from None
            # A port without modem lines has none to set: nothing is lost.

    def _running(self) -> PortThread:
        if self._port is None or not self._is_open:
            raise LinkLost(f"{self.url} is closed")
        return self._port

    def _attributes(self, settings: LineSettings) -> dict[str, object]:
        plain = is_pseudo_terminal(self._name)
        return {
            "baudrate": settings.baud,
            "bytesize": 8 if plain else settings.data_bits,
            "parity": "N" if plain else settings.parity,
            "stopbits": settings.stop_bits,
        }

    async def _open(self) -> None:
        port = serial.Serial(timeout=POLL, exclusive=True)
        port.port = self._name
        port.apply_settings(self._attributes(self._settings))
        if self._dtr is not None:
            port.dtr = self._dtr
        if self._rts is not None:
            port.rts = self._rts
        self._port = PortThread(port, self._feed, self._driver_failed)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await self._port.open()
        except TimeoutError:
            raise LinkTimeout(f"the driver of {self._name} did not open it within {OPEN_TIMEOUT:g} s") from None
        except Exception as error:  # noqa: BLE001  # pyserial lets termios.error and others through
            raise explain(self._name, self._settings, error) from None

    def _feed(self, data: bytes) -> None:
        self._buffer.feed(data)

    def _driver_failed(self, error: Exception) -> None:
        self._lost(self._gone(error))

    def _gone(self, error: Exception) -> LinkLost:
        return LinkLost(
            f"the port {self._name} is gone ({error})",
            hint="was the adapter pulled out? plug it in and try again",
        )

    def _cannot(self, settings: LineSettings, error: Exception) -> LinkUnavailable:
        return LinkUnavailable(
            f"{self._name} cannot do {settings} ({error})",
            code="line-settings",
            hint="another adapter may; for 7E1 over an 8N1 bridge add parity-emulation=yes to an optical: URL",
        )

    async def _send(self, data: bytes) -> None:
        try:
            await self._running().write(data, self._settings)
        except (OSError, serial.SerialException) as error:
            raise self._gone(error) from None

    def _on_full(self, full: bool) -> None:
        if self._port is not None:
            self._port.pause(full)

    async def _close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            await port.close()


def is_pseudo_terminal(port: str) -> bool:
    """True for a port that leads to another program, not to a line."""
    path = str(Path(port).resolve())
    return path.startswith(("/dev/pts/", "/dev/ttys"))


def explain(port: str, settings: LineSettings, error: Exception) -> LinkUnavailable:
    """Say why a port cannot be opened, and what to do."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOENT or "FileNotFoundError" in text:
        return LinkUnavailable(
            f"there is no port {port}", code="port-not-found", hint="list the ports with: meterlink find --serial"
        )
    if number in (errno.EBUSY, errno.EWOULDBLOCK):
        return LinkUnavailable(
            f"{port} is in use by another program", code="port-busy", hint="close the other program and try again"
        )
    if number in (errno.EACCES, errno.EPERM) or "PermissionError" in text:
        return LinkUnavailable(
            f"you may not open {port}, or another program has it open", code="port-permission", hint=_group_hint(port)
        )
    if number in (errno.ENODEV, errno.ENXIO, errno.EIO):
        return LinkUnavailable(f"there is no device behind {port}", code="port-not-found", hint="is it plugged in?")
    return LinkUnavailable(f"{port} cannot be opened with {settings}: {text}", hint="is it a serial port?")


def _group_hint(port: str) -> str:
    try:
        group = Path(port).group()
    except (OSError, KeyError, NotImplementedError):  # NotImplementedError: a system without groups
        return "close other programs that use the port"
    return f"sudo usermod -aG {group} $USER, then log in again"


def open_serial(url: TransportUrl, options: Options, context: Context) -> Transport:
    """Open ``serial:PORT``; keys ``baud``, ``bits``, ``parity``, ``stop`` or ``line``, and ``dtr``, ``rts``."""
    if not url.target:
        raise UsageError("serial: wants a port", code="url-invalid", hint="write serial:/dev/ttyUSB0 or serial:COM3")
    settings = line_options(options, LineSettings())
    dtr, rts = options.maybe_flag("dtr"), options.maybe_flag("rts")
    return SerialPortTransport(url.target, settings, dtr=dtr, rts=rts, url=str(url))
