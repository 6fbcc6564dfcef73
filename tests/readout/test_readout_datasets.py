"""Data sets, and the numbers and dates inside them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.readout import (
    DamagedText,
    DataSet,
    DataValue,
    read_datasets,
    read_date,
    read_moment,
    read_number,
    read_set_day,
)


def test_sets_follow_one_another_with_and_without_line_ends() -> None:
    items = read_datasets("6.8(0326.062*MWh)6.26(07939.56*m3)\r\n\r\n\n  F(0)\r\n")
    assert items == [
        DataSet("6.8", (DataValue("0326.062", "MWh"),), "0326.062*MWh", 1),
        DataSet("6.26", (DataValue("07939.56", "m3"),), "07939.56*m3", 1),
        DataSet("F", (DataValue("0"),), "0", 4),
    ]


def test_several_values_stand_in_one_pair_of_parentheses() -> None:
    (item,) = read_datasets("9.4(108.5*C&088.1*C)")
    assert isinstance(item, DataSet)
    assert item.values == (DataValue("108.5", "C"), DataValue("088.1", "C"))


def test_parentheses_without_an_address_belong_to_the_one_before() -> None:
    first, second = read_datasets("P.01(0001)(0002*kW)")
    assert isinstance(first, DataSet)
    assert isinstance(second, DataSet)
    assert first.address == second.address == "P.01"


def test_empty_parentheses_are_an_empty_set() -> None:
    for text in ("6.4()", "9.2(&&)"):
        (item,) = read_datasets(text)
        assert isinstance(item, DataSet)
        assert item.is_empty


@pytest.mark.parametrize(
    ("line", "damaged", "sound"),
    [
        ("6.8(0326.062*MWh6.26(07939.56*m3)6.4(1*kW)", ["6.8(0326.062*MWh6.26(07939.56*m3)"], ["6.4"]),
        ("6.8 0326.062*MWh)6.26(07939.56*m3)", ["6.8 0326.062*MWh)"], ["6.26"]),
        ("6.8(0326.062*MWh", ["6.8(0326.062*MWh"], []),
        ("6$8(1)6.26(2)", ["6$8(1)"], ["6.26"]),
        ("just noise", ["just noise"], []),
    ],
)
def test_a_lost_character_costs_what_it_touches_and_no_more(line: str, damaged: list[str], sound: list[str]) -> None:
    items = read_datasets(line)
    assert [item.raw for item in items if isinstance(item, DamagedText)] == damaged
    assert [item.address for item in items if isinstance(item, DataSet)] == sound


@given(st.text(alphabet="().*&6.8 0F\r\n\x00", max_size=80))
def test_nothing_but_blanks_is_dropped(body: str) -> None:
    items = read_datasets(body)
    kept = sum(item.raw.count("8") + (item.address.count("8") if isinstance(item, DataSet) else 0) for item in items)
    assert kept >= body.count("8")


@pytest.mark.parametrize(
    ("text", "value"),
    [("0326.062", "326.062"), ("00000000", "0"), ("-12.50", "-12.50"), ("+3", "3"), ("12,5", "12.5"), (" 7 ", "7")],
)
def test_numbers(text: str, value: str) -> None:
    assert str(read_number(text)) == value


@pytest.mark.parametrize("text", ["", "032A.871", "1e3", "NaN", "--1", "1.2.3", "١٢", "0x10", "9" * 31])
def test_what_is_no_number(text: str) -> None:
    assert read_number(text) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_every_plain_number_is_read_digit_for_digit(value: Decimal) -> None:
    assert read_number(format(value, "f")) == value


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-09-07", dt.date(2018, 9, 7)),
        ("2022-06-08&10:06:51", dt.datetime(2022, 6, 8, 10, 6, 51)),
        ("2022-06-08 10:06", dt.datetime(2022, 6, 8, 10, 6)),
        ("22-06-08&10:06", dt.datetime(2022, 6, 8, 10, 6)),
        ("08.06.2022", dt.date(2022, 6, 8)),
        ("08.06.22 10:06", dt.datetime(2022, 6, 8, 10, 6)),
        ("20220608", dt.date(2022, 6, 8)),
        ("220608", dt.date(2022, 6, 8)),
        ("2206081006", dt.datetime(2022, 6, 8, 10, 6)),
        ("220608100651", dt.datetime(2022, 6, 8, 10, 6, 51)),
        ("12206081006", dt.datetime(2022, 6, 8, 10, 6)),
        ("0220608100651", dt.datetime(2022, 6, 8, 10, 6, 51)),
        ("2021-02-29", None),
        ("0000-00-00", None),
        ("2022-06-08&25:00", None),
        ("soon", None),
    ],
)
def test_moments(text: str, moment: dt.date | None) -> None:
    assert read_moment(text) == moment


def test_a_date_drops_the_time_of_day() -> None:
    assert read_date("2022-06-08&10:06:51") == dt.date(2022, 6, 8)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("01-01&00:00", "01-01 00:00"),
        ("01&00:00", "01 00:00"),
        ("02-29&23:59", "02-29 23:59"),
        ("13-01&00:00", None),
        ("32&00:00", None),
        ("01&24:00", None),
        ("", None),
    ],
)
def test_set_days(text: str, day: str | None) -> None:
    assert read_set_day(text) == day
