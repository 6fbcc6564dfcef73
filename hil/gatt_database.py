"""The GATT database of a simulated meter: one serial service, as the module in a real one would have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bumble import gatt
from bumble.core import UUID, AdvertisingData

from meterlink.transport.gatt_services import GattService

# bumble's types do not fit together where values are dynamic.
_bumble: Any = gatt
_Properties: Any = gatt.Characteristic.Properties
_Permissions: Any = gatt.Characteristic.Permissions

_EITHER_WRITE = _Properties.WRITE | _Properties.WRITE_WITHOUT_RESPONSE

Taken = Callable[[Any, bytes], Awaitable[None]]
"""Gets the connection and what its central wrote."""


@dataclass(frozen=True, slots=True)
class Database:
    """bumble's objects: the service and its characteristics. Without credits the last two are None."""

    service: Any
    write: Any
    notify: Any
    grant: Any
    granted: Any


def build(service: GattService, server: Any, written: Taken, credited: Taken, *, guarded: bool) -> Database:
    """Make the database and add it to ``server`` (a bumble GATT server).

    ``guarded`` lets only a paired central subscribe.
    """
    bits = _EITHER_WRITE if service.credits is None else _Properties.WRITE_WITHOUT_RESPONSE
    write, notify = _pair(server, guarded, (service.write, bits), (service.notify, _Properties.NOTIFY), written)
    grant = granted = None
    if service.credits is not None:
        ours, theirs = (service.credits.grant, _Properties.WRITE), (service.credits.granted, _Properties.INDICATE)
        if service.credits.grant == service.credits.granted:
            ours, theirs = (ours[0], _EITHER_WRITE), (theirs[0], _Properties.NOTIFY)
        grant, granted = _pair(server, guarded, ours, theirs, credited)
    characteristics = [item for item in (write, notify, grant, granted) if item is not None]
    built = _bumble.Service(service.service, list(dict.fromkeys(characteristics)))
    server.add_services([built])
    return Database(built, write, notify, grant, granted)


def _pair(server: Any, guarded: bool, write: tuple[str, Any], told: tuple[str, Any], taken: Taken) -> tuple[Any, Any]:
    """Make a characteristic to write to and one that tells; one that does both where their UUIDs are the same."""
    value = _bumble.CharacteristicValue(write=taken)
    if write[0] == told[0]:
        both = _bumble.Characteristic(write[0], write[1] | told[1], _Permissions.WRITEABLE, value)
        _guard(server, both, guarded)
        return both, both
    listening = _bumble.Characteristic(told[0], told[1], _Permissions.READABLE)
    _guard(server, listening, guarded)
    return _bumble.Characteristic(write[0], write[1], _Permissions.WRITEABLE, value), listening


def _guard(server: Any, characteristic: Any, guarded: bool) -> None:
    permissions = _Permissions.READABLE | _Permissions.WRITEABLE
    if guarded:
        permissions |= _Permissions.WRITE_REQUIRES_AUTHENTICATION
    kind = gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR
    characteristic.descriptors = [_bumble.Descriptor(kind, permissions, server.make_descriptor_value(characteristic))]


def advertisement(service: GattService, name: str) -> bytes:
    """Return the advertising data: the service and the name.

    A real radio has 31 octets and would put the name into the scan response; bumble's has no scan responses, but room.
    """
    uuid: Any = UUID(service.service)
    kind = (
        AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS
        if len(uuid.uuid_bytes) == 16
        else AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS
    )
    fields = [
        (AdvertisingData.FLAGS, b"\x06"),
        (kind, bytes(uuid)),
        (AdvertisingData.COMPLETE_LOCAL_NAME, name.encode()),
    ]
    return bytes(AdvertisingData(fields))
