"""Sessions with the same keys and the same meter, one after the other.

A meter takes growing counters alone. Two sessions at once, in one program or in two, would send it the counters of
their blocks in turn, and it would refuse those of the lower block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from meterlink.errors import LinkUnavailable
from meterlink.transport.base import Transport

PATIENCE: Final = 60.0
"""Seconds that a session waits for its turn."""

IN_USE: Final = "keys-in-use"
"""Code of the error when the turn did not come."""

_POLL: Final = 0.05

Take = Callable[[], Callable[[], None] | None]
"""Takes a turn, if it is free, see :meth:`meterlink.security.counters.CounterStore.take_turn`."""

Told = Callable[[str], None]
"""Is told, in words, that a session waits for its turn."""


class InTurn(Transport):
    """Passes everything to another transport, which is opened in its turn and gives the turn back when it is closed.

    Nothing but the session that opens it waits. ``told`` hears of it once.
    """

    def __init__(self, transport: Transport, take: Take, told: Told | None = None, patience: float = PATIENCE) -> None:
        self.url = transport.url
        self._transport = transport
        self._take = take
        self._told = told
        self._patience = patience
        self._give_back: Callable[[], None] | None = None

    async def open(self) -> None:
        """Wait for the turn and open. Raises LinkUnavailable ``keys-in-use`` when it does not come, and what the other
        transport raises."""
        give_back = await self._wait()
        try:
            await self._transport.open()
        except BaseException:  # Ctrl-C and cancellation, too: let the next one have it
            give_back()
            raise
        self._give_back = give_back

    async def receive(self, timeout: float | None = None) -> bytes:
        """Receive."""
        return await self._transport.receive(timeout)

    async def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send."""
        await self._transport.send(data, timeout)

    async def close(self) -> None:
        """Close the other transport, and give the turn back however that ends."""
        give_back, self._give_back = self._give_back, None
        try:
            await self._transport.close()
        finally:
            if give_back is not None:
                give_back()

    async def _wait(self) -> Callable[[], None]:
        now = asyncio.get_running_loop().time
        deadline = now() + self._patience
        give_back = self._take()
        if give_back is None and self._told is not None:
            self._told(
                "another session with these keys is open with this meter; "
                f"waiting for it to end, {self._patience:g} s at most"
            )
        while give_back is None:
            if now() >= deadline:
                raise LinkUnavailable(
                    f"for {self._patience:g} s another session has been open with this meter and these keys",
                    code=IN_USE,
                    hint="a meter takes growing counters alone: let the other session end, or use another client SAP",
                )
            await asyncio.sleep(_POLL)
            give_back = self._take()
        return give_back
