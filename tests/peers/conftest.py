"""Outside judges: clients that others wrote, each in a process of its own, against our meter on loopback TCP."""

import asyncio
import json
from pathlib import Path

import pytest
from peers_field import FieldMeter, peers_python

from hil.tcp import TcpServer
from meterlink.cosem.association import FULL_PROTECTION
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.reader import FrameReader

HERE = Path(__file__).parent


class Said:
    """A meter's end of a line, which notes whether an octet inside one of its frames was 7E.

    dlms-cosem 25.1 takes such an octet for the end of the frame and waits for the rest. Which octets a frame has
    depends on the hour and on the challenge, so such a run, and no other, is tried again.
    """

    def __init__(self, line):
        self._line = line
        self._reader = FrameReader()
        self.splits_frames = False

    @property
    def next_deadline(self):
        return self._line.next_deadline

    def receive(self, data, now):
        return self._note(self._line.receive(data, now))

    def handle_timer(self, now):
        return self._note(self._line.handle_timer(now))

    def closed(self, now):
        self._line.closed(now)

    def _note(self, data):
        frames = [found for found in self._reader.feed(data) if isinstance(found, HdlcFrame)]
        self.splits_frames |= any(b"\x7e" in frame.to_bytes()[1:-1] for frame in frames)
        return data


@pytest.fixture
def run_peer():
    """Run a peer against a fresh meter; return its result (JSON) and the meter."""

    async def attempt(script, framing, sap, suite, agree, policy, hours):
        meter = FieldMeter(suite, hours=hours, policy=policy)
        line = Said(meter.server.hdlc_line())
        async with TcpServer((lambda: line) if framing == "hdlc" else meter.server.wrapper_connection) as tcp:
            process = await asyncio.create_subprocess_exec(
                peers_python(),
                str(HERE / script),
                json.dumps(meter.job(tcp.port, framing, sap, agree)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            output, errors = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, output.decode(), errors.decode(), meter, line.splits_frames

    async def run(script, framing, sap, suite=1, agree=False, policy=FULL_PROTECTION):
        for hours in range(8 if script == "peer_dlms_cosem.py" else 1):
            status, output, errors, meter, splits = await attempt(script, framing, sap, suite, agree, policy, hours)
            if status == 0 or not splits:
                break
        assert status == 0, errors[-3000:]
        return json.loads(output.splitlines()[-1]), meter.server

    return run
