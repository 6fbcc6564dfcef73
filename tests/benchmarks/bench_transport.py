"""Transports: the Bluetooth byte stream beside bare bleak with the same chunks, and a serial line used to the full."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from bleak import BleakClient, BleakScanner

from hil.ble import MeterPeripheral
from hil.bluez import BluezService, private_bus
from hil.pty import PtyLine
from hil.radio import Radio
from hil.transport_conformance import FarEnd
from meterlink.transport.base import Transport
from meterlink.transport.ble import BleSettings, BleTransport
from meterlink.transport.ble_pipe import REQUEST_EVERY
from meterlink.transport.ble_scan import scanner_arguments
from meterlink.transport.radio import BleRadio
from meterlink.transport.serial import SerialPortTransport

SIZE = 100_000
ROUNDS = 5
PINGS = 300


class Echo(FarEnd):
    """Says again what it hears."""

    def receive(self, data: bytes, now: float) -> bytes:
        return data


class Bare:
    """bleak as it comes: write, and collect what is notified."""

    def __init__(self, client: BleakClient, write: Any) -> None:
        self._client = client
        self._write = write
        self._got = 0
        self._wanted = 0
        self._there = asyncio.Event()

    def heard(self, characteristic: Any, data: bytearray) -> None:
        self._got += len(data)
        if self._got >= self._wanted:
            self._there.set()

    async def echo(self, data: bytes) -> None:
        self._got, self._wanted = 0, len(data)
        self._there.clear()
        size = min(self._write.max_write_without_response_size, 512)
        starts = range(0, len(data), size)
        for number, start in enumerate(starts, 1):
            request = number % REQUEST_EVERY == 0 or number == len(starts)
            await self._client.write_gatt_char(self._write, data[start : start + size], response=request)
        await self._there.wait()


async def stream_echo(transport: Transport, data: bytes) -> None:
    """Send and receive at once."""

    async def drain() -> None:
        left = len(data)
        while left:
            left -= len(await transport.receive(10.0))

    if len(data) < 100:
        await transport.send(data)
        await drain()
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(drain())
        await transport.send(data)


@dataclass
class Figures:
    """Best throughput in kB/s, and the median and the 99th percentile of a round trip of 16 bytes in milliseconds."""

    rate: float
    median: float
    late: float


async def measure(echoes: dict[str, Callable[[bytes], Awaitable[None]]]) -> dict[str, Figures]:
    """Measure in turns, so that what else the machine does falls on everybody."""
    payload, ping = os.urandom(SIZE), b"x" * 16
    best, trips = dict.fromkeys(echoes, 0.0), {name: [] for name in echoes}
    for _ in range(ROUNDS):
        for name, echo in echoes.items():
            start = time.perf_counter()
            await echo(payload)
            best[name] = max(best[name], SIZE / 1000 / (time.perf_counter() - start))
    for _ in range(PINGS):
        for name, echo in echoes.items():
            start = time.perf_counter()
            await echo(ping)
            trips[name].append(1000 * (time.perf_counter() - start))
    return {
        name: Figures(best[name], sorted(trips[name])[PINGS // 2], sorted(trips[name])[PINGS * 99 // 100])
        for name in echoes
    }


async def bluetooth(through_bluez: bool, mtu: int) -> dict[str, Figures]:
    """Two meters on one radio: one for bare bleak, one for ours."""
    async with AsyncExitStack() as stack:
        if through_bluez:
            await stack.enter_async_context(private_bus())
        radio = await stack.enter_async_context(Radio())
        if through_bluez:
            await stack.enter_async_context(BluezService(radio))
        ble = BleRadio() if through_bluez else radio.ble
        for name, address in (("bare", "F0:F1:F2:F3:F4:01"), ("ours", "F0:F1:F2:F3:F4:02")):
            meter = MeterPeripheral(radio, Echo().handler, name=name, address=address, max_mtu=mtu)
            await stack.enter_async_context(meter)
        device = await BleakScanner.find_device_by_name("bare", **scanner_arguments(ble))
        assert device is not None
        client = BleakClient(device, **({} if ble.client is None else {"backend": ble.client}))
        await stack.enter_async_context(client)
        write = client.services.get_characteristic(meter.service.write)
        bare = Bare(client, write)
        await client.start_notify(meter.service.notify, bare.heard)
        ours = await stack.enter_async_context(BleTransport("ours", BleSettings(scan_timeout=5.0), ble))
        return await measure({"bare bleak": bare.echo, "meterlink": lambda data: stream_echo(ours, data)})


async def paced_line() -> float:
    """Return how much of a line of 9600 8N1 is used; the far end takes what such a line carries."""
    loop, size = asyncio.get_running_loop(), 1920
    async with PtyLine(FarEnd().handler) as line, SerialPortTransport(line.port) as port:
        line.listen(False)
        start = loop.time()

        async def send() -> None:
            for _ in range(size // 64):
                await port.send(bytes(64), 10.0)

        sender, taken = asyncio.create_task(send()), 0
        while taken < size:
            due = min(size, int((loop.time() - start) * 960))
            taken += len(line.take(due - taken))
            await asyncio.sleep(0.002)
        await sender
        return size / 960 / (loop.time() - start)


def show(title: str, figures: dict[str, Figures]) -> None:
    """Print the figures, and ours in relation to bare bleak."""
    bare, ours = figures["bare bleak"], figures["meterlink"]
    print(title)
    for name, each in figures.items():
        print(f"  {name:<11} {each.rate:>8.0f} kB/s   round trip {each.median:.3f} ms, 99 % under {each.late:.3f} ms")
    print(f"  ours: {100 * ours.rate / bare.rate:.0f} % of the rate, {ours.median - bare.median:+.3f} ms a round trip")


def main() -> None:
    """Run everything."""
    for mtu in (247, 517):
        for through_bluez in (False, True):
            path = "BlueZ backend on a private bus" if through_bluez else "backend on the simulated radio"
            show(f"echo of {SIZE // 1000} kB, MTU {mtu}, {path}", asyncio.run(bluetooth(through_bluez, mtu)))
    print(f"a line of 9600 8N1, paced: {100 * asyncio.run(paced_line()):.1f} % used")


if __name__ == "__main__":
    main()
