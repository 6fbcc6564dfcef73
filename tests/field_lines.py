"""Simulated meters of the field on pseudo-terminals, served from a thread of their own; and technicians with levels."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certs import importing, profile, requesting, token
from certs.domain import make_domain
from certs.levels import Level
from certs.store import Store
from hil.faces.bus import BusFace, BusMeter
from hil.faces.t230 import T230Face
from hil.faces.t330 import T330Face
from hil.faces.text import TextFace
from hil.meter.device import HeatMeter, MeterOptions
from hil.pty import PtyLine
from hil.wire import WireHandler

START = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)
FAST = 25.0


class Line:
    """A line with a meter's face at its far end; it hears everything and can be made to fail."""

    def __init__(self, make: Callable[[Line], WireHandler]) -> None:
        self.heard = bytearray()
        self.port = ""
        self.on_request: Callable[[bytes], bytes | None] | None = None
        """Takes what was just heard; returns what is said instead of the meter's answer, None for that."""
        self._make = make
        self._face: WireHandler | None = None
        self._pty: PtyLine | None = None
        self._stop = asyncio.Event()

    def hang_up(self) -> None:
        """Tear the line; called from :attr:`on_request`."""
        self._stop.set()

    def speed(self) -> int:
        """What the program has set its end of the line to."""
        assert self._pty is not None
        return self._pty.speed

    @property
    def next_deadline(self) -> float | None:
        return self._of.next_deadline

    def receive(self, data: bytes, now: float) -> bytes:
        self.heard += data
        instead = self.on_request(data) if self.on_request is not None else None
        return self._of.receive(data, now) if instead is None else instead

    def handle_timer(self, now: float) -> bytes:
        return self._of.handle_timer(now)

    def closed(self, now: float) -> None:
        self._of.closed(now)

    @property
    def _of(self) -> WireHandler:
        if self._face is None:
            self._face = self._make(self)
        return self._face

    async def serve(self, ready: threading.Event) -> None:
        async with PtyLine(lambda: self) as self._pty:
            self.port = self._pty.port
            ready.set()
            await self._stop.wait()


@contextmanager
def on_a_line(make: Callable[[Line], WireHandler]) -> Iterator[Line]:
    """Serve a face on a pseudo-terminal."""
    line = Line(make)
    loop, ready = asyncio.new_event_loop(), threading.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(line.serve(ready)))
    thread.start()
    try:
        assert ready.wait(10)
        yield line
    finally:
        loop.call_soon_threadsafe(line.hang_up)
        thread.join(10)
        loop.close()


def heat_meter(serial: str = "00004711", history: int = 90) -> HeatMeter:
    return HeatMeter(time.monotonic(), START, MeterOptions(serial=serial, history=history))


def t550(line: Line) -> WireHandler:
    return TextFace(heat_meter(), line_baud=line.speed, speed=FAST)


def t230(line: Line) -> WireHandler:
    return T230Face(heat_meter(), line_baud=line.speed, speed=FAST, head_echo=True)


def t330(line: Line) -> WireHandler:
    return T330Face(heat_meter(), line_baud=line.speed, speed=FAST)


def bus(*meters: tuple[int, str], reaction: float = 0.0) -> Callable[[Line], BusFace]:
    """A wired bus with meters, each by primary address and serial number; ``reaction`` is that of the face."""
    return lambda _: BusFace(
        [BusMeter(heat_meter(serial, 1), address) for address, serial in meters], reaction=reaction
    )


ON_A_BUS = bus((5, "00004711"))
FACES = {"t550": t550, "t230": t230, "t330": t330, "generic-mbus": ON_A_BUS, "t550-mbus": ON_A_BUS}


@dataclass(frozen=True)
class Technician:
    """Somebody with a certificate of a level in a store of their own."""

    home: Path
    store: Store


def technician(home: Path, level: Level, now: dt.datetime | None = None) -> Technician:
    """Go the whole way to an active certificate of ``level``, at ``now``."""
    moment = now or dt.datetime.now(dt.UTC)
    made = make_domain("Field", "field@example.org", moment)
    store = Store.open(home, now=now)
    store.join(made.domain)
    claims = token.Token(
        os.urandom(16), level, "Warm AG", os.urandom(8), 1, moment, moment + dt.timedelta(days=30)
    )  # fmt: skip
    text = token.issue(claims, made.issuing_key, made.domain.issuing_ca)
    record = requesting.create_request(store, text, "Tablet", plain=True)
    leaf = profile.build_leaf(
        record.request.public_key, made.domain.issuing_ca, made.issuing_key, moment,
        system_title=record.request.system_title, policy=level, organization="Warm AG", tag="Tablet",
    )  # fmt: skip
    importing.import_certificate(store, leaf, activate=True)
    return Technician(home, store)
