"""A simulated meter on a simulated radio: a GATT server with a serial service and a meter behind it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final, Self

from bumble import att
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate

from hil.bleak_backend import hang_up
from hil.gatt_database import advertisement, build
from hil.radio import Radio
from hil.wire import HandlerFactory, WireDriver
from meterlink.transport.ble_credits import CreditWindow
from meterlink.transport.gatt_services import BY_NAME, GattService

ADVERTISING_INTERVAL: Final = 20
"""Milliseconds; the shortest there is, so that nobody waits for a simulation."""


class MeterPeripheral:
    """A meter on the air. One central at a time; each connection gets a handler of its own.

    ``service`` names one of the known serial services, or is one. ``max_mtu`` is 23..517; ``signal``, how strong it is
    heard, is in dBm. With a ``passkey`` the meter shows it and takes bytes only from a central that typed it: encrypted
    with a key that was authenticated, which "Just Works" does not give. Use it with ``async with``.
    """

    def __init__(
        self,
        radio: Radio,
        factory: HandlerFactory,
        *,
        name: str = "METER-1",
        address: str = "F0:F1:F2:F3:F4:F5",
        service: str | GattService = "nus",
        max_mtu: int = 247,
        passkey: int | None = None,
        signal: int = -50,
    ) -> None:
        self.name = name
        self.address = address
        self.service = BY_NAME[service] if isinstance(service, str) else service
        self._radio = radio
        radio.signal[address] = signal
        self._factory = factory
        self._passkey = passkey
        self.device: Any = radio.device(
            name,
            address,
            advertising_interval_min=ADVERTISING_INTERVAL,
            advertising_interval_max=ADVERTISING_INTERVAL,
        )
        self.device.gatt_server.max_mtu = max_mtu
        self.device.keystore = MemoryKeyStore()
        self.device.pairing_config_factory = self._pairing_config
        self._taking = asyncio.Event()
        self._taking.set()
        self._line: _Line | None = None
        self._database = build(
            self.service, self.device.gatt_server, self._written, self._credited, guarded=passkey is not None
        )
        if self._database.granted is not None:
            self._database.granted.on("subscription", self._subscribed)
        self.device.advertising_data = advertisement(self.service, name)
        self.device.on("connection", self._connected)

    @property
    def driver(self) -> WireDriver:
        """What drives the meter's end of the present connection, for faults that are put on the line by hand."""
        if self._line is None:
            raise RuntimeError("nobody is connected")
        return self._line.driver

    @property
    def is_connected(self) -> bool:
        """True while a central is connected."""
        return self._line is not None

    async def start(self) -> None:
        """Power on and advertise."""
        await self.device.power_on()
        await self.device.start_advertising(auto_restart=True)

    async def stop(self) -> None:
        """Break the connection, stop advertising and leave the air."""
        await self.device.stop_advertising()
        await self.drop()
        await self.device.power_off()
        self._radio.remove(self.device)

    async def drop(self) -> None:
        """Break the connection, as when the meter goes out of reach; it advertises again at once."""
        while self._line is not None:
            await hang_up(self._line.connection)

    def hold(self, on: bool) -> None:
        """Answer no write any more (True), or go on (False)."""
        if on:
            self._taking.clear()
        else:
            self._taking.set()

    def _pairing_config(self, connection: Any) -> Any:
        if self._passkey is None:
            return PairingConfig(sc=True, mitm=False, bonding=True, delegate=PairingDelegate())
        return PairingConfig(sc=True, mitm=True, bonding=True, delegate=_Display(self._passkey))

    # -- what happens on the air

    def _connected(self, connection: Any) -> None:
        self._line = line = _Line(self, connection)

        def gone(reason: int) -> None:
            line.close()
            if self._line is line:
                self._line = None

        connection.on("disconnection", gone)

    def _subscribed(self, connection: Any, notify: bool, indicate: bool) -> None:
        if self._line is not None and self._line.connection is connection and (notify or indicate):
            self._line.subscribed.set()

    async def _written(self, connection: Any, value: bytes) -> None:
        if self._passkey is not None and not await self._is_authenticated(connection):
            raise att.ATT_Error(att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR)
        await self._taking.wait()
        if self._line is not None and self._line.connection is connection:
            self._line.receive(bytes(value))

    async def _credited(self, connection: Any, value: bytes) -> None:
        if self._line is not None and self._line.window is not None:
            self._line.window.add(value)

    async def _is_authenticated(self, connection: Any) -> bool:
        # Not connection.authenticated: bumble sets it after "Just Works", too.
        keys = await self.device.keystore.get(str(connection.peer_address))
        return bool(connection.is_encrypted and keys is not None and keys.ltk is not None and keys.ltk.authenticated)

    async def notify(self, connection: Any, data: bytes) -> None:
        """Notify the central of one packet; a central that is not paired gets nothing from a meter with a passkey."""
        if self._passkey is not None and not await self._is_authenticated(connection):
            return
        await self.device.notify_subscriber(connection, self._database.notify, data)

    async def grant(self, connection: Any, count: int) -> None:
        """Tell the central that it may send ``count`` packets more."""
        granted, value = self._database.granted, bytes([count])
        if granted is self._database.grant:
            await self.device.notify_subscriber(connection, granted, value)
        else:
            await self.device.indicate_subscriber(connection, granted, value)

    @property
    def factory(self) -> HandlerFactory:
        """What makes the meter's end of a connection."""
        return self._factory

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class _Line:
    """The meter's end of one connection."""

    def __init__(self, owner: MeterPeripheral, connection: Any) -> None:
        self.connection = connection
        self.window = CreditWindow() if owner.service.credits is not None else None
        self.subscribed = asyncio.Event()
        """Set once the central listens to our credits."""
        self._owner = owner
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self.driver = WireDriver(owner.factory(), self._out.put_nowait)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._pump())]
        if self.window is not None:
            self._tasks.append(loop.create_task(self._grant(self.window)))

    def receive(self, data: bytes) -> None:
        if self.window is not None:
            self.window.received()
        self.driver.receive(data)

    def close(self) -> None:
        self.driver.close()
        for task in self._tasks:
            task.cancel()

    async def _pump(self) -> None:
        while True:
            data = await self._out.get()
            size = self.connection.att_mtu - 3
            for start in range(0, len(data), size):
                if self.window is not None:
                    await self.window.take()
                await self._owner.notify(self.connection, data[start : start + size])

    async def _grant(self, window: CreditWindow) -> None:
        await self.subscribed.wait()
        while True:
            await self._owner.grant(self.connection, await window.next_grant())


class _Display(PairingDelegate):
    """The meter's display: shows the passkey, for a person to read."""

    def __init__(self, passkey: int) -> None:
        super().__init__(PairingDelegate.DISPLAY_OUTPUT_ONLY)
        self._passkey = passkey

    async def generate_passkey(self) -> int:
        """Return the meter's passkey."""
        return self._passkey

    async def display_number(self, number: int, digits: int) -> None:
        """Show it."""
