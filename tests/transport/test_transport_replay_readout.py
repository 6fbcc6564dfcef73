"""A whole readout over an optical head: recorded, and read again from the recording."""

from __future__ import annotations

import asyncio
import datetime as dt
import io

from hil.faces.text import TextFace
from hil.meter.device import HeatMeter
from hil.pty import PtyLine
from hil.wire import WireHandler
from meterlink.meters.profile import profile
from meterlink.meters.readers import read_meter
from meterlink.transport.replay import FileSink, read_recording, record, replay
from meterlink.transport.url import open_transport

START = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)


async def test_a_recorded_readout_reads_the_same_again() -> None:
    family, out, lines = profile("t550"), io.StringIO(), []
    meter = HeatMeter(asyncio.get_running_loop().time(), START)

    def face() -> WireHandler:
        return TextFace(meter, line_baud=lambda: lines[0].speed, speed=25.0, head_echo=True)

    async with PtyLine(face) as line:
        lines.append(line)
        head = open_transport(f"optical:{line.port}?profile=t550")
        async with record(head, FileSink(out, head.url, START)) as recorder:
            first = await read_meter(recorder, family)
    _, entries = read_recording(out.getvalue().splitlines())
    async with replay(entries) as recording:
        again = await read_meter(recording, family)
    assert first.readings
    assert again == first
