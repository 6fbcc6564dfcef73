"""Invocation counters: one that never gives a number twice, one that never takes a number twice.

A counter value used twice under one key gives AES-GCM away, so the sending side takes its values from a store in
blocks that are recorded as used before the first of them is: a process that is killed loses the rest of its block,
never the rule.

The receiving side cannot reserve ahead, or it would refuse honest messages. It records every counter that it accepts
before the message is handed on. That makes the record safe from the death of the process; it is made safe from a power
cut every :data:`SETTLE` messages and at the end of the association, because a disk takes milliseconds for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from meterlink.errors import SecurityError

MAX_COUNTER: Final = 0xFFFFFFFF
"""The largest invocation counter, 32 bits. After it the key must be changed."""

BLOCK: Final = 64
"""Counters reserved at once: a killed process loses at most so many, and one write serves so many messages."""


SETTLE: Final = 64
"""Accepted counters after which their record is made safe from a power cut: at most so many can be forgotten by one."""


class CounterStore(Protocol):
    """Where the counters of keys that outlive a process are kept: ours, and those that were accepted from peers."""

    def reserve(self, name: str, count: int, at_least: int) -> int:
        """Set ``count`` consecutive counters aside for the caller alone, durably, and return the first of them.

        ``name`` says which key and sender the counters belong to. The first is ``at_least`` or more, and more than any
        counter ever set aside under ``name``. The record must be on the disk before this returns, and two processes
        that ask at once must get different blocks.
        """
        ...

    def received(self, key: str) -> Received:
        """Return what is recorded under ``key`` now: which counters of which sender were accepted."""
        ...

    def record(self, key: str, sender: str, least: int, *, anew: bool = False) -> None:
        """Record that the counters of ``sender`` below ``least`` are used up under ``key``.

        A higher record stays, as another process may have made it; ``anew`` replaces it. Once this returns the record
        must outlive the process, not yet a power cut. Raises :class:`~meterlink.errors.SecurityError`
        (``counter-store``) when it cannot be made: the message must not be believed then.
        """
        ...

    def renewed(self, key: str, sender: str) -> bool:
        """Return whether :meth:`record` replaced that record with ``anew`` since this store was made."""
        ...

    def settle(self, key: str, sender: str) -> None:
        """Make that record outlive a power cut, as far as the disk allows it. Never raises."""
        ...

    def take_turn(self, name: str) -> Callable[[], None] | None:
        """Take the turn called ``name`` and return what gives it back; None, at once, while somebody else has it, in
        this process or another. A process that dies gives it back."""
        ...


class Received(Protocol):
    """The counters that were accepted under one key, as they stood at one moment."""

    def least(self, sender: str) -> int:
        """Return the least counter of ``sender`` that may still be accepted, 0 where nothing was recorded. Raises
        :class:`~meterlink.errors.SecurityError` (``counter-store``) where the record is damaged."""
        ...


class MemoryCounterStore:
    """A store that lives as long as the process: for keys that do, and for tests."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._received: dict[str, MemoryReceived] = {}
        self._renewed: set[tuple[str, str]] = set()
        self._turns: set[str] = set()

    def reserve(self, name: str, count: int, at_least: int) -> int:
        """Set ``count`` counters aside, see :meth:`CounterStore.reserve`."""
        first = max(self._next.get(name, 0), at_least)
        self._next[name] = first + count
        return first

    def received(self, key: str) -> MemoryReceived:
        """Return what was accepted, see :meth:`CounterStore.received`."""
        return MemoryReceived(self._received.get(key, {}))

    def record(self, key: str, sender: str, least: int, *, anew: bool = False) -> None:
        """Record what was accepted, see :meth:`CounterStore.record`."""
        known = self._received.setdefault(key, MemoryReceived())
        known[sender] = least if anew else max(known.least(sender), least)
        if anew:
            self._renewed.add((key, sender))

    def renewed(self, key: str, sender: str) -> bool:
        """Return whether the record was replaced, see :meth:`CounterStore.renewed`."""
        return (key, sender) in self._renewed

    def settle(self, key: str, sender: str) -> None:
        """Do nothing: nothing here outlives the process."""

    def take_turn(self, name: str) -> Callable[[], None] | None:
        """Take a turn, see :meth:`CounterStore.take_turn`."""
        if name in self._turns:
            return None
        self._turns.add(name)
        return lambda: self._turns.discard(name)


class MemoryReceived(dict[str, int]):
    """Accepted counters by their sender. A :class:`Received`."""

    def least(self, sender: str) -> int:
        """Return the least counter to accept, see :meth:`Received.least`."""
        return self.get(sender, 0)


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

    def settle(self) -> None:
        """Make what was accepted outlive a power cut, where it is recorded at all."""


class KeptCounter(ReceiveCounter):
    """The counters of a peer under a key that outlives the process: they grow from one association to the next.

    They go on from ``least``, and what is accepted is recorded in ``store``, for ``key`` and ``sender``, before
    :meth:`accept` returns. ``anew`` says that the peer's counter began again there: the first that is accepted replaces
    the record. ``hint`` goes with a refusal that follows from ``least`` alone.

    Several processes may count one sender's messages under one key. Take ``least`` before the peer can have sent
    anything in this association: later another process may have recorded a message that the peer sent after it.
    """

    __slots__ = ("_anew", "_hint", "_name", "_pending", "_store", "_untouched")

    def __init__(
        self,
        store: CounterStore,
        key: str,
        sender: str,
        least: int,
        *,
        anew: bool = False,
        hint: str | None = None,
    ) -> None:
        super().__init__(least)
        self._store = store
        self._name = key, sender
        self._hint = hint
        self._anew = anew
        self._untouched = True
        self._pending = 0

    def check(self, counter: int) -> None:
        """Raise :class:`~meterlink.errors.SecurityError` (``replay``) when ``counter`` does not grow."""
        if self._untouched and not self._anew and counter < self.least:
            raise SecurityError(
                f"the invocation counter {counter} was used before: at least {self.least} was expected, from earlier "
                "associations with this key",
                code="replay",
                hint=self._hint,
            )
        super().check(counter)

    def accept(self, counter: int) -> None:
        """Check ``counter`` and record it, see :meth:`ReceiveCounter.accept`."""
        super().accept(counter)
        self._store.record(*self._name, self.least, anew=self._anew)
        self._anew = self._untouched = False
        self._pending += 1
        if self._pending >= SETTLE:
            self.settle()

    def settle(self) -> None:
        """Make what was accepted outlive a power cut."""
        if self._pending:
            self._pending = 0
            self._store.settle(*self._name)
