"""`meterlink read` of meters in the field, over pseudo-terminals with the timing of a line."""

import csv
import datetime as dt
import io
import json
import signal
from dataclasses import dataclass

import pytest
from field_lines import FACES, bus, on_a_line, t230, t550, technician
from program import start

from certs.levels import Level
from certs.store import Store
from meterlink.commands.configure_field import configure_field_meter
from meterlink.commands.field import read_field_meter, scan_bus
from meterlink.errors import NotPermitted
from meterlink.framing.mbus.frame import LongFrame
from meterlink.meters.notes import ENFORCES_NOTHING
from meterlink.meters.profile import profile
from meterlink.transport.base import Transport
from meterlink.transport.url import open_transport

URLS = {
    "t550": "optical:{port}?profile=t550",
    "t230": "optical:{port}?profile=t230",
    "t330": "optical:{port}?profile=t330",
    "generic-mbus": "serial:{port}?profile=generic-mbus&address=5",
    "t550-mbus": "serial:{port}?profile=t550-mbus&address=5",
}


def received(trace) -> bytes:
    """What a recording has from the meter."""
    events = [json.loads(line) for line in trace.read_text().splitlines()[1:]]
    return b"".join(bytes.fromhex(event["data"]) for event in events if event["event"] == "received")


@pytest.mark.parametrize("family", URLS)
def test_reading_a_meter_is_decoding_what_it_said(family, meterlink, tmp_path) -> None:
    with on_a_line(FACES[family]) as line:
        done = meterlink("read", URLS[family].format(port=line.port), "--trace", tmp_path / "trace", "--json")
    assert (done.status, done.err) == (0, "")
    capture = tmp_path / "capture"
    capture.write_bytes(received(tmp_path / "trace"))
    report = done.json
    for recorded in (capture, tmp_path / "trace"):
        decoded = meterlink("decode", recorded, "--json").json
        assert report["readings"] == decoded["readings"]
        assert report["meter"] == decoded["meter"]
    assert report["meter"]["serial_number"] == "00004711"
    assert ENFORCES_NOTHING in report["notes"]
    assert {"energy", "volume", "power", "flow_temperature"} <= {reading["name"] for reading in report["readings"]}


def test_a_head_without_a_family_in_the_url_finds_it_out(meterlink) -> None:
    with on_a_line(t550) as line:
        done = meterlink("read", f"optical:{line.port}", "--json")
    assert done.status == 0
    assert done.json["meter"]["family"] == "t550"


@pytest.mark.parametrize("scheme", ["serial", "optical"])
def test_a_bus_is_asked_at_its_own_speed_unless_the_url_has_another(scheme, meterlink) -> None:
    speeds = []
    with on_a_line(bus((5, "11111111"))) as line:
        line.on_request = lambda _: speeds.append(line.speed())
        for more in ("", "&baud=9600"):
            assert meterlink("read", f"{scheme}:{line.port}?profile=generic-mbus&address=5{more}").status == 0
    assert set(speeds) == {2400, 9600}
    assert speeds == sorted(speeds)


def test_a_secondary_address(meterlink) -> None:
    with on_a_line(bus((1, "11111111"), (2, "22222222"))) as line:
        done = meterlink("read", f"serial:{line.port}?profile=generic-mbus&address=2222FFFF", "--json")
    assert done.json["meter"]["serial_number"] == "22222222"


