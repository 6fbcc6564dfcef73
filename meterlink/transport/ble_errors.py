"""What bleak's exceptions mean, in our words."""

from __future__ import annotations

import sys
from typing import Final

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)

from meterlink.errors import LinkError, LinkLost, LinkUnavailable

PAIRING_NEEDED: Final = "pairing-needed"
"""Code of the error for a meter that wants an encrypted or authenticated connection."""

_SECURITY_CODES: Final = frozenset(
    {
        BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION_KEY_SIZE,
        BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHORIZATION,
    }
)

_BUSY: Final = "org.bluez.Error.InProgress"
_DENIED: Final = "org.freedesktop.DBus.Error.AccessDenied"

_REASON = BleakBluetoothNotAvailableReason
_REASONS: Final = {
    _REASON.NO_BLUETOOTH: ("this machine has no Bluetooth adapter", "plug one in that does Bluetooth LE"),
    _REASON.NO_BLE_CENTRAL_ROLE: ("the Bluetooth adapter cannot do Bluetooth LE", "plug in one that does"),
    _REASON.POWERED_OFF: ("Bluetooth is switched off", "switch it on; on Linux: bluetoothctl power on"),
    _REASON.DENIED_BY_USER: ("this program may not use Bluetooth", "allow it in the privacy settings of the system"),
    _REASON.DENIED_BY_SYSTEM: ("the system does not let this program use Bluetooth", "ask its administrator"),
    _REASON.DENIED_BY_UNKNOWN: ("this program may not use Bluetooth", "look at the privacy settings of the system"),
}


def needs_pairing(error: Exception) -> bool:
    """True when the meter refused because the connection is not encrypted or not authenticated."""
    if isinstance(error, BleakGATTProtocolError):
        return error.code in _SECURITY_CODES
    if isinstance(error, BleakDBusError):
        # BlueZ maps every security error of ATT to NotPermitted with this text.
        return error.dbus_error == "org.bluez.Error.NotPermitted" and "paired" in str(error).lower()
    return False


def is_busy(error: Exception) -> bool:
    """True when BlueZ is still at an earlier operation of the same characteristic."""
    return isinstance(error, BleakDBusError) and error.dbus_error == _BUSY


def pairing_needed(meter: str) -> LinkUnavailable:
    """Say that the meter wants to be paired with, and how that is done here."""
    return LinkUnavailable(f"{meter} talks only to a paired device", code=PAIRING_NEEDED, hint=pairing_hint())


def pairing_hint() -> str:
    """Say how one pairs on this system."""
    if sys.platform == "linux":
        return "add ?pair=yes and enter the passkey that the meter shows, or pair first with bluetoothctl"
    if sys.platform == "darwin":
        return "macOS asks for the passkey by itself when the meter is used: answer it, then try again"
    return "pair with the meter in the Bluetooth settings of the system, then try again"


def explain_radio(error: Exception) -> LinkUnavailable:
    """Say why the radio cannot be used."""
    if isinstance(error, BleakBluetoothNotAvailableError) and error.reason in _REASONS:
        message, hint = _REASONS[error.reason]
        return LinkUnavailable(message, code="ble-unavailable", hint=hint)
    hint = "is there an adapter, and is it on? 'meterlink doctor' looks"
    if isinstance(error, BleakDBusError) and error.dbus_error == _DENIED:
        # D-Bus or polkit: Debian's policy lets the group in, and who sits at the machine.
        hint = "sudo usermod -aG bluetooth $USER, then log in again"
        return LinkUnavailable("you may not use Bluetooth", code="ble-permission", hint=hint)
    if isinstance(error, OSError) and sys.platform == "linux":
        hint = "the Bluetooth service does not run: sudo systemctl start bluetooth"
    return LinkUnavailable(f"Bluetooth cannot be used: {_text(error)}", code="ble-unavailable", hint=hint)


def explain_connect(meter: str, error: Exception) -> LinkError:
    """Say why a meter that was found cannot be connected to."""
    if isinstance(error, BleakBluetoothNotAvailableError):
        return explain_radio(error)
    if needs_pairing(error):
        return pairing_needed(meter)
    if isinstance(error, BleakDeviceNotFoundError):
        return LinkUnavailable(f"{meter} is no longer there", code="meter-not-found", hint="go closer and try again")
    if isinstance(error, BleakDBusError) and "Authentication" in error.dbus_error:
        return LinkUnavailable(f"{meter} refused the pairing", code="pairing-failed", hint="was the passkey right?")
    return LinkUnavailable(
        f"{meter} cannot be connected to: {_text(error)}",
        hint="is another phone or laptop connected to it? go closer and try again",
    )


def explain_operation(meter: str, error: Exception) -> LinkError:
    """Say why a read, a write or a subscription failed."""
    if needs_pairing(error):
        return pairing_needed(meter)
    return LinkLost(f"the Bluetooth link to {meter} failed: {_text(error)}")


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
