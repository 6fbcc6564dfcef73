"""org.bluez.Gatt*1: services, characteristics, descriptors, and who listens to them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbus_fast import Message, Variant

from hil.bleak_backend import property_names, subscribe, uuid_text
from hil.bluez.names import CHARACTERISTIC, DESCRIPTOR, SERVICE, UNKNOWN_OBJECT, BusError
from hil.bluez.tree import ObjectTree

MAX_VALUE = 512
"""Longest attribute value (Core Specification, Vol 3, Part F, 3.2.9)."""


@dataclass(frozen=True, slots=True)
class _Attribute:
    """A remote attribute: bumble's proxy, connection and peer."""

    proxy: Any
    connection: Any
    peer: Any
    interface: str


class Gatt:
    """The remote attributes of all devices."""

    def __init__(self, tree: ObjectTree) -> None:
        self._tree = tree
        self._attributes: dict[str, _Attribute] = {}
        self._subscribed: dict[str, Callable[[bytes], None]] = {}
        self._listeners: dict[str, set[str]] = {}
        """Path of a characteristic -> callers with a notify session. BlueZ keeps them over a reconnection."""
        self._busy: set[str] = set()

    async def resolve(self, device: str, connection: Any, peer: Any) -> None:
        """Discover and show the services of a device."""
        for service in await peer.discover_services():
            path = f"{device}/service{service.handle:04x}"
            self._tree.add(
                path,
                SERVICE,
                UUID=Variant("s", uuid_text(service.uuid)),
                Device=Variant("o", device),
                Primary=Variant("b", True),
                Includes=Variant("ao", []),
            )
            for proxy in await service.discover_characteristics():
                await self._show(path, proxy, connection, peer)
        for path, callers in self._listeners.items():
            if callers and path in self._attributes and path.startswith(device + "/"):
                await self._subscribe(path)

    async def _show(self, service: str, proxy: Any, connection: Any, peer: Any) -> None:
        path = f"{service}/char{proxy.handle - 1:04x}"
        flags = property_names(proxy.properties)
        extra: dict[str, Variant] = {}
        if "notify" in flags or "indicate" in flags:
            extra["Notifying"] = Variant("b", False)
        self._attributes[path] = _Attribute(proxy, connection, peer, CHARACTERISTIC)
        self._tree.add(
            path,
            CHARACTERISTIC,
            UUID=Variant("s", uuid_text(proxy.uuid)),
            Service=Variant("o", service),
            Flags=Variant("as", list(flags)),
            MTU=Variant("q", connection.att_mtu),
            Value=Variant("ay", b""),
            **extra,
        )
        for descriptor in await proxy.discover_descriptors():
            inner = f"{path}/desc{descriptor.handle:04x}"
            self._attributes[inner] = _Attribute(descriptor, connection, peer, DESCRIPTOR)
            self._tree.add(
                inner,
                DESCRIPTOR,
                UUID=Variant("s", str(uuid.UUID(uuid_text(descriptor.type)))),
                Characteristic=Variant("o", path),
                Value=Variant("ay", b""),
                Flags=Variant("as", []),
            )

    def drop(self, device: str) -> None:
        """Forget the attributes of a device whose link is gone."""
        for path in [path for path in self._attributes if path.startswith(device + "/")]:
            del self._attributes[path]
            self._subscribed.pop(path, None)
        for path in [
            path for path in self._tree.objects if path.startswith(device + "/service") and "/char" not in path
        ]:
            self._tree.remove(path)

    def forget(self, caller: str) -> None:
        """End the notify sessions of a program that left the bus."""
        for callers in self._listeners.values():
            callers.discard(caller)

    def _attribute(self, message: Message) -> tuple[str, _Attribute]:
        path = message.path or ""
        try:
            return path, self._attributes[path]
        except KeyError:
            raise BusError(UNKNOWN_OBJECT, "there is no such attribute") from None

    async def read_value(self, message: Message) -> tuple[str, list[Any]]:
        """ReadValue. BlueZ also signals the value, so that a listener sees it twice."""
        path, attribute = self._attribute(message)
        value = await attribute.peer.gatt_client.read_value(attribute.proxy)
        self._tree.change(path, attribute.interface, Value=Variant("ay", value))
        return "ay", [value]

    async def write_value(self, message: Message) -> None:
        """WriteValue, as a request or, by option ``type``, as a command. One at a time per characteristic."""
        path, attribute = self._attribute(message)
        value, kind = bytes(message.body[0]), message.body[1].get("type")
        command = kind is not None and kind.value == "command"
        if command and len(value) > attribute.connection.att_mtu - 3:
            raise BusError("Failed", "Failed to initiate write")
        if len(value) > MAX_VALUE:
            raise BusError("InvalidArguments", "Invalid Length")
        if path in self._busy:
            raise BusError("InProgress", "In Progress")
        self._busy.add(path)
        try:
            await attribute.peer.gatt_client.write_value(attribute.proxy, value, not command)
        finally:
            self._busy.discard(path)

    async def start_notify(self, message: Message) -> None:
        """StartNotify: a session of the caller's, over the one subscription."""
        path, _ = self._attribute(message)
        callers = self._listeners.setdefault(path, set())
        if message.sender in callers:
            raise BusError("InProgress", "In Progress")
        # Noted first: a peer may notify in the very moment it is subscribed to.
        callers.add(message.sender or "")
        try:
            if path not in self._subscribed:
                await self._subscribe(path)
        except BaseException:  # Ctrl-C and cancellation, too: clean up, then let it go on
            callers.discard(message.sender or "")
            raise

    async def stop_notify(self, message: Message) -> None:
        """StopNotify."""
        path, attribute = self._attribute(message)
        callers = self._listeners.get(path, set())
        callers.discard(message.sender or "")
        if not callers and (deliver := self._subscribed.pop(path, None)):
            await attribute.peer.gatt_client.unsubscribe(attribute.proxy, deliver)
        self._tree.change(path, CHARACTERISTIC, Notifying=Variant("b", False))

    async def _subscribe(self, path: str) -> None:
        attribute = self._attributes[path]

        def deliver(value: bytes) -> None:
            # One signal per session, and every listener sees all of them: a session left over doubles everything.
            for _ in tuple(self._listeners.get(path, ())):
                self._tree.change(path, CHARACTERISTIC, Value=Variant("ay", value))

        self._subscribed[path] = deliver
        try:
            await subscribe(attribute.peer.gatt_client, attribute.proxy, deliver)
        except BaseException:  # Ctrl-C and cancellation, too: clean up, then let it go on
            self._subscribed.pop(path, None)
            raise
        self._tree.change(path, CHARACTERISTIC, Notifying=Variant("b", True))
