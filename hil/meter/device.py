"""The meter as a device: its measuring part, clock, settings and memories, before any protocol."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Final

from hil.meter.clock import CET, MeterClock
from hil.meter.eventlog import EventCode, EventLog
from hil.meter.physics import Fault, HourRecord, Metrology, Totals
from hil.meter.plant import HeatingPlant, Plant
from hil.meter.settings import Settings

MANUFACTURER: Final = "MLK"
"""Three letters of the manufacturer in system title and logical device name. No registered manufacturer has them."""


@dataclass(frozen=True, kw_only=True)
class MeterOptions:
    """How a simulated meter is built.

    ``serial`` has eight digits. ``plant`` is the house it hangs in (``seed`` picks the weather of the default one),
    ``cycle`` the measuring cycle in seconds, ``history`` how many days of hourly values it has stored. ``totals`` is
    what it had counted before those days, ``set_day_totals`` what it had counted on the set day before them.
    ``clock_error`` is by how much its clock is wrong at first, ``drift`` the error of its quartz in parts per million.
    """

    serial: str = "00004711"
    model: str = "MLK heat 1.5"
    firmware: str = "1.04"
    seed: int = 1
    plant: Plant | None = None
    cycle: float = 4.0
    history: int = 45
    totals: Totals = field(
        default_factory=lambda: Totals(energy=41_873_204.0, volume=1_312.482, operating_hours=21_415.0)
    )
    set_day_totals: Totals = field(
        default_factory=lambda: Totals(energy=33_508_117.0, volume=1_051.907, operating_hours=14_390.0)
    )
    clock_error: dt.timedelta = dt.timedelta(0)
    drift: float = 0.0


class HeatMeter:
    """One simulated heat meter.

    ``now`` is monotonic time in seconds, ``time`` the real time at that moment (aware).
    """

    def __init__(self, now: float, time: dt.datetime, options: MeterOptions | None = None) -> None:
        options = options or MeterOptions()
        self.serial_number = options.serial
        self.model = options.model
        self.firmware = options.firmware
        self.device_name = f"{MANUFACTURER}{options.serial.zfill(13)}".encode()
        self.settings = Settings()
        self.events = EventLog()
        self.security_events = EventLog()
        self.clock = MeterClock(now, time + options.clock_error, zone=CET, drift=options.drift)
        self._epoch_at_zero = time.timestamp() - now
        totals = Totals(
            options.totals.energy, options.totals.volume, options.totals.operating_hours, options.totals.missing_hours
        )
        self.metrology = Metrology(
            options.plant or HeatingPlant(options.seed),
            self.clock,
            now,
            time.timestamp(),
            cycle=options.cycle,
            totals=totals,
            history=options.history,
        )
        self.metrology.on_faults = self._log_faults
        self.metrology.on_hour = self._store_on_set_day
        self.stored_on_set_day = self._before_history(now, options)
        for record in self.metrology.hourly:
            self._store_on_set_day(record)
        self.events.add(self.clock.read(now), EventCode.POWER_UP)

    def advance(self, now: float) -> None:
        """Let the meter measure until ``now``."""
        self.metrology.advance(now)

    def security_time(self, now: float) -> dt.datetime:
        """Return the time by which certificates are judged.

        It runs from the factory on and no client can set it. With the settable clock, one wrong entry would lock out
        everybody, and setting it back would revive certificates that have expired.
        """
        return dt.datetime.fromtimestamp(self._epoch_at_zero + now, dt.UTC)

    def _store_on_set_day(self, record: HourRecord) -> None:
        day = self.settings.set_day
        if (record.time.month, record.time.day, record.time.hour) == (day.month, day.day, 0):
            self.stored_on_set_day = record

    def _before_history(self, now: float, options: MeterOptions) -> HourRecord:
        first = self.clock.read(now - options.history * 86_400.0)
        day = first.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
        stored = options.set_day_totals
        return HourRecord(day, stored.energy, stored.volume, 0.0, 0.0, Fault(0))

    def _log_faults(self, before: Fault, after: Fault, time: dt.datetime) -> None:
        if came := after & ~before:
            self.events.add(time, EventCode.FAULT_SET, came)
        if went := before & ~after:
            self.events.add(time, EventCode.FAULT_CLEARED, went)
