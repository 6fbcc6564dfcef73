"""A bleak backend on a bumble host, so that programs that use bleak run on a simulated radio.

bleak takes a backend as an argument, so nothing of it is replaced. bumble has no type information of use: its objects
are ``Any`` in here and go no further.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final, TypeVar

from bleak import BleakScanner
from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble import att, core
from bumble.core import AdvertisingData
from bumble.device import Peer

ATT_MTU: Final = 517
"""What the central offers; the meter's own limit decides."""

CANCEL_RETRY: Final = 0.02
"""Seconds until the cancellation of a connection attempt is tried again: it has an effect only from some point on."""

HANG_UP_TIMEOUT: Final = 1.0
"""Seconds for the end of a connection on the simulated air, where it takes none."""

PROPERTIES: Final[tuple[tuple[int, CharacteristicPropertyName], ...]] = (
    (0x01, "broadcast"),
    (0x02, "read"),
    (0x04, "write-without-response"),
    (0x08, "write"),
    (0x10, "notify"),
    (0x20, "indicate"),
    (0x40, "authenticated-signed-writes"),
    (0x80, "extended-properties"),
)
"""Bits of the characteristic properties (Core Specification, Vol 3, Part G, 3.3.1.1) and bleak's names for them."""

_UUID_FIELDS: Final = (
    AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
)

_T = TypeVar("_T")


def uuid_text(value: Any) -> str:
    """Return a bumble UUID as bleak writes it: 128 bits, lower case."""
    return str(uuid.UUID(bytes=value.to_bytes(force_128=True)[::-1]))


def property_names(bits: int) -> list[CharacteristicPropertyName]:
    """Return bleak's names for the properties of a characteristic."""
    return [name for bit, name in PROPERTIES if bits & bit]


def advertised_services(advertisement: Any) -> list[str]:
    """Return the service UUIDs in an advertisement."""
    lists = (group for kind in _UUID_FIELDS for group in advertisement.data.get_all(kind))
    return list(dict.fromkeys(uuid_text(value) for group in lists for value in group))


def advertised_name(advertisement: Any) -> str | None:
    """Return the local name in an advertisement."""
    data = advertisement.data
    name: str | None = data.get(AdvertisingData.COMPLETE_LOCAL_NAME) or data.get(AdvertisingData.SHORTENED_LOCAL_NAME)
    return name


