"""The text face: a UH50 or T550 under an optical head (IEC 62056-21 mode B, 300 Bd, then 2400 Bd)."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar, Final

from hil.faces.head import HeadFace
from hil.meter.device import HeatMeter
from hil.meter.physics import Fault, Maximum
from meterlink.framing.iec62056_21 import ETX, STX, checked

START_BAUD: Final = 300
DATA_BAUD: Final = 2400
_REACTION: Final = 0.25
_CHANGE: Final = 0.4
"""Seconds between identification and data: the meter changes its speed."""
_LONGEST_REQUEST: Final = 64


class TextFace(HeadFace):
    """Answers the requests ``?`` (totals) and ``#`` (live values), each at two speeds."""

    bits = 10
    wake_up = 30
    first_line: ClassVar[bytes] = b"/LUGCUH50\r\n"

    readouts = 0
    """How many readouts were asked for."""

    def receive(self, data: bytes, now: float) -> bytes:
        """Take octets; the answer comes later, at its own pace."""
        if not self._hears(START_BAUD):
            self._awake.sleep()
            return self._echo(data)
        plain = bytes(octet & 0x7F for octet in data)
        arrived = self._pace.arrived(len(data), START_BAUD, now)
        request = self._awake.receive(plain, now, arrived)
        if request is None or len(request) > _LONGEST_REQUEST or not request.endswith(b"!\r\n"):
            return self._echo(data)
        self._awake.sleep()
        if request in (b"/?!\r\n", b"/#!\r\n"):
            self.readouts += 1
            self._answer(live=request[1:2] == b"#", now=now, arrived=arrived)
        return self._echo(data)

    def _answer(self, live: bool, now: float, arrived: float) -> None:
        self._pace.clear()
        lines = live_lines(self._meter, now) if live else total_lines(self._meter, now)
        block = "".join(f"{line}\r\n" for line in lines).encode("ascii") + b"!\r\n" + bytes((ETX,))
        self._pace.say(self.first_line, START_BAUD, arrived, _REACTION)
        self._pace.after(_CHANGE, bytes((STX,)) + checked(block), DATA_BAUD)


class NamelessTextFace(TextFace):
    """Leaves its identification out, as some T550 do."""

    first_line = b"\r\n\r\n"


def live_lines(meter: HeatMeter, now: float) -> list[str]:
    """Return the data lines of the live readout (request ``#``)."""
    meter.advance(now)
    measured = meter.metrology
    live, air = measured.live, bool(measured.faults & Fault.AIR)
    power = "" if air else f"{live.power / 1000:06.1f}*kW"
    flow = "" if air else f"{live.flow_rate:07.3f}*m3ph"
    return [
        f"6.8({_energy(measured.totals.energy)})6.26({measured.totals.volume:08.2f}*m3)9.21({meter.settings.property_number})",
        f"6.4({power})6.27({flow})6.29({live.flow:05.1f}*C)6.28({live.ret:05.1f}*C)6.30({live.difference:05.1f}*C)",
        f"F({_flags(measured.faults)})9.20({meter.serial_number})",
        f"9.36({meter.clock.read(now):%Y-%m-%d&%H:%M:%S})",
    ]


def total_lines(meter: HeatMeter, now: float) -> list[str]:
    """Return the data lines of the full readout (request ``?``)."""
    meter.advance(now)
    measured, stored, day = meter.metrology, meter.stored_on_set_day, meter.settings.set_day
    totals, maxima = measured.totals, measured.maxima
    number = meter.settings.property_number
    dates = (maxima.power, maxima.flow_rate, maxima.flow, maxima.ret)
    return [
        f"6.8({_energy(totals.energy)})6.26({totals.volume:08.2f}*m3)9.21({number})",
        f"6.26*01({stored.volume:08.2f}*m3)6.8*01({_energy(stored.energy)})",
        f"F({_flags(measured.faults)})9.20({meter.serial_number})6.35({measured.averaging}*m)",
        f"6.6({maxima.power.value / 1000:06.1f}*kW)6.33({maxima.flow_rate.value:07.3f}*m3ph)"
        f"9.4({maxima.flow.value:05.1f}*C&{maxima.ret.value:05.1f}*C)",
        f"6.31({totals.operating_hours:07.0f}*h)6.32({totals.missing_hours:07.0f}*h)9.22(R)",
        f"6.36({day.month:02d}-{day.day:02d}&00:00)6.8.1()6.8.2()",
        "".join(f"6.36.{n}({_date(maximum)})" for n, maximum in enumerate(dates, start=1)),
        f"9.36({meter.clock.read(now):%Y-%m-%d&%H:%M:%S})9.24(1.5*m3ph)",
        f"9.1(0&1&0&0000&CECV&CECV&1&{meter.firmware}&{meter.firmware}&F&101008&040404&08&0)",
        f"0.0({number})",
    ]


def _energy(watt_hours: float) -> str:
    return f"{watt_hours / 1e6:08.3f}*MWh"


def _date(maximum: Maximum) -> str:
    time: dt.datetime | None = maximum.time
    return "" if time is None else f"{time:%Y-%m-%d}"


def _flags(faults: Fault) -> str:
    """``0`` is no error; air in the tube shows as live values that are left empty."""
    return "&".join(str(n) for n in range(1, 10) if faults & 1 << n) or "0"
