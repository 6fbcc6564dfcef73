"""Reading simulated meters over a real pseudo-terminal: the whole way from wake-up to readings."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import termios
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from hil.faces.bus import BusFace, BusMeter
from hil.faces.t230 import T230Face
from hil.faces.t330 import T330Face
from hil.faces.text import NamelessTextFace, TextFace
from hil.meter.device import HeatMeter
from hil.meter.physics import Fault
from hil.pty import PtyLine
from hil.wire import WireHandler, WireTransport
from meterlink.errors import LinkLost, LinkTimeout, LinkUnavailable, ProtocolError, UsageError
from meterlink.framing.mbus.frame import LongFrame
from meterlink.meters.decode import decode_capture
from meterlink.meters.notes import ENFORCES_NOTHING
from meterlink.meters.profile import Profile, profile, read_profile
from meterlink.meters.readers import read_capture, read_meter
from meterlink.readout import block_check
from meterlink.transport.base import LineSettings, SerialTransport
from meterlink.transport.serial import SerialPortTransport
from meterlink.transport.url import open_transport
from meterlink.values import MeterReport, Reading

SPEEDS = {getattr(termios, f"B{baud}"): baud for baud in (300, 600, 1200, 2400, 4800, 9600, 19200)}
START = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)
FAST = 25.0


class Meter:
    """A simulated meter on a pseudo-terminal that knows the speed its near end was set to."""

    def __init__(self) -> None:
        self.meter = HeatMeter(asyncio.get_running_loop().time(), START)
        self.port = ""

    def line_baud(self) -> int:
        handle = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
        try:
            return SPEEDS[termios.tcgetattr(handle)[4]]
        finally:
            os.close(handle)


@asynccontextmanager
async def on_a_line(
    make: Callable[[Meter], WireHandler], family: Profile
) -> AsyncIterator[tuple[Meter, SerialTransport]]:
    meter = Meter()
    async with PtyLine(lambda: make(meter)) as line:
        meter.port = line.port
        async with open_transport(f"optical:{line.port}?profile={family.name}") as transport:
            assert isinstance(transport, SerialTransport)
            yield meter, transport


def pick(report: MeterReport, name: str, storage: int = 0) -> Reading:
    return next(reading for reading in report.readings if (reading.name, reading.storage) == (name, storage))


async def test_text_live_values_and_totals_with_both_speeds() -> None:
    family = profile("t550")
    async with on_a_line(lambda m: TextFace(m.meter, line_baud=m.line_baud, speed=FAST), family) as (meter, transport):
        report = await read_meter(transport, family)
        assert transport.line.baud == 2400
    live = meter.meter.metrology.live
    assert abs(float(str(pick(report, "flow_temperature").value)) - live.flow) < 0.5
    assert pick(report, "power").unit == "kW"
    assert pick(report, "volume", storage=1).value == Decimal("1051.91")
    assert report.notes == (ENFORCES_NOTHING,)
    assert report.meter["serial_number"] == "00004711"


async def test_text_with_a_head_that_echoes_and_a_meter_without_a_name() -> None:
    family = live_only()

    def face(meter: Meter) -> WireHandler:
        return NamelessTextFace(meter.meter, line_baud=meter.line_baud, speed=FAST, head_echo=True)

    async with on_a_line(face, family) as (_, transport):
        capture, _ = await read_capture(transport, family)
    report = decode_capture(capture)
    assert report.meter["family"] == "t550"
    assert pick(report, "power").value is not None
    assert "the identification line is missing" in report.notes


async def test_in_real_time_with_faults_that_leave_live_values_empty() -> None:
    family = live_only()
    began = time.monotonic()
    async with on_a_line(lambda m: TextFace(m.meter, line_baud=m.line_baud), family) as (meter, transport):
        faults = Fault.AIR | Fault.RETURN_SENSOR_OPEN
        meter.meter.metrology.set_fault(faults, asyncio.get_running_loop().time())
        capture, notes = await read_capture(transport, family)
    # 45 characters of wake-up and request at 300 Bd, a name, and 200 characters of data at 2400 Bd: not before that.
    assert time.monotonic() - began > 2.5
    assert notes == ()
    report = decode_capture(capture)
    assert pick(report, "power").value is None
    assert "air" in pick(report, "power").note
    assert "F2: the cold-side temperature sensor is open" in str(pick(report, "error_flags").value)


def live_only() -> Profile:
    """A family like the T550's that asks for the live values alone."""
    text = (
        'name = "live"\ntitle = "Live"\nprotocol = "text"\n[line]\ndialogue = "text"\nstart = "300 7E1"\n'
        'data = "2400 7E1"\nwake_up = 40\nrequests = ["/#!\\r\\n"]\n'
    )
    return read_profile(text, "live.toml")


