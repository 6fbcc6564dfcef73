"""Invocation counters: one that never gives a number twice, one that never takes a number twice.

A counter value used twice under one key gives AES-GCM away, so the sending side takes its values from a store in
blocks that are recorded as used before the first of them is: a process that is killed loses the rest of its block,
never the rule.
"""

from __future__ import annotations

from typing import Final, Protocol

from meterlink.errors import SecurityError

MAX_COUNTER: Final = 0xFFFFFFFF
"""The largest invocation counter, 32 bits. After it the key must be changed."""

BLOCK: Final = 64
"""Counters reserved at once: a killed process loses at most so many, and one write serves so many messages."""


class CounterStore(Protocol):
    """Where the counters of keys that outlive a process are kept."""

    def reserve(self, name: str, count: int, at_least: int) -> int:
        """Set ``count`` consecutive counters aside for the caller alone, durably, and return the first of them.

        ``name`` says which key and sender the counters belong to. The first is ``at_least`` or more, and more than any
        counter ever set aside under ``name``. The record must be on the disk before this returns, and two processes
        that ask at once must get different blocks.
        """
        ...


class MemoryCounterStore:
    """A store that lives as long as the process: for keys that do, and for tests."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def reserve(self, name: str, count: int, at_least: int) -> int:
        """Set ``count`` counters aside, see :meth:`CounterStore.reserve`."""
        first = max(self._next.get(name, 0), at_least)
        self._next[name] = first + count
        return first


class SendCounter:
    """Counters for the messages that we protect with one key.

    Without a store they start at ``first`` and live with the key. With a store they go on behind everything that
    was ever reserved under ``name``.
    """

    def __init__(
        self, first: int = 0, *, store: CounterStore | None = None, name: str = "", block: int = BLOCK
    ) -> None:
        self._next = first
        self._store = store
        self._name = name
        self._block = block
        self._end = first if store is not None else MAX_COUNTER + 1

    def next(self) -> int:
        """Return a counter that was never returned before.

        Raises :class:`~meterlink.errors.SecurityError` (``counter-exhausted``) when the key has used all.
        """
        value = self._next
        if value >= self._end:
            value = self._reserve(value)
        if value > MAX_COUNTER:
            raise SecurityError(
                "the invocation counter of this key is used up", code="counter-exhausted", hint="Change the key."
            )
        self._next = value + 1
        return value

    def advance(self, at_least: int) -> None:
        """Go on from ``at_least`` when that is further: the meter told us which counter it expects."""
        self._next = max(self._next, at_least)

    def _reserve(self, at_least: int) -> int:
        if self._store is None:
            return at_least
        first = self._store.reserve(self._name, self._block, at_least)
        self._end = first + self._block
        return first


class ReceiveCounter:
    """The counters of the messages that a peer protected with one key: each must be larger than the last."""

    __slots__ = ("_least",)

    def __init__(self, least: int = 0) -> None:
        self._least = least

    @property
    def least(self) -> int:
        """The smallest counter that would be accepted now."""
        return self._least

    def check(self, counter: int) -> None:
        """Raise :class:`~meterlink.errors.SecurityError` (``replay``) when ``counter`` does not grow."""
        if counter < self._least:
            raise SecurityError(
                f"the invocation counter {counter} does not grow; at least {self._least} was expected", code="replay"
            )

    def accept(self, counter: int) -> None:
        """Check ``counter`` and remember it. Call only after the message was verified, or anybody could push the
        counter forward. Raises :class:`~meterlink.errors.SecurityError` (``replay``)."""
        self.check(counter)
        self._least = counter + 1
