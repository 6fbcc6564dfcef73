"""The T230's face: M-Bus over the optical head, everything after one request (2400 Bd, 8E1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hil.faces.pace import Pace, WakeUp
from hil.faces.telegrams import readout
from hil.meter.device import HeatMeter
from meterlink.framing.mbus.frame import ShortFrame
from meterlink.framing.mbus.requests import BROADCAST_ANSWERED

BAUD: Final = 2400
_BITS: Final = 11
_WAKE_UP: Final = 200
_REACTION: Final = 0.1
_BETWEEN: Final = 0.05
_VERSION: Final = 7
_REQUEST: Final = ShortFrame(0x7B, BROADCAST_ANSWERED).to_bytes()


class T230Face:
    """One meter at the head's end of the line.

    ``line_baud`` tells the speed that the asking side has set (None: taken as right); ``speed`` runs the line faster
    than life; ``head_echo`` gives back what is sent.
    """

    def __init__(
        self,
        meter: HeatMeter,
        *,
        line_baud: Callable[[], int] | None = None,
        speed: float = 1.0,
        head_echo: bool = True,
    ) -> None:
        self._meter = meter
        self._line_baud = line_baud
        self._pace = Pace(_BITS, speed)
        self._wake_up = WakeUp(_WAKE_UP)
        self._head_echo = head_echo

    @property
    def next_deadline(self) -> float | None:
        """When the next piece of the answer goes out."""
        return self._pace.next_deadline

    def receive(self, data: bytes, now: float) -> bytes:
        """Take octets. A pause between wake-up and request leaves the request unheard."""
        echo = data if self._head_echo else b""
        if self._line_baud is not None and self._line_baud() != BAUD:
            return echo
        arrived = self._pace.arrived(len(data), BAUD, now)
        if self._wake_up.receive(data, now, arrived) == _REQUEST:
            self._wake_up.sleep()
            first, *rest = readout(self._meter, now, version=_VERSION)
            self._pace.say(first.to_bytes(), BAUD, arrived, _REACTION)
            for frame in rest:
                self._pace.after(_BETWEEN, frame.to_bytes(), BAUD)
        return echo

    def handle_timer(self, now: float) -> bytes:
        """Return what is due."""
        return self._pace.due(now)

    def closed(self, now: float) -> None:
        """The line is gone: say nothing more."""
        self._pace.clear()
