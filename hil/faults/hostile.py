"""Meters that mean harm: they say nothing, or never stop. Each is a meter's end of a line."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Final

_PERIOD: Final = 0.002
"""Seconds between two pieces of what an endless meter says."""


class MuteMeter:
    """Takes everything and answers nothing."""

    next_deadline: float | None = None

    def receive(self, data: bytes, now: float) -> bytes:
        """Swallow ``data``."""
        return b""

    def handle_timer(self, now: float) -> bytes:
        """Say nothing."""
        return b""

    def closed(self, now: float) -> None:
        """Nothing was held."""


class EndlessMeter(MuteMeter):
    """Once spoken to, it says the pieces of ``pieces()`` one after the other, a few milliseconds apart, as long as
    there are any."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces()
        self.next_deadline = None

    def receive(self, data: bytes, now: float) -> bytes:
        """Begin to talk, or go on."""
        return self._say(now)

    def handle_timer(self, now: float) -> bytes:
        """Go on talking."""
        return self._say(now)

    def _say(self, now: float) -> bytes:
        piece = next(self._pieces, b"")
        self.next_deadline = now + _PERIOD if piece else None
        return piece


def noise(length: int = 4096) -> Iterator[bytes]:
    """Octets without a flag in them, for ever."""
    return itertools.repeat(bytes(range(0x7E)) * (length // 0x7E))


def flags() -> Iterator[bytes]:
    """HDLC flags and nothing between them, for ever."""
    return itertools.repeat(b"\x7e" * 4096)


def frame_without_end() -> Iterator[bytes]:
    """The beginning of the longest HDLC frame, and then octets that never complete one."""
    return itertools.chain((b"\x7e\xa7\xff",), itertools.repeat(b"\x03" * 512))


def broken_frames() -> Iterator[bytes]:
    """Whole HDLC frames with a wrong check sequence, for ever."""
    return itertools.repeat(bytes.fromhex("7ea00a410002230173ffff7e") * 64)


def wrapper_of_greatest_length() -> Iterator[bytes]:
    """Wrapper messages of 65,535 octets that begin as an association response of 2^32 octets, for ever."""
    header = bytes.fromhex("000100010010ffff")
    return itertools.repeat(header + b"\x61\x84\xff\xff\xff\xff" + bytes(0xFFFF - 6))
