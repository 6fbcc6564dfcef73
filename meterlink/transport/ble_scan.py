"""Listening for meters on Bluetooth LE."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from meterlink.errors import LinkUnavailable
from meterlink.transport.ble_errors import explain_radio, is_busy
from meterlink.transport.gatt_services import GattService, known_services
from meterlink.transport.patience import finish
from meterlink.transport.radio import BleRadio

START_TIMEOUT: Final = 10.0
"""Seconds the system gets to start or stop listening."""

BUSY_WAIT: Final = 0.1
"""Seconds until a start is tried again that BlueZ refused because an earlier scan is still ending."""

_locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()


def radio_lock() -> asyncio.Lock:
    """Return the lock under which to scan or connect: radios do one of it at a time, and fail in strange ways else."""
    loop = asyncio.get_running_loop()
    return _locks.setdefault(loop, asyncio.Lock())


@dataclass(frozen=True, slots=True)
class Sighting:
    """A device that was heard. ``address`` is a UUID of this machine's own on macOS; ``rssi`` is in dBm."""

    name: str
    address: str
    rssi: int
    services: tuple[GattService, ...]
    """The known byte pipes it advertises; meters may have one without saying so."""
    device: BLEDevice = field(repr=False, compare=False)


class Sightings:
    """The devices heard, as they are heard: an endless async iterator."""

    def __init__(self) -> None:
        self._waiting: dict[str, Sighting] = {}
        self._heard = asyncio.Event()

    def hear(self, device: BLEDevice, data: AdvertisementData) -> None:
        """Note an advertisement; a device that nobody asked about since is noted once, with its latest data."""
        name = data.local_name or device.name or ""
        self._waiting[device.address] = Sighting(
            name, device.address, data.rssi, known_services(data.service_uuids), device
        )
        self._heard.set()

    def __aiter__(self) -> Sightings:
        return self

    async def __anext__(self) -> Sighting:
        while not self._waiting:
            self._heard.clear()
            await self._heard.wait()
        return self._waiting.pop(next(iter(self._waiting)))


@asynccontextmanager
async def listen(radio: BleRadio) -> AsyncIterator[Sightings]:
    """Listen while the body runs. Take :func:`radio_lock` around it. Raises LinkUnavailable ``ble-unavailable``."""
    sightings = Sightings()
    try:
        scanner = await _start(radio, sightings)
    except TimeoutError:
        raise LinkUnavailable(
            f"the Bluetooth adapter did not start to listen within {START_TIMEOUT:g} s", code="ble-unavailable"
        ) from None
    except (BleakError, OSError, EOFError, ImportError) as error:
        raise explain_radio(error) from None
    try:
        yield sightings
    finally:
        await _stop(scanner)


async def _start(radio: BleRadio, sightings: Sightings) -> BleakScanner:
    loop = asyncio.get_running_loop()
    end = loop.time() + START_TIMEOUT
    while True:
        scanner = BleakScanner(sightings.hear, **scanner_arguments(radio))
        try:
            # To its end: a scan that is begun and forgotten would keep BlueZ from ever beginning another one.
            await finish(scanner.start(), max(end - loop.time(), 0.0))
        except asyncio.CancelledError:
            await _stop(scanner)
            raise
        except BleakError as error:
            if not is_busy(error) or loop.time() + BUSY_WAIT > end:
                raise
        else:
            return scanner
        await asyncio.sleep(BUSY_WAIT)


async def _stop(scanner: BleakScanner) -> None:
    try:
        await finish(scanner.stop(), START_TIMEOUT)
    except (TimeoutError, BleakError, OSError, EOFError):
        # The adapter went away while we listened. What was heard is as good as before.
        return


def scanner_arguments(radio: BleRadio) -> dict[str, Any]:
    """Return the arguments that tell bleak's scanner which radio is meant."""
    arguments: dict[str, Any] = {}
    if radio.adapter is not None:
        arguments["bluez"] = {"adapter": radio.adapter}
    if radio.scanner is not None:
        arguments["backend"] = radio.scanner
    return arguments
