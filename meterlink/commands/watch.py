"""Read a meter again and again, and hand each report to whoever wants it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from meterlink.errors import LinkError, MeterlinkError, RemoteError
from meterlink.values import MeterReport

ReadOnce = Callable[[], Awaitable[MeterReport]]
Pause = Callable[[float], Awaitable[None]]


class Outlet(Protocol):
    """Where reports go."""

    async def open(self) -> None:
        """Make sure that it can take something, before the meter is asked."""
        ...

    async def take(self, report: MeterReport) -> None:
        """Take a report. Raises LinkError where it cannot be passed on."""
        ...

    async def missed(self, error: MeterlinkError) -> None:
        """Hear that a reading failed."""
        ...

    async def close(self) -> None:
        """Let go of everything; called however it ended."""
        ...


async def read_to(
    read: ReadOnce,
    outlets: Sequence[Outlet],
    *,
    every: float | None = None,
    rest: float = 0.0,
    pause: Pause = asyncio.sleep,
) -> None:
    """Read once, or begin a reading ``every`` seconds until cancelled, and at least ``rest`` seconds after the last.

    The first reading must succeed. A later one may fail with a LinkError or a RemoteError: the outlets hear of it, and
    the next one follows in its turn. Raises what reading raises, and what an outlet raises with the first report.
    """
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        for outlet in outlets:
            stack.push_async_callback(outlet.close)
            await outlet.open()
        begun = loop.time()
        await _deliver(await read(), outlets)
        while every is not None:
            begun = max(begun + every, loop.time() + rest)
            await pause(max(begun - loop.time(), 0.0))
            try:
                await _deliver(await read(), outlets)
            except (LinkError, RemoteError) as error:
                for outlet in outlets:
                    await outlet.missed(error)


async def _deliver(report: MeterReport, outlets: Sequence[Outlet]) -> None:
    for outlet in outlets:
        await outlet.take(report)
