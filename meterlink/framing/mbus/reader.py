"""Frames out of a byte stream that comes in pieces."""

from __future__ import annotations

from meterlink.framing.mbus.frame import FROM_MASTER, Frame, LongFrame, Rejected, ShortFrame, read_frame


class FrameReader:
    """Collects bytes and gives frames. Wake-up octets and the echo of what a master sent are dropped.

    An optical head often hears its own light. Its echo is told apart by the frame itself: only a master sets the
    direction bit of the C field, so that an echo can never be taken for the answer, however it is cut into pieces.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Octets held that are not yet a frame; at most one frame's length."""
        return len(self._buffer)

    def receive(self, data: bytes) -> list[Frame | Rejected]:
        """Take bytes in any chunking; return what they complete. Never raises."""
        self._buffer += data
        return self._take(final=False)

    def flush(self) -> list[Frame | Rejected]:
        """The line has fallen silent: nothing will complete what is held. Return it and begin anew."""
        found = self._take(final=True)
        self._buffer.clear()
        return found

    def _take(self, final: bool) -> list[Frame | Rejected]:
        data = bytes(self._buffer)
        items: list[Frame | Rejected] = []
        position, noise = 0, bytearray()
        while position < len(data):
            found = read_frame(data, position)
            if isinstance(found, Rejected):
                if found.reason == "incomplete" and not final:
                    break
                noise.append(data[position])
                position += 1
                continue
            self._drop(noise, items)
            frame, position = found
            if not is_echo(frame):
                items.append(frame)
        self._drop(noise, items)
        del self._buffer[:position]
        return items

    @staticmethod
    def _drop(noise: bytearray, items: list[Frame | Rejected]) -> None:
        if noise.strip(b"\x00"):
            items.append(Rejected("noise", bytes(noise.strip(b"\x00"))))
        noise.clear()


def is_echo(frame: Frame) -> bool:
    """True for a frame that only a master can have sent."""
    return isinstance(frame, (ShortFrame, LongFrame)) and bool(frame.control & FROM_MASTER)
