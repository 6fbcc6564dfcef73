"""The program reads everything that the meter of pydlms-client shows, by the ways a technician has."""

import asyncio
import contextlib
import csv
import io
import json
import sys
from pathlib import Path

import pytest
from peers_field import KEYS, METER_TITLE, PASSWORD, peers_python

from meterlink.security.suites import Suite

METER = Path(__file__).with_name("peer_pydlms_meter.py")
SAP = 40


@contextlib.asynccontextmanager
async def simulated(mechanism, framing):
    """Run the peer's meter; yield the URL that reaches it."""
    keys = KEYS[Suite.SUITE_0]
    protected = mechanism == 5
    job = {
        "framing": framing,
        "sap": SAP,
        "mechanism": mechanism,
        "ciphered": protected,
        "suite": 0,
        "server_title": METER_TITLE.hex(),
    }
    if mechanism == 1:
        job["secret"] = PASSWORD.hex()
    if protected:
        job |= {"unicast": bytes(keys.unicast).hex(), "authentication": bytes(keys.authentication).hex()}
    process = await asyncio.create_subprocess_exec(
        peers_python(), str(METER), json.dumps(job), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 30))
        word = {0: "none", 1: "lls", 5: "hls-gmac"}[mechanism]
        yield f"tcp://127.0.0.1:{port}?framing={framing}&security={word}&client={SAP}"
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


@pytest.fixture
def meterlink(tmp_path, monkeypatch):
    """Run the program in a process of its own, with a home of its own; return what it prints."""
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("METERLINK_METER_PASSWORD", PASSWORD.decode())

    async def run(*words):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "meterlink",
            *map(str, words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, errors.decode()) == (0, "")
        return out.decode()

    return run


@pytest.mark.parametrize(("mechanism", "framing"), [(0, "wrapper"), (1, "hdlc"), (5, "hdlc")])
async def test_the_program_reads_the_peers_meter(meterlink, tmp_path, mechanism, framing):
    keys = tmp_path / "keys.json"
    keys.touch(mode=0o600)
    shared = KEYS[Suite.SUITE_0]
    content = {"unicast": bytes(shared.unicast).hex(), "authentication": bytes(shared.authentication).hex()}
    keys.write_text(json.dumps(content if mechanism == 5 else {}))
    async with simulated(mechanism, framing) as url:
        one = json.loads(await meterlink("read", url, "--object", "1-0:1.8.0", "--json", "--keys", keys))
        everything = json.loads(await meterlink("read", url, "--all", "--json", "--keys", keys))
        rows = await meterlink("read", url, "--profile", "1-0:99.1.0", "--csv", "--keys", keys)
        clock = json.loads(await meterlink("cosem", "get", url, "clock", "0-0:1.0.0", "time", "--json", "--keys", keys))
    (energy,) = one["readings"]
    assert (energy["value"], energy["unit"]) == ("12345678", "Wh")
    listed = {item["obis"]: item for item in everything["objects"]}
    assert listed["1-0:1.8.0*255"]["attributes"][0]["value"] == 12_345_678
    assert len(list(csv.reader(io.StringIO(rows)))) == 96 + 1
    assert clock["type"] in ("octet-string", "date-time")
