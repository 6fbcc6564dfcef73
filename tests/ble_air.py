"""The simulated radio in two ways: bleak with a backend on it, and bleak's own BlueZ backend on a private bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from hil.bluez import BluezService, private_bus
from hil.radio import Radio
from hil.transport_conformance import FarEnd
from meterlink.transport.ble import BleSettings
from meterlink.transport.radio import BleRadio

FAST = BleSettings(scan_timeout=10.0, settle=0.2)
"""For meters that are known to be there."""


class Echo(FarEnd):
    """Says again what it hears."""

    def receive(self, data: bytes, now: float) -> bytes:
        super().receive(data, now)
        return data


@dataclass(frozen=True)
class Air:
    """A radio, and what the transports are told of it."""

    radio: Radio
    ble: BleRadio
    is_bluez: bool


@pytest.fixture(params=["backend", "bluez"])
async def air(request: pytest.FixtureRequest) -> AsyncIterator[Air]:
    async with AsyncExitStack() as stack:
        is_bluez = request.param == "bluez"
        if is_bluez:
            await stack.enter_async_context(private_bus())
        radio = await stack.enter_async_context(Radio())
        if is_bluez:
            await stack.enter_async_context(BluezService(radio))
        yield Air(radio, BleRadio() if is_bluez else radio.ble, is_bluez)
