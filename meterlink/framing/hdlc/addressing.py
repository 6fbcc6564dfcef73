"""Which frames on the line are ours to take: not another station's, not our own come back as an echo.

Optical heads and half-duplex converters give back what was sent. A frame carries both addresses, so an echo shows: its
source is ours. Only where client and server have the same number the addresses cannot tell. Then the frames do: one
that only our role sends proves that the line echoes, and from then on every frame of ours is expected once more.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import Control, FrameKind
from meterlink.framing.hdlc.frame import HdlcFrame

_KEPT: Final = 16
"""Frames of ours that are remembered until their echo comes: two windows."""


class Mine(enum.Enum):
    """Whose a frame is."""

    FOR_US = "for-us"
    ECHO = "echo"
    OTHERS = "address"


class Addressing:
    """Tells whose a frame is. ``sent_alone`` are the kinds that only our role sends."""

    def __init__(self, own: HdlcAddress, peer: HdlcAddress, sent_alone: frozenset[FrameKind]) -> None:
        self.own = own
        self.peer = peer
        self.sent = peer.to_bytes() + own.to_bytes()
        """Both addresses as they stand in our frames."""
        self._sent_alone = sent_alone
        self._same_number = own == peer
        self._echoes = False
        self._expected: deque[HdlcFrame] = deque(maxlen=_KEPT)

    def note_sent(self, control: Control, information: bytes, segmented: bool) -> None:
        """Remember a frame of ours, where its echo could be taken for an answer."""
        if self._same_number:
            self._expected.append(HdlcFrame(self.peer, self.own, control, information, segmented))

    def judge(self, frame: HdlcFrame) -> Mine:
        """Return whose ``frame`` is."""
        if self._is_echo(frame):
            return Mine.ECHO
        if frame.control.kind is FrameKind.UI:  # a push may come from any device, and go to all
            for_us = self.own.answers_for(frame.destination) or frame.destination.is_broadcast
        else:
            for_us = self.own.answers_for(frame.destination) and frame.source.answers_for(self.peer)
        return Mine.FOR_US if for_us else Mine.OTHERS

    def is_foreign(self, frame: HdlcFrame) -> bool:
        """Return whether ``frame``, which is for us, comes from another station than the peer."""
        return not frame.source.answers_for(self.peer)

    def _is_echo(self, frame: HdlcFrame) -> bool:
        if not self._same_number:
            return frame.source == self.own and frame.destination == self.peer
        if frame.control.kind in self._sent_alone:
            self._echoes = True
        if not self._echoes or frame not in self._expected:
            return False
        while self._expected.popleft() != frame:
            pass
        return True
