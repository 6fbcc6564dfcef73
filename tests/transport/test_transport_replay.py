"""Recording and playing back."""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path

import pytest
from driven_clock import clock, driven
from hypothesis import given
from hypothesis import strategies as st

from hil.pty import PtyLine
from hil.transport_conformance import FarEnd
from meterlink.errors import DataError, LinkError, LinkLost, LinkTimeout, LinkUnavailable
from meterlink.transport.base import LineSettings, Parity, SerialTransport
from meterlink.transport.line import parse_line
from meterlink.transport.memory import pair
from meterlink.transport.replay import Entry, FileSink, Recorder, ReplayTransport, read_recording, record, replay
from meterlink.transport.serial import SerialPortTransport
from meterlink.transport.url import open_transport

SESSION = (
    Entry(0.0, "sent", b"/?!\r\n"),
    Entry(0.25, "received", b"/LUG"),
    Entry(0.3, "received", b"CUH50\r\n"),
    Entry(0.4, "sent", b"\x06"),
    Entry(0.5, "received", b"\x02"),
    Entry(0.6, "closed"),
)


async def test_what_crosses_is_recorded_in_order() -> None:
    near, far = pair()
    entries: list[Entry] = []
    async with record(near, entries.append) as recorder, far:
        await recorder.send(b"ab")
        await far.receive()
        await far.send(b"cd")
        assert await recorder.receive() == b"cd"
        assert recorder.inner is near
    assert [(entry.event, entry.data) for entry in entries] == [("sent", b"ab"), ("received", b"cd"), ("closed", b"")]
    assert sorted(entry.t for entry in entries) == [entry.t for entry in entries]


async def test_what_is_sent_is_recorded_before_it_leaves() -> None:
    near, _ = pair()
    entries: list[Entry] = []
    recorder = Recorder(near, entries.append)
    with pytest.raises(LinkLost):
        await recorder.send(b"never")
    assert [entry.event for entry in entries] == ["sent", "lost"]


async def test_a_loss_is_recorded() -> None:
    near, far = pair()
    entries: list[Entry] = []
    async with record(near, entries.append) as recorder:
        async with far:
            pass
        with pytest.raises(LinkLost):
            await recorder.receive()
    assert [entry.event for entry in entries] == ["lost", "closed"]


def test_a_file_is_read_back(tmp_path: Path) -> None:
    out = io.StringIO()
    sink = FileSink(out, "serial:/dev/x", dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC))
    for entry in SESSION:
        sink(entry)
    assert read_recording(out.getvalue().splitlines()) == ("serial:/dev/x", SESSION)


async def test_replay_answers_what_was_answered() -> None:
    async with ReplayTransport(SESSION) as meter:
        await meter.send(b"/?")
        await meter.send(b"!\r\n")
        assert await meter.receive(1.0) == b"/LUGCUH50\r\n"
        await meter.send(b"\x06")
        assert await meter.receive(1.0) == b"\x02"


async def test_after_the_end_of_a_recording_the_meter_is_silent() -> None:
    async with ReplayTransport(SESSION[:1]) as meter:
        await meter.send(b"/?!\r\n")
        with pytest.raises(LinkTimeout):
            await meter.receive(0.01)


@driven(by_itself=True)
async def test_replay_at_the_speed_of_the_recording() -> None:
    async with ReplayTransport(SESSION, speed=0.2) as meter:
        await meter.send(b"/?!\r\n")
        start = clock().time()
        assert await meter.receive(1.0) == b"/LUG"
        assert clock().time() - start == pytest.approx(0.05)


async def test_replay_refuses_what_was_not_sent_then() -> None:
    async with ReplayTransport(SESSION) as meter:
        with pytest.raises(LinkError) as caught:
            await meter.send(b"/#!\r\n")
        assert caught.value.code == "replay-differs"


async def test_the_first_difference_is_shown_and_not_all_of_it() -> None:
    async with ReplayTransport([Entry(0.0, "sent", bytes(500) + b"\x01" * 100)]) as meter:
        with pytest.raises(LinkError) as caught:
            await meter.send(bytes(500) + b"\x02" * 100)
    expected = "sent 02 02 02 02 02 02 02 02 02 02 02 02 02 02 02 02 where the recording has 01 01 01 01"
    assert caught.value.message.startswith(expected)
    assert caught.value.message.endswith("(after 500 octets alike)")


