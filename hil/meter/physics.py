"""The measuring part of a heat meter: energy and volume that grow with what flows past, maxima, hours and errors.

It works as a real calculator does: in measuring cycles on a fixed grid, each taking volume from the flow sensor, both
temperatures, and adding ``V x (flow - return) x k`` (EN 1434-1). Asking twice at one time gives the same values, and
how often one asks within a day changes nothing.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from hil.meter.clock import MeterClock
from hil.meter.plant import Conditions, Plant
from hil.meter.water import heat_coefficient


class Fault(enum.IntFlag):
    """Error flags of the meter, F0 to F9 as Landis+Gyr names them; bit n is Fn."""

    AIR = 1 << 0
    """F0: air in the flow sensor: no volume is measured."""
    FLOW_SENSOR_OPEN = 1 << 1
    RETURN_SENSOR_OPEN = 1 << 2
    TEMPERATURE_ELECTRONICS = 1 << 3
    BATTERY = 1 << 4
    FLOW_SENSOR_SHORT = 1 << 5
    RETURN_SENSOR_SHORT = 1 << 6
    MEMORY = 1 << 7
    LONG_TEMPERATURE_FAULT = 1 << 8
    """F8: a temperature fault that lasted longer than eight hours; stays until it is cleared."""
    ELECTRONICS = 1 << 9


TEMPERATURE_FAULTS: Final = (
    Fault.FLOW_SENSOR_OPEN
    | Fault.RETURN_SENSOR_OPEN
    | Fault.TEMPERATURE_ELECTRONICS
    | Fault.FLOW_SENSOR_SHORT
    | Fault.RETURN_SENSOR_SHORT
)
_LONG_FAULT_HOURS: Final = 8.0
_CATCH_UP: Final = 86_400.0
_COARSE: Final = 16
_HOURLY_DAYS: Final = 45
"""How far back the hourly memory of a T550 reaches."""


@dataclass(frozen=True, slots=True)
class Live:
    """The last measuring cycle: flow rate in m³/h, temperatures in °C, difference in K, power in W."""

    flow_rate: float = 0.0
    flow: float = 0.0
    ret: float = 0.0
    difference: float = 0.0
    power: float = 0.0


@dataclass(slots=True)
class Totals:
    """What only grows: energy in Wh, volume in m³, hours of operation, hours without flow measurement or with a
    temperature fault (the missing time)."""

    energy: float = 0.0
    volume: float = 0.0
    operating_hours: float = 0.0
    missing_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Maximum:
    """The highest mean over one averaging period since the last reset, and when that period ended (meter's clock)."""

    value: float = 0.0
    time: dt.datetime | None = None

    def risen(self, value: float, time: dt.datetime) -> Maximum:
        """Return the maximum that holds after ``value`` was seen at ``time``."""
        return Maximum(value, time) if value > self.value or self.time is None else self


@dataclass(slots=True)
class Maxima:
    """Maxima of power (W), flow rate (m³/h), flow and return temperature (°C)."""

    power: Maximum = field(default_factory=Maximum)
    flow_rate: Maximum = field(default_factory=Maximum)
    flow: Maximum = field(default_factory=Maximum)
    ret: Maximum = field(default_factory=Maximum)


@dataclass(frozen=True, slots=True)
class HourRecord:
    """One row of the hourly memory, stored when the meter's clock passed the full hour."""

    time: dt.datetime
    energy: float
    volume: float
    flow: float
    ret: float
    faults: Fault


class Metrology:
    """A heat meter's measuring part.

    ``now`` is monotonic time in seconds; ``epoch`` the real time, in seconds since 1970, at that moment: the plant
    lives by real time, whatever the meter's clock says. ``cycle`` is the measuring cycle in seconds. ``averaging`` is
    the period in minutes over which maxima are averaged. ``totals`` are what the meter had counted ``history`` days
    ago; these days are then measured in steps of an hour, so that the hourly memory is filled.
    """

    def __init__(
        self,
        plant: Plant,
        clock: MeterClock,
        now: float,
        epoch: float,
        *,
        cycle: float = 4.0,
        averaging: int = 60,
        totals: Totals | None = None,
        history: int = _HOURLY_DAYS,
        installed_in: Literal["flow", "return"] = "return",
    ) -> None:
        self.plant = plant
        self.averaging = averaging
        self.live = Live()
        self.maxima = Maxima()
        self.totals = totals or Totals()
        self.hourly: deque[HourRecord] = deque(maxlen=_HOURLY_DAYS * 24)
        self.on_faults: Callable[[Fault, Fault, dt.datetime], None] | None = None
        """Called with the flags before and after, and the meter's time, whenever they change."""
        self.on_hour: Callable[[HourRecord], None] | None = None
        """Called with every row that the hourly memory stores."""
        self._clock = clock
        self._cycle = cycle
        self._installed_in = installed_in
        self._faults = Fault(0)
        self._fault_hours = 0.0
        self._epoch_at_zero = epoch - now
        self._measured_until = now
        self._period = _Period()
        self._hour = clock.read(now - history * 86_400.0).replace(minute=0, second=0, microsecond=0)
        self._measure_history(now, history)

    @property
    def faults(self) -> Fault:
        """The error flags that are set."""
        return self._faults

    def set_fault(self, fault: Fault, now: float) -> None:
        """Set flags: the sensor breaks at ``now``."""
        self.advance(now)
        self._change_faults(self._faults | fault, now)

    def clear_fault(self, fault: Fault, now: float) -> None:
        """Clear flags: the sensor works again from ``now`` on."""
        self.advance(now)
        self._change_faults(self._faults & ~fault, now)
        if not self._faults & TEMPERATURE_FAULTS:
            self._fault_hours = 0.0

    def acknowledge(self, now: float) -> None:
        """Clear the flag of a long temperature fault that is over; a fault that is still there keeps its flags."""
        self.advance(now)
        if not self._faults & TEMPERATURE_FAULTS:
            self._change_faults(self._faults & ~Fault.LONG_TEMPERATURE_FAULT, now)

    def reset_maxima(self, now: float) -> None:
        """Forget the maxima and start a new averaging period."""
        self.advance(now)
        self.maxima = Maxima()
        self._period = _Period()

    def reset_missing_time(self, now: float) -> None:
        """Set the missing time to zero."""
        self.advance(now)
        self.totals.missing_hours = 0.0

    def advance(self, now: float) -> None:
        """Measure every cycle that is complete at ``now``.

        What lies more than a day back is caught up in steps of many cycles: a meter that nobody asked for a month must
        not keep the first who does waiting.
        """
        coarse = self._cycle * _COARSE
        while self._measured_until + coarse <= now - _CATCH_UP:
            self._measured_until += coarse
            self._measure(self._measured_until, coarse)
        while self._measured_until + self._cycle <= now:
            self._measured_until += self._cycle
            self._measure(self._measured_until, self._cycle)

    def _measure_history(self, now: float, days: int) -> None:
        for hour in range(days * 24 - 1, -1, -1):
            self._measure(now - hour * 3600.0, 3600.0)
        if not days:  # a meter out of the box still shows what its sensors see
            self.live = self._sense(now)

    def _measure(self, at: float, seconds: float) -> None:
        hours = seconds / 3600.0
        live = self.live = self._sense(at)
        self.totals.operating_hours += hours
        if self._faults & (TEMPERATURE_FAULTS | Fault.AIR):
            self.totals.missing_hours += hours
        self._watch_long_fault(at, hours)
        self.totals.volume += live.flow_rate * hours
        self.totals.energy += live.power * hours
        self._average(live, at, seconds)
        self._store_hour(at)

    def _sense(self, at: float) -> Live:
        seen = self.plant.at(self._epoch_at_zero + at)
        flow_rate = 0.0 if self._faults & Fault.AIR else max(0.0, seen.flow_rate)
        if self._faults & TEMPERATURE_FAULTS:
            return Live(flow_rate=flow_rate)
        return Live(flow_rate, seen.flow, seen.ret, seen.flow - seen.ret, self._power(flow_rate, seen))

    def _power(self, flow_rate: float, seen: Conditions) -> float:
        if seen.flow <= seen.ret:
            return 0.0  # a meter for heat alone counts no cold
        # k changes by less than 1e-4 over a tenth of a kelvin; rounding lets the table of water properties be reused.
        k = heat_coefficient(round(seen.flow, 1), round(seen.ret, 1), self._installed_in)
        return flow_rate * (seen.flow - seen.ret) * k * 1000.0

    def _watch_long_fault(self, at: float, hours: float) -> None:
        if not self._faults & TEMPERATURE_FAULTS:
            return
        self._fault_hours += hours
        if self._fault_hours > _LONG_FAULT_HOURS:
            self._change_faults(self._faults | Fault.LONG_TEMPERATURE_FAULT, at)

    def _change_faults(self, faults: Fault, at: float) -> None:
        before, self._faults = self._faults, faults
        if before != faults and self.on_faults is not None:
            self.on_faults(before, faults, self._clock.read(at))

    def _average(self, live: Live, at: float, seconds: float) -> None:
        period = self._period
        period.add(live, seconds)
        if period.seconds < self.averaging * 60.0:
            return
        time, mean, maxima = self._clock.read(at), period.mean(), self.maxima
        maxima.power = maxima.power.risen(mean.power, time)
        maxima.flow_rate = maxima.flow_rate.risen(mean.flow_rate, time)
        maxima.flow = maxima.flow.risen(mean.flow, time)
        maxima.ret = maxima.ret.risen(mean.ret, time)
        self._period = _Period()

    def _store_hour(self, at: float) -> None:
        hour = self._clock.read(at).replace(minute=0, second=0, microsecond=0)
        if hour == self._hour:
            return
        forward, self._hour = hour > self._hour, hour
        if forward:  # a clock set back must not store an hour twice
            live, totals = self.live, self.totals
            record = HourRecord(hour, totals.energy, totals.volume, live.flow, live.ret, self._faults)
            self.hourly.append(record)
            if self.on_hour is not None:
                self.on_hour(record)


@dataclass(slots=True)
class _Period:
    """Sums over one averaging period, each weighted with its seconds."""

    seconds: float = 0.0
    power: float = 0.0
    flow_rate: float = 0.0
    flow: float = 0.0
    ret: float = 0.0

    def add(self, live: Live, seconds: float) -> None:
        self.seconds += seconds
        self.power += live.power * seconds
        self.flow_rate += live.flow_rate * seconds
        self.flow += live.flow * seconds
        self.ret += live.ret * seconds

    def mean(self) -> Live:
        flow, ret = self.flow / self.seconds, self.ret / self.seconds
        return Live(self.flow_rate / self.seconds, flow, ret, flow - ret, self.power / self.seconds)