async def test_t230_answers_one_request_with_all_telegrams_through_an_echo() -> None:
    family = profile("t230")
    async with on_a_line(lambda m: T230Face(m.meter, line_baud=m.line_baud, speed=FAST, head_echo=True), family) as (
        _,
        transport,
    ):
        capture, notes = await read_capture(transport, family)
    assert notes == ()
    report = decode_capture(capture)
    assert report == decode_capture(capture.hex().encode(), hint="t230")
    assert report.meter["family"] == "t230"
    assert pick(report, "energy", storage=2).time is not None
    assert report.notes == (ENFORCES_NOTHING,)


async def test_t330_takes_four_steps_and_changes_the_line() -> None:
    family = profile("t330")
    told: list[str] = []
    async with on_a_line(lambda m: T330Face(m.meter, line_baud=m.line_baud, speed=FAST), family) as (_, transport):
        report = await read_meter(transport, family, progress=told.append)
        assert transport.line.baud == 9600
    assert report.meter["family"] == "t330"
    assert pick(report, "max_power").time is not None
    assert "step 4 of 4: waiting for the telegrams" in told


async def test_a_sleeping_meter_on_a_bus_is_woken_before_each_request() -> None:
    text = (
        'name = "x"\ntitle = "X"\nprotocol = "mbus"\n[line]\ndialogue = "bus"\nstart = "2400 8E1"\n'
        'data = "2400 8E1"\nwake_up = 40\npatience = 1.0\n'
    )
    family = read_profile(text, "x.toml")
    asked: list[bytes] = []

    class Sleeper(BusFace):
        def receive(self, data: bytes, now: float) -> bytes:
            asked.append(data)
            return super().receive(data.removeprefix(bytes(40)), now) if data.startswith(bytes(40)) else b""

    async with on_a_line(lambda m: Sleeper([BusMeter(m.meter, 5)]), family) as (_, transport):
        await transport.set_line(LineSettings(2400, 8, "E", 1))
        report = await read_meter(transport, family, address="5")
    assert pick(report, "energy").value is not None
    assert len(asked) > 2
    assert all(data.count(0, 0, 40) == 40 for data in asked)


async def test_silence_is_a_timeout_with_a_hint() -> None:
    text = (
        'name = "x"\ntitle = "X"\nprotocol = "mbus"\n[line]\ndialogue = "burst"\nstart = "9600 8E1"\n'
        'data = "9600 8E1"\nwake_up = 4\nrequests = ["10 7B FE 79 16"]\nsilence = 0.1\n'
    )
    family = read_profile(text, "x.toml")
    async with on_a_line(lambda m: T230Face(m.meter, speed=FAST, head_echo=True), family) as (_, transport):
        with pytest.raises(LinkTimeout) as raised:
            await read_meter(transport, family)
    assert raised.value.code == "no-answer"
    assert "head" in str(raised.value.hint)


