"""Which Bluetooth radio is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.scanner import BaseBleakScanner


@dataclass(frozen=True, slots=True)
class BleRadio:
    """A Bluetooth LE radio, as bleak is told of it.

    ``adapter`` names one of several of a Linux machine (``hci1``). ``scanner`` and ``client`` are bleak backends, for
    a radio that is not the system's, such as a simulated one; None means the backend of the platform.
    """

    adapter: str | None = None
    scanner: type[BaseBleakScanner] | None = None
    client: type[BaseBleakClient] | None = None
