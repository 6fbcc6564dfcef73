"""Time on a simulated line: octets that arrive and leave at the speed of the line, wake-up, reaction times."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

_SLICE: Final = 0.05
"""Seconds of a message that go out as one piece: small enough to look like a line, large enough to cost little."""


@dataclass(slots=True)
class _Part:
    octets: bytes
    baud: int
    not_before: float


class Pace:
    """What a face has to say, put on the line at its speed.

    ``bits`` are the bits of one character. ``speed`` makes the meter talk faster than life (1 is real time), for tests
    that need not take as long as it does; what the asking side sends, and the meter's own pauses, keep their time.
    """

    def __init__(self, bits: int, speed: float = 1.0) -> None:
        self._bits = bits
        self._speed = speed
        self._parts: deque[_Part] = deque()
        self._free_at = 0.0

    @property
    def next_deadline(self) -> float | None:
        """When the next piece goes out; None when there is nothing to say."""
        return max(self._parts[0].not_before, self._free_at) if self._parts else None

    def duration(self, count: int, baud: int) -> float:
        """Return how many seconds the meter takes to say ``count`` octets."""
        return count * self._bits / baud / self._speed

    def arrived(self, count: int, baud: int, now: float) -> float:
        """Return when the last of ``count`` octets that were handed over at ``now`` would be off a real line."""
        return now + count * self._bits / baud

    def say(self, octets: bytes, baud: int, start: float, pause: float = 0.0) -> None:
        """Put octets on the line ``pause`` seconds after ``start``."""
        self._parts.append(_Part(octets, baud, start + pause))

    def after(self, pause: float, octets: bytes, baud: int) -> None:
        """Put octets on the line ``pause`` seconds after the end of what is waiting now."""
        last = self._parts[-1]
        end = last.not_before + self.duration(len(last.octets), last.baud)
        self._parts.append(_Part(octets, baud, end + pause))

    def due(self, now: float, line_baud: int | None = None) -> bytes:
        """Return what must be on the line at ``now``. An asking side that listens at another speed (``line_baud``, None
        for the right one) hears noise."""
        out = bytearray()
        while self._parts and now >= max(self._parts[0].not_before, self._free_at):
            part = self._parts[0]
            count = max(int(_SLICE * self._speed * part.baud / self._bits), 1)
            piece, part.octets = part.octets[:count], part.octets[count:]
            begin = max(part.not_before, self._free_at)
            self._free_at = begin + self.duration(len(piece), part.baud)
            out += piece if line_baud in (None, part.baud) else b"\xff" * len(piece)
            if not part.octets:
                self._parts.popleft()
        return bytes(out)

    def clear(self) -> None:
        """Forget what was not said."""
        self._parts.clear()


class WakeUp:
    """Counts the NUL octets that stand right before a request: a meter that sleeps hears no other request.

    ``gap`` is the longest pause, in seconds, that does not send it back to sleep.
    """

    def __init__(self, needed: int, gap: float = 0.1) -> None:
        self._needed = needed
        self._gap = gap
        self._heard = bytearray()
        self._last: float | None = None

    def receive(self, data: bytes, now: float, arrived: float) -> bytes | None:
        """Take octets; return what followed a long enough wake-up, None while the meter is not awake."""
        if self._last is not None and now > self._last + self._gap:
            self._heard.clear()
        self._last = max(arrived, self._last or 0.0)
        self._heard += data
        request = self._heard.lstrip(b"\x00")
        if len(self._heard) - len(request) < self._needed:
            return None
        return bytes(request)

    def sleep(self) -> None:
        """Forget the wake-up."""
        self._heard.clear()
        self._last = None
