"""The part of BlueZ that Bluetooth LE programs use, on a private message bus and a simulated radio.

With it bleak's own BlueZ backend runs with no Bluetooth in the machine and no root: everything from the D-Bus calls on
is as on a real Linux. How BlueZ behaves, its oddities included, was taken from BlueZ 5.66.
"""

from hil.bluez.bus import private_bus
from hil.bluez.service import BluezService

__all__ = ["BluezService", "private_bus"]