def test_csv_has_a_line_for_each_reading(meterlink) -> None:
    with on_a_line(FACES["generic-mbus"]) as line:
        done = meterlink("read", f"serial:{line.port}?profile=generic-mbus&address=5", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    energy = next(row for row in rows if (row["name"], row["storage"], row["tariff"]) == ("energy", "0", "0"))
    assert energy["unit"] == "kWh"
    assert float(energy["value"]) > 0
    assert dt.datetime.fromisoformat(energy["read_at"]).tzinfo is not None


# What the gate refuses is refused before the line is touched.


def test_an_expired_certificate_sends_no_byte(meterlink, home, monkeypatch) -> None:
    then = dt.datetime.now(dt.UTC)
    technician(home, Level.INSTALLATION)
    monkeypatch.setattr("meterlink.cli.readings.now", lambda: then + dt.timedelta(days=3 * 365))
    with on_a_line(t550) as line:
        done = meterlink("read", f"optical:{line.port}?profile=t550")
        assert (done.status, done.code) == (3, "not-permitted")
        assert "expired" in done.err
        assert line.heard == b""


@dataclass(frozen=True)
class Unknown:
    """A certificate whose level nobody knows."""

    certificate: object
    level: None = None
    permissions: frozenset = frozenset()


async def test_an_unknown_level_sends_no_byte(home) -> None:
    certificate = Unknown(Store.open(home).active().certificate)
    now = dt.datetime.now(dt.UTC)
    with on_a_line(bus((5, "11111111"))) as line:
        url = f"serial:{line.port}?profile=generic-mbus"

        def transport() -> Transport:
            return open_transport(url)

        with pytest.raises(NotPermitted):
            await read_field_meter(profile("generic-mbus"), transport(), certificate, now, address="5")
        with pytest.raises(NotPermitted):
            await scan_bus(transport, certificate, now, report=lambda kind, told: None, hear=lambda kind, heard: None)
        with pytest.raises(NotPermitted):
            await configure_field_meter(transport, (), certificate, now, address="5")
        assert line.heard == b""


@pytest.mark.parametrize("level", [Level.CONSUMER, Level.TEST])
def test_a_level_that_may_not_configure_sends_no_byte(meterlink, home, level) -> None:
    technician(home, level) if level is not Level.CONSUMER else None
    with on_a_line(bus((5, "11111111"))) as line:
        done = meterlink("configure", f"serial:{line.port}?profile=generic-mbus&address=5", "clock=now")
        assert (done.status, done.code) == (3, "not-permitted")
        assert "Installation" in done.err
        assert line.heard == b""


# Lines and meters that do not do as they should.


def fails(done, status: int, code: str) -> None:
    assert (done.status, done.code, done.out) == (status, code, "")
    assert "hint: " in done.err


def test_nobody_answers(meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        fails(meterlink("read", f"serial:{line.port}?profile=generic-mbus&address=6"), 5, "no-answer")


def test_an_address_that_is_none(meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        fails(meterlink("read", f"serial:{line.port}?profile=generic-mbus&address=251"), 2, "address")
        assert line.heard == b""


def test_two_meters_at_one_address(meterlink) -> None:
    with on_a_line(bus((5, "11111111"), (5, "22222222"))) as line:
        fails(meterlink("read", f"serial:{line.port}?profile=generic-mbus&address=5"), 6, "collision")


def test_noise_instead_of_telegrams(meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        line.on_request = lambda _: b"\x13\x37\xfe" * 9
        done = meterlink("read", f"serial:{line.port}?profile=generic-mbus&address=5")
    fails(done, 5, "no-answer")


def test_a_meter_that_reports_an_error_is_the_meters_fault(meterlink) -> None:
    busy = bytes.fromhex("68 04 04 68 08 05 70 08 85 16")
    with on_a_line(bus((5, "11111111"))) as line:
        line.on_request = lambda data: busy if data[:1] == b"\x10" and data[1] & 0x0F == 0x0B else None
        done = meterlink("read", f"serial:{line.port}?profile=generic-mbus&address=5")
    fails(done, 6, "application-error")


# OMS volume 2, annex N.2.1: key and cipher text of security mode 5, in a telegram with a long header.
KEY = "0102030405060708090A0B0C0D0E0F11"
SEALED = LongFrame(
    0x08, 5, 0x72,
    bytes.fromhex("78563412 9315 33 03 2A 00 2025 5923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3"),
).to_bytes()  # fmt: skip


@pytest.mark.parametrize(
    ("key", "status", "code"), [(KEY, 0, ""), ("00" * 16, 6, "wrong-key"), ("4711", 2, "mbus-key")]
)
def test_the_key_of_a_meter_that_encrypts_comes_from_the_environment(key, status, code, meterlink, monkeypatch) -> None:
    monkeypatch.setenv("METERLINK_MBUS_KEY", key)
    with on_a_line(bus((5, "11111111"))) as line:
        line.on_request = lambda data: SEALED if data[1] & 0x0F == 0x0B else None
        done = meterlink("read", f"serial:{line.port}?profile=generic-mbus&address=5", "--csv")
    assert (done.status, done.code) == (status, code)
    assert ("volume,,28504.27,m³" in done.out) == (status == 0)
    assert key not in done.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--object", "energy"), "profile"),
        (("--object", "6-0:1.0.0"), "profile"),
        (("--all",), "profile"),
        (("--watch", "59"), "interval"),
        (("--watch", "nan"), "usage"),
        (("--watch", "inf"), "usage"),
        (("--csv", "--json"), "usage"),
    ],
)
def test_what_a_readout_cannot_do(words, code, meterlink) -> None:
    with on_a_line(t230) as line:
        done = meterlink("read", f"optical:{line.port}?profile=t230", *words)
        assert done.status == 2
        assert code in done.err
        assert line.heard == b""


# Again and again.


def test_watching_ends_with_ctrl_c_and_tells_its_cost_once(home) -> None:
    with on_a_line(FACES["generic-mbus"]) as line:
        url = f"serial:{line.port}?profile=generic-mbus&address=5"
        with start("read", url, "--watch", "1", "--json") as process:
            assert process.stdout is not None
            reports = [json.loads(process.stdout.readline()) for _ in range(2)]
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    first, second = (dt.datetime.fromisoformat(report["read_at"]) for report in reports)
    assert second >= first  # a reading that took long is followed at once; test_mqtt_watch.py holds the interval
    assert reports[0]["meter"]["serial_number"] == "00004711"
    (warning,) = errors.decode().splitlines()
    assert json.loads(warning)["warning"]["code"] == "battery"
