"""Bluetooth LE on both simulated paths: finding, chunks, services, losses, pairing."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from ble_air import FAST, Echo
from bleak.backends.service import BleakGATTServiceCollection
from driven_clock import clock, driven

from hil.ble import MeterPeripheral
from hil.radio import Radio
from hil.transport_conformance import FarEnd, receive_exactly
from meterlink.errors import LinkError, LinkLost, LinkTimeout, LinkUnavailable
from meterlink.transport import patience
from meterlink.transport.ble import ATTEMPTS, DISCONNECT_TIMEOUT, BleSettings, BleTransport
from meterlink.transport.ble_scan import scanner_arguments
from meterlink.transport.gatt_services import BY_NAME, SERVICES, GattService, custom_service
from meterlink.transport.radio import BleRadio
from meterlink.transport.url import Context, open_transport


class TestFinding:
    @pytest.mark.parametrize("target", ["LG-T550-70123456", "lg-t550-70123456", "70123456", "F0:F1:F2:F3:F4:01"])
    async def test_by_name_serial_number_or_address(self, air: Any, target: str) -> None:
        async with (
            MeterPeripheral(air.radio, FarEnd().handler, name="LG-T550-70123456", address="F0:F1:F2:F3:F4:01"),
            MeterPeripheral(air.radio, FarEnd().handler, name="LG-T550-70999999", address="F0:F1:F2:F3:F4:02"),
            BleTransport(target, FAST, air.ble) as transport,
        ):
            assert transport.meter is not None
            assert transport.meter.address == "F0:F1:F2:F3:F4:01"
            assert transport.meter.name == "LG-T550-70123456"
            assert transport.meter.services == (BY_NAME["nus"],)

    async def test_the_strongest_where_none_is_named(self, air: Any) -> None:
        async with (
            MeterPeripheral(air.radio, FarEnd().handler, name="far", address="F0:F1:F2:F3:F4:01", signal=-80),
            MeterPeripheral(air.radio, FarEnd().handler, name="near", address="F0:F1:F2:F3:F4:02", signal=-40),
            BleTransport("", FAST, air.ble) as transport,
        ):
            assert transport.meter is not None
            assert (transport.meter.name, transport.meter.rssi) == ("near", -40)

    async def test_the_strongest_of_a_service(self, air: Any) -> None:
        settings = BleSettings(service=BY_NAME["microchip"], scan_timeout=10.0, settle=0.2)
        async with (
            MeterPeripheral(air.radio, FarEnd().handler, name="near", address="F0:F1:F2:F3:F4:01", signal=-40),
            MeterPeripheral(
                air.radio, FarEnd().handler, name="head", address="F0:F1:F2:F3:F4:02", signal=-80, service="microchip"
            ),
            BleTransport("", settings, air.ble) as transport,
        ):
            assert transport.meter is not None
            assert transport.meter.name == "head"

    async def test_a_part_of_two_names_is_ambiguous(self, air: Any) -> None:
        async with (
            MeterPeripheral(air.radio, FarEnd().handler, name="T550-1", address="F0:F1:F2:F3:F4:01"),
            MeterPeripheral(air.radio, FarEnd().handler, name="T550-2", address="F0:F1:F2:F3:F4:02"),
        ):
            with pytest.raises(LinkUnavailable, match=r"T550-1.*T550-2") as caught:
                await BleTransport("T550", FAST, air.ble).open()
            assert caught.value.code == "meter-ambiguous"

    async def test_a_meter_that_is_not_there(self, air: Any) -> None:
        async with MeterPeripheral(air.radio, FarEnd().handler, name="T550-1"):
            with pytest.raises(LinkUnavailable) as caught:
                await BleTransport("UH50", BleSettings(scan_timeout=0.2), air.ble).open()
            assert caught.value.code == "meter-not-found"
            assert "meterlink find --ble" in str(caught.value.hint)

    async def test_opened_again_it_is_the_same_meter(self, air: Any) -> None:
        far = FarEnd()
        async with MeterPeripheral(air.radio, far.handler, name="one", address="F0:F1:F2:F3:F4:01", signal=-60):
            transport = BleTransport("", FAST, air.ble)
            async with transport:
                await transport.send(b"x")
            async with MeterPeripheral(
                air.radio, FarEnd().handler, name="two", address="F0:F1:F2:F3:F4:02", signal=-30
            ):
                async with transport:
                    assert transport.meter is not None
                    assert transport.meter.name == "one"

    async def test_two_at_once_take_turns_with_the_radio(self, air: Any) -> None:
        ends = [Echo(), Echo()]
        async with AsyncExitStack() as stack:
            for number, far in enumerate(ends):
                await stack.enter_async_context(
                    MeterPeripheral(air.radio, far.handler, name=f"m{number}", address=f"F0:F1:F2:F3:F4:0{number}")
                )
            links = [BleTransport(f"m{number}", FAST, air.ble) for number in range(2)]
            await asyncio.gather(*(link.open() for link in links))
            for number, link in enumerate(links):
                await link.send(bytes([number]) * 50)
            for number, link in enumerate(links):
                assert await receive_exactly(link, 50) == bytes([number]) * 50
                await link.close()


async def test_without_bluetooth_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(LinkUnavailable) as caught:
        await BleTransport("METER-1", FAST).open()
    assert caught.value.code == "ble-unavailable"
    assert caught.value.hint


class TestChunks:
    @pytest.mark.parametrize("mtu", [23, 24, 185, 247, 515, 516, 517])
    async def test_any_mtu(self, air: Any, mtu: int) -> None:
        far, data = Echo(), os.urandom(3000)
        async with (
            MeterPeripheral(air.radio, far.handler, max_mtu=mtu),
            BleTransport("METER-1", FAST, air.ble) as transport,
        ):
            for size in (1, mtu - 3, mtu - 2, 512, 513, 1500):
                await transport.send(data[:size], 2.0)
                assert await receive_exactly(transport, size) == data[:size]

    @pytest.mark.parametrize("response", ["auto", "always", "never"])
    async def test_any_kind_of_write(self, air: Any, response: str) -> None:
        far, data = Echo(), os.urandom(3000)
        async with (
            MeterPeripheral(air.radio, far.handler),
            open_transport(f"ble:METER-1?response={response}", Context(ble=air.ble)) as transport,
        ):
            await transport.send(data, 2.0)
            assert await receive_exactly(transport, len(data)) == data


class TestServices:
    @pytest.mark.parametrize("name", [service.name for service in SERVICES])
    async def test_each_known_service(self, air: Any, name: str) -> None:
        far, data = Echo(), os.urandom(9000)
        async with (
            MeterPeripheral(air.radio, far.handler, service=name, max_mtu=185),
            BleTransport("METER-1", FAST, air.ble) as transport,
        ):
            await transport.send(data, 3.0)
            assert await receive_exactly(transport, len(data)) == data

    async def test_characteristics_in_the_other_order(self, air: Any) -> None:
        """FFF0 as other makers have it: the properties tell which is which."""
        known = BY_NAME["fff0"]
        reversed_ = GattService("fff0", "reversed", known.service, write=known.notify, notify=known.write)
        far = Echo()
        async with (
            MeterPeripheral(air.radio, far.handler, service=reversed_),
            BleTransport("METER-1", FAST, air.ble) as transport,
        ):
            await transport.send(b"hello", 1.0)
            assert await receive_exactly(transport, 5) == b"hello"

    async def test_a_service_of_the_users_own(self, air: Any) -> None:
        numbers = [f"{number}-1111-2222-3333-444444444444" for number in ("0000abcd", "0000abce", "0000abcf")]
        far = Echo()
        query = f"service={numbers[0]}&write={numbers[1]}&notify={numbers[2]}"
        async with MeterPeripheral(air.radio, far.handler, service=custom_service(*numbers)):
            with pytest.raises(LinkUnavailable) as caught:
                await BleTransport("METER-1", FAST, air.ble).open()
            assert caught.value.code == "no-byte-pipe"
            for url in (f"ble:METER-1?{query}", f"ble:METER-1?service={numbers[0]}"):
                async with open_transport(url, Context(ble=air.ble)) as transport:
                    await transport.send(b"hello", 1.0)
                    assert await receive_exactly(transport, 5) == b"hello"

    @pytest.mark.parametrize("name", ["ublox", "telit"])
    async def test_credits_hold_the_meter_back(self, air: Any, name: str) -> None:
        far, data = FarEnd(), os.urandom(300_000)
        async with (
            MeterPeripheral(air.radio, far.handler, service=name, max_mtu=185) as meter,
            BleTransport("METER-1", FAST, air.ble) as transport,
        ):
            meter.driver.say(data)
            assert transport._pipe is not None
            window = transport._pipe._window
            assert window is not None
            # Until the meter has used up what it was granted and is granted no more; one that nobody holds back
            # fills the buffer until it breaks the link.
            while (window._open or window._theirs > 0) and transport.is_open:  # noqa: ASYNC110  # the radio tells nobody
                await asyncio.sleep(0)
            assert transport.is_open
            assert len(transport._buffer) < 200_000
            assert await receive_exactly(transport, len(data)) == data

    @pytest.mark.parametrize("name", ["ublox", "telit"])
    async def test_without_credits_nothing_is_sent(self, air: Any, name: str) -> None:
        far = FarEnd()
        async with (
            MeterPeripheral(air.radio, far.handler, service=name, max_mtu=23) as meter,
            BleTransport("METER-1", FAST, air.ble) as transport,
        ):
            await transport.send(b"x", 1.0)
            meter.hold(True)
            with pytest.raises(LinkTimeout):
                await transport.send(bytes(20 * 200), 0.2)
            meter.hold(False)
            await far.wait_for(20)


class TestHangs:
    """bleak has no deadlines of its own, and what the system does may never end."""

    async def test_a_subscription_that_is_never_answered(self, air: Any) -> None:
        class Silent(air.radio.ble.client):  # type: ignore[name-defined,misc]
            async def start_notify(self, *_: Any, **__: Any) -> None:
                await asyncio.Event().wait()

        settings = BleSettings(scan_timeout=10.0, subscribe_timeout=0.1)
        radio = BleRadio(scanner=air.radio.ble.scanner, client=Silent)
        async with MeterPeripheral(air.radio, FarEnd().handler) as meter:
            with pytest.raises(LinkTimeout, match="paired") as caught:
                await BleTransport("METER-1", settings, radio).open()
            assert caught.value.hint is None
            assert not meter.is_connected

    @driven(by_itself=True)
    async def test_a_system_that_does_not_let_go_while_it_connects(self) -> None:
        """Connecting hangs and ignores its cancellation: every attempt is left to itself within the time for all."""
        released = asyncio.Event()
        attempts: list[float] = []
        async with Radio() as radio, MeterPeripheral(radio, FarEnd().handler):

            class Stubborn(radio.ble.client):  # type: ignore[name-defined,misc]
                async def connect(self, *_: Any, **__: Any) -> None:
                    attempts.append(clock().time())
                    await _stubbornly(released)

            settings = BleSettings(scan_timeout=10.0, connect_timeout=30.0)
            ble = BleRadio(scanner=radio.ble.scanner, client=Stubborn)
            with pytest.raises(LinkTimeout, match="let nobody connect"):
                await BleTransport("METER-1", settings, ble).open()
            assert len(attempts) == len(patience._abandoned) == ATTEMPTS
            assert clock().time() - attempts[0] == pytest.approx(30.0 + patience.GRACE)
            await _let_go(released)

    @driven(by_itself=True)
    async def test_a_system_that_does_not_let_go_when_it_is_closed(self) -> None:
        """Disconnecting hangs and ignores its cancellation: it is left to itself, and the meter can be had again."""
        released = asyncio.Event()
        far = Echo()
        async with Radio() as radio, MeterPeripheral(radio, far.handler):

            class Stubborn(radio.ble.client):  # type: ignore[name-defined,misc]
                async def disconnect(self) -> None:
                    await _stubbornly(released)
                    await super().disconnect()

            transport = BleTransport("METER-1", FAST, BleRadio(scanner=radio.ble.scanner, client=Stubborn))
            await transport.open()
            start = clock().time()
            await transport.close()
            assert clock().time() - start == pytest.approx(DISCONNECT_TIMEOUT + patience.GRACE)
            assert len(patience._abandoned) == 1
            await _let_go(released)
            async with BleTransport("METER-1", FAST, radio.ble) as again:
                await again.send(b"x", 2.0)
                assert await receive_exactly(again, 1) == b"x"


async def _stubbornly(released: asyncio.Event) -> None:
    while not released.is_set():
        with suppress(asyncio.CancelledError):
            await released.wait()


async def _let_go(released: asyncio.Event) -> None:
    released.set()
    while patience._abandoned:
        await asyncio.wait(set(patience._abandoned))


class TestLosses:
    async def test_nothing_comes_twice_after_a_loss(self, air: Any) -> None:
        """BlueZ doubles every notification when the old client was not disconnected."""
        far = Echo()
        async with MeterPeripheral(air.radio, far.handler) as meter:
            transport = BleTransport("METER-1", FAST, air.ble)
            for turn in range(4):
                await transport.open()
                await transport.send(bytes([turn]) * 30, 1.0)
                assert await receive_exactly(transport, 30) == bytes([turn]) * 30
                await meter.drop()
                with pytest.raises(LinkLost):
                    await transport.receive(1.0)
                await transport.close()
            async with transport:
                await transport.send(b"once", 1.0)
                assert await receive_exactly(transport, 4) == b"once"
                with pytest.raises(LinkTimeout):
                    await transport.receive(0.1)

    async def test_a_link_that_breaks_while_it_opens(self, air: Any) -> None:
        far = Echo()
        async with MeterPeripheral(air.radio, far.handler) as meter:
            transport = BleTransport("METER-1", BleSettings(scan_timeout=10.0, connect_timeout=10.0), air.ble)
            for steps in (0, 10, 30, 60, 100, 200):
                opening = asyncio.create_task(transport.open())
                while not (meter.is_connected or opening.done()):  # noqa: ASYNC110  # the radio tells nobody else
                    await asyncio.sleep(0)
                for _ in range(steps):
                    await asyncio.sleep(0)
                await meter.drop()
                try:
                    await opening
                    await transport.send(b"x", 2.0)
                    assert await transport.receive(2.0) == b"x"
                except LinkLost:
                    pass  # a loss it cannot get over by itself is told at once; while connecting it tries again
                await transport.close()

    async def test_a_link_that_broke_when_it_was_made_is_lost_and_not_without_a_service(self, air: Any) -> None:
        async with MeterPeripheral(air.radio, FarEnd().handler) as meter:

            class Brief(air.radio.ble.client):  # type: ignore[name-defined,misc]
                async def connect(self, *arguments: Any, **options: Any) -> None:
                    await super().connect(*arguments, **options)
                    await meter.drop()
                    while self.is_connected:  # noqa: ASYNC110  # until the end has been heard of
                        await asyncio.sleep(0)
                    self.services = BleakGATTServiceCollection()

            transport = BleTransport("METER-1", FAST, BleRadio(scanner=air.radio.ble.scanner, client=Brief))
            with pytest.raises(LinkLost):
                await transport.open()

    async def test_an_opening_cancelled_at_every_point_leaves_the_radio_free(self, air: Any) -> None:
        far = Echo()
        async with MeterPeripheral(air.radio, far.handler):
            transport = BleTransport("METER-1", FAST, air.ble)
            for steps in range(0, 150, 3):
                opening = asyncio.create_task(transport.open())
                for _ in range(steps):
                    await asyncio.sleep(0)
                opening.cancel()
                # Whatever became of the one before, it must not be in the way of this one.
                await asyncio.gather(opening, return_exceptions=True)
                await transport.close()
            async with transport:
                await transport.send(b"x", 2.0)
                assert await transport.receive(2.0) == b"x"

    async def test_closing_while_another_task_opens(self, air: Any) -> None:
        async with MeterPeripheral(air.radio, FarEnd().handler):
            transport = BleTransport("METER-1", FAST, air.ble)
            for steps in (1, 20, 100):
                opening = asyncio.create_task(transport.open())
                for _ in range(steps):
                    await asyncio.sleep(0)
                await transport.close()
                with pytest.raises(LinkError):
                    await opening


def test_a_radio_can_be_named() -> None:
    assert scanner_arguments(BleRadio(adapter="hci1")) == {"bluez": {"adapter": "hci1"}}
