"""`meterlink find` and `doctor` on the simulated air, through bleak's own BlueZ backend."""

import asyncio
import json
from pathlib import Path

import pytest
from ble_air import Air
from bleak.exc import BleakDBusError

from hil.ble import MeterPeripheral
from hil.wire import WireHandler
from meterlink.cli.main import main
from meterlink.transport.ble_errors import explain_radio
from meterlink.transport.url import parse_url


def silent() -> WireHandler:
    raise AssertionError("nobody connects to find a meter")


@pytest.mark.parametrize("air", ["bluez"], indirect=True)
async def test_meters_on_the_air_are_listed_the_strongest_first(air: Air, capsys: pytest.CaptureFixture[str]) -> None:
    async with (
        MeterPeripheral(air.radio, silent, name="HEAT-00000042", address="F0:00:00:00:00:42", signal=-60),
        MeterPeripheral(air.radio, silent, name="OTHER", address="F0:00:00:00:00:43", service="hm10", signal=-40),
    ):
        # In a thread, because the program brings an event loop of its own.
        status = await asyncio.to_thread(main, ["find", "--ble", "--seconds", "1", "--json"])
        listed, noise = capsys.readouterr()
        assert (status, noise) == (0, "")
        plain = await asyncio.to_thread(main, ["find", "--ble", "--seconds", "1"])
        text, noise = capsys.readouterr()
    meters = json.loads(listed)["meters"]
    assert [meter["url"] for meter in meters] == ["ble:OTHER", "ble:HEAT-00000042"]
    assert [meter["family"] for meter in meters] == ["", "cosem-heat"]
    assert meters[1]["services"] == ["nus"]
    assert meters[1]["rssi"] == -60
    assert (plain, noise) == (0, "")
    assert "ble:HEAT-00000042" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("air", ["bluez"], indirect=True)
async def test_a_name_on_the_air_steers_no_terminal_and_makes_a_url(
    air: Air, capsys: pytest.CaptureFixture[str]
) -> None:
    async with MeterPeripheral(air.radio, silent, name="A?b=\x1b[2J%", address="F0:00:00:00:00:44"):
        assert await asyncio.to_thread(main, ["find", "--ble", "--seconds", "1"]) == 0
        text, _ = capsys.readouterr()
        assert await asyncio.to_thread(main, ["find", "--ble", "--seconds", "1", "--json"]) == 0
        (meter,) = json.loads(capsys.readouterr().out)["meters"]
    assert "\x1b" not in text
    assert "ble:A%3Fb=%1B[2J%25" in text
    assert meter["name"] == "A?b=\x1b[2J%"
    assert parse_url(meter["url"]).target == meter["name"]


def test_ports_are_listed_without_bluetooth(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", "--serial", "--json"]) == 0
    ports = json.loads(capsys.readouterr().out)["ports"]
    assert all(set(port) >= {"url", "device", "usable"} for port in ports)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--mask", "1234FFFF"), "--mask"),
        (("--last", "3", "--by", "primary"), "--by, --last"),
        (("--bus", "serial:/dev/null", "--ble"), "--ble"),
        (("--seconds", "nan"), "nan"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert main(["find", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: usage: ")
    assert told in error


def bluetooth(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    findings = json.loads(capsys.readouterr().out)["findings"]
    (finding,) = (each for each in findings if each["name"] == "Bluetooth")
    assert isinstance(finding, dict)
    return finding


@pytest.mark.parametrize("air", ["bluez"], indirect=True)
async def test_the_doctor_finds_bluetooth_in_order(
    air: Air, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path))
    assert await asyncio.to_thread(main, ["doctor", "--json"]) == 0
    assert bluetooth(capsys)["status"] == "ok"


def test_the_doctor_says_that_bluetooth_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-such-socket")
    assert main(["doctor", "--json"]) == 0
    found = bluetooth(capsys)
    assert found["status"] in {"note", "missing"}
    assert found["detail"]


def test_who_may_not_use_bluetooth_is_told_the_command() -> None:
    error = explain_radio(BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["Rejected send message"]))
    assert error.code == "ble-permission"
    assert error.hint is not None
    assert error.hint.startswith("sudo usermod -aG bluetooth")
