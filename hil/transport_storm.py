"""A storm of disconnections: links that break at random moments of reads and writes, ten thousand times.

::

    python -m hil.transport_storm --rounds 10000 ble bluez pty

Both ends send numbered HDLC frames. What an end accepts must be exactly what the other sent, without a gap and without
a repetition, up to the moment the link broke. Every operation must end by its deadline, and after all rounds the
process holds what it held after the first ones.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import random
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from hil.ble import MeterPeripheral
from hil.bluez import BluezService, private_bus
from hil.pty import PtyLine
from hil.radio import Radio
from hil.transport_conformance import open_descriptors
from meterlink.errors import LinkError, LinkTimeout
from meterlink.framing.hdlc import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind, control
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.reader import FrameReader
from meterlink.transport.base import LineSettings, Transport
from meterlink.transport.ble import BleSettings, BleTransport
from meterlink.transport.radio import BleRadio
from meterlink.transport.serial import SerialPortTransport

DEADLINE: Final = 3.0
"""Seconds for each operation."""

OPENING: Final = 12.0
"""Seconds to find the meter and connect."""

SLACK: Final = 2.0
"""Seconds after its deadline at which an operation counts as hanging; a busy machine is slow."""

WINDOW: Final = 4
"""Frames on their way at most."""

WARM_UP: Final = 20
"""Rounds after which tasks, threads and descriptors must not grow."""

_T = TypeVar("_T")


def numbered_frame(number: int, filling: bytes) -> bytes:
    """Return an HDLC frame that carries its number."""
    information = number.to_bytes(4, "big") + filling
    return HdlcFrame(HdlcAddress(16), HdlcAddress.of(1, 17), control(FrameKind.UI, poll=True), information).to_bytes()


class FrameCounter:
    """Reads frames and holds that each is the successor of the one before."""

    def __init__(self, faults: list[str], who: str) -> None:
        self._reader = FrameReader()
        self._faults = faults
        self._who = who
        self.count = 0

    def feed(self, data: bytes) -> list[HdlcFrame]:
        """Return the frames in what arrived; note what is wrong with them."""
        frames = []
        for found in self._reader.feed(data):
            if not isinstance(found, HdlcFrame):
                self._faults.append(f"{self._who}: noise ({found.reason})")
                continue
            number = int.from_bytes(found.information[:4], "big")
            if number != self.count:
                self._faults.append(f"{self._who}: frame {number} where {self.count} was due")
            self.count += 1
            frames.append(found)
        return frames


class FarEnd:
    """The meter's end of one connection: gives every frame back."""

    def __init__(self, faults: list[str]) -> None:
        self._counter = FrameCounter(faults, "far end")

    def receive(self, data: bytes, now: float) -> bytes:
        """Give back the frames in what arrived."""
        return b"".join(frame.to_bytes() for frame in self._counter.feed(data))

    def handle_timer(self, now: float) -> bytes:
        """Say nothing."""
        return b""

    @property
    def next_deadline(self) -> float | None:
        """No deadline."""
        return None

    def closed(self, now: float) -> None:
        """Nothing to keep."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds: tasks, threads, descriptors, and resident memory in kB."""

    tasks: int
    threads: int
    descriptors: int
    memory: int


@dataclass
class Report:
    """What a storm showed. ``slowest`` is the longest time past its deadline that an operation took, in seconds."""

    rounds: int = 0
    frames: int = 0
    slowest: float = -DEADLINE
    faults: list[str] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    @property
    def leaks(self) -> str:
        """What grew from the first sample to the last; empty when nothing did. Memory is for the reader to judge."""
        first, last = self.held[0], self.held[-1]
        pairs = (
            ("tasks", first.tasks, last.tasks),
            ("threads", first.threads, last.threads),
            ("descriptors", first.descriptors, last.descriptors),
        )
        return ", ".join(f"{name} {before} -> {after}" for name, before, after in pairs if after > before)


@dataclass(frozen=True, slots=True)
class Line:
    """A line that can be broken: ``cut`` breaks it from the far end."""

    transport: Transport
    cut: Callable[[], Awaitable[None]]


Sky = AbstractAsyncContextManager[Callable[[], AbstractAsyncContextManager[Line]]]
"""What all rounds share; it gives what makes the line of one round."""


