"""A line on which things go wrong: stands between a client and a meter, itself a meter's end of a line."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence

from hil.faults.impairments import Impairment
from hil.faults.splitters import Chunks, Splitter
from hil.wire import WireHandler


class FaultyLine:
    """A meter's end of a line, with faults in both directions.

    ``split`` makes one splitter for each direction; ``to_meter`` and ``from_meter`` act on every unit in their order.
    Delays count in the time that is passed in.
    """

    def __init__(
        self,
        meter: WireHandler,
        *,
        split: Callable[[], Splitter] = Chunks,
        to_meter: Sequence[Impairment] = (),
        from_meter: Sequence[Impairment] = (),
    ) -> None:
        self._meter = meter
        self._inward = _Way(split(), to_meter)
        self._outward = _Way(split(), from_meter)

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` wants to be called."""
        deadlines = (self._meter.next_deadline, self._inward.next_due, self._outward.next_due)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def receive(self, data: bytes, now: float) -> bytes:
        """Take bytes from the client; return what reaches it now."""
        self._inward.put(data, now)
        return self._settle(now)

    def handle_timer(self, now: float) -> bytes:
        """Deliver what is due."""
        deadline = self._meter.next_deadline
        if deadline is not None and deadline <= now:
            self._outward.put(self._meter.handle_timer(now), now)
        return self._settle(now)

    def closed(self, now: float) -> None:
        """The line is gone."""
        self._meter.closed(now)

    def _settle(self, now: float) -> bytes:
        for unit in self._inward.due(now):
            self._outward.put(self._meter.receive(unit, now), now)
        return b"".join(self._outward.due(now))


class _Way:
    """One direction: units that are under way, by the time they arrive."""

    def __init__(self, split: Splitter, impairments: Sequence[Impairment]) -> None:
        self._split = split
        self._impairments = tuple(impairments)
        self._queue: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()

    @property
    def next_due(self) -> float | None:
        return self._queue[0][0] if self._queue else None

    def put(self, data: bytes, now: float) -> None:
        for unit in self._split(data):
            arrivals = [(now, unit)]
            for impairment in self._impairments:
                arrivals = [(at + delay, part) for at, whole in arrivals for delay, part in impairment(whole)]
            for at, part in arrivals:
                heapq.heappush(self._queue, (at, next(self._order), part))

    def due(self, now: float) -> list[bytes]:
        units = []
        while self._queue and self._queue[0][0] <= now:
            units.append(heapq.heappop(self._queue)[2])
        return units
