"""What every meter under an optical head has: a line with a speed, a wake-up, and a head that may echo."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hil.faces.pace import Pace, WakeUp
from hil.meter.device import HeatMeter


class HeadFace:
    """One meter at the head's end of the line; each dialect says in :meth:`receive` what it answers.

    ``line_baud`` tells the speed that the asking side has set (None: not known, taken as right); at a wrong speed the
    meter hears nothing and says noise. ``speed`` runs the line faster than life. ``head_echo`` gives back what is sent,
    as many heads do.
    """

    bits: ClassVar[int]
    """Bits of one character on the line."""
    wake_up: ClassVar[int]
    """NUL octets that must stand before a request."""

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
        self._pace = Pace(self.bits, speed)
        self._awake = WakeUp(self.wake_up)
        self._head_echo = head_echo

    @property
    def next_deadline(self) -> float | None:
        """When the next piece of the answer goes out."""
        return self._pace.next_deadline

    def handle_timer(self, now: float) -> bytes:
        """Return what is due."""
        return self._pace.due(now, None if self._line_baud is None else self._line_baud())

    def closed(self, now: float) -> None:
        """The line is gone: say nothing more."""
        self._pace.clear()

    def _echo(self, data: bytes) -> bytes:
        return data if self._head_echo else b""

    def _hears(self, baud: int) -> bool:
        """Whether the asking side's line has the speed that the meter listens at."""
        return self._line_baud is None or self._line_baud() == baud
