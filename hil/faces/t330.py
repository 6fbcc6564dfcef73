"""The T330's face: M-Bus over the optical head in four steps, the last of which changes the line to 9600 Bd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hil.faces.pace import Pace, WakeUp
from hil.faces.telegrams import readout
from hil.meter.device import HeatMeter
from meterlink.framing.mbus.frame import LongFrame, ShortFrame

START_BAUD: Final = 2400
DATA_BAUD: Final = 9600
_BITS: Final = 11
_WAKE_UP: Final = 200
_REACTION: Final = 0.1
_SWITCH: Final = 1.6
"""Seconds from the last request to the first telegram."""
_BETWEEN: Final = 0.02
_VERSION: Final = 10
_ACKNOWLEDGE: Final = b"\xe5"

_STEPS: Final = (
    LongFrame(0x73, 0xFE, 0x51, b"\x0f\x0f").to_bytes(),
    LongFrame(0x53, 0xFE, 0x50, b"\x00").to_bytes(),
    LongFrame(0x73, 0xFE, 0x51, b"\x0f\x70\x00\x01").to_bytes(),
    ShortFrame(0x7C, 0xFE).to_bytes(),
)
_THIRD_ANSWER: Final = LongFrame(0x08, 0x00, 0x78, b"\x0f\x00").to_bytes()


class T330Face:
    """One meter at the head's end of the line; the parameters are those of the T230's face.

    The steps must come in their order, each after a wake-up; the full readout comes only after the third.
    """

    def __init__(
        self,
        meter: HeatMeter,
        *,
        line_baud: Callable[[], int] | None = None,
        speed: float = 1.0,
        head_echo: bool = False,
    ) -> None:
        self._meter = meter
        self._line_baud = line_baud
        self._pace = Pace(_BITS, speed)
        self._wake_up = WakeUp(_WAKE_UP)
        self._head_echo = head_echo
        self._step = 0

    @property
    def next_deadline(self) -> float | None:
        """When the next piece of the answer goes out."""
        return self._pace.next_deadline

    def receive(self, data: bytes, now: float) -> bytes:
        """Take octets."""
        echo = data if self._head_echo else b""
        if self._line_baud is not None and self._line_baud() != START_BAUD:
            return echo
        arrived = self._pace.arrived(len(data), START_BAUD, now)
        request = self._wake_up.receive(data, now, arrived)
        if request in _STEPS:
            self._wake_up.sleep()
            self._take(_STEPS.index(request), now, arrived)
        return echo

    def handle_timer(self, now: float) -> bytes:
        """Return what is due."""
        return self._pace.due(now, None if self._line_baud is None else self._line_baud())

    def closed(self, now: float) -> None:
        """The line is gone: begin anew with the next one."""
        self._pace.clear()
        self._step = 0

    def _take(self, step: int, now: float, arrived: float) -> None:
        if step not in (0, self._step):
            return
        self._step = step + 1
        match step:
            case 0:
                version = f"T330 {self._meter.firmware} Nb+\r\n".encode("ascii")
                self._pace.say(version, START_BAUD, arrived, _REACTION)
            case 1:
                self._pace.say(_ACKNOWLEDGE, START_BAUD, arrived, _REACTION)
            case 2:
                self._pace.say(_THIRD_ANSWER, START_BAUD, arrived, _REACTION)
            case _:
                first, *rest = readout(self._meter, now, version=_VERSION)
                self._pace.say(first.to_bytes(), DATA_BAUD, arrived, _SWITCH)
                for frame in rest:
                    self._pace.after(_BETWEEN, frame.to_bytes(), DATA_BAUD)
