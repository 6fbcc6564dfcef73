"""Bluetooth LE, bleak against a GATT server on the simulated radio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hil.ble import MeterPeripheral
from hil.bluez import BluezService, private_bus
from hil.radio import Radio
from hil.transport_conformance import FarEnd, TransportConformance
from meterlink.transport.base import Transport
from meterlink.transport.ble import BleTransport


class TestBumbleBackend(TransportConformance):
    @asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[Transport, FarEnd]]:
        far = FarEnd()
        async with Radio() as radio, MeterPeripheral(radio, far.handler) as meter:
            far.say = lambda data: meter.driver.say(data)
            far.cut, far.hold = meter.drop, meter.hold
            yield BleTransport("METER-1", radio=radio.ble), far


class TestBluezBackend(TransportConformance):
    @asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[Transport, FarEnd]]:
        far = FarEnd()
        async with private_bus(), Radio() as radio, BluezService(radio):
            async with MeterPeripheral(radio, far.handler) as meter:
                far.say = lambda data: meter.driver.say(data)
                far.cut, far.hold = meter.drop, meter.hold
                yield BleTransport("METER-1"), far
