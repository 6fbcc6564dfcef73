"""The M-Bus telegrams of the simulated meter, in the layout of a captured T330 readout."""

from __future__ import annotations

import datetime as dt
from typing import Final

from hil.meter.device import HeatMeter
from hil.meter.eventlog import EventCode
from hil.meter.physics import Fault, HourRecord, Maximum
from meterlink.framing.mbus.frame import LongFrame
from meterlink.mbus.commands import encode_moment
from meterlink.mbus.identity import manufacturer_code

_RSP_UD: Final = 0x08
_CI_LONG: Final = 0x72
_MEDIUM_HEAT: Final = 0x04
_MONTHS: Final = 2
_NEVER: Final = bytes(4)


def readout(meter: HeatMeter, now: float, *, version: int, address: int = 0) -> list[LongFrame]:
    """Return all telegrams of a readout: current values, dates, then one for each stored month."""
    meter.advance(now)
    months = _months(meter)
    bodies = [_current(meter, now), _dates(meter), *(_month(n, record) for n, record in enumerate(months, start=2))]
    frames = []
    for number, body in enumerate(bodies, start=1):
        more = number < len(bodies)
        tail = bytes((0x1F if more else 0x0F, 0x21, 0x07, 0x00, 0x62, number))
        data = header(meter, number, version) + body + tail
        frames.append(LongFrame(_RSP_UD, address, _CI_LONG, data))
    return frames


def header(meter: HeatMeter, access: int, version: int, manufacturer: str = "LUG") -> bytes:
    """Return the long header of twelve octets."""
    faults = meter.metrology.faults
    status = (0x04 if faults & Fault.BATTERY else 0) | (0x10 if faults & ~Fault.BATTERY else 0)
    number = bytes.fromhex(meter.serial_number)[::-1]
    code = manufacturer_code(manufacturer).to_bytes(2, "little")
    return number + code + bytes((version, _MEDIUM_HEAT, access & 0xFF, status, 0, 0))


def _current(meter: HeatMeter, now: float) -> bytes:
    measured, stored = meter.metrology, meter.stored_on_set_day
    live, totals, maxima = measured.live, measured.totals, measured.maxima
    return b"".join(
        (
            b"\x0c\x06" + _bcd(totals.energy / 1000, 4),
            b"\x0c\x14" + _bcd(totals.volume * 100, 4),
            b"\x0b\x2d" + _bcd(live.power / 100, 3),
            b"\x0b\x3b" + _bcd(live.flow_rate * 1000, 3),
            b"\x0b\x5a" + _bcd(live.flow * 10, 3),
            b"\x0b\x5e" + _bcd(live.ret * 10, 3),
            b"\x0b\x62" + _bcd(live.difference * 10, 3),
            b"\x0c\x78" + bytes.fromhex(meter.serial_number)[::-1],
            b"\x3c\x22" + _bcd(totals.missing_hours, 4),
            b"\x0c\x22" + _bcd(totals.operating_hours, 4),
            b"\x9b\x10\x2d" + _bcd(maxima.power.value / 100, 3),
            b"\x9b\x10\x3b" + _bcd(maxima.flow_rate.value * 1000, 3),
            b"\x9b\x10\x5a" + _bcd(maxima.flow.value * 10, 3),
            b"\x9b\x10\x5e" + _bcd(maxima.ret.value * 10, 3),
            b"\x94\x10\xad\x6f" + _when(maxima.power),
            b"\x94\x10\xbb\x6f" + _when(maxima.flow_rate),
            b"\x94\x10\xda\x6f" + _when(maxima.flow),
            b"\x94\x10\xde\x6f" + _when(maxima.ret),
            b"\x4c\x06" + _bcd(stored.energy / 1000, 4),
            b"\x4c\x14" + _bcd(stored.volume * 100, 4),
            b"\x04\x6d" + encode_moment(meter.clock.read(now)),
        )
    )


def _dates(meter: HeatMeter) -> bytes:
    day = meter.settings.set_day
    # Every year on the set day: year 127 of type F.
    yearly = bytes((0x00, 0x00, (day.day or 1) | 0xE0, (day.month or 1) | 0xF0))
    monthly = bytes((0x00, 0x00, 0xE1, 0xFF))
    return (
        b"\x44\x6d"
        + encode_moment(meter.stored_on_set_day.time)
        + b"\x84\x8f\x0f\x6d"
        + yearly
        + (b"\xc4\x8f\x0f\x6d" + monthly)
        + _faults(meter)
    )


def _faults(meter: HeatMeter) -> bytes:
    """Return when each fault began that the meter had: a time point during error, its name as a plain-text unit."""
    began: dict[Fault, dt.datetime] = {}
    for event in meter.events.rows:
        if event.code is EventCode.FAULT_SET:
            began |= {fault: event.time for fault in Fault if event.detail & fault}
    out = b""
    for fault, time in began.items():
        name = f"F{fault.bit_length() - 1}".encode("ascii")
        out += b"\x34\xfc\x6e" + bytes((len(name),)) + name[::-1] + encode_moment(time)
    return out


def _month(storage: int, record: HourRecord) -> bytes:
    low = 0x80 | (storage & 1) << 6
    dife = bytes((storage >> 1,))
    return b"".join(
        (
            bytes((low | 0x0C,)) + dife + b"\x06" + _bcd(record.energy / 1000, 4),
            bytes((low | 0x0C,)) + dife + b"\x14" + _bcd(record.volume * 100, 4),
            bytes((low | 0x04,)) + dife + b"\x6d" + encode_moment(record.time),
        )
    )


def _months(meter: HeatMeter) -> list[HourRecord]:
    """Return what was stored at the last beginnings of months, the youngest first, as far as the memory reaches."""
    found = [record for record in meter.metrology.hourly if record.time.day == 1 and record.time.hour == 0]
    return found[::-1][:_MONTHS]


def _bcd(value: float, octets: int) -> bytes:
    """Return a rounded number as BCD; F leads a negative one."""
    number = round(value)
    digits = str(abs(number)).zfill(2 * octets)[-2 * octets :]
    if number < 0:
        digits = "F" + digits[1:]
    return bytes.fromhex(digits)[::-1]


def _when(maximum: Maximum) -> bytes:
    time: dt.datetime | None = maximum.time
    return _NEVER if time is None else encode_moment(time)
