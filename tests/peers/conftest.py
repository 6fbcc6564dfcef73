"""Outside judges: clients that others wrote, each in a process of its own, against our meter on loopback TCP."""

import asyncio
import json
from pathlib import Path

import pytest
from peers_field import FieldMeter, peers_python

from hil.tcp import TcpServer

HERE = Path(__file__).parent


SPLITS_FRAMES = "Could not receive data"
"""What dlms-cosem 25.1 ends with when an octet inside an HDLC frame is 7E: it takes that for the end, and waits
for the rest. Which octets a frame has depends on the hour and on the challenge, so such a run is tried again."""


@pytest.fixture
def run_peer():
    """Run a peer against a fresh meter; return its result (JSON) and the meter."""

    async def attempt(script, framing, sap, suite, agree, hours):
        meter = FieldMeter(suite, hours=hours)
        factory = meter.server.hdlc_line if framing == "hdlc" else meter.server.wrapper_connection
        async with TcpServer(factory) as tcp:
            process = await asyncio.create_subprocess_exec(
                peers_python(),
                str(HERE / script),
                json.dumps(meter.job(tcp.port, framing, sap, agree)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            output, errors = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, output.decode(), errors.decode(), meter

    async def run(script, framing, sap, suite=1, agree=False):
        splits = script == "peer_dlms_cosem.py" and framing == "hdlc"
        for hours in range(8 if splits else 1):
            status, output, errors, meter = await attempt(script, framing, sap, suite, agree, hours)
            if status == 0 or not (splits and SPLITS_FRAMES in errors):
                break
        assert status == 0, errors[-3000:]
        return json.loads(output.splitlines()[-1]), meter.server

    return run
