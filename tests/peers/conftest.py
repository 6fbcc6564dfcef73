"""Outside judges: clients that others wrote, each in a process of its own, against our meter on loopback TCP."""

import asyncio
import json
from pathlib import Path

import pytest
from peers_field import FieldMeter, peers_python

from hil.tcp import TcpServer

HERE = Path(__file__).parent


@pytest.fixture
def run_peer():
    """Run a peer against a fresh meter; return its result (JSON) and the meter."""

    async def run(script, framing, sap, suite=1, agree=False):
        meter = FieldMeter(suite)
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
        assert process.returncode == 0, errors.decode()[-3000:]
        return json.loads(output.decode().splitlines()[-1]), meter.server

    return run