async def test_replay_refuses_more_than_was_sent_then() -> None:
    async with ReplayTransport(SESSION[:1]) as meter:
        with pytest.raises(LinkError) as caught:
            await meter.send(b"/?!\r\n\x06")
        assert caught.value.code == "replay-differs"


async def test_a_recorded_loss_is_played() -> None:
    async with ReplayTransport((*SESSION[:2], Entry(1.0, "lost", text="link-lost: gone"))) as meter:
        await meter.send(b"/?!\r\n")
        assert await meter.receive(1.0) == b"/LUG"
        with pytest.raises(LinkLost, match="gone"):
            await meter.receive(1.0)


async def test_a_replay_can_be_opened_again() -> None:
    meter = ReplayTransport(SESSION)
    for _ in range(2):
        async with meter:
            await meter.send(b"/?!\r\n")
            assert await meter.receive(1.0) == b"/LUGCUH50\r\n"


async def test_replay_by_url(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    with path.open("w", encoding="utf-8") as out:
        sink = FileSink(out, "serial:x", dt.datetime(2026, 1, 31, tzinfo=dt.UTC))
        for entry in SESSION:
            sink(entry)
    async with open_transport(f"replay:{path}") as meter:
        await meter.send(b"/?!\r\n")
        assert await meter.receive(1.0) == b"/LUGCUH50\r\n"


async def test_a_recording_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LinkUnavailable):
        open_transport(f"replay:{tmp_path / 'none'}")


async def test_a_serial_line_is_recorded_and_played_with_its_settings() -> None:
    slow, fast = LineSettings(300, 7, "E", 1), LineSettings(2400, 7, "E", 1)
    entries: list[Entry] = []
    far = FarEnd()
    async with PtyLine(far.handler) as line, record(SerialPortTransport(line.port, slow), entries.append) as recorder:
        assert isinstance(recorder, SerialTransport)
        await recorder.send(b"?")
        await far.wait_for(1)
        await recorder.set_line(fast)
        line.driver.say(b"!")
        assert await recorder.receive(1.0) == b"!"
    told = [(entry.event, entry.text or entry.data) for entry in entries]
    assert told == [("line", "300 7E1"), ("sent", b"?"), ("line", "2400 7E1"), ("received", b"!"), ("closed", b"")]
    async with replay(entries) as meter:
        assert isinstance(meter, SerialTransport)
        assert meter.line == slow
        await meter.send(b"?")
        await meter.set_line(fast)
        assert meter.line == fast
        assert await meter.receive(1.0) == b"!"
        with pytest.raises(LinkUnavailable) as caught:
            await meter.set_line(LineSettings(9600))
        assert caught.value.code == "line-settings"


@pytest.mark.parametrize("text", ["", "fast", "300", "300 7X1", "-1 7E1", "300 7E1 more"])
def test_a_recording_with_damaged_line_settings(text: str) -> None:
    with pytest.raises(DataError) as caught:
        replay([Entry(0.0, "line", text=text)])
    assert caught.value.code == "recording"


@given(st.integers(1, 1_000_000), st.sampled_from([7, 8]), st.sampled_from("NEO"), st.sampled_from([1, 2]))
def test_line_settings_survive_their_text(baud: int, bits: int, parity: Parity, stop: int) -> None:
    settings = LineSettings(baud, bits, parity, stop)
    assert parse_line(str(settings)) == settings


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "nonsense", '{"meterlink": "recording", "version": 2}']
    + [
        '{"meterlink": "recording", "version": 1}\n' + line
        for line in ("1", "{}", '{"t": 0, "event": "sent", "data": "0"}', '{"t": "0", "event": "closed"}', '{"t":')
    ],
)
def test_a_damaged_recording_is_refused(text: str) -> None:
    with pytest.raises(DataError) as caught:
        read_recording(text.splitlines())
    assert caught.value.code == "recording"


@given(st.binary(max_size=40), st.sampled_from(["sent", "received"]), st.floats(0, 1e6), st.text(max_size=20))
def test_an_entry_survives_its_line(data: bytes, event: str, t: float, text: str) -> None:
    entry = Entry(round(t, 6), event, data, text)  # type: ignore[arg-type]
    assert Entry.from_json(entry.to_json()) == entry
