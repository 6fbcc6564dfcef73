"""What a master sends to set something, read back by the decoder."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.errors import UsageError
from meterlink.framing.mbus import requests
from meterlink.framing.mbus.frame import LongFrame, ShortFrame, read_frame
from meterlink.framing.mbus.requests import SecondaryAddress
from meterlink.mbus import commands, read_records
from meterlink.mbus.types import date, moment

MINUTES = st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2080, 12, 31)).map(
    lambda value: value.replace(second=0, microsecond=0)
)


@given(MINUTES)
def test_every_minute_that_can_be_set_is_read_back(value: dt.datetime) -> None:
    assert moment(commands.encode_moment(value)) == value
    assert date(commands.encode_date(value.date())) == value.date()


@pytest.mark.parametrize("year", [1999, 2081, 2100])
def test_years_that_a_meter_cannot_count_are_refused(year: int) -> None:
    with pytest.raises(UsageError) as raised:
        commands.set_clock(dt.datetime(year, 1, 1))
    assert raised.value.code == "setting-invalid"


def test_settings_are_the_standards_records() -> None:
    clock = read_records(commands.set_clock(dt.datetime(2027, 1, 2, 3, 4))).records[0]
    assert (clock.header.quantity, clock.value) == ("time", dt.datetime(2027, 1, 2, 3, 4))
    assert commands.set_primary_address(42) == bytes.fromhex("01 7A 2A")
    assert commands.set_identification("1234") == bytes.fromhex("0C 79 34 12 00 00")
    full = commands.set_full_identification("12345678", 0x32A7, 7, 4)
    assert full == bytes.fromhex("07 79 78 56 34 12 A7 32 07 04")


@pytest.mark.parametrize("number", ["", "123456789", "12a", "١٢"])
def test_numbers_that_are_none(number: str) -> None:
    with pytest.raises(UsageError):
        commands.set_identification(number or "x")


def test_fields_out_of_range() -> None:
    with pytest.raises(UsageError):
        commands.set_primary_address(251)
    with pytest.raises(UsageError):
        commands.set_full_identification("1", 0x10000, 0, 0)
    with pytest.raises(UsageError):
        requests.change_baud(1, 1234)
    with pytest.raises(UsageError):
        SecondaryAddress("123")


def test_requests_are_the_standards_frames() -> None:
    assert requests.reset_link(5) == ShortFrame(0x40, 5).to_bytes()
    assert requests.request_data(5, True) == ShortFrame(0x7B, 5).to_bytes()
    assert requests.request_data(5, False) == ShortFrame(0x5B, 5).to_bytes()
    assert requests.request_data(5, True, alarms=True) == ShortFrame(0x7A, 5).to_bytes()
    assert requests.reset_application(5, 0x10) == LongFrame(0x53, 5, 0x50, b"\x10").to_bytes()
    assert requests.change_baud(5, 9600) == LongFrame(0x53, 5, 0xBD).to_bytes()
    found = read_frame(requests.select(SecondaryAddress.parse("12345678A7320704")))
    assert isinstance(found, tuple)
    assert found[0] == LongFrame(0x53, 253, 0x52, bytes.fromhex("78 56 34 12 A7 32 07 04"))
