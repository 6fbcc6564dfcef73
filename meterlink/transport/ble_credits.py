"""Flow control by credits, as u-blox and Telit modules do it.

Each side tells the other how many packets it may send; one octet per telling. u-blox: 255 (-1) ends the connection
(Low Energy Serial Port Service, "Credits"). Telit: Terminal I/O profile, "UART credits".
"""

from __future__ import annotations

import asyncio
from typing import Final

WINDOW: Final = 32
"""Packets that the far end may have on the way to us."""

REFILL: Final = 16
"""New credits are granted when at most this many are left, so that one telling covers many packets."""

HANG_UP: Final = 0xFF


class CreditWindow:
    """The credits of both directions of one connection."""

    def __init__(self) -> None:
        self._ours = 0
        self._theirs = 0
        self._open = True
        self._more = asyncio.Event()
        self._due = asyncio.Event()
        self._due.set()

    async def take(self) -> None:
        """Wait for a credit of ours, and use it up."""
        while self._ours == 0:
            self._more.clear()
            await self._more.wait()
        self._ours -= 1

    def add(self, value: bytes | bytearray) -> bool:
        """Note credits that the far end grants us; False when it says that it hangs up."""
        if value and value[0] == HANG_UP:
            return False
        if value:
            self._ours += value[0]
            self._more.set()
        return True

    def received(self) -> None:
        """Note a packet from the far end."""
        self._theirs -= 1
        self._look()

    def let(self, on: bool) -> None:
        """Grant as needed (True), or nothing until further notice (False)."""
        self._open = on
        self._look()

    def _look(self) -> None:
        if self._open and self._theirs <= REFILL:
            self._due.set()

    async def next_grant(self) -> int:
        """Wait until the far end should be granted credits, and return how many, 1..WINDOW."""
        while True:
            await self._due.wait()
            self._due.clear()
            grant = WINDOW - self._theirs
            if self._open and grant > 0:
                self._theirs += grant
                return grant
