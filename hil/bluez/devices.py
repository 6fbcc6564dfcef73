"""org.bluez.Device1: what was heard, and connections to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

from bumble import core
from bumble.core import AdvertisingData
from bumble.device import Peer
from dbus_fast import Message, Variant

from hil.bleak_backend import ATT_MTU, advertised_name, advertised_services, connect, hang_up, is_up
from hil.bluez.gatt import Gatt
from hil.bluez.names import DEVICE, HCI0, UNKNOWN_OBJECT, BusError
from hil.bluez.tree import ObjectTree

CONNECT_TIMEOUT: Final = 20.0
"""Seconds after which BlueZ gives up a connection attempt."""


class Devices:
    """The devices of the adapter."""

    def __init__(self, tree: ObjectTree, gatt: Gatt, central: Any) -> None:
        self._tree = tree
        self._gatt = gatt
        self._central = central
        self._addresses: dict[str, Any] = {}
        self._connections: dict[str, Any] = {}
        self._connecting: dict[str, asyncio.Task[Any]] = {}
        self._resolving: dict[str, asyncio.Task[None]] = {}

    async def stop(self) -> None:
        """Let nothing go on."""
        for task in self._resolving.values():
            task.cancel()
        await asyncio.gather(*self._resolving.values(), return_exceptions=True)
        for connection in list(self._connections.values()):
            await hang_up(connection)

    def heard(self, advertisement: Any, filters: Sequence[frozenset[str]]) -> None:
        """Show a device that was heard, if any of the filters lets it pass; an empty one does."""
        services = advertised_services(advertisement)
        if all(wanted and not wanted & set(services) for wanted in filters):
            return
        address = advertisement.address.to_string(False)
        path = f"{HCI0}/dev_{address.replace(':', '_')}"
        told = {"RSSI": Variant("n", advertisement.rssi), "UUIDs": Variant("as", services)}
        name = advertised_name(advertisement)
        if name:
            told["Name"] = Variant("s", name)
        if makers := dict(advertisement.data.get_all(AdvertisingData.MANUFACTURER_SPECIFIC_DATA)):
            told["ManufacturerData"] = Variant("a{qv}", {key: Variant("ay", value) for key, value in makers.items()})
        self._addresses[path] = advertisement.address
        if path in self._tree:
            self._tree.change(path, DEVICE, **told)
            return
        no = Variant("b", False)
        self._tree.add(
            path,
            DEVICE,
            Address=Variant("s", address),
            AddressType=Variant("s", "random"),
            Alias=Variant("s", name or address.replace(":", "-")),
            Adapter=Variant("o", HCI0),
            Paired=no,
            Bonded=no,
            Trusted=no,
            Blocked=no,
            LegacyPairing=no,
            Connected=no,
            ServicesResolved=no,
            **told,
        )

    async def remove(self, message: Message) -> None:
        """Adapter1.RemoveDevice."""
        path = message.body[0]
        if path not in self._tree:
            raise BusError("DoesNotExist", "Does Not Exist")
        if connection := self._connections.get(path):
            await hang_up(connection)
        self._tree.remove(path)

    async def connect(self, message: Message) -> None:
        """Device1.Connect: returns when the link is up; the services follow."""
        await self._connect(message.path or "")

    async def _connect(self, path: str) -> Any:
        if path not in self._tree:
            raise BusError(UNKNOWN_OBJECT, "there is no such device")
        if path in self._connections:
            return self._connections[path]
        if path in self._connecting:
            raise BusError("InProgress", "In Progress")
        attempt = connect(self._central, self._addresses[path], CONNECT_TIMEOUT)
        self._connecting[path] = task = asyncio.get_running_loop().create_task(attempt)
        try:
            connection = await task
        except (core.BaseBumbleError, TimeoutError) as error:
            raise BusError("Failed", f"br-connection-unknown: {error}") from None
        finally:
            del self._connecting[path]
        if not is_up(self._central, connection):
            raise BusError("Failed", "le-connection-abort-by-remote")
        self._connections[path] = connection
        connection.on("disconnection", lambda reason: self._gone(path))
        self._tree.change(path, DEVICE, Connected=Variant("b", True))
        self._resolving[path] = asyncio.get_running_loop().create_task(self._resolve(path, connection))
        return connection

    async def _resolve(self, path: str, connection: Any) -> None:
        # A link that breaks meanwhile tells of itself.
        with contextlib.suppress(core.BaseBumbleError):
            keystore = self._central.keystore
            if keystore is not None and await keystore.get(str(connection.peer_address)):
                await connection.encrypt()
            peer = Peer(connection)
            await peer.request_mtu(ATT_MTU)
            await self._gatt.resolve(path, connection, peer)
            self._tree.change(path, DEVICE, ServicesResolved=Variant("b", True))

    def _gone(self, path: str) -> None:
        self._connections.pop(path, None)
        if task := self._resolving.pop(path, None):
            task.cancel()
        self._gatt.drop(path)
        self._tree.change(path, DEVICE, ServicesResolved=Variant("b", False))
        self._tree.change(path, DEVICE, Connected=Variant("b", False))

    async def disconnect(self, message: Message) -> None:
        """Device1.Disconnect: ends a connection attempt, too."""
        path = message.path or ""
        if path not in self._tree:
            raise BusError(UNKNOWN_OBJECT, "there is no such device")
        if attempt := self._connecting.get(path):
            attempt.cancel()
            await asyncio.wait({attempt})
        if connection := self._connections.get(path):
            await hang_up(connection)

    async def pair(self, message: Message) -> None:
        """Device1.Pair: connects first where it must."""
        path = message.path or ""
        connection = await self._connect(path)
        try:
            await connection.pair()
        except core.BaseBumbleError:
            raise BusError("AuthenticationFailed", "Authentication Failed") from None
        self._tree.change(path, DEVICE, Paired=Variant("b", True), Bonded=Variant("b", True))
