"""Dates and times with every wildcard."""

from __future__ import annotations

import datetime as dt

import cosem_strategies as strategies
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.cosem.dates import (
    DAY_LAST,
    MONTH_DST_BEGIN,
    ClockStatus,
    CosemDate,
    CosemDateTime,
    CosemTime,
)
from meterlink.errors import ProtocolError, UsageError

VIENNA_SUMMER = dt.timezone(dt.timedelta(hours=2))


@given(st.binary(min_size=12, max_size=12))
def test_any_twelve_octets_are_a_date_time_and_come_back(octets: bytes) -> None:
    moment = CosemDateTime.from_bytes(octets)
    assert moment.to_bytes() == octets
    moment.as_datetime()
    assert str(moment)


@given(st.binary(min_size=5, max_size=5), st.binary(min_size=4, max_size=4))
def test_any_octets_are_a_date_or_a_time_and_come_back(date: bytes, time: bytes) -> None:
    assert CosemDate.from_bytes(date).to_bytes() == date
    assert CosemTime.from_bytes(time).to_bytes() == time
    CosemDate.from_bytes(date).as_date()
    CosemTime.from_bytes(time).as_time()


@given(strategies.date_times)
def test_every_field_can_be_open(moment: CosemDateTime) -> None:
    assert CosemDateTime.from_bytes(moment.to_bytes()) == moment
    assert moment.date == CosemDate.from_bytes(moment.date.to_bytes())
    assert moment.time == CosemTime.from_bytes(moment.time.to_bytes())


@given(
    st.datetimes(
        dt.datetime(1, 1, 1),
        dt.datetime(9999, 12, 31),
        timezones=st.none() | st.integers(-840, 840).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))),
    )
)
def test_a_moment_comes_back_to_the_hundredth(moment: dt.datetime) -> None:
    back = CosemDateTime.from_bytes(CosemDateTime.of(moment).to_bytes()).as_datetime()
    assert back == moment.replace(microsecond=moment.microsecond // 10_000 * 10_000)
    assert back is not None
    assert back.utcoffset() == moment.utcoffset()


def test_the_deviation_counts_from_local_time_to_utc() -> None:
    summer = CosemDateTime.from_bytes(bytes.fromhex("07EA0717050C0000 00FF8880".replace(" ", "")))
    assert summer.deviation == -120
    assert summer.as_datetime() == dt.datetime(2026, 7, 23, 12, tzinfo=VIENNA_SUMMER)
    assert summer.status == ClockStatus.DST_ACTIVE
    assert str(summer) == "2026-07-23 12:00:00+02:00"


def test_open_fields_show_as_stars_and_are_no_moment() -> None:
    midnight = CosemDateTime(hour=0, minute=0, second=0)
    assert midnight.as_datetime() is None
    assert str(midnight) == "****-**-** 00:00:00"


def test_seconds_may_be_open() -> None:
    assert CosemTime(7, 30).as_time() == dt.time(7, 30)
    assert CosemTime(7).as_time() is None


@pytest.mark.parametrize(
    "date",
    [CosemDate(2026, 2, 30), CosemDate(2026, 13, 1), CosemDate(2026, MONTH_DST_BEGIN, 1), CosemDate(2026, 1, DAY_LAST)],
)
def test_a_date_that_does_not_exist_is_kept_and_is_none(date: CosemDate) -> None:
    assert CosemDate.from_bytes(date.to_bytes()) == date
    assert date.as_date() is None


def test_a_deviation_of_more_than_a_day_is_no_moment() -> None:
    assert CosemDateTime(2026, 1, 1, 4, 0, 0, 0, 0, 1500).as_datetime() is None


@pytest.mark.parametrize(
    "value", [CosemDate(year=65535), CosemDate(month=255), CosemTime(hour=-1), CosemDateTime(deviation=-32768)]
)
def test_a_field_out_of_range_is_refused(value: CosemDate | CosemTime | CosemDateTime) -> None:
    with pytest.raises(UsageError):
        value.to_bytes()


@pytest.mark.parametrize("kind", [CosemDate, CosemTime, CosemDateTime])
def test_another_length_is_refused(kind: type[CosemDate] | type[CosemTime] | type[CosemDateTime]) -> None:
    with pytest.raises(ProtocolError):
        kind.from_bytes(bytes(3))


def test_dates_and_times_are_made_from_pythons() -> None:
    assert CosemDate.of(dt.date(2026, 11, 23)) == CosemDate(2026, 11, 23, 1)
    assert CosemTime.of(dt.time(1, 2, 3, 456_789)) == CosemTime(1, 2, 3, 45)
    assert CosemDateTime.of(dt.datetime(2026, 1, 1), status=None).status is None