class BumbleScanner(BaseBleakScanner):
    """Listens with a bumble device. :attr:`central` is set by a child class that :mod:`hil.radio` makes."""

    central: ClassVar[Any] = None

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str = "active",
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Start to listen."""
        self.seen_devices = {}
        self.central.on("advertisement", self._heard)
        await self.central.start_scanning(active=self._active)

    async def stop(self) -> None:
        """Stop listening."""
        self.central.remove_listener("advertisement", self._heard)
        await self.central.stop_scanning()

    def _heard(self, advertisement: Any) -> None:
        services = advertised_services(advertisement)
        if not self.is_allowed_uuid(services):
            return
        name = advertised_name(advertisement)
        data = AdvertisementData(
            local_name=name,
            manufacturer_data=dict(advertisement.data.get_all(AdvertisingData.MANUFACTURER_SPECIFIC_DATA)),
            service_data={
                uuid_text(key): value for key, value in advertisement.data.get_all(AdvertisingData.SERVICE_DATA)
            },
            service_uuids=services,
            tx_power=None,
            rssi=advertisement.rssi,
            platform_data=(advertisement,),
        )
        address = advertisement.address.to_string(False)
        device = self.create_or_update_device(address, address, name, advertisement.address, data)
        self.call_detection_callbacks(device, data)


class BumbleClient(BaseBleakClient):
    """Connects with a bumble device. :attr:`central` and :attr:`scanner` are set by a child class."""

    central: ClassVar[Any] = None
    scanner: ClassVar[type[BaseBleakScanner]] = BumbleScanner

    def __init__(
        self, address_or_ble_device: BLEDevice | str, *, services: set[str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(address_or_ble_device, **kwargs)
        self._device = address_or_ble_device if isinstance(address_or_ble_device, BLEDevice) else None
        self._connection: Any = None
        self._peer: Any = None
        self._wanted = services
        self._pending: set[asyncio.Future[Any]] = set()
        self._callbacks: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """The name of the device, or its address."""
        return (self._device and self._device.name) or self.address

    @property
    def mtu_size(self) -> int:
        """The ATT_MTU in force."""
        return int(self._connection.att_mtu) if self._connection else 23

    @property
    def is_connected(self) -> bool:
        """True while the link is up."""
        return self._connection is not None

    async def connect(self, pair: bool, **_: Any) -> None:
        """Connect and discover the services."""
        if self._device is None:
            self._device = await BleakScanner.find_device_by_address(
                self.address, timeout=self._timeout, backend=self.scanner
            )
        if self._device is None:
            raise BleakDeviceNotFoundError(self.address, f"{self.address} was not found")
        try:
            self._connection = await connect(self.central, self._device.details, self._timeout)
        except core.TimeoutError as error:
            raise TimeoutError from error
        except core.BaseBumbleError as error:
            raise BleakError(f"connecting failed: {error}") from error
        if not is_up(self.central, self._connection):
            self._connection = None
            raise BleakError("the link broke")
        self._connection.on("disconnection", self._gone)
        try:
            await self._secure(pair)
            self._peer = Peer(self._connection)
            await self._peer.request_mtu(ATT_MTU)
            await self._discover()
        except asyncio.CancelledError:
            if self._connection is None:  # bumble cancels what is pending when the link breaks
                raise BleakError("the link broke") from None
            await self.disconnect()
            raise
        except core.BaseBumbleError as error:
            await self.disconnect()
            raise BleakError(f"connecting failed: {error}") from error

    async def _is_bonded(self) -> bool:
        keystore = self.central.keystore
        return keystore is not None and await keystore.get(str(self._connection.peer_address)) is not None

    async def _secure(self, pair: bool) -> None:
        if await self._is_bonded():
            await self._connection.encrypt()
        elif pair:
            await self.pair()

    def _gone(self, reason: int) -> None:
        if self._connection is None:
            return
        self._connection = None
        self.services = None
        for task in self._pending:  # queued behind a request that bumble cancelled, they would wait for ever
            task.cancel()
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        """Disconnect; nothing happens when the link is gone already."""
        connection = self._connection
        if connection is None:
            return
        try:
            await hang_up(connection)
        finally:
            self._gone(0)

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """Pair, where that was not done before; the passkey comes from the central's pairing delegate."""
        if self._connection is not None and await self._is_bonded():
            return
        try:
            await self._perform(lambda: self._connection.pair())
        except core.ProtocolError as error:
            raise BleakError(f"pairing failed: {error}") from error

    async def unpair(self) -> None:
        """Forget the bond."""
        await self.central.keystore.delete(str(self._connection.peer_address))

    async def _discover(self) -> None:
        collection = BleakGATTServiceCollection()
        for service in await self._peer.discover_services():
            if self._wanted and uuid_text(service.uuid) not in self._wanted:
                continue
            found = BleakGATTService(service, service.handle, uuid_text(service.uuid))
            collection.add_service(found)
            for characteristic in await service.discover_characteristics():
                await self._add(collection, found, characteristic)
        self.services = collection

    async def _add(self, collection: BleakGATTServiceCollection, service: BleakGATTService, found: Any) -> None:
        characteristic = BleakGATTCharacteristic(
            found,
            found.handle,
            uuid_text(found.uuid),
            property_names(found.properties),
            lambda: self.mtu_size - 3,
            service,
        )
        collection.add_characteristic(characteristic)
        for descriptor in await found.discover_descriptors():
            collection.add_descriptor(
                BleakGATTDescriptor(descriptor, descriptor.handle, uuid_text(descriptor.type), characteristic)
            )

    async def _perform(self, operation: Callable[[], Awaitable[_T]]) -> _T:
        if self._connection is None:
            raise BleakError("not connected")
        # A request on the air cannot be taken back: cancelled, it would leave its response to the next one.
        task = asyncio.ensure_future(operation())
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        try:
            return await asyncio.shield(task)
        except att.ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error
        except core.ProtocolError:
            raise
        except core.BaseBumbleError as error:
            raise BleakError(str(error)) from error
        except asyncio.CancelledError:
            if task.cancelled():  # bumble cancels what is pending when the link breaks
                raise BleakError("the link broke") from None
            task.add_done_callback(_look_at)
            raise

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a value."""
        return bytearray(await self._perform(lambda: self._peer.gatt_client.read_value(characteristic.obj)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a descriptor."""
        return bytearray(await self._perform(lambda: self._peer.gatt_client.read_value(descriptor.obj)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write a value, by request or by command."""
        value = bytes(data)
        if not response and len(value) > self.mtu_size - 3:
            raise BleakError("a write command is at most ATT_MTU - 3 octets long")
        if not response and self._connection is not None:
            await self._peer.gatt_client.write_value(characteristic.obj, value, False)
            return
        await self._perform(lambda: self._peer.gatt_client.write_value(characteristic.obj, value, response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor."""
        await self._perform(lambda: self._peer.gatt_client.write_value(descriptor.obj, bytes(data), True))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: Any) -> None:
        """Subscribe to notifications, or to indications where there are no notifications."""

        def deliver(value: bytes) -> None:
            callback(bytearray(value))

        await self._perform(lambda: subscribe(self._peer.gatt_client, characteristic.obj, deliver))
        self._callbacks[characteristic.handle] = deliver

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe."""
        deliver = self._callbacks.pop(characteristic.handle, None)
        await self._perform(lambda: self._peer.gatt_client.unsubscribe(characteristic.obj, deliver))


async def connect(central: Any, address: Any, timeout: float) -> Any:
    """Connect a bumble device to a peer and return the connection. Cancelled, it leaves nothing behind."""
    task = asyncio.ensure_future(central.connect(address, timeout=timeout))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # bumble would forget a connection attempt that is cancelled, and stumble over its outcome.
        while not task.done():
            with contextlib.suppress(core.BaseBumbleError):
                await central.cancel_connection()
            await asyncio.wait({task}, timeout=CANCEL_RETRY)
        if not task.cancelled() and task.exception() is None:
            await hang_up(task.result())
        raise


def is_up(central: Any, connection: Any) -> bool:
    """True while a connection has not ended. Asked right after connecting: its end may have come before anybody could
    listen to it."""
    return central.connections.get(connection.handle) is connection


async def hang_up(connection: Any) -> None:
    """Disconnect. Bounded: bumble waits for ever when the link goes away by itself in that moment."""
    with contextlib.suppress(TimeoutError, core.BaseBumbleError):
        async with asyncio.timeout(HANG_UP_TIMEOUT):
            await connection.disconnect()


async def subscribe(client: Any, characteristic: Any, deliver: Callable[[bytes], None]) -> None:
    """Subscribe to a bumble characteristic: to notifications, or to indications where there are no notifications."""
    try:
        await client.subscribe(characteristic, deliver)
    except BaseException:
        # bumble keeps the subscriber of a subscription that was refused, and would call it twice after the next try.
        for table in (client.notification_subscribers, client.indication_subscribers):
            table.get(characteristic.handle, set()).discard(deliver)
        raise


def _look_at(task: asyncio.Future[Any]) -> None:
    """Take the exception of a task whose waiter is gone, so that asyncio does not complain about it."""
    if not task.cancelled():
        task.exception()
