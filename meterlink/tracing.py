"""From what crossed the wire to the APDUs in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from meterlink.cosem.acse import Rlre, Rlrq
from meterlink.framing.hdlc.control import FrameKind
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.reader import FrameReader
from meterlink.security.ciphered import is_ciphered
from meterlink.transport.replay import Entry

_LLC: Final = 3
"""Octets of the LLC header (IEC 62056-46, 6.3.2)."""


@dataclass(frozen=True, slots=True)
class TracedApdu:
    """One APDU on the wire; ``t`` is seconds since the transport was opened, when its last octet was seen."""

    t: float
    direction: Literal["sent", "received"]
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
    sides = {"sent": _Side(), "received": _Side()}
    for entry in entries:
        if entry.event == "sent" or entry.event == "received":
            for apdu in sides[entry.event].feed(entry.data):
                yield TracedApdu(entry.t, entry.event, apdu)


class _Side:
    """One direction of the line."""

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._parts = bytearray()
        self._last: int | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        for found in self._reader.feed(data):
            if isinstance(found, HdlcFrame):
                yield from self._take(found)

    def _take(self, frame: HdlcFrame) -> Iterator[bytes]:
        kind = frame.control.kind
        if kind in {FrameKind.SNRM, FrameKind.UA, FrameKind.DISC}:
            self._last = None
            self._parts.clear()
        if kind is FrameKind.I:
            if frame.control.send == self._last:
                return  # sent again because its acknowledgement was lost
            self._last = frame.control.send
        elif kind is not FrameKind.UI:
            return
        self._parts += frame.information
        if not frame.segmented:
            yield bytes(self._parts[_LLC:])
            self._parts.clear()
