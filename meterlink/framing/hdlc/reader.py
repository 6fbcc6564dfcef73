"""From a stream of octets to frames, through noise.

A frame is taken only when everything fits: format, addresses, HCS, the flag at the end, FCS. The first thing that does
not fit ends the attempt at once, and the search goes on with the next flag *inside* what was refused, so a false start
costs no true frame. HCS is checked as soon as the header is there: noise that looks like the start of a long frame
does not make the reader wait for it. One flag can close a frame and open the next.

What comes out depends on the octets alone, never on how they were cut into chunks. The buffer never holds more than
one frame, the octets dropped never more than :data:`NOISE_LIMIT` before they are told.
"""

from __future__ import annotations

from typing import Final

from meterlink.errors import ProtocolError
from meterlink.framing.hdlc.frame import FLAG_OCTET, HdlcFrame, Header, read_header, read_rest
from meterlink.framing.link import LinkNoise

_FLAG: Final = bytes((FLAG_OCTET,))

NOISE_LIMIT: Final = 2048
"""Dropped octets are told of in pieces of at most so many."""


class FrameReader:
    """Finds the frames in a stream. Never raises for what the stream holds."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._header: Header | None = None
        self._noise = bytearray()
        self._reason = ""

    @property
    def is_partial(self) -> bool:
        """True while the beginning of a frame waits for its end, or dropped octets wait to be told."""
        return len(self._buffer) > 1 or bool(self._noise)

    def feed(self, data: bytes) -> list[HdlcFrame | LinkNoise]:
        """Take octets; return the frames that are complete now, and what was dropped before each."""
        frame = self._alone(data)
        if frame is not None:
            return [frame]
        found: list[HdlcFrame | LinkNoise] = []
        # Piece by piece, so that the buffer stays within one frame however much comes at once.
        for start in range(0, len(data), NOISE_LIMIT):
            self._buffer += data[start : start + NOISE_LIMIT]
            while self._step(found):
                pass
        return found

    def _alone(self, data: bytes) -> HdlcFrame | None:
        """Return the one frame that ``data`` is, where nothing is waiting for more; None to look at every octet. A
        network delivers frames whole, and most of them one at a time."""
        if self.is_partial or data[:1] != _FLAG:
            return None
        try:
            header = read_header(data)
            if header is None or header.length + 2 != len(data):
                return None
            frame = read_rest(data, header)
        except ProtocolError:
            return None
        self._buffer[:] = _FLAG  # the closing flag stays: it may open the next frame
        return frame

    def give_up(self) -> list[HdlcFrame | LinkNoise]:
        """Give up the frame that is coming in: the line has been silent for too long. Frames that were hidden behind
        its start are returned, and what was dropped."""
        found: list[HdlcFrame | LinkNoise] = []
        while len(self._buffer) > 1:
            self._refuse("length", found)
            while self._step(found):
                pass
        self._tell_noise(found)
        return found

    def _step(self, found: list[HdlcFrame | LinkNoise]) -> bool:
        """Take one thing from the buffer. Returns False when more octets are needed."""
        buffer = self._buffer
        if not buffer:
            return False
        if buffer[0] != FLAG_OCTET:
            self._refuse("noise", found)
            return True
        if len(buffer) < 2:
            return False
        if buffer[1] == FLAG_OCTET:
            del buffer[0]  # flags may fill the time between frames
            return True
        try:
            header = self._header or read_header(buffer)
            if header is None or len(buffer) < header.length + 2:
                self._header = header
                return False
            frame = read_rest(buffer, header)
        except ProtocolError as error:
            self._refuse(error.code, found)
            return True
        self._header = None
        del buffer[: header.length + 1]  # the closing flag stays: it may open the next frame
        self._tell_noise(found)
        found.append(frame)
        return True

    def _refuse(self, reason: str, found: list[HdlcFrame | LinkNoise]) -> None:
        """Drop everything before the next flag."""
        self._header = None
        end = self._buffer.find(FLAG_OCTET, 1)
        end = len(self._buffer) if end < 0 else end
        if not self._noise or self._reason == "noise":
            self._reason = reason
        self._noise += self._buffer[:end]
        del self._buffer[:end]
        while len(self._noise) > NOISE_LIMIT:
            found.append(LinkNoise(self._reason, bytes(self._noise[:NOISE_LIMIT])))
            del self._noise[:NOISE_LIMIT]

    def _tell_noise(self, found: list[HdlcFrame | LinkNoise]) -> None:
        if self._noise:
            found.append(LinkNoise(self._reason, bytes(self._noise)))
            self._noise.clear()
