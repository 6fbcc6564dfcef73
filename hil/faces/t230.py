"""The T230's face: M-Bus over the optical head, everything after one request (2400 Bd, 8E1)."""

from __future__ import annotations

from typing import Final

from hil.faces.head import HeadFace
from hil.faces.telegrams import readout
from meterlink.framing.mbus.frame import ShortFrame
from meterlink.framing.mbus.requests import BROADCAST_ANSWERED

BAUD: Final = 2400
_REACTION: Final = 0.1
_BETWEEN: Final = 0.05
_VERSION: Final = 7
_REQUEST: Final = ShortFrame(0x7B, BROADCAST_ANSWERED).to_bytes()


class T230Face(HeadFace):
    """Sends all its telegrams after one request."""

    bits = 11
    wake_up = 200

    def receive(self, data: bytes, now: float) -> bytes:
        """Take octets. A pause between wake-up and request leaves the request unheard."""
        if not self._hears(BAUD):
            return self._echo(data)
        arrived = self._pace.arrived(len(data), BAUD, now)
        if self._awake.receive(data, now, arrived) == _REQUEST:
            self._awake.sleep()
            first, *rest = readout(self._meter, now, version=_VERSION)
            self._pace.say(first.to_bytes(), BAUD, arrived, _REACTION)
            for frame in rest:
                self._pace.after(_BETWEEN, frame.to_bytes(), BAUD)
        return self._echo(data)
