"""Finding ports and meters."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest

from hil.ble import MeterPeripheral
from hil.transport_conformance import FarEnd
from meterlink.errors import LinkUnavailable
from meterlink.transport.ble import BleSettings, BleTransport
from meterlink.transport.ble_scan import Sighting
from meterlink.transport.discovery import describe, scan_ble, serial_ports, strongest_first
from meterlink.transport.gatt_services import BY_NAME


def port(device: str, **known: Any) -> Any:
    empty = dict.fromkeys(("vid", "pid", "serial_number", "manufacturer", "product", "interface"))
    return SimpleNamespace(**{**empty, "device": device, "description": "n/a", **known})


def test_what_is_known_of_a_port() -> None:
    found = describe(
        [
            port("/dev/ttyS0"),
            port("/dev/ttyUSB0", vid=0x10C4, pid=0xEA60, description="CP2102N USB to UART", serial_number="0001"),
            port("/dev/ttyUSB1", vid=0x10C4, pid=0xEA60, product="Opto head IEC 62056-21"),
            port("/dev/ttyUSB2", vid=0x1234, pid=0x0001, description="PiiGAB M-Bus 810"),
        ]
    )
    assert [(each.device, each.usb, each.guess) for each in found] == [
        ("/dev/ttyUSB0", "10c4:ea60", "CP210x adapter, as in many optical heads"),
        ("/dev/ttyUSB1", "10c4:ea60", "optical head"),
        ("/dev/ttyUSB2", "1234:0001", "M-Bus converter"),
        ("/dev/ttyS0", "", ""),
    ]
    assert [each.url.partition(":")[0] for each in found] == ["optical", "optical", "serial", "serial"]
    assert found[0].serial_number == "0001"
    assert not found[0].usable


def test_the_ports_of_this_machine_can_be_listed() -> None:
    assert all(each.device for each in serial_ports())


async def test_meters_on_the_air(air: Any) -> None:
    async with (
        MeterPeripheral(air.radio, FarEnd().handler, name="far", address="F0:F1:F2:F3:F4:01", signal=-80),
        MeterPeripheral(
            air.radio, FarEnd().handler, name="near", address="F0:F1:F2:F3:F4:02", signal=-40, service="telit"
        ),
    ):
        heard: list[Sighting] = []
        async with aclosing(scan_ble(20.0, air.ble)) as sightings:
            async for sighting in sightings:
                heard.append(sighting)
                if len({each.address for each in heard}) == 2:
                    break
    first, second = strongest_first(heard)
    assert (first.name, first.rssi, first.services) == ("near", -40, (BY_NAME["telit"],))
    assert (second.name, second.address) == ("far", "F0:F1:F2:F3:F4:01")


async def test_a_scan_ends_by_itself(air: Any) -> None:
    async with MeterPeripheral(air.radio, FarEnd().handler, name="one"):
        async with asyncio.timeout(10.0):
            assert {sighting.name async for sighting in scan_ble(0.2, air.ble)} <= {"one"}


async def test_a_scan_that_is_left_early_gives_the_radio_back(air: Any) -> None:
    async with MeterPeripheral(air.radio, FarEnd().handler, name="one"):
        async with aclosing(scan_ble(60.0, air.ble)) as sightings:
            assert (await anext(sightings)).name == "one"
        async with BleTransport("one", BleSettings(scan_timeout=10.0), air.ble) as transport:
            assert transport.is_open


async def test_a_scan_without_bluetooth(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(LinkUnavailable) as caught:
        await anext(scan_ble(1.0))
    assert caught.value.code == "ble-unavailable"
