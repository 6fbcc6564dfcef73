"""`meterlink find` on the simulated air, through bleak's own BlueZ backend."""

import asyncio
import json

import pytest
from ble_air import Air

from hil.ble import MeterPeripheral
from hil.wire import WireHandler
from meterlink.cli.main import main


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


def test_ports_are_listed_without_bluetooth(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", "--serial", "--json"]) == 0
    ports = json.loads(capsys.readouterr().out)["ports"]
    assert all(set(port) >= {"url", "device", "usable"} for port in ports)
