"""Names on the bus, and the errors BlueZ gives."""

from __future__ import annotations

from typing import Any, Final

from bumble import att
from dbus_fast import Message

OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
ADAPTER: Final = "org.bluez.Adapter1"
DEVICE: Final = "org.bluez.Device1"
SERVICE: Final = "org.bluez.GattService1"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
DESCRIPTOR: Final = "org.bluez.GattDescriptor1"
AGENT: Final = "org.bluez.Agent1"
HCI0: Final = "/org/bluez/hci0"

UNKNOWN_OBJECT: Final = "org.freedesktop.DBus.Error.UnknownObject"


class BusError(Exception):
    """An error that a caller on the bus gets. A ``name`` without dots is one of BlueZ's."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name, text)
        self.name = name if "." in name else f"org.bluez.Error.{name}"
        self.text = text

    def reply_to(self, message: Message) -> Message:
        """Return the error as the answer to a call."""
        return Message.new_error(message, self.name, self.text)


_ATT_ERRORS: Final = {
    att.ErrorCode.READ_NOT_PERMITTED: ("NotPermitted", "Read not permitted"),
    att.ErrorCode.WRITE_NOT_PERMITTED: ("NotPermitted", "Write not permitted"),
    att.ErrorCode.INSUFFICIENT_AUTHENTICATION: ("NotPermitted", "Not paired"),
    att.ErrorCode.INSUFFICIENT_ENCRYPTION: ("NotPermitted", "Not paired"),
    att.ErrorCode.INSUFFICIENT_ENCRYPTION_KEY_SIZE: ("NotPermitted", "Not paired"),
    att.ErrorCode.INVALID_OFFSET: ("InvalidArguments", "Invalid offset"),
    att.ErrorCode.INVALID_ATTRIBUTE_LENGTH: ("InvalidArguments", "Invalid Length"),
    att.ErrorCode.INSUFFICIENT_AUTHORIZATION: ("NotAuthorized", "Operation Not Authorized"),
    att.ErrorCode.REQUEST_NOT_SUPPORTED: ("NotSupported", "Operation is not supported"),
}


def from_att(error: Any) -> BusError:
    """Return what BlueZ makes of an error of the attribute protocol (create_gatt_dbus_error in its source)."""
    code = error.error_code
    name, text = _ATT_ERRORS.get(code, ("Failed", f"Operation failed with ATT error: 0x{code:02x}"))
    return BusError(name, text)
