"""A wired M-Bus with several meters: readouts, settings, scans, collisions."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

import pytest

from hil.faces.bus import BusFace, BusMeter
from hil.meter.device import HeatMeter, MeterOptions
from hil.wire import WireTransport
from meterlink.errors import LinkTimeout, LocalProtocolError, ProtocolError, UsageError
from meterlink.framing.mbus import requests
from meterlink.framing.mbus.frame import LongFrame
from meterlink.framing.mbus.master import (
    Acknowledged,
    Collision,
    Exchange,
    Exchanger,
    Expect,
    Outcome,
    Received,
    Script,
    Silence,
)
from meterlink.framing.mbus.requests import SecondaryAddress, parse_address
from meterlink.framing.mbus.scan import Heard, Progress, ScanResult, scan_primary, scan_secondary
from meterlink.meters.bus import MBus
from meterlink.meters.profile import profile
from meterlink.meters.readers import read_meter

START = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)


def meters(*serials: str) -> BusFace:
    now = asyncio.get_running_loop().time()
    made = [HeatMeter(now, START, MeterOptions(serial=serial, history=1)) for serial in serials]
    return BusFace([BusMeter(meter, address) for address, meter in enumerate(made, start=1)])


def bus_of(face: BusFace) -> tuple[WireTransport, MBus]:
    transport = WireTransport(lambda: face)
    bus = MBus(transport, baud=38400)
    # A line in the same process needs no patience; the deadlines of silence are what a scan waits for.
    bus._exchanger = Exchanger(10_000_000, patience=-0.045, gap=0.001)
    return transport, bus


def nobody(told: object) -> None:
    """Listen to nothing."""


async def test_a_readout_of_several_telegrams() -> None:
    transport, bus = bus_of(meters("11111111"))
    async with transport:
        frames, problem = await bus.read(1)
        assert len(frames) >= 2
        assert problem == ""
        again, _ = await bus.read(SecondaryAddress("11111111"))
    assert [frame.data[:4] for frame in again] == [frame.data[:4] for frame in frames]


async def test_read_meter_by_primary_and_secondary_address() -> None:
    face = meters("11111111", "22222222")
    for address, serial in (("2", "22222222"), ("1111FFFF", "11111111")):
        async with WireTransport(lambda: face) as transport:
            report = await read_meter(transport, profile("generic-mbus"), address=address)
        assert report.meter["serial_number"] == serial
        assert report.meter["manufacturer"] == "Landis+Gyr"


async def test_two_meters_at_once_collide() -> None:
    transport, bus = bus_of(meters("11111111", "22222222"))
    async with transport:
        with pytest.raises(ProtocolError) as raised:
            await bus.read(requests.BROADCAST_ANSWERED)
    assert raised.value.code == "collision"


async def test_nobody_there() -> None:
    transport, bus = bus_of(meters("11111111"))
    async with transport:
        with pytest.raises(LinkTimeout) as raised:
            await bus.read(77)
    assert raised.value.code == "no-answer"


async def test_settings_take_effect() -> None:
    face = meters("11111111")
    meter = face.meters[0]
    transport, bus = bus_of(face)
    async with transport:
        await bus.set_clock(1, dt.datetime(2027, 1, 2, 3, 4))
        await bus.set_primary_address(1, 42)
        await bus.set_identification(42, "1234")
        await bus.reset_application(42)
        await bus.set_baud(42, 9600)
        assert await bus.read_alarms(42) is None
    now = asyncio.get_running_loop().time()
    assert meter.meter.clock.read(now).replace(second=0, microsecond=0, tzinfo=None) == dt.datetime(2027, 1, 2, 3, 4)
    assert (meter.address, meter.number, meter.baud) == (42, "00001234", 9600)


async def test_a_setting_that_is_not_acknowledged_is_uncertain() -> None:
    face = meters("11111111")
    transport, bus = bus_of(face)
    async with transport:
        meter = face.meters[0]
        answer = meter.answer
        meter.answer = lambda frame, now: b"" if len(frame.to_bytes()) > 5 else answer(frame, now)  # type: ignore[method-assign]
        with pytest.raises(LinkTimeout) as raised:
            await bus.set_clock(1, dt.datetime(2027, 1, 2))
    assert raised.value.code == "write-uncertain"


async def test_the_scan_by_secondary_address_finds_every_meter_and_tells_how_far_it_is() -> None:
    serials = ("11111111", "11111112", "11119999", "50000000", "99999999")
    transport, bus = bus_of(meters(*serials))
    told: list[Progress] = []
    heard: list[Heard] = []
    async with transport:
        result = await bus.scan_secondary(told.append, heard.append)
    assert sorted(address[:8] for address in result.found) == sorted(serials)
    assert result.unresolved == ()
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    assert (told[0].done, told[-1].done, told[-1].found) == (0.0, 1.0, 5)
    assert heard == [Heard(address, alone=True) for address in result.found]


async def test_two_meters_with_one_number_are_named_as_unresolved() -> None:
    face = meters("11111111", "22222222")
    face.meters[1].meter.settings.property_number = "11111111"
    transport, bus = bus_of(face)
    # Same number, but another energy: the telegrams collide at every step.
    async with transport:
        result = await bus.scan_secondary(nobody, nobody, "1111111F")
    assert result.found == () or result.unresolved == ()
    assert (*result.found, *result.unresolved)[0].startswith("11111111")


async def test_the_scan_by_primary_address() -> None:
    face = meters("11111111", "22222222", "33333333")
    face.meters[2].address = 2
    transport, bus = bus_of(face)
    async with transport:
        result = await bus.scan_primary(nobody, nobody, 0, 5)
    assert (result.found, result.unresolved) == (("1",), ("2",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("250", 250),
        ("254", 254),
        ("12345678", SecondaryAddress("12345678")),
        ("1234ffff", SecondaryAddress("1234FFFF")),
        ("12345678A7320704", SecondaryAddress("12345678", 0x32A7, 7, 4)),
        ("12345678FFFFFFFF", SecondaryAddress("12345678")),
    ],
)
def test_addresses(text: str, expected: object) -> None:
    address = parse_address(text)
    assert address == expected
    if isinstance(address, SecondaryAddress):
        assert SecondaryAddress.from_bytes(address.to_bytes()).to_bytes() == address.to_bytes()
        assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", ["251", "255", "-1", "1234", "1234567", "12345678A7", "G2345678", ""])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_address(text)
    assert raised.value.code == "address"


def test_an_exchange_is_repeated_twice_and_then_given_up() -> None:
    exchanger = Exchanger(2400)
    request = requests.reset_link(1)
    exchanger.begin(Exchange(request, Expect.ACKNOWLEDGE), 0.0)
    sent, now = 0, 0.0
    outcome = None
    while outcome is None:
        sent += exchanger.data_to_send() == request
        assert exchanger.next_deadline is not None
        now = exchanger.next_deadline
        outcome = exchanger.handle_timer(now)
    assert (sent, outcome) == (3, Silence())
    assert now < 3


@pytest.mark.parametrize("baud", [300, 2400, 9600, 38400])
@pytest.mark.parametrize("patience", [0.0, 0.1, 2.0])
def test_silence_is_waited_for_as_long_as_the_standard_has_it_and_the_patience_more(baud: int, patience: float) -> None:
    # EN 13757-2: an answer begins within 330 bit times and 50 ms after the last of five characters of eleven bits.
    exchanger = Exchanger(baud, patience=patience)
    exchanger.begin(Exchange(requests.reset_link(1), Expect.ACKNOWLEDGE, retries=0), 7.0)
    end = 7.0 + (5 * 11 + 330) / baud + 0.05 + patience
    assert exchanger.next_deadline == pytest.approx(end)
    assert exchanger.handle_timer(end - 0.001) is None
    assert exchanger.receive(b"\xe5", end - 0.001) == Acknowledged()


def test_a_wake_up_goes_out_in_one_piece_with_each_request_and_takes_its_time() -> None:
    exchanger = Exchanger(2400, patience=0.1, wake=bytes(240))
    request = requests.reset_link(1)
    exchanger.begin(Exchange(request, Expect.ACKNOWLEDGE, retries=1), 0.0)
    waits = (245 * 11 + 330) / 2400 + 0.15
    for n, outcome in ((1, None), (2, Silence())):
        assert exchanger.data_to_send() == bytes(240) + request
        assert exchanger.next_deadline == pytest.approx(n * waits)
        assert exchanger.handle_timer(exchanger.next_deadline) == outcome


def test_an_echo_in_pieces_takes_no_time_from_the_meter() -> None:
    exchanger = Exchanger(300, patience=0.1, gap=0.05)
    request = requests.reset_link(1)
    exchanger.begin(Exchange(request, Expect.ACKNOWLEDGE, retries=0), 0.0)
    end = exchanger.next_deadline
    for n, octet in enumerate(request, start=1):
        assert exchanger.receive(bytes((octet,)), n * 11 / 300) is None
    assert exchanger.next_deadline == end
    assert exchanger.receive(b"\xe5", 1.2) == Acknowledged()


def played(script: Script[ScanResult], answer: Callable[[bytes], Outcome]) -> tuple[ScanResult, list[bytes]]:
    """Run a script against ``answer``; return its result and what it sent."""
    sent = []
    try:
        exchange = next(script)
        while True:
            sent.append(exchange.octets)
            exchange = script.send(answer(exchange.octets))
    except StopIteration as stop:
        return stop.value, sent


LET_GO = requests.reset_link(requests.NETWORK)


def test_nobody_is_told_to_let_go_when_nobody_was_selected() -> None:
    result, sent = played(scan_secondary("1111FFFF"), lambda octets: Silence())
    assert (result.found, sent.count(LET_GO), len(sent)) == ((), 1, 2)


def test_whoever_was_selected_is_told_to_let_go() -> None:
    # Two meters answer at once wherever both are selected; only one digit tells them apart.
    def answer(octets: bytes) -> Outcome:
        if octets == LET_GO:
            return Acknowledged()
        if len(octets) == 17:
            digits = octets[10:6:-1].hex()
            fits = [n for n in ("11110001", "11110002") if all(d in ("f", e) for d, e in zip(digits, n, strict=True))]
            asked.append(fits)
            return Acknowledged() if fits else Silence()
        return Collision(b"\xff") if len(asked[-1]) > 1 else Silence()

    asked: list[list[str]] = []
    result, sent = played(scan_secondary("1111000F"), answer)
    assert result.found == ("11110001", "11110002")
    # At the beginning, after the first selection of both, and after each of the two.
    assert sent.count(LET_GO) == 4


def test_the_late_answer_of_one_address_is_no_meter_at_the_next() -> None:
    outcomes = iter([Silence(), Acknowledged(), Silence(), Silence(), Acknowledged(), Received(LongFrame(8, 2, 0x78))])
    result, _ = played(scan_primary(0, 2), lambda octets: next(outcomes))
    assert result.found == ("2",)


def test_a_meter_without_data_is_found_all_the_same() -> None:
    outcomes = iter([Acknowledged(), Silence(), Acknowledged()])
    result, _ = played(scan_primary(7, 7), lambda octets: next(outcomes))
    assert result.found == ("7",)


def test_an_exchange_hears_through_its_echo_and_names_garbage() -> None:
    exchanger = Exchanger(2400)
    request = requests.request_data(1, True)
    exchanger.begin(Exchange(request, Expect.EITHER, retries=0), 0.0)
    assert exchanger.receive(bytes(240) + request, 0.1) is None
    assert exchanger.receive(b"\xe5", 0.2) == Acknowledged()
    exchanger.begin(Exchange(request, Expect.DATA, retries=0), 1.0)
    assert exchanger.receive(b"\x68\x00\x12\xff\xa5", 1.1) is None
    assert exchanger.next_deadline is not None
    assert exchanger.handle_timer(exchanger.next_deadline) == Collision(b"\x68\x00\x12\xff\xa5")


def test_a_line_that_never_falls_silent_is_given_up() -> None:
    exchanger = Exchanger(2400)
    exchanger.begin(Exchange(requests.request_data(1, True), Expect.DATA), 0.0)
    outcome, now = None, 0.1
    while outcome is None:
        outcome, now = exchanger.receive(b"\x55" * 100, now), now + 0.01
    assert isinstance(outcome, Collision)
    assert now < 1


def test_out_of_turn_is_our_own_fault_and_what_nobody_asked_for_is_ignored() -> None:
    exchanger = Exchanger(2400)
    assert exchanger.receive(b"\xe5", 0.0) is None
    assert exchanger.handle_timer(9.0) is None
    exchanger.begin(Exchange(requests.reset_link(255), Expect.NOTHING), 0.0)
    with pytest.raises(LocalProtocolError):
        exchanger.begin(Exchange(requests.reset_link(1), Expect.ACKNOWLEDGE), 0.0)
    assert exchanger.next_deadline is not None
    assert exchanger.handle_timer(exchanger.next_deadline) == Silence()


def test_a_telegram_that_waits_behind_a_false_start_is_found_when_the_line_falls_silent() -> None:
    frame = bytes.fromhex("68 06 06 68 08 01 78 01 06 05 8D 16")
    exchanger = Exchanger(2400)
    exchanger.begin(Exchange(requests.request_data(1, True), Expect.DATA), 0.0)
    assert exchanger.receive(bytes.fromhex("68 FF FF 68") + frame, 0.1) is None
    assert exchanger.next_deadline is not None
    assert isinstance(exchanger.handle_timer(exchanger.next_deadline), Received)


def test_a_telegram_in_pieces_is_received() -> None:
    frame = bytes.fromhex("68 06 06 68 08 01 78 01 06 05 8D 16")
    exchanger = Exchanger(2400)
    exchanger.begin(Exchange(requests.request_data(1, True), Expect.DATA), 0.0)
    for n, octet in enumerate(frame[:-1]):
        assert exchanger.receive(bytes((octet,)), 0.1 + n / 100) is None
    assert isinstance(exchanger.receive(frame[-1:], 0.3), Received)
