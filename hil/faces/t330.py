"""The T330's face: M-Bus over the optical head in four steps, the last of which changes the line to 9600 Bd."""

from __future__ import annotations

from typing import Final

from hil.faces.head import HeadFace
from hil.faces.telegrams import readout
from meterlink.framing.mbus.frame import LongFrame, ShortFrame

START_BAUD: Final = 2400
DATA_BAUD: Final = 9600
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


class T330Face(HeadFace):
    """Wants its steps in their order, each after a wake-up; the full readout comes only after the third."""

    bits = 11
    wake_up = 200
    _step = 0

    def receive(self, data: bytes, now: float) -> bytes:
        """Take octets."""
        if not self._hears(START_BAUD):
            return self._echo(data)
        arrived = self._pace.arrived(len(data), START_BAUD, now)
        request = self._awake.receive(data, now, arrived)
        if request in _STEPS:
            self._awake.sleep()
            self._take(_STEPS.index(request), now, arrived)
        return self._echo(data)

    def closed(self, now: float) -> None:
        """The line is gone: begin anew with the next one."""
        super().closed(now)
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
