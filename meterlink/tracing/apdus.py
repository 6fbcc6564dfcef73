"""From frames to the APDUs in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from meterlink.cosem.acse import Rlre, Rlrq
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.wrapper import WrapperPdu
from meterlink.security.ciphered import is_ciphered
from meterlink.tracing.capture import Capture, Framing
from meterlink.tracing.frames import Direction, Located, frames_of
from meterlink.transport.replay import Entry

LLC_LENGTH: Final = 3
"""Octets of the LLC header (IEC 62056-46, 6.3.2)."""

_SEQUENCE: Final = 8
"""Sequence numbers have three bits."""


@dataclass(frozen=True, slots=True)
class TracedApdu:
    """One APDU on the wire; ``t`` is seconds since the transport was opened, when its last octet was seen."""

    t: float
    direction: Direction
    data: bytes = field(repr=False)

    @property
    def is_protected(self) -> bool:
        """True when the APDU is ciphered, or is a release that carries its proof in ciphered user information."""
        if self.data[:1] and self.data[0] in {Rlrq.TAG, Rlre.TAG}:
            return is_ciphered(_release_information(self.data))
        return is_ciphered(self.data)


def _release_information(data: bytes) -> bytes:
    release = Rlrq.from_bytes(data) if data[0] == Rlrq.TAG else Rlre.from_bytes(data)
    return release.user_information


def apdus_over_hdlc(entries: Iterable[Entry]) -> Iterator[TracedApdu]:
    """Yield the APDUs in the I and UI frames of a recording, segments joined, repeated frames once."""
    joiner = Joiner()
    for located in frames_of(Capture(tuple(entries), Framing.HDLC, is_directed=True)):
        apdu = joiner.take(located)
        if apdu is not None:
            yield apdu


class Joiner:
    """Makes APDUs of the frames of all stations on the line."""

    def __init__(self) -> None:
        self._sides: dict[tuple[Direction, HdlcAddress], _Side] = {}

    def take(self, located: Located) -> TracedApdu | None:
        """Take the next frame; return the APDU that it ends, None where it ends none."""
        item = located.item
        if isinstance(item, WrapperPdu):
            return TracedApdu(located.t, located.direction, item.data)
        if not isinstance(item, HdlcFrame):
            return None
        data = self._sides.setdefault((located.direction, item.source), _Side()).take(item)
        return None if data is None else TracedApdu(located.t, located.direction, data)


class FrameOrder:
    """Tells the frames of one station that carry something new from those that were sent again."""

    def __init__(self) -> None:
        self._expected: int | None = None

    def is_new(self, frame: HdlcFrame) -> bool:
        """Take the next frame; return whether its information follows what came before."""
        kind = frame.control.kind
        if starts_anew(frame):
            self._expected = None
        if kind is not FrameKind.I:
            return kind is FrameKind.UI
        if self._expected is not None and frame.control.send != self._expected:
            return False  # sent again because an acknowledgement was lost, or behind a frame that was
        self._expected = (frame.control.send + 1) % _SEQUENCE
        return True


class _Side:
    """One station on the line."""

    def __init__(self) -> None:
        self._parts = bytearray()
        self._order = FrameOrder()

    def take(self, frame: HdlcFrame) -> bytes | None:
        if starts_anew(frame):
            self._parts.clear()
        if not self._order.is_new(frame):
            return None
        self._parts += frame.information
        if frame.segmented:
            return None
        apdu = bytes(self._parts[LLC_LENGTH:])
        self._parts.clear()
        return apdu


def starts_anew(frame: HdlcFrame) -> bool:
    """Return whether a frame sets the link up or takes it down: what came before it has no end."""
    return frame.control.kind in {FrameKind.SNRM, FrameKind.UA, FrameKind.DISC}
