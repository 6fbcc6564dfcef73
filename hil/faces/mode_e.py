"""The mode E face: a COSEM meter under an optical head, which wants a sign-on before HDLC (IEC 62056-21, annex E)."""

from __future__ import annotations

from typing import Final

from hil.wire import WireHandler
from meterlink.framing.iec62056_21 import ACK

_IDENTIFICATION: Final = b"/MLK5\\2HEAT\r\n"
"""Proposes 9600 Bd, and HDLC."""

_CHOICE: Final = bytes((ACK,)) + b"252\r\n"
_LONGEST: Final = 64


class ModeEFace:
    """A meter that takes nothing but a sign-on at first, and then hands the line to ``line``, its HDLC end.

    ``confirms`` answers the choice of mode E by repeating it, as the standard has it and not every meter does.
    """

    def __init__(self, line: WireHandler, *, confirms: bool = True) -> None:
        self._line = line
        self._confirms = confirms
        self._heard = bytearray()
        self.signed_on = False

    @property
    def next_deadline(self) -> float | None:
        """The deadline of the line, once it is in use."""
        return self._line.next_deadline if self.signed_on else None

    def receive(self, data: bytes, now: float) -> bytes:
        """Take octets of the sign-on, or of HDLC after it."""
        if self.signed_on:
            return self._line.receive(data, now)
        self._heard += bytes(octet & 0x7F for octet in data)
        del self._heard[:-_LONGEST]
        if self._heard.endswith(b"!\r\n") and b"/?" in self._heard:
            self._heard.clear()
            return _IDENTIFICATION
        if self._heard.endswith(_CHOICE):
            self.signed_on = True
            return _CHOICE if self._confirms else b""
        return b""

    def handle_timer(self, now: float) -> bytes:
        """Let the line go on."""
        return self._line.handle_timer(now) if self.signed_on else b""

    def closed(self, now: float) -> None:
        """The line is gone."""
        self._line.closed(now)
