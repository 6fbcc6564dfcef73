"""Addresses in the URL: HDLC in the form that a meter hears, and what is no address."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands_field import SERIAL, FieldMeter, served

from hil.wire import WireHandler
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.reader import FrameReader


class HardOfHearing:
    """The meter's end of a line that takes frames to an address of ``size`` octets alone."""

    def __init__(self, line: WireHandler, size: int) -> None:
        self._line = line
        self._size = size
        self._reader = FrameReader()

    def receive(self, data: bytes, now: float) -> bytes:
        frames = [found for found in self._reader.feed(data) if isinstance(found, HdlcFrame)]
        heard = [frame.to_bytes() for frame in frames if frame.destination.size == self._size]
        return self._line.receive(b"".join(heard), now)

    def handle_timer(self, now: float) -> bytes:
        return self._line.handle_timer(now)

    @property
    def next_deadline(self) -> float | None:
        return self._line.next_deadline

    def closed(self, now: float) -> None:
        self._line.closed(now)


class Deaf:
    """A meter's server whose HDLC lines are hard of hearing."""

    def __init__(self, meter: FieldMeter, size: int) -> None:
        self._meter = meter
        self._size = size

    def hdlc_line(self) -> WireHandler:
        return HardOfHearing(self._meter.server.hdlc_line(), self._size)

    wrapper_connection = hdlc_line


@pytest.mark.parametrize(
    ("size", "address"),
    [
        (1, ""),
        (1, "&address-size=1"),
        (2, "&physical=16"),
        (2, "&physical=16&address-size=2"),
        (4, "&physical=16&address-size=4"),
    ],
)
def test_a_meter_is_reached_in_the_form_of_address_that_it_hears(
    meterlink, field_meter: FieldMeter, size: int, address: str
) -> None:
    with served(Deaf(field_meter, size), "hdlc") as url:
        done = meterlink("read", f"{url}&security=none&client=17{address}", "--object", "serial-number")
    assert (done.status, done.err) == (0, "")
    assert SERIAL in done.out


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("framing=hdlc&client=17&address-size=3", "address-size is one of 1, 2, 4"),
        ("framing=hdlc&client=17&address-size=", "address-size is one of 1, 2, 4"),
        ("framing=hdlc&client=17&address-size=4", "names the physical device, too"),
        ("framing=hdlc&client=17&address-size=1&physical=16", "HDLC has no such address"),
        ("framing=hdlc&client=17&address-size=1&server=128", "HDLC has no such address"),
        ("framing=hdlc&client=17&address-size=2&physical=128", "HDLC has no such address"),
        ("framing=hdlc&client=128", "HDLC has no such address"),
        ("framing=wrapper&client=17&address-size=4", "address-size is for HDLC"),
    ],
)
@pytest.mark.parametrize("security", ["none", "certificate"])
def test_what_is_no_address_is_told_before_anything_is_opened(
    meterlink, tmp_path: Path, query: str, said: str, security: str
) -> None:
    trace = tmp_path / "trace"
    done = meterlink("read", f"tcp://127.0.0.1:1?security={security}&{query}", "--object", "energy", "--trace", trace)
    assert (done.status, done.code) == (2, "url-invalid")
    assert said in done.err
    assert '"sent"' not in trace.read_text()
