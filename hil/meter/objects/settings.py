"""What can be set, and the acts of commissioning and testing: Data, Register and Script table (IC 1, 3, 9).

Setting belongs to installation, resets and the seal to commissioning, the test mode to service and test benches.
"""

from __future__ import annotations

from collections.abc import Callable

from certs.levels import Permission
from hil.meter.clock import MeterClock
from hil.meter.eventlog import EventCode, EventLog
from hil.meter.objects.base import Context, CosemObject, Method, Refusal, constant
from hil.meter.objects.measured import HOUR, MINUTE, data_object, register
from hil.meter.physics import Metrology
from hil.meter.settings import AVERAGING_PERIODS, Settings
from meterlink.cosem.data import (
    Data,
    array,
    boolean,
    enum_,
    i8,
    logical_name,
    null,
    octet_string,
    structure,
    u8,
    u16,
    u32,
    visible_string,
)
from meterlink.cosem.dates import CosemDate
from meterlink.cosem.results import DataAccessResult
from meterlink.values import Obis


class SettingObjects:
    """Builds the objects. Every change is logged with the client's SAP."""

    def __init__(self, settings: Settings, metrology: Metrology, clock: MeterClock, log: EventLog) -> None:
        self._settings = settings
        self._metrology = metrology
        self._clock = clock
        self._log = log

    def objects(self) -> list[CosemObject]:
        """Return all objects of this family."""
        return [
            data_object(
                "0-0:96.1.1",
                lambda _: visible_string(self._settings.property_number),
                write_with=self._set_property_number,
                write=Permission.CONFIGURE,
            ),
            data_object(
                "0-0:128.0.1",
                lambda _: octet_string(self._settings.set_day.to_bytes()),
                write_with=self._set_set_day,
                write=Permission.CONFIGURE,
            ),
            register(
                "6-0:0.8.0",
                lambda _: u8(self._metrology.averaging),
                0,
                MINUTE,
                write_with=self._set_averaging,
                write=Permission.CONFIGURE,
            ),
            data_object(
                "0-0:128.0.2",
                lambda _: boolean(self._settings.sealed),
                write_with=self._set_sealed,
                write=Permission.COMMISSION,
            ),
            register(
                "0-0:128.0.4",
                lambda _: u32(int(self._metrology.totals.missing_hours)),
                0,
                HOUR,
                reset=Method(self._reset_missing_time, Permission.COMMISSION),
            ),
            data_object(
                "6-0:97.97.0",
                lambda _: u16(self._metrology.faults),
                write_with=self._acknowledge_faults,
                write=Permission.COMMISSION,
            ),
            script_table("0-0:10.0.1", self._reset_maxima, Permission.COMMISSION),
            script_table("0-0:10.0.101", self._start_test, Permission.TEST),
            script_table("0-0:10.0.102", self._end_test, Permission.TEST),
            data_object("0-0:128.0.3", lambda _: boolean(self._settings.test_mode)),
        ]

    def _set_property_number(self, context: Context, value: Data) -> None:
        text = value.as_text()
        if not (text.isascii() and text.isdigit() and len(text) <= 8):
            raise Refusal(DataAccessResult.OTHER_REASON)
        self._settings.property_number = text.zfill(8)
        self._note(context, EventCode.SETTING_CHANGED)

    def _set_set_day(self, context: Context, value: Data) -> None:
        day = value.value if isinstance(value.value, CosemDate) else CosemDate.from_bytes(value.as_bytes())
        # A day of every year: the year and the weekday stay open. 2000 is a leap year, so that 29 February is one.
        if day.year is not None or CosemDate(2000, day.month, day.day).as_date() is None:
            raise Refusal(DataAccessResult.OTHER_REASON)
        self._settings.set_day = day
        self._note(context, EventCode.SETTING_CHANGED)

    def _set_averaging(self, context: Context, value: Data) -> None:
        if value.as_int() not in AVERAGING_PERIODS:
            raise Refusal(DataAccessResult.OTHER_REASON)
        self._metrology.averaging = value.as_int()
        self._note(context, EventCode.SETTING_CHANGED)

    def _set_sealed(self, context: Context, value: Data) -> None:
        self._settings.sealed = value.as_bool()
        self._note(context, EventCode.SEALED if self._settings.sealed else EventCode.UNSEALED)

    def _acknowledge_faults(self, context: Context, value: Data) -> None:
        if value.as_int():
            raise Refusal(DataAccessResult.OTHER_REASON)  # a client can clear flags, never set one
        self._metrology.acknowledge(context.now)

    def _reset_missing_time(self, context: Context, _: Data | None) -> None:
        self._metrology.reset_missing_time(context.now)
        self._note(context, EventCode.MISSING_TIME_RESET)

    def _reset_maxima(self, context: Context) -> None:
        self._metrology.reset_maxima(context.now)
        self._note(context, EventCode.MAXIMA_RESET)

    def _start_test(self, context: Context) -> None:
        totals, settings = self._metrology.totals, self._settings
        settings.test_energy, settings.test_volume = totals.energy, totals.volume
        settings.test_mode = True
        self._note(context, EventCode.TEST_MODE_ON)

    def _end_test(self, context: Context) -> None:
        self._settings.test_mode = False
        self._note(context, EventCode.TEST_MODE_OFF)

    def _note(self, context: Context, code: EventCode) -> None:
        self._log.add(self._clock.read(context.now), code, context.client.sap)


def script_table(name: str, run: Callable[[Context], None], right: Permission) -> CosemObject:
    """Return a Script table (IC 9) with one script, number 1, which calls ``run``."""

    def execute(context: Context, argument: Data | None) -> None:
        if argument is None or argument.as_int() != 1:
            raise Refusal(DataAccessResult.OBJECT_UNDEFINED)
        run(context)

    own = logical_name(Obis.parse(name))
    action = structure(enum_(2), u16(9), own, i8(1), null())  # service 2: the script executes a method
    attribute = constant(array((structure(u16(1), array((action,))),)))
    return CosemObject(9, name, {2: attribute}, {1: Method(execute, right)})
