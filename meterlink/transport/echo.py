"""Telling a head's echo from the meter's answer, without I/O.

Many optical heads hear their own light. What they hear of it comes back in the very order it was sent, before the
meter can have begun to answer.
"""

from __future__ import annotations

import enum
from typing import Final

MEMORY: Final = 4096
"""Most bytes of ours that are waited for; a head echoes at once, so there are never many."""


class EchoMode(enum.Enum):
    """Whether the head echoes: it does, it does not, or the first answer shows it."""

    YES = "yes"
    NO = "no"
    AUTO = "auto"


class EchoFilter:
    """Takes our own bytes out of what is received.

    In mode AUTO what looks like an echo is held back until it is one in full or is seen not to be one; from then on
    the mode is YES or NO.
    """

    def __init__(self, mode: EchoMode = EchoMode.AUTO) -> None:
        self.mode = mode
        self._expected = bytearray()
        self._held = bytearray()

    @property
    def holding(self) -> bool:
        """True while bytes are held back that may yet turn out to be an answer."""
        return bool(self._held)

    def sent(self, data: bytes) -> None:
        """Note what is about to be sent."""
        if self.mode is not EchoMode.NO:
            self._expected += data
            del self._expected[:-MEMORY]

    def receive(self, data: bytes) -> bytes:
        """Return what is not our own."""
        if not self._expected:
            return data
        if self.mode is EchoMode.YES:
            # Counted, not compared: a byte of the echo that was hurt on its way is still one of ours.
            count = min(len(self._expected), len(data))
            del self._expected[:count]
            return data[count:]
        return self._learn(data)

    def _learn(self, data: bytes) -> bytes:
        held, expected = self._held + data, self._expected
        count = min(len(held), len(expected))
        if held[:count] != expected[:count]:
            self.mode = EchoMode.NO
            self.forget()
            return bytes(held)
        if count < len(expected):
            self._held = held
            return b""
        self.mode = EchoMode.YES
        self.forget()
        return bytes(held[count:])

    def release(self) -> bytes:
        """Give up waiting for the rest of an echo: return what was held back."""
        held = bytes(self._held)
        self.forget()
        return held

    def forget(self) -> None:
        """Expect nothing more: what comes next is the meter's."""
        self._expected.clear()
        self._held.clear()
