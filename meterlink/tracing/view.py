"""Octets that are scattered over a trace, seen as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Piece = tuple[bytearray, int, int]
"""Where octets are written to, from which place on, and how many they are."""


@dataclass(frozen=True, slots=True)
class View:
    """``data`` is what stands in the trace. What is to stand there instead is put where ``pieces`` are; they are blank
    until then."""

    data: bytes = field(repr=False)
    pieces: tuple[Piece, ...] = field(repr=False)

    def put(self, at: int, octets: bytes) -> None:
        """Put ``octets`` in the place of those from offset ``at`` on."""
        for out, start, length in self.pieces:
            if at < length:
                part = octets[: length - at]
                out[start + at : start + at + len(part)] = part
                octets, at = octets[len(part) :], length
            at -= length
            if not octets:
                return

    def keep(self, start: int, end: int) -> None:
        """Let the octets from offset ``start`` to ``end`` stay as they are."""
        self.put(start, self.data[start:end])

    def part(self, start: int, end: int) -> View:
        """Return the octets from offset ``start`` to ``end`` as a view."""
        pieces = []
        at = 0
        for out, place, length in self.pieces:
            first, last = max(start - at, 0), min(end - at, length)
            if first < last:
                pieces.append((out, place + first, last - first))
            at += length
        return View(self.data[start:end], tuple(pieces))


def joined(views: Iterable[View]) -> View:
    """Return the octets of all ``views``, one behind the other."""
    parts = tuple(views)
    return View(b"".join(part.data for part in parts), tuple(piece for part in parts for piece in part.pieces))
