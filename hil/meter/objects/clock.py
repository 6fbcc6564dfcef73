"""The Clock object (IC 8): reading it is everybody's, setting it needs the right to configure."""

from __future__ import annotations

import datetime as dt

from certs.levels import Permission
from hil.meter.clock import MeterClock
from hil.meter.eventlog import EventCode, EventLog
from hil.meter.objects.base import EVERYBODY, Attribute, Context, CosemObject, Method, Refusal, constant
from meterlink.cosem.data import Data, boolean, date_time_octets, enum_, i8, i16, octet_string, u8
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.results import DataAccessResult

NAME = "0-0:1.0.0"
_INTERNAL_CRYSTAL = 1
_MAX_SHIFT = 900
"""Seconds by which ``shift_time`` may move the clock (Blue Book, 4.5.1)."""


class ClockObject(CosemObject):
    """The meter's clock. It has no daylight saving: a heat meter stays on standard time."""

    def __init__(self, clock: MeterClock, log: EventLog) -> None:
        self._clock = clock
        self._log = log
        self._deviation = -round((clock.zone.utcoffset(None)).total_seconds() / 60)
        never = octet_string(CosemDateTime().to_bytes())
        attributes = {
            2: Attribute(self._get_time, read=EVERYBODY, set=self._set_time, write=Permission.CONFIGURE),
            3: constant(i16(self._deviation)),
            4: constant(u8(0)),
            5: constant(never),
            6: constant(never),
            7: constant(i8(0)),
            8: constant(boolean(False)),
            9: constant(enum_(_INTERNAL_CRYSTAL)),
        }
        methods = {
            3: Method(self._adjust_to_minute, Permission.CONFIGURE),
            6: Method(self._shift, Permission.CONFIGURE),
        }
        super().__init__(8, NAME, attributes, methods)

    def _get_time(self, context: Context) -> Data:
        return date_time_octets(CosemDateTime.of(self._clock.read(context.now)))

    def _set_time(self, context: Context, value: Data) -> None:
        moment = value.as_date_time().as_datetime()
        if moment is None:
            raise Refusal(DataAccessResult.OTHER_REASON)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._clock.zone)
        self._set(context, moment)

    def _adjust_to_minute(self, context: Context, _: Data | None) -> None:
        moment = self._clock.read(context.now) + dt.timedelta(seconds=30)
        self._set(context, moment.replace(second=0, microsecond=0))

    def _shift(self, context: Context, argument: Data | None) -> None:
        seconds = 0 if argument is None else argument.as_int()
        if argument is None or abs(seconds) > _MAX_SHIFT:
            raise Refusal(DataAccessResult.OTHER_REASON)
        self._set(context, self._clock.read(context.now) + dt.timedelta(seconds=seconds))

    def _set(self, context: Context, moment: dt.datetime) -> None:
        before = self._clock.read(context.now)
        try:
            self._clock.set(context.now, moment)
        except ValueError:
            raise Refusal(DataAccessResult.OTHER_REASON) from None
        self._log.add(before, EventCode.CLOCK_SET_FROM, context.client.sap)
        self._log.add(self._clock.read(context.now), EventCode.CLOCK_SET_TO, context.client.sap)
