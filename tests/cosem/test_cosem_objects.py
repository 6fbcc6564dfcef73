"""Units, scalers, interface class names and profile rows."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.cosem.data import NULL, Data, array, enum_, f32, i8, i32, octet_string, structure, u8, u16, u32
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.objects.classes import INTERFACE_CLASSES
from meterlink.cosem.objects.profile import decode_rows
from meterlink.cosem.objects.units import ScalerUnit, symbol
from meterlink.errors import ProtocolError


@pytest.mark.parametrize(
    ("value", "scaler", "unit", "decimal", "text"),
    [
        (u32(326062), 3, 30, "326062000", "Wh"),
        (u32(793956), -2, 13, "7939.56", "m³"),
        (i32(-125), -2, 9, "-1.25", "°C"),
        (u16(0), -3, 15, "0.000", "m³/h"),
        (f32(21.5), 0, 9, "21.5", "°C"),
    ],
)
def test_a_scaler_keeps_every_digit(value: Data, scaler: int, unit: int, decimal: str, text: str) -> None:
    scaler_unit = ScalerUnit.from_data(structure(i8(scaler), enum_(unit)))
    assert format(scaler_unit.apply(value), "f") == decimal
    assert scaler_unit.symbol == text


@given(st.integers(-128, 127), st.integers(0, 255))
def test_scaler_and_unit_come_back(scaler: int, unit: int) -> None:
    made = ScalerUnit(scaler, unit)
    assert ScalerUnit.from_data(made.to_data()) == made


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-9, 9))
def test_a_scaled_value_is_exact(value: int, scaler: int) -> None:
    assert ScalerUnit(scaler, 30).apply(i32(value)) == Decimal(value) * Decimal(10) ** scaler


@pytest.mark.parametrize("data", [NULL, u8(1), structure(i8(1)), structure(i8(1), octet_string(b"x"))])
def test_another_shape_of_scaler_unit_is_refused(data: Data) -> None:
    with pytest.raises(ProtocolError):
        ScalerUnit.from_data(data)


@pytest.mark.parametrize("value", [octet_string(b"12"), f32(float("nan")), f32(float("inf"))])
def test_no_number_is_no_value_of_a_register(value: Data) -> None:
    with pytest.raises(ProtocolError):
        ScalerUnit(0, 30).apply(value)


def test_an_unknown_unit_is_shown_by_its_number() -> None:
    assert symbol(200) == "unit 200"
    assert symbol(255) == ""


def test_names_of_attributes_and_methods() -> None:
    clock = INTERFACE_CLASSES[8]
    assert (clock.name, clock.attribute(2), clock.method(6)) == ("Clock", "time", "shift_time")
    assert clock.index_of("time_zone") == 3
    assert clock.attribute(40) == "attribute 40"
    assert clock.method(0) == "method 0"
    with pytest.raises(KeyError):
        clock.index_of("no_such")
    assert INTERFACE_CLASSES[64].method(3) == "key_agreement"
    assert INTERFACE_CLASSES[15].method(1) == "reply_to_HLS_authentication"


def stamp(moment: dt.datetime) -> Data:
    return octet_string(CosemDateTime.of(moment).to_bytes())


MIDNIGHT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def test_null_data_stands_for_the_row_before() -> None:
    buffer = array(
        [
            structure(stamp(MIDNIGHT), u32(100), u8(0)),
            structure(NULL, u32(101), NULL),
            structure(NULL, NULL, u8(4)),
        ]
    )
    rows = list(decode_rows(buffer, 3, clock_columns=(0,), capture_period=3600))
    assert [row[0].as_date_time().as_datetime() for row in rows] == [MIDNIGHT, MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR]
    assert [row[1].as_int() for row in rows] == [100, 101, 101]
    assert [row[2].as_int() for row in rows] == [0, 0, 4]


def test_without_a_period_a_null_time_is_the_time_before() -> None:
    rows = list(decode_rows(array([structure(stamp(MIDNIGHT)), structure(NULL)]), 1, clock_columns=(0,)))
    assert rows[0] == rows[1]


def test_null_data_in_the_first_row_stays() -> None:
    assert list(decode_rows(array([structure(NULL, u8(1)), structure(NULL, NULL)]), 2)) == [(NULL, u8(1))] * 2


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(ProtocolError):
        list(decode_rows(array([structure(u8(1)), structure(u8(1), u8(2))]), 1))
    with pytest.raises(ProtocolError):
        list(decode_rows(u8(1), 1))


@pytest.mark.parametrize(
    ("first", "period", "nulls"),
    [
        (dt.datetime(9999, 12, 31, 23, tzinfo=dt.UTC), 3600, 1),
        (dt.datetime(9999, 12, 31, 23), 3600, 1),
        (MIDNIGHT, 0xFFFFFFFF, 60),
    ],
)
def test_a_null_that_leads_beyond_the_calendar_is_refused(first: dt.datetime, period: int, nulls: int) -> None:
    rows = array([structure(stamp(first)), *[structure(NULL)] * nulls])
    with pytest.raises(ProtocolError) as caught:
        list(decode_rows(rows, 1, clock_columns=(0,), capture_period=period))
    assert caught.value.code == "unexpected-type"


def test_a_null_after_an_open_time_is_refused() -> None:
    wild = octet_string(CosemDateTime().to_bytes())
    with pytest.raises(ProtocolError):
        list(decode_rows(array([structure(wild), structure(NULL)]), 1, clock_columns=(0,), capture_period=900))
