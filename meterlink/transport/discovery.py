"""What is there to connect to: the serial ports of this machine, and meters on Bluetooth LE."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from serial.tools import list_ports

from meterlink.transport.ble_scan import Sighting, listen, radio_lock
from meterlink.transport.radio import BleRadio

ADAPTERS: Final = MappingProxyType(
    {
        (0x10C4, 0xEA60): "CP210x adapter, as in many optical heads",
        (0x10C4, 0xEA70): "CP2105 double adapter",
        (0x0403, 0x6001): "FTDI FT232 adapter, as in optical heads and M-Bus converters",
        (0x0403, 0x6010): "FTDI FT2232 double adapter",
        (0x0403, 0x6014): "FTDI FT232H adapter",
        (0x0403, 0x6015): "FTDI FT-X adapter, as in optical heads",
        (0x067B, 0x2303): "Prolific PL2303 adapter",
        (0x067B, 0x23A3): "Prolific PL2303GC adapter",
        (0x1A86, 0x5523): "CH341 adapter",
        (0x1A86, 0x7523): "CH340 adapter, as in low-cost optical heads",
        (0x1A86, 0x55D4): "CH9102 adapter",
        (0x04D8, 0x000A): "Microchip serial device",
        (0x0483, 0x5740): "STMicroelectronics serial device",
    }
)
"""USB vendor and product -> what it is. The ids belong to the chip, so what is built around it is a guess."""

_WORDS: Final = (
    (("opto", "optical", "iec1107", "iec 1107", "62056", "ir head", "lesekopf"), "optical head"),
    (("m-bus", "mbus"), "M-Bus converter"),
)
"""Words in what a device calls itself, and what it then is."""


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A serial port of this machine. ``usb`` is ``VID:PID`` in hex, empty for one that is not on USB."""

    device: str
    description: str
    usb: str
    serial_number: str
    guess: str
    """What it probably is; empty where nothing is known."""
    usable: bool
    """True where this user may open it."""

    @property
    def url(self) -> str:
        """The URL to use it by."""
        return f"{'optical' if 'head' in self.guess else 'serial'}:{self.device}"


def serial_ports() -> tuple[SerialPort, ...]:
    """Return the serial ports, those on USB first. Ports of the mainboard that nothing is known of come last."""
    return describe(list_ports.comports())


def describe(found: Iterable[Any]) -> tuple[SerialPort, ...]:
    """Return what is known of ports as pyserial lists them."""
    ports = [_describe(port) for port in found]
    return tuple(sorted(ports, key=lambda port: (not port.usb, port.device)))


def _describe(port: Any) -> SerialPort:
    on_usb = port.vid is not None and port.pid is not None
    description = "" if port.description in (None, "n/a") else str(port.description)
    told = " ".join(str(word) for word in (description, port.manufacturer, port.product, port.interface) if word)
    guess = next((what for words, what in _WORDS if any(word in told.casefold() for word in words)), "")
    return SerialPort(
        device=port.device,
        description=description,
        usb=f"{port.vid:04x}:{port.pid:04x}" if on_usb else "",
        serial_number=port.serial_number or "",
        guess=guess or (ADAPTERS.get((port.vid, port.pid), "") if on_usb else ""),
        usable=os.access(port.device, os.R_OK | os.W_OK),
    )


async def scan_ble(duration: float, radio: BleRadio | None = None) -> AsyncIterator[Sighting]:
    """Listen for ``duration`` seconds and give every device as it is heard, again when it is heard again.

    A reader that stops early closes the iterator (``contextlib.aclosing``). Raises LinkUnavailable
    ``ble-unavailable``.
    """
    loop = asyncio.get_running_loop()
    async with radio_lock(), listen(radio or BleRadio()) as sightings:
        end = loop.time() + duration
        while True:
            try:
                async with asyncio.timeout_at(end):
                    sighting = await anext(sightings)
            except TimeoutError:
                return
            yield sighting


def strongest_first(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Return each device once, as it was heard last: those with a known serial service first, then by strength."""
    latest = {sighting.address: sighting for sighting in sightings}
    return sorted(latest.values(), key=lambda each: (not each.services, -each.rssi, each.name, each.address))
