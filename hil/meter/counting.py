"""What the clients of a meter have counted: one client's messages never push another one's out."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from meterlink.errors import SecurityError
from meterlink.security.counters import ReceiveCounter
from meterlink.security.keys import KeyRole

MOST_CLIENTS: Final = 4096
"""Clients that are counted. Another one is refused: to forget one would make everything recorded of it new again."""


class ClientCounters:
    """Counters for each client, ``each`` of them: by default one for each :class:`~meterlink.security.keys.KeyRole`.

    A client is whatever tells one from another, such as key, SAP and system title. It is kept once a message of it has
    verified: a stranger may claim any number of titles. Nothing that is kept is ever forgotten.
    """

    def __init__(self, each: int = len(KeyRole), most: int = MOST_CLIENTS) -> None:
        self._each = each
        self._most = most
        self._known: dict[Hashable, tuple[ReceiveCounter, ...]] = {}

    def __len__(self) -> int:
        """Return how many clients are kept."""
        return len(self._known)

    def of(self, client: Hashable) -> tuple[ReceiveCounter, ...]:
        """Return the counters of ``client``. Those of one that is not kept raise SecurityError ``clients`` when they
        accept a message and there is no room."""
        known = self._known.get(client)
        if known is not None:
            return known
        fresh: tuple[ReceiveCounter, ...] = tuple(
            _Unproved(lambda: self.keep(client, fresh)) for _ in range(self._each)
        )
        return fresh

    def keep(self, client: Hashable, counters: tuple[ReceiveCounter, ...]) -> None:
        """Keep ``counters`` for ``client``, unless some are kept. Raises SecurityError ``clients`` when there is no
        room."""
        if client not in self._known and len(self._known) >= self._most:
            raise SecurityError("the meter counts no more clients", code="clients")
        self._known.setdefault(client, counters)


class _Unproved(ReceiveCounter):
    """A counter of a client that nothing has proved yet."""

    __slots__ = ("_prove",)

    def __init__(self, prove: Callable[[], None]) -> None:
        super().__init__()
        self._prove: Callable[[], None] | None = prove

    def accept(self, counter: int) -> None:
        """Check ``counter`` and remember it; the first makes the client a known one."""
        self.check(counter)
        if self._prove is not None:
            self._prove()
            self._prove = None
        super().accept(counter)
