"""M-Bus frames (EN 13757-2, 5.3; IEC 60870-5-2, frame format class FT 1.2).

A single character, a short frame ``10 C A CS 16`` or a long frame ``68 L L 68 C A CI data CS 16``; a long frame without
data is called a control frame. The check sum is the sum of everything from C on, modulo 256.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from construct import Byte, Bytes, Const, Struct, this

ACKNOWLEDGE: Final = 0xE5
SHORT_START: Final = 0x10
LONG_START: Final = 0x68
STOP: Final = 0x16

FROM_MASTER: Final = 0x40
"""Bit of the C field that only a master sets. A head that hears its own light gives back frames with this bit."""

OVERHEAD: Final = 6
"""Octets of a long frame outside of its length field's count."""
SHORT_LENGTH: Final = 5
MAX_FRAME: Final = 255 + OVERHEAD

SHORT_FRAME: Final = Struct(
    "start" / Const(SHORT_START, Byte),
    "control" / Byte,
    "address" / Byte,
    "checksum" / Byte,
    "stop" / Const(STOP, Byte),
).compile()

LONG_FRAME: Final = Struct(
    "start" / Const(LONG_START, Byte),
    "length" / Byte,
    "length_again" / Byte,
    "start_again" / Const(LONG_START, Byte),
    "control" / Byte,
    "address" / Byte,
    "ci" / Byte,
    "data" / Bytes(this.length - 3),
    "checksum" / Byte,
    "stop" / Const(STOP, Byte),
).compile()


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The single character E5."""

    def to_bytes(self) -> bytes:
        """Return the octet."""
        return bytes((ACKNOWLEDGE,))


@dataclass(frozen=True, slots=True)
class ShortFrame:
    """A frame without data: ``control`` and ``address``, each 0..255."""

    control: int
    address: int

    def to_bytes(self) -> bytes:
        """Return the five octets."""
        fields = {"control": self.control, "address": self.address, "checksum": (self.control + self.address) & 0xFF}
        return bytes(SHORT_FRAME.build(fields))


@dataclass(frozen=True, slots=True)
class LongFrame:
    """A frame with a control information field ``ci`` and up to 252 octets of ``data``."""

    control: int
    address: int
    ci: int
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the frame. Raises ``ValueError`` for more than 252 octets of data."""
        length = len(self.data) + 3
        if length > 255:
            raise ValueError(f"a frame takes 252 octets of data, not {len(self.data)}")
        checksum = (self.control + self.address + self.ci + sum(self.data)) & 0xFF
        fields = {"length": length, "length_again": length, "control": self.control, "address": self.address}
        return bytes(LONG_FRAME.build(fields | {"ci": self.ci, "data": self.data, "checksum": checksum}))


Frame = Acknowledge | ShortFrame | LongFrame


@dataclass(frozen=True, slots=True)
class Rejected:
    """Octets that are no frame. ``reason`` is ``noise``, ``length``, ``checksum``, ``stop`` or ``incomplete``."""

    reason: str
    data: bytes


def read_frame(data: bytes, start: int = 0) -> tuple[Frame, int] | Rejected:
    """Read the frame that begins at ``start``; return it with the place after its end, or why there is none.

    ``incomplete`` means that more octets may complete it. Written out by hand: a long readout has thousands of frames.
    """
    if start >= len(data):
        return Rejected("incomplete", b"")
    first = data[start]
    if first == ACKNOWLEDGE:
        return Acknowledge(), start + 1
    if first == LONG_START:
        return _read_long(data, start)
    if first == SHORT_START:
        return _read_short(data, start)
    return Rejected("noise", data[start : start + 1])


def _read_short(data: bytes, start: int) -> tuple[Frame, int] | Rejected:
    frame = data[start : start + SHORT_LENGTH]
    if len(frame) < SHORT_LENGTH:
        return Rejected("incomplete", frame)
    if frame[4] != STOP:
        return Rejected("stop", frame)
    if (frame[1] + frame[2]) & 0xFF != frame[3]:
        return Rejected("checksum", frame)
    return ShortFrame(frame[1], frame[2]), start + SHORT_LENGTH


def _read_long(data: bytes, start: int) -> tuple[Frame, int] | Rejected:
    head = data[start : start + 4]
    if len(head) < 4:
        # The second length and start octet can already speak against it.
        plausible = len(head) < 3 or head[1] == head[2]
        return Rejected("incomplete" if plausible else "length", head)
    length = head[1]
    if length != head[2] or head[3] != LONG_START or length < 3:
        return Rejected("length", head)
    end = start + length + OVERHEAD
    if end > len(data):
        return Rejected("incomplete", data[start:])
    if data[end - 1] != STOP:
        return Rejected("stop", data[start:end])
    if sum(data[start + 4 : end - 2]) & 0xFF != data[end - 2]:
        return Rejected("checksum", data[start:end])
    return LongFrame(data[start + 4], data[start + 5], data[start + 6], data[start + 7 : end - 2]), end


_START: Final = re.compile(rb"[\xe5\x10\x68]")


def split_frames(data: bytes) -> Iterator[Frame | Rejected]:
    """Take a capture apart into frames and what lies between them. NUL octets (wake-up) are passed over.

    After something that is no frame the search goes on one octet further, so that a damaged length costs no more than
    its own frame. A single E5 is taken for an acknowledgement only where a frame could begin.
    """
    position, told = 0, 0
    while position < len(data):
        found = read_frame(data, position)
        if not isinstance(found, Rejected):
            yield from _noise(data[told:position])
            frame, position = found
            told = max(told, position)
            yield frame
            continue
        if found.reason == "checksum" or (found.reason == "incomplete" and len(found.data) > 4):
            yield from _noise(data[told:position])
            if position + len(found.data) > told:
                yield found
                told = position + len(found.data)
        next_start = _START.search(data, position + 1)
        position = len(data) if next_start is None else next_start.start()
    yield from _noise(data[told:])


def _noise(data: bytes) -> Iterator[Rejected]:
    if data.strip(b"\x00"):
        yield Rejected("noise", data.strip(b"\x00"))
