"""The meter's own clock: settable, with an error of its own, on top of a monotonic time that is passed in."""

from __future__ import annotations

import datetime as dt
from typing import Final

EARLIEST: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
LATEST: Final = dt.datetime(2099, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
"""What the clock can be set to; heat meters count years in two digits."""

CET: Final = dt.timezone(dt.timedelta(hours=1))


class MeterClock:
    """A clock that counts on from what it was last set to.

    ``now`` is monotonic time in seconds everywhere. ``zone`` is fixed: heat meters stay on standard time the whole
    year. ``drift`` is the error of the quartz in parts per million, positive when it runs fast.
    """

    def __init__(self, now: float, time: dt.datetime, *, zone: dt.timezone = CET, drift: float = 0.0) -> None:
        self.zone = zone
        self.drift = drift
        self._now = now
        self._time = _checked(time)

    def read(self, now: float) -> dt.datetime:
        """Return the time, aware, in the meter's zone."""
        elapsed = (now - self._now) * (1.0 + self.drift * 1e-6)
        return (self._time + dt.timedelta(seconds=elapsed)).astimezone(self.zone)

    def set(self, now: float, time: dt.datetime) -> None:
        """Set the clock to ``time`` (aware). Raises ``ValueError`` outside of 2000..2099 or without a zone."""
        self._time = _checked(time)
        self._now = now


def _checked(time: dt.datetime) -> dt.datetime:
    if time.tzinfo is None:
        raise ValueError("a meter's clock needs a time with its zone")
    if not EARLIEST <= time <= LATEST:
        raise ValueError(f"the meter's clock counts from 2000 to 2099, not {time.year}")
    return time.astimezone(dt.UTC)
