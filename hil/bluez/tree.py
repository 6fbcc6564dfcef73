"""The tree of objects that BlueZ shows on the bus."""

from __future__ import annotations

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from hil.bluez.names import OBJECT_MANAGER, PROPERTIES, UNKNOWN_OBJECT, BusError

Interfaces = dict[str, dict[str, Variant]]


class ObjectTree:
    """Objects by their path, and the signals that tell of their changes."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.objects: dict[str, Interfaces] = {}

    def __contains__(self, path: str) -> bool:
        return path in self.objects

    def properties(self, path: str, interface: str) -> dict[str, Variant]:
        """Return the properties of an interface of an object. Raises BusError."""
        try:
            return self.objects[path][interface]
        except KeyError:
            raise BusError(UNKNOWN_OBJECT, f"there is no {interface} at {path}") from None

    def add(self, path: str, interface: str, **properties: Variant) -> None:
        """Add an object and tell of it."""
        self.objects[path] = {interface: properties}
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, self.objects[path]])

    def remove(self, path: str) -> None:
        """Remove an object and all under it, the innermost first, and tell of it."""
        for each in sorted((p for p in self.objects if p == path or p.startswith(path + "/")), reverse=True):
            interfaces = self.objects.pop(each)
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [each, list(interfaces)])

    def change(self, path: str, interface: str, **properties: Variant) -> None:
        """Change properties and tell of it; nothing happens when the object is gone."""
        if path in self.objects:
            self.objects[path][interface].update(properties)
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, properties, []])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[object]) -> None:
        self._bus.send(
            Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=body,
            )
        )
