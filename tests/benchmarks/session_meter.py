"""The meter of the session benchmark, a process of its own: prints where it listens, serves until its input ends.

Prints one line of JSON: ``ports`` by line, and ``jobs``, what a client must know on each line (``wrapper``, ``hdlc``,
``slow``), of each suite, with each client SAP, as in ``tests/peers/peers_field.py``. The slow line is HDLC at
9600 bit/s with a turnaround of 20 ms; a meter with certificates stands on ``slow-certificates``.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "peers"))

from peers_field import FieldMeter

from hil.faces.pace import Pace
from hil.meter.clients import FIELD_CLIENTS, PUBLIC_SAP
from hil.meter.device import MeterOptions
from hil.meter.server import MeterServer
from hil.tcp import TcpServer
from hil.trust import shipped_identity
from hil.wire import WireHandler

BAUD = 9600
BITS = 10
TURNAROUND = 0.02


class SlowLine:
    """A handler behind a line of 9600 bit/s: octets take their time in both directions, and turning around does."""

    def __init__(self, inner: WireHandler) -> None:
        self._inner = inner
        self._coming: deque[tuple[float, bytes]] = deque()
        self._free = 0.0
        self._pace = Pace(BITS)

    @property
    def next_deadline(self) -> float | None:
        deadlines = [self._coming[0][0]] if self._coming else []
        deadlines += [at for at in (self._pace.next_deadline, self._inner.next_deadline) if at is not None]
        return min(deadlines, default=None)

    def receive(self, data: bytes, now: float) -> bytes:
        self._free = max(now, self._free) + len(data) * BITS / BAUD
        self._coming.append((self._free, data))
        return self.handle_timer(now)

    def handle_timer(self, now: float) -> bytes:
        while self._coming and now >= self._coming[0][0]:
            self._say(self._inner.receive(self._coming.popleft()[1], now), now)
        if self._inner.next_deadline is not None and now >= self._inner.next_deadline:
            self._say(self._inner.handle_timer(now), now)
        return self._pace.due(now)

    def _say(self, answer: bytes, now: float) -> None:
        if answer:
            self._pace.say(answer, BAUD, now, TURNAROUND)

    def closed(self, now: float) -> None:
        self._inner.closed(now)


def lines(meter: FieldMeter) -> dict[str, Callable[[], WireHandler]]:
    """Return the lines on which the meter is served."""
    server = meter.server
    return {
        "wrapper": server.wrapper_connection,
        "hdlc": server.hdlc_line,
        "slow": lambda: SlowLine(server.hdlc_line()),
    }


async def main() -> None:
    meters = {suite: FieldMeter(suite) for suite in (1, 2)}
    trusted = MeterServer(
        time.monotonic(), dt.datetime.now(dt.UTC), shipped_identity(), options=MeterOptions(history=45)
    )
    servers = {
        "slow-certificates": TcpServer(lambda: SlowLine(trusted.hdlc_line())),
        "certificates": TcpServer(trusted.hdlc_line),
    }
    for suite, meter in meters.items():
        servers |= {f"{line} {suite}": TcpServer(handler) for line, handler in lines(meter).items()}
    for server in servers.values():
        await server.start()
    jobs = {
        f"{line} {suite} {sap}": meter.job(servers[f"{line} {suite}"].port, line.replace("slow", "hdlc"), sap)
        for suite, meter in meters.items()
        for line in lines(meter)
        for sap in FIELD_CLIENTS
        if sap != PUBLIC_SAP
    }
    print(json.dumps({"ports": {name: server.port for name, server in servers.items()}, "jobs": jobs}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for server in servers.values():
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
