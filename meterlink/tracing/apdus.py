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
from meterlink.tracing.frames import LINK_ENDS, Direction, Located, frames_of
from meterlink.transport.replay import Entry

LLC_LENGTH: Final = 3
"""Octets of the LLC header (IEC 62056-46, 6.3.2)."""

MAX_DEPTH: Final = 8
"""How often an APDU may be wrapped in another before nobody reads on; blocks, a signature and ciphering are three."""

_SEQUENCE: Final = 8
"""Sequence numbers have three bits."""

Place = tuple[int, int]
"""Where octets stand in those of their side, and how many they are."""


@dataclass(frozen=True, slots=True)
class TracedApdu:
    """One APDU on the wire; ``t`` is seconds since the transport was opened, when its last octet was seen.

    ``source`` and ``destination`` are HDLC addresses or ports of the wrapper. In numbered frames ``send`` is N(S) of
    the last frame and ``receive`` N(R) of the first, else both are None. ``places`` are where it stands, the LLC header
    included, in the octets of ``side``.
    """

    t: float
    direction: Direction
    data: bytes = field(repr=False)
    source: HdlcAddress | int = 0
    destination: HdlcAddress | int = 0
    send: int | None = None
    receive: int | None = None
    side: Direction = "received"
    places: tuple[Place, ...] = field(default=(), repr=False)

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
        self._sides: dict[tuple[HdlcAddress, HdlcAddress], _Side] = {}

    def take(self, located: Located) -> TracedApdu | None:
        """Take the next frame; return the APDU that it ends, None where it ends none."""
        item = located.item
        if isinstance(item, WrapperPdu):
            where = (item.source, item.destination, None, None, located.side, (located.content,))
            return TracedApdu(located.t, located.direction, item.data, *where) if item.data else None
        if isinstance(item, Entry) and item.event in LINK_ENDS:
            self._sides.clear()
        if not isinstance(item, HdlcFrame):
            return None
        if starts_anew(item):
            self._sides.pop((item.destination, item.source), None)
        return self._sides.setdefault((item.source, item.destination), _Side()).take(located, item)


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
    """What one station sends to another: numbered frames, and unnumbered ones that may come between."""

    def __init__(self) -> None:
        self._numbered: list[Located] = []
        self._unnumbered: list[Located] = []
        self._order = FrameOrder()

    def take(self, located: Located, frame: HdlcFrame) -> TracedApdu | None:
        if starts_anew(frame):
            self._numbered.clear()
            self._unnumbered.clear()
        if not self._order.is_new(frame):
            return None
        parts = self._numbered if frame.control.kind is FrameKind.I else self._unnumbered
        parts.append(located)
        if frame.segmented:
            return None
        apdu = _joined(parts, frame)
        parts.clear()
        return apdu


def _joined(parts: list[Located], last: HdlcFrame) -> TracedApdu:
    first = parts[0].item
    is_numbered = last.control.kind is FrameKind.I and isinstance(first, HdlcFrame)
    information = b"".join(part.item.information for part in parts if isinstance(part.item, HdlcFrame))
    return TracedApdu(
        parts[-1].t,
        parts[-1].direction,
        information[LLC_LENGTH:],
        last.source,
        last.destination,
        last.control.send if is_numbered else None,
        first.control.receive if is_numbered and isinstance(first, HdlcFrame) else None,
        parts[-1].side,
        tuple(part.content for part in parts),
    )


def starts_anew(frame: HdlcFrame) -> bool:
    """Return whether a frame sets the link up or takes it down: what came before it has no end."""
    return frame.control.kind in {FrameKind.SNRM, FrameKind.UA, FrameKind.DISC, FrameKind.DM}