class Storm:
    """Rounds of traffic, each ended by a break at a random moment."""

    def __init__(self, seed: int) -> None:
        self.report = Report()
        self._rng = random.Random(seed)  # noqa: S311  # a storm that can be repeated

    def far_end(self) -> FarEnd:
        """Return the meter's end of a new connection."""
        return FarEnd(self.report.faults)

    async def run(self, sky: Sky, rounds: int, say: Callable[[Report], None] | None = None) -> Report:
        """Run the rounds; ``say`` is told after every thousand."""
        async with sky as new_line:
            for number in range(1, rounds + 1):
                async with new_line() as line:
                    await self._round(line)
                self.report.rounds = number
                if number == min(WARM_UP, rounds) or number % 1000 == 0 or number == rounds:
                    self.report.held.append(await _held())
                    if say is not None and number >= WARM_UP:
                        say(self.report)
        return self.report

    async def _round(self, line: Line) -> None:
        transport = line.transport
        try:
            await self._timed(transport.open(), OPENING)
        except LinkError as error:
            self.report.faults.append(f"opening: {error}")
            return
        traffic = asyncio.gather(*self._traffic(transport), return_exceptions=True)
        for _ in range(self._rng.randrange(200)):
            await asyncio.sleep(0)
        await asyncio.sleep(self._rng.choice((0.0, 0.0, 0.001, 0.005)))
        by_us = self._rng.random() < 0.2
        await self._timed(transport.close() if by_us else line.cut(), DEADLINE)
        for outcome in await self._timed(traffic, DEADLINE):
            if isinstance(outcome, LinkTimeout) or not isinstance(outcome, LinkError):
                self.report.faults.append(f"traffic ended with {outcome!r}")
        await self._timed(transport.close(), DEADLINE)

    def _traffic(self, transport: Transport) -> tuple[Awaitable[None], Awaitable[None]]:
        counter = FrameCounter(self.report.faults, "near end")
        window = asyncio.Semaphore(WINDOW)

        async def send() -> None:
            number = 0
            while True:
                await asyncio.wait_for(window.acquire(), DEADLINE)
                filling = self._rng.randbytes(self._rng.choice((0, 10, 100, 600)))
                await self._timed(transport.send(numbered_frame(number, filling), DEADLINE), DEADLINE)
                number += 1

        async def receive() -> None:
            try:
                while True:
                    for _ in counter.feed(await self._timed(transport.receive(DEADLINE), DEADLINE)):
                        self.report.frames += 1
                        window.release()
            finally:
                for _ in range(WINDOW):  # a sender that waits for an answer shall meet the broken link, too
                    window.release()

        return send(), receive()

    async def _timed(self, operation: Awaitable[_T], deadline: float) -> _T:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            return await operation
        finally:
            late = loop.time() - start - deadline
            self.report.slowest = max(self.report.slowest, late)
            if late > SLACK:
                self.report.faults.append(f"an operation ended {late:.1f} s past its deadline")


async def _held() -> Held:
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0  # noqa: ASYNC240
    return Held(len(asyncio.all_tasks()), threading.active_count(), open_descriptors(), pages * 4)


def over_ble(storm: Storm, *, bluez: bool) -> Sky:
    """One meter on the simulated radio, one transport that is opened again and again."""

    @asynccontextmanager
    async def sky() -> AsyncIterator[Callable[[], AbstractAsyncContextManager[Line]]]:
        async with AsyncExitStack() as stack:
            if bluez:
                await stack.enter_async_context(private_bus())
            radio = await stack.enter_async_context(Radio())
            if bluez:
                await stack.enter_async_context(BluezService(radio))
            meter = await stack.enter_async_context(MeterPeripheral(radio, storm.far_end))
            settings = BleSettings(scan_timeout=6.0, connect_timeout=6.0)
            transport = BleTransport("METER-1", settings, BleRadio() if bluez else radio.ble)

            @asynccontextmanager
            async def line() -> AsyncIterator[Line]:
                yield Line(transport, meter.drop)

            yield line

    return sky()


def over_pty(storm: Storm) -> Sky:
    """A pseudo-terminal of its own for each round, as an adapter that is pulled out and plugged in again."""

    @asynccontextmanager
    async def line() -> AsyncIterator[Line]:
        async with PtyLine(storm.far_end) as cable:
            yield Line(SerialPortTransport(cable.port, LineSettings(115200)), cable.stop)

    @asynccontextmanager
    async def sky() -> AsyncIterator[Callable[[], AbstractAsyncContextManager[Line]]]:
        yield line

    return sky()


SKIES: Final[dict[str, Callable[[Storm], Sky]]] = {
    "ble": lambda storm: over_ble(storm, bluez=False),
    "bluez": lambda storm: over_ble(storm, bluez=True),
    "pty": over_pty,
}


def main(arguments: list[str] | None = None) -> int:
    """Run storms from the command line; return 1 when one showed a fault or a leak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="*", help=f"any of {', '.join(SKIES)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    bad = False
    if unknown := set(chosen.lines) - set(SKIES):
        parser.error(f"no line is called {', '.join(sorted(unknown))}")
    for name in chosen.lines or SKIES:
        storm = Storm(chosen.seed)
        report = asyncio.run(storm.run(SKIES[name](storm), chosen.rounds, functools.partial(_show, name)))
        for fault in report.faults[:20]:
            print(f"  fault: {fault}")
        if report.leaks:
            print(f"  leak: {report.leaks}")
        bad = bad or bool(report.faults or report.leaks)
    return int(bad)


def _show(name: str, report: Report) -> None:
    held = report.held[-1]
    print(
        f"{name}: {report.rounds} breaks, {report.frames} frames, {len(report.faults)} faults, "
        f"worst {report.slowest:+.2f} s to the deadline, {held.tasks} tasks, {held.threads} threads, "
        f"{held.descriptors} descriptors, {held.memory} kB",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
