"""Pairing with a meter that demands it, on both simulated paths."""

from __future__ import annotations

from typing import Any

import pytest
from ble_air import FAST, Echo
from bleak import BleakClient, BleakScanner

from hil.ble import MeterPeripheral
from hil.transport_conformance import FarEnd, receive_exactly
from meterlink.errors import LinkUnavailable
from meterlink.transport.ble import BleSettings, BleTransport
from meterlink.transport.ble_scan import scanner_arguments
from meterlink.transport.url import Context, open_transport


class TestPairing:
    PASSKEY = 123456

    async def ask(self, name: str) -> int | None:
        assert name == "METER-1"
        return self.PASSKEY

    async def test_a_meter_that_wants_pairing_says_so(self, air: Any) -> None:
        far = FarEnd()
        async with MeterPeripheral(air.radio, far.handler, passkey=self.PASSKEY):
            with pytest.raises(LinkUnavailable) as caught:
                async with BleTransport("METER-1", FAST, air.ble) as transport:
                    await transport.send(b"x", 2.0)
            assert caught.value.code == "pairing-needed"
            assert "pair" in str(caught.value.hint)
        assert not far.received

    async def test_the_passkey_is_asked_for_when_it_is_needed(self, air: Any) -> None:
        far = Echo()
        async with (
            MeterPeripheral(air.radio, far.handler, passkey=self.PASSKEY),
            BleTransport("METER-1", FAST, air.ble, self.ask) as transport,
        ):
            await transport.send(b"secret" * 100, 2.0)
            assert await receive_exactly(transport, 600) == b"secret" * 100

    async def test_once_paired_nobody_is_asked_again(self, air: Any) -> None:
        far = Echo()
        async with MeterPeripheral(air.radio, far.handler, passkey=self.PASSKEY):
            async with open_transport(f"ble:METER-1?passkey={self.PASSKEY}", Context(ble=air.ble)) as transport:
                await transport.send(b"a", 2.0)
            async with BleTransport("METER-1", FAST, air.ble) as transport:
                await transport.send(b"b", 2.0)
                assert await receive_exactly(transport, 1) == b"b"

    async def test_asking_for_a_pairing_that_is_there_asks_nobody(self, air: Any) -> None:
        asked: list[str] = []

        async def ask(name: str) -> int | None:
            asked.append(name)
            return self.PASSKEY

        far = Echo()
        settings = BleSettings(scan_timeout=10.0, pair=True)
        async with MeterPeripheral(air.radio, far.handler, passkey=self.PASSKEY):
            for _ in range(2):
                async with BleTransport("METER-1", settings, air.ble, ask) as transport:
                    await transport.send(b"b", 2.0)
                    assert await receive_exactly(transport, 1) == b"b"
        assert asked == ["METER-1"]

    async def test_a_wrong_passkey(self, air: Any) -> None:
        far = FarEnd()
        async with MeterPeripheral(air.radio, far.handler, passkey=self.PASSKEY):
            with pytest.raises(LinkUnavailable) as caught:
                await open_transport("ble:METER-1?passkey=111111", Context(ble=air.ble)).open()
            assert caught.value.code == "pairing-failed"
        assert not far.received

    async def test_a_user_who_gives_up(self, air: Any) -> None:
        async def nobody(name: str) -> int | None:
            return None

        async with MeterPeripheral(air.radio, FarEnd().handler, passkey=self.PASSKEY):
            with pytest.raises(LinkUnavailable) as caught:
                await BleTransport("METER-1", FAST, air.ble, nobody).open()
            assert caught.value.code == "pairing-failed"

    async def test_just_works_is_not_enough(self, air: Any) -> None:
        """A central that types nothing ends up encrypted, but nobody knows with whom: the meter takes no byte."""
        far = FarEnd()
        async with MeterPeripheral(air.radio, far.handler, passkey=self.PASSKEY) as meter:
            device = await BleakScanner.find_device_by_name("METER-1", **scanner_arguments(air.ble))
            assert device is not None
            backend = {} if air.is_bluez else {"backend": air.ble.client}
            client = BleakClient(device, **backend)
            await client.connect()
            try:
                try:
                    await client.pair()
                    await client.write_gatt_char(meter.service.write, b"x", response=True)
                except Exception as error:  # noqa: BLE001  # which error depends on the backend
                    refused = str(error)
                assert refused
            finally:
                await client.disconnect()
        assert not far.received
