"""The object model of the simulated heat meter: every COSEM object that all its associations share.

Logical names follow IEC 62056-6-1 and EN 13757-1 for medium 6 (heat): value group C is 1 energy, 2 volume, 8 power,
9 flow rate, 10 flow temperature, 11 return temperature, 12 temperature difference; value group D is 0 the current
value, 2 the value of the last set day, 5 the maximum, 6 a test value. C from 128 is the manufacturer's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from certs.levels import Permission
from hil.meter.device import HeatMeter
from hil.meter.eventlog import EventLog
from hil.meter.objects.association import sap_assignment
from hil.meter.objects.base import EVERYBODY, Context, CosemObject, Refusal
from hil.meter.objects.clock import ClockObject
from hil.meter.objects.image import ImageTransfer
from hil.meter.objects.measured import (
    CELSIUS,
    CUBIC_METRE,
    CUBIC_METRE_PER_HOUR,
    HOUR,
    KELVIN,
    WH,
    W,
    data_object,
    extended_register,
    register,
    time_stamp,
)
from hil.meter.objects.profile import Profile, Row
from hil.meter.objects.settings import SettingObjects
from hil.meter.physics import HourRecord, Live, Maxima
from meterlink.cosem.data import Data, i16, i32, octet_string, u8, u16, u32, visible_string
from meterlink.cosem.names import CLOCK, CaptureObject
from meterlink.cosem.results import DataAccessResult
from meterlink.values import Obis

ENERGY: Final = "6-0:1.0.0"
VOLUME: Final = "6-0:2.0.0"
POWER: Final = "6-0:8.0.0"
FLOW_RATE: Final = "6-0:9.0.0"
FLOW_TEMPERATURE: Final = "6-0:10.0.0"
RETURN_TEMPERATURE: Final = "6-0:11.0.0"
DIFFERENCE: Final = "6-0:12.0.0"
ERROR_FLAGS: Final = "6-0:97.97.0"
LOAD_PROFILE: Final = "6-0:99.1.0"
EVENT_LOG: Final = "0-0:99.98.0"
SECURITY_LOG: Final = "0-0:99.98.1"

_EVENT_CODE: Final = ("0-0:96.11.0", "0-0:96.11.1")
_EVENT_DETAIL: Final = "0-0:128.1.0"
_EVENT_COUNT: Final = "0-0:96.15.0"
_PROFILE_REGISTERS: Final = (ENERGY, VOLUME, FLOW_TEMPERATURE, RETURN_TEMPERATURE)
_HOURS_STORED: Final = 45 * 24
_MAX_U32: Final = 0xFFFF_FFFF


class ObjectModel:
    """Objects by their logical name."""

    def __init__(self, objects: Iterable[CosemObject]) -> None:
        self._objects = {item.name: item for item in objects}

    def __iter__(self) -> Iterator[CosemObject]:
        return iter(self._objects.values())

    def with_own(self, objects: Iterable[CosemObject]) -> ObjectModel:
        """Return a model in which ``objects`` belong to one association alone."""
        return ObjectModel([*self._objects.values(), *objects])

    def find(self, class_id: int, name: Obis) -> CosemObject:
        """Return the object. Raises :class:`~hil.meter.objects.base.Refusal` when there is none of this name, or when
        it is of another class."""
        item = self._objects.get(name)
        if item is None:
            raise Refusal(DataAccessResult.OBJECT_UNDEFINED)
        if item.class_id != class_id:
            raise Refusal(DataAccessResult.OBJECT_CLASS_INCONSISTENT)
        return item


def build_model(meter: HeatMeter) -> ObjectModel:
    """Return the objects of ``meter``."""
    settings = SettingObjects(meter.settings, meter.metrology, meter.clock, meter.events)
    return ObjectModel(
        [
            ClockObject(meter.clock, meter.events),
            sap_assignment(meter.device_name),
            *_identity(meter),
            *_current_values(meter),
            *_maxima(meter),
            *_set_day_values(meter),
            *_test_values(meter),
            *settings.objects(),
            _load_profile(meter),
            *_logs(meter),
            ImageTransfer(meter),
        ]
    )


def _identity(meter: HeatMeter) -> list[CosemObject]:
    device_name, serial = octet_string(meter.device_name), visible_string(meter.serial_number)
    model = visible_string(meter.model)
    return [
        data_object("0-0:42.0.0", lambda _: device_name, read=EVERYBODY),
        data_object("0-0:96.1.0", lambda _: serial),
        data_object("0-0:96.1.4", lambda _: model),
        data_object("6-0:0.2.0", lambda _: visible_string(meter.firmware)),
    ]


def _current_values(meter: HeatMeter) -> list[CosemObject]:
    totals = meter.metrology.totals

    def live() -> Live:
        return meter.metrology.live

    return [
        register(ENERGY, lambda _: _counter(totals.energy, 0), 0, WH),
        register(VOLUME, lambda _: _counter(totals.volume, 3), -3, CUBIC_METRE),
        register(POWER, lambda _: i32(round(live().power)), 0, W),
        register(FLOW_RATE, lambda _: i32(round(live().flow_rate * 1e3)), -3, CUBIC_METRE_PER_HOUR),
        register(FLOW_TEMPERATURE, lambda _: _temperature(live().flow), -2, CELSIUS),
        register(RETURN_TEMPERATURE, lambda _: _temperature(live().ret), -2, CELSIUS),
        register(DIFFERENCE, lambda _: _temperature(live().difference), -2, KELVIN),
        register("0-0:96.8.0", lambda _: _counter(totals.operating_hours, 0), 0, HOUR),
    ]


def _maxima(meter: HeatMeter) -> list[CosemObject]:
    def maxima() -> Maxima:
        return meter.metrology.maxima

    return [
        extended_register("6-0:8.5.0", lambda _: i32(round(maxima().power.value)), 0, W, lambda _: maxima().power.time),
        extended_register(
            "6-0:9.5.0",
            lambda _: i32(round(maxima().flow_rate.value * 1e3)),
            -3,
            CUBIC_METRE_PER_HOUR,
            lambda _: maxima().flow_rate.time,
        ),
        extended_register(
            "6-0:10.5.0", lambda _: _temperature(maxima().flow.value), -2, CELSIUS, lambda _: maxima().flow.time
        ),
        extended_register(
            "6-0:11.5.0", lambda _: _temperature(maxima().ret.value), -2, CELSIUS, lambda _: maxima().ret.time
        ),
    ]


def _set_day_values(meter: HeatMeter) -> list[CosemObject]:
    def stored() -> HourRecord:
        return meter.stored_on_set_day

    return [
        extended_register("6-0:1.2.0", lambda _: _counter(stored().energy, 0), 0, WH, lambda _: stored().time),
        extended_register(
            "6-0:2.2.0", lambda _: _counter(stored().volume, 3), -3, CUBIC_METRE, lambda _: stored().time
        ),
    ]


def _test_values(meter: HeatMeter) -> list[CosemObject]:
    """Energy in 0.01 Wh and volume in millilitres since the test mode began, for a test bench that cannot wait for a
    kilowatt-hour."""
    settings, totals = meter.settings, meter.metrology.totals

    def energy(_: Context) -> Data:
        return _counter(totals.energy - settings.test_energy if settings.test_mode else 0.0, 2)

    def volume(_: Context) -> Data:
        return _counter(totals.volume - settings.test_volume if settings.test_mode else 0.0, 6)

    return [
        register("6-0:1.6.0", energy, -2, WH, read=Permission.TEST),
        register("6-0:2.6.0", volume, -6, CUBIC_METRE, read=Permission.TEST),
    ]


def _load_profile(meter: HeatMeter) -> CosemObject:
    columns = [
        CLOCK,
        *(CaptureObject(3, Obis.parse(name), 2) for name in (ENERGY, VOLUME, FLOW_TEMPERATURE, RETURN_TEMPERATURE)),
        CaptureObject(1, Obis.parse(ERROR_FLAGS), 2),
    ]

    def rows(_: Context) -> list[Row]:
        return [Row(record.time, _hour_cells(record)) for record in meter.metrology.hourly]

    return Profile(LOAD_PROFILE, columns, rows, meter.clock, period=3600, capacity=_HOURS_STORED)


def _hour_cells(record: HourRecord) -> tuple[Data, ...]:
    return (
        time_stamp(record.time),
        _counter(record.energy, 0),
        _counter(record.volume, 3),
        _temperature(record.flow),
        _temperature(record.ret),
        u16(record.faults),
    )


def _logs(meter: HeatMeter) -> list[CosemObject]:
    """Two logs of the same shape. Codes, details and counts are also objects of their own: the last ones."""
    logs = ((EVENT_LOG, _EVENT_CODE[0], meter.events), (SECURITY_LOG, _EVENT_CODE[1], meter.security_events))
    objects: list[CosemObject] = []
    for name, code, log in logs:
        columns = [
            CLOCK,
            CaptureObject(1, Obis.parse(code), 2),
            CaptureObject(1, Obis.parse(_EVENT_DETAIL), 2),
            CaptureObject(1, Obis.parse(_EVENT_COUNT), 2),
        ]
        objects.append(_event_profile(name, columns, log, meter))
        objects.append(_last_event(code, log))
    return objects


def _event_profile(name: str, columns: list[CaptureObject], log: EventLog, meter: HeatMeter) -> CosemObject:
    def rows(_: Context) -> list[Row]:
        return [
            Row(row.time, (time_stamp(row.time), u8(row.code), u32(row.detail), u32(row.count))) for row in log.rows
        ]

    return Profile(name, columns, rows, meter.clock, period=0, capacity=log.rows.maxlen or 0)


def _last_event(name: str, log: EventLog) -> CosemObject:
    return data_object(name, lambda _: u8(log.rows[-1].code if log.rows else 0))


def _counter(value: float, digits: int) -> Data:
    """Return a counter cut, not rounded, to ``digits`` decimals: what is shown was measured. It rolls over."""
    return u32(int(value * 10**digits + 1e-9) & _MAX_U32)


def _temperature(celsius: float) -> Data:
    return i16(round(celsius * 100))
