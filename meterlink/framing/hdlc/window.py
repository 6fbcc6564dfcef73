"""The numbered frames of one link: segments going out, segments coming in, and the sequence numbers of both.

Going out, a service data unit is cut into segments. Those sent and not acknowledged stay at the head of the queue, so
sending again means sending from the head. Coming in, only the frame with the expected number counts; everything else
will be sent again.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

MODULUS: Final = 8
"""Sequence numbers have three bits."""


class Segment(NamedTuple):
    """One I frame to send."""

    number: int
    information: bytes
    more: bool


class Outgoing:
    """The segments of the service data units that we send."""

    def __init__(self) -> None:
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._sent = 0
        self._first = 0  # N(S) of the segment at the head

    @property
    def is_empty(self) -> bool:
        """True when everything was sent and acknowledged."""
        return not self._queue

    @property
    def next_number(self) -> int:
        """V(S): the number of the next new segment."""
        return (self._first + self._sent) % MODULUS

    def add(self, data: bytes, size: int) -> None:
        """Append a service data unit, cut into segments of at most ``size`` octets."""
        for start in range(0, len(data), size):
            self._queue.append((data[start : start + size], start + size < len(data)))

    def was_sent(self, receive: int) -> bool:
        """Return whether N(R) ``receive`` acknowledges nothing that was not sent."""
        return (receive - self._first) % MODULUS <= self._sent

    def acknowledge(self, receive: int) -> int:
        """Drop the segments before N(R) ``receive``; return how many. ``receive`` must be one that :meth:`was_sent`
        allows."""
        count = (receive - self._first) % MODULUS
        for _ in range(count):
            self._queue.popleft()
        self._first = receive
        self._sent -= count
        return count

    def take(self, window: int) -> list[Segment]:
        """Return the segments to send now, from the first that is not acknowledged."""
        segments = [
            Segment((self._first + index) % MODULUS, *self._queue[index])
            for index in range(min(window, len(self._queue)))
        ]
        self._sent = max(self._sent, len(segments))
        return segments


class Incoming:
    """Joins the segments of a service data unit; holds at most ``limit`` octets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts = bytearray()
        self._unfinished = False
        self.expected = 0
        """V(R): the number that the next segment must have."""

    @property
    def is_unfinished(self) -> bool:
        """True while more segments must come."""
        return self._unfinished

    @property
    def pending(self) -> int:
        """Octets of the unit that has begun."""
        return len(self._parts)

    def expects(self, number: int) -> bool:
        """Return whether N(S) ``number`` is the next one, and if so count it."""
        if number != self.expected:
            return False
        self.expected = (number + 1) % MODULUS
        return True

    def fits(self, information: bytes) -> bool:
        """Return whether ``information`` can be joined without passing the limit."""
        return len(self._parts) + len(information) <= self._limit

    def join(self, information: bytes, more: bool) -> bytes | None:
        """Append a segment that fits; return the whole data when it was the last."""
        self._parts += information
        self._unfinished = more
        if more:
            return None
        data = bytes(self._parts)
        self._parts.clear()
        return data

    def clear(self) -> None:
        """Forget the segments joined so far."""
        self._parts.clear()
        self._unfinished = False