class Chatter:
    """A meter of another family: it answers every request with the same noise."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    next_deadline: float | None = None

    def receive(self, data: bytes, now: float) -> bytes:
        return self._answer

    def handle_timer(self, now: float) -> bytes:
        return b""

    def closed(self, now: float) -> None:
        pass


async def test_a_meter_that_always_promises_more_is_given_up() -> None:
    more = LongFrame(0x08, 0, 0x78, b"\x01\x06\x05\x1f").to_bytes()
    text = (
        'name = "x"\ntitle = "X"\nprotocol = "mbus"\n[line]\ndialogue = "burst"\nstart = "9600 8E1"\n'
        'data = "9600 8E1"\nrequests = ["10 7B FE 79 16"]\nsilence = 0.1\n'
    )
    async with WireTransport(lambda: Chatter(more * 1000)) as transport:
        report = await read_meter(transport, read_profile(text, "x.toml"))
    assert "the meter stopped before its last telegram" in report.notes
    assert pick(report, "energy").value == Decimal(5)


async def test_a_wrong_block_check_is_worth_one_more_try() -> None:
    block = b"6.4(0001.5*kW)\r\n!\r\n\x03"
    good = b"/LUGCUH50\r\n\x02" + block + bytes((block_check(block),))
    answers = [good.replace(b"1.5", b"1.6"), good]

    class Hasty(Chatter):
        def receive(self, data: bytes, now: float) -> bytes:
            return answers.pop(0)

    async with WireTransport(lambda: Hasty(b"")) as transport:
        capture, _ = await read_capture(transport, quick("text"))
    assert capture == good
    answers[:] = [good.replace(b"1.5", b"1.6")] * 2
    async with WireTransport(lambda: Hasty(b"")) as transport:
        report = await read_meter(transport, quick("sign-on"))
    assert any("trust none" in note for note in report.notes)


class FixedSpeed(WireTransport, SerialTransport):
    """A head behind a network: its speed is set at the far end and cannot change."""

    @property
    def line(self) -> LineSettings:
        return LineSettings(2400, 7, "E", 1)

    async def set_line(self, settings: LineSettings) -> None:
        raise LinkUnavailable("fixed at 2400 7E1", code="line-settings")


async def test_a_head_with_a_fixed_speed_wakes_for_as_long_with_more_octets() -> None:
    heard: list[bytes] = []

    block = b"6.4(0001.5*kW)\r\n!\r\n\x03"
    answer = b"/LUGCUH50\r\n\x02" + block + bytes((block_check(block),))

    class Listening(Chatter):
        def receive(self, data: bytes, now: float) -> bytes:
            heard.append(data)
            return answer

    async with FixedSpeed(lambda: Listening(b"")) as transport:
        capture, _ = await read_capture(transport, live_only())
    assert heard == [bytes(320) + b"/#!\r\n"]
    assert pick(decode_capture(capture), "power").value == Decimal("1.5")


def quick(dialogue: str) -> Profile:
    text = (
        f'name = "q"\ntitle = "Q"\nprotocol = "text"\n[line]\ndialogue = "{dialogue}"\nstart = "9600 7E1"\n'
        'data = "9600 7E1"\nrequests = ["/?!\\r\\n"]\nsilence = 0.2\ndeadline = 2\n'
    )
    return read_profile(text, "q.toml")


async def test_an_answer_that_is_no_readout_is_told_from_silence() -> None:
    async with on_a_line(lambda m: Chatter(b"\x68\x03\x03\x68"), quick("text")) as (_, transport):
        with pytest.raises(ProtocolError) as raised:
            await read_meter(transport, quick("text"))
    assert raised.value.code == "no-identification"
    assert "68 03 03 68" in raised.value.message


async def test_endless_chatter_ends_at_the_deadline() -> None:
    class Endless(Chatter):
        def receive(self, data: bytes, now: float) -> bytes:
            self.next_deadline = now + 0.01
            return b"/"

        def handle_timer(self, now: float) -> bytes:
            self.next_deadline = now + 0.01
            return b"x" * 64

    family = quick("text")
    async with on_a_line(lambda m: Endless(b""), family) as (_, transport):
        with pytest.raises(LinkTimeout) as raised:
            await read_meter(transport, family)
    assert raised.value.code == "no-answer"


async def test_a_line_that_is_lost_in_the_middle_is_told() -> None:
    family = profile("t230")
    meter = Meter()
    line = PtyLine(lambda: T230Face(meter.meter, speed=1.0, head_echo=True))
    await line.start()
    transport = SerialPortTransport(line.port, LineSettings(2400, 8, "E", 1))
    await transport.open()
    try:
        reading = asyncio.create_task(read_meter(transport, family))
        asyncio.get_running_loop().call_later(1.6, lambda: asyncio.ensure_future(line.stop()))
        with pytest.raises(LinkLost):
            await reading
    finally:
        await transport.close()
        await line.stop()


async def test_a_family_that_is_not_read_this_way() -> None:
    cosem = read_profile('name = "c"\ntitle = "C"\nprotocol = "cosem"\n', "c.toml")
    async with on_a_line(lambda m: Chatter(b""), quick("text")) as (_, transport):
        with pytest.raises(UsageError):
            await read_meter(transport, cosem)
