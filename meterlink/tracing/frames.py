"""The frames of a capture, each with its time, who sent it, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from meterlink.framing.hdlc.control import FrameKind
from meterlink.framing.hdlc.frame import FLAG_OCTET, HdlcFrame
from meterlink.framing.hdlc.reader import FrameReader
from meterlink.framing.link import LinkNoise
from meterlink.framing.wrapper import HEADER_LENGTH, WrapperPdu, WrapperReader
from meterlink.tracing.capture import Capture, Framing
from meterlink.transport.replay import Entry

Direction = Literal["sent", "received"]

LINK_ENDS: Final = frozenset({"lost", "closed"})
"""Events behind which the octets of another connection come: nothing of the one before goes on there."""

_CLIENT_LLC: Final = b"\xe6\xe6\x00"
_REQUESTS: Final = frozenset({0x60, 0x62, 0xC0, 0xC1, 0xC3, 0xC8, 0xC9, 0xCB, 0xD0, 0xD1, 0xD3})
"""First octets of APDUs that only a client sends."""

_FLAG: Final = bytes((FLAG_OCTET,))
_CHECKS: Final = 2
"""Octets of the FCS."""


@dataclass(frozen=True, slots=True)
class Located:
    """Something on the wire; ``t`` is seconds since the recording began. An entry without data is an event of the
    line.

    ``side`` is whose octets it is made of as the capture has them, which is not ``direction`` where both stand in one
    stream. ``start`` and ``end`` are the place in all octets of this side: of an HDLC frame without its flags, of a
    wrapper message with its header. They are equal for what has no place of its own.
    """

    t: float
    direction: Direction
    item: HdlcFrame | WrapperPdu | LinkNoise | Entry
    side: Direction = "received"
    start: int = 0
    end: int = 0

    @property
    def content(self) -> tuple[int, int]:
        """Where the information field or the APDU stands, and its length."""
        if isinstance(self.item, HdlcFrame):
            length = len(self.item.information)
            return self.end - _CHECKS - length if self.end else 0, length
        return self.start + HEADER_LENGTH, max(self.end - self.start - HEADER_LENGTH, 0)


def frames_of(capture: Capture) -> Iterator[Located]:
    """Yield what is on the wire, in the order in which it was complete."""
    found = list(_frames(capture))
    if capture.is_directed:
        yield from found
        return
    clients = {_sender(located.item) for located in found if _is_clients(located.item)}
    for located in found:
        sent = _sender(located.item) in clients
        yield replace(located, direction="sent" if sent else "received")


def _frames(capture: Capture) -> Iterator[Located]:
    make = _HdlcSide if capture.framing is Framing.HDLC else _WrapperSide
    sides: tuple[_HdlcSide | _WrapperSide, ...] = (make("sent"), make("received"))
    t = 0.0
    for entry in capture.entries:
        t = entry.t
        for side in sides:
            if entry.event == side.name:
                yield from side.feed(t, entry.data)
            elif entry.event in LINK_ENDS:
                yield from side.end(t)
        if entry.event not in ("sent", "received"):
            yield Located(t, "received", entry)
    for side in sides:
        yield from side.end(t)


class _HdlcSide:
    """One direction of a line with HDLC."""

    def __init__(self, name: Direction) -> None:
        self.name = name
        self._reader = FrameReader()
        self._octets = bytearray()
        self._at = 0

    def feed(self, t: float, data: bytes) -> Iterator[Located]:
        self._octets += data
        for item in self._reader.feed(data):
            yield self._located(t, item)

    def end(self, t: float) -> Iterator[Located]:
        for item in self._reader.give_up():
            yield self._located(t, item)
        self._reader = FrameReader()
        self._at = len(self._octets)  # a frame without its closing flag does not end with the next one's opening flag

    def _located(self, t: float, item: HdlcFrame | LinkNoise) -> Located:
        if isinstance(item, HdlcFrame):
            content = item.to_bytes()[1:]
            start = self._octets.find(_FLAG + content, self._at) + 1
            if start:
                self._at = start + len(content) - 1  # the closing flag, which may open the next frame
                return Located(t, self.name, item, self.name, start, self._at)
        return Located(t, self.name, item, self.name)


class _WrapperSide:
    """One direction of a connection with the wrapper."""

    def __init__(self, name: Direction) -> None:
        self.name = name
        self._reader = WrapperReader()
        self._octets = bytearray()
        self._at = 0

    def feed(self, t: float, data: bytes) -> Iterator[Located]:
        self._octets += data
        for item in self._reader.feed(data):
            start, self._at = self._at, self._at + HEADER_LENGTH + len(item.data)
            yield Located(t, self.name, item, self.name, start, self._at)

    def end(self, t: float) -> Iterator[Located]:
        rest = bytes(self._octets[self._at :])
        if rest:
            yield Located(t, self.name, LinkNoise("noise" if self._reader.broken else "length", rest), self.name)
        self._at = len(self._octets)
        self._reader = WrapperReader()


def _sender(item: HdlcFrame | WrapperPdu | LinkNoise | Entry) -> object:
    if isinstance(item, HdlcFrame):
        return item.source
    return item.source if isinstance(item, WrapperPdu) else None


def _is_clients(item: HdlcFrame | WrapperPdu | LinkNoise | Entry) -> bool:
    if isinstance(item, HdlcFrame):
        return item.control.kind in {FrameKind.SNRM, FrameKind.DISC} or item.information.startswith(_CLIENT_LLC)
    return isinstance(item, WrapperPdu) and item.data[:1] != b"" and item.data[0] in _REQUESTS
