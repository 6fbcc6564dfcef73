"""Records, one by one: every table, data type and oddity of EN 13757-3."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal

import pytest
from effort import effort
from hypothesis import given
from hypothesis import strategies as st

from meterlink.mbus import Function, Kind, Record, read_records
from meterlink.mbus.header import HEADER
from meterlink.mbus.profile import expand
from meterlink.mbus.record import _CACHE_LIMIT, _cache
from meterlink.mbus.types import scaled


def one(text: str) -> Record:
    records = read_records(bytes.fromhex(text))
    assert records.problem == ""
    (record,) = records.records
    return record


@pytest.mark.parametrize(
    ("octets", "quantity", "value", "unit"),
    [
        ("0C 06 43 01 00 00", "energy", "143", "kWh"),
        ("0C 07 43 01 00 00", "energy", "1430", "kWh"),
        ("04 03 FA 04 00 00", "energy", "1.274", "kWh"),
        ("04 0E 10 00 00 00", "energy", "16", "MJ"),
        ("04 FB 00 08 00 00 00", "energy", "0.8", "MWh"),
        ("04 FB 01 08 00 00 00", "energy", "8", "MWh"),
        ("04 FB 08 08 00 00 00", "energy", "0.8", "GJ"),
        ("0C 14 97 13 00 00", "volume", "13.97", "m³"),
        ("02 FB 10 01 00", "volume", "100", "m³"),
        ("0B 2D 40 00 00", "power", "4.0", "kW"),
        ("0B 3B 02 00 F0", "flow", "-0.002", "m³/h"),
        ("02 41 05 00", "flow", "0.000005", "m³/min"),
        ("02 5A F3 00", "flow_temperature", "24.3", "°C"),
        ("02 61 FE FF", "temperature_difference", "-0.02", "K"),
        ("02 22 10 00", "on_time", "16", "h"),
        ("02 FD 48 44 09", "voltage", "237.2", "V"),
        ("02 FD 5B 20 00", "current", "3.2", "A"),
        ("02 FD 74 10 00", "battery_remaining", "16", "d"),
        ("01 FD FD 02 18", "battery_remaining", "24", "months"),
        ("01 FD 17 81", "error_flags", "129", ""),
        ("02 FB 1A 2C 01", "relative_humidity", "30.0", "%"),
        ("05 5B 00 00 AC 41", "flow_temperature", "21.5", "°C"),
        ("05 2E 00 00 80 3F", "power", "1", "kW"),
        ("07 04 FF FF FF FF FF FF FF 7F", "energy", "92233720368547758.07", "kWh"),
        ("0E 04 99 99 99 99 99 99", "energy", "9999999999.99", "kWh"),
    ],
)
def test_numbers(octets: str, quantity: str, value: str, unit: str) -> None:
    record = one(octets)
    assert (record.header.quantity, record.value, record.header.unit) == (quantity, Decimal(value), unit)
    assert record.note == ""


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        ("42 6C FE 04", dt.date(2007, 4, 30)),
        ("42 6C 00 00", None),
        ("02 6C FF 1C", dt.date(2015, 12, 31)),
        ("04 6D 38 10 5E 39", dt.datetime(2026, 9, 30, 16, 56)),
        ("04 6D 00 00 00 00", None),
        ("04 6D 80 00 41 11", None),
        ("84 8F 0F 6D 00 00 E1 F1", "01-01 00:00"),
        ("C4 8F 0F 6D 00 00 E1 FF", "01 00:00"),
        ("C4 8F 4F 6D 3B 17 E0 FF", "* 23:59"),
        ("04 6D 3F 1F 41 11", "2010-01-01 *:*"),
        ("06 6D 1E 2D 0B 5E 39 27", dt.datetime(2026, 9, 30, 11, 45, 30)),
        ("06 6D 1E AD 0B 5E 39 27", None),
        ("03 6D 1E 2D 0B", "11:45:30"),
        ("03 6D 3F 2D 0B", "11:45:*"),
        ("03 6D 3F 3F 0E", "14:*:*"),
        ("03 6D 3F 3F 1F", "*:*:*"),
        ("03 6D FF FF FF", None),
        ("03 6D 3C 00 00", None),
        ("03 6D 00 00 18", None),
        ("06 6D 3F 1E 0E 1F 3C 00", "2024-12-31 14:30:*"),
        ("06 6D 00 3F 0E 1F 3C 00", "2024-12-31 14:*"),
        ("06 6D 1E 1E 0E E0 F0 00", "14:30:30"),
        ("06 6D 1E 1E 0E 00 00 00", None),
        ("8E 01 ED 6B 00 00 00 01 06 06", dt.datetime(2006, 6, 1)),
        ("04 6D 1E 6B 41 11", dt.datetime(2210, 1, 1, 11, 30)),
        ("02 6C E1 A1", dt.date(1987, 1, 1)),
    ],
)
def test_time_points(octets: str, value: object) -> None:
    assert one(octets).value == value


@pytest.mark.parametrize(
    ("octets", "words", "value"),
    [
        ("94 10 AD 6F 16 00 4C 39", "end of last", dt.datetime(2026, 9, 12, 0, 22)),
        ("94 10 BB 6F 00 16 4C 39", "end of last", dt.datetime(2026, 9, 12, 22, 0)),
        ("04 AD 6A 00 16 4C 39", "begin of first", dt.datetime(2026, 9, 12, 22, 0)),
        ("04 AD 6B 00 16 4C 39", "end of first", dt.datetime(2026, 9, 12, 22, 0)),
        ("04 AD 6E 00 16 4C 39", "begin of last", dt.datetime(2026, 9, 12, 22, 0)),
        ("04 AD 42 00 16 4C 39", "begin of first lower limit exceed", dt.datetime(2026, 9, 12, 22, 0)),
        ("04 AD 4F 00 16 4C 39", "end of last upper limit exceed", dt.datetime(2026, 9, 12, 22, 0)),
        ("02 AD 39 4C 39", "start", dt.date(2026, 9, 12)),
        ("02 AD FC 13 4C 39", "end", dt.date(2026, 9, 12)),
    ],
)
def test_an_extension_that_makes_a_time_of_any_quantity(octets: str, words: str, value: object) -> None:
    record = one(octets)
    assert record.header.kind is Kind.TIME_POINT
    assert record.header.extensions == (words,)
    assert record.header.unit == ""
    assert record.value == value


@pytest.mark.parametrize(
    ("octets", "unit", "value", "words"),
    [
        ("04 BE 50 3C 00 00 00", "s", "60", ("duration of first lower limit exceed",)),
        ("01 BE 5E 03", "h", "3", ("duration of last upper limit exceed",)),
        ("01 AD 66 03", "h", "3", ("duration of last",)),
        ("01 DB 49 03", "", "3", ("number of upper limit exceeds",)),
        ("02 AD 70 03 00", "kW", "0.0000003", ()),
        ("02 AD 7D 03 00", "kW", "300.0", ()),
        ("02 96 79 03 00", "m³", "3.01", ()),
        ("04 90 28 08 00 00 00", "m³/input pulse (channel 0)", "0.000008", ()),
        ("02 FD C9 FC 01 ED 00", "V", "237", ("phase L1",)),
        ("04 86 3B 01 00 00 00", "kWh", "1", ("forward flow only",)),
        ("04 83 FF 01 02 00 00 00", "kWh", "0.002", ("manufacturer specific 01",)),
        # Data types C (unsigned) and D (flags), whatever the VIF has else.
        ("01 83 FC 11 F0", "kWh", "0.240", ("data type C",)),
        ("01 83 FC 11 80", "kWh", "0.128", ("data type C",)),
        ("02 83 FC 12 00 80", "", "32768", ("data type D",)),
        # The unit is another one, and which is not said: none is better than a wrong one.
        ("04 93 3D E8 03 00 00", "", "1.000", ("non-metric unit",)),
        ("04 86 3D 02 00 00 00", "", "2000", ("non-metric unit",)),
        ("02 DB FC 0D 10 00", "", "16", ("alternative non-metric unit",)),
        ("02 AB 36 0A 00", "kW·s", "0.010", ()),
        ("02 AB 38 0A 00", "kW·s/A", "0.010", ()),
        # What is added counts the unit of the standard's table (°C, m³, Wh), not the power of ten of the number.
        ("02 DA 7B 0A 00", "°C", "2.0", ()),
        ("02 85 7B 0A 00", "kWh", "1.001", ()),
        ("02 85 F4 7B 0A 00", "kWh", "0.011", ()),
        ("02 96 F8 78 03 00", "m³", "3.002", ()),
        ("02 8B 7B 0A 00", "MJ", "0.010001", ()),
    ],
)
def test_combinable_extensions(octets: str, unit: str, value: str, words: tuple[str, ...]) -> None:
    record = one(octets)
    assert (record.header.unit, record.header.extensions) == (unit, words)
    assert record.value == Decimal(value)


def test_storage_tariff_and_subunit_grow_with_every_dife() -> None:
    header = one("DA 02 3B 13 01").header
    assert (header.function, header.storage) == (Function.MAXIMUM, 5)
    header = one("8B 60 04 37 18 02").header
    assert (header.storage, header.tariff, header.subunit) == (0, 2, 1)
    header = one("8C 91 50 06 00 00 00 00").header
    assert (header.storage, header.tariff, header.subunit) == (2, 5, 2)
    header = one("84 8F 0F 6D 00 00 E1 F1").header
    assert header.storage == 510


def test_ten_difes_and_ten_vifes_are_read_an_eleventh_is_not() -> None:
    assert one("81" + "80" * 9 + "00" + "86" + "BB" * 9 + "3B" + "07").value == 7
    records = read_records(bytes.fromhex("01 06 05" + "81" + "80" * 11 + "00 06 07"))
    assert len(records.records) == 1
    assert "more than ten" in records.problem


@pytest.mark.parametrize(
    ("octets", "digits"), [("0C 06 43 0A 00 00", "00000A43"), ("0A 5A EE EE", "EEEE"), ("0B 3B FF FF FF", "FFFFFF")]
)
def test_digits_that_are_none_make_the_value_invalid_and_are_shown(octets: str, digits: str) -> None:
    record = one(octets)
    assert record.value is None
    assert digits in record.note


@pytest.mark.parametrize("octets", ["01 5B 80", "02 5B 00 80", "04 06 00 00 00 80", "05 5B 00 00 C0 7F"])
def test_the_number_that_means_invalid(octets: str) -> None:
    record = one(octets)
    assert record.value is None
    assert record.note == "invalid"


def test_an_error_in_an_extension_is_told() -> None:
    record = one("04 86 15 00 00 00 00")
    assert "no data available" in record.note


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        ("0D FD 0B 06 35 33 32 44 56 52", "RVD235"),
        ("0D 06 C2 34 12", Decimal("1234")),
        ("0D 06 D2 34 12", Decimal("-1234")),
        ("0D 06 E2 FF FF", Decimal("-1")),
        ("0D 06 F0 01" + "00" * 15, Decimal("1")),
        ("0D 78 00", ""),
        ("0D 06 E0", None),
        ("0D 06 E1 80", None),
        # Binary numbers and digits are what they are in a field of fixed length.
        ("0D FD 17 E1 80", Decimal(128)),
        ("0D FD 08 E1 9C", Decimal(156)),
        ("0D FD 74 E2 F0 FF", Decimal(65520)),
        ("0D 78 E4 FF FF FF FF", "4294967295"),
        ("0D 78 C3 56 34 02", "023456"),
        ("0D FD 0A E2 A7 32", "LUG"),
        ("0D FD 11 E2 01 02", b"\x01\x02"),
    ],
)
def test_fields_of_variable_length(octets: str, value: object) -> None:
    assert one(octets).value == value


@pytest.mark.parametrize(
    ("octets", "letter", "value"),
    [
        # Type M stands where a time point has a field of variable length, whatever makes it one.
        ("0D 6D E6 01 02 03 04 05 06", "M", "010203040506"),
        ("1D AD 6F E4 01 02 03 04", "M", "01020304"),
        ("0D FD 30 E2 01 02", "M", "0102"),
        ("04 FD 72 01 02 03 04", "K", "01020304"),
        ("0D FD 73 EB 01 02 03 04 05 06 07 08 09 0A 0B", "L", "0102030405060708090a0b"),
    ],
)
def test_data_types_that_are_not_read_are_named_and_kept(octets: str, letter: str, value: str) -> None:
    record = one(octets)
    assert record.value == bytes.fromhex(value)
    assert record.note == f"data type {letter}, kept as octets: {record.data.hex(' ').upper()}"


@given(st.sampled_from(["0D 6D", "1D AD 6F", "0D FD 30", "0D FD 70"]), st.binary(min_size=1, max_size=15))
def test_of_a_time_point_of_variable_length_no_date_is_guessed(header: str, octets: bytes) -> None:
    record = one((bytes.fromhex(header) + bytes((0xE0 | len(octets),)) + octets).hex())
    assert record.value == octets
    assert "data type M" in record.note


def test_what_has_another_length_is_not_taken_for_such_a_type() -> None:
    assert one("01 FD 73 05").note == ""
    assert one("02 FD 72 01 02").note == ""
    assert one("0D 6D 03 61 62 63").note == ""
    assert one("0D FD 0B E2 01 02").note == ""


def test_a_reserved_length_ends_the_reading() -> None:
    assert "reserved length" in read_records(bytes.fromhex("0D 06 FF 00")).problem


@pytest.mark.parametrize(
    ("octets", "unit", "value"),
    [
        ("02 FC 03 48 52 25 74 D4 11", "%RH", Decimal("45.64")),
        ("02 FC 74 03 48 52 25 D4 11", "%RH", Decimal("45.64")),
        ("34 FC 6E 02 54 46 1E 07 38 39", "FT", dt.datetime(2025, 9, 24, 7, 30)),
        ("02 7C 09 65 6D 69 74 20 2E 74 61 62 D2 0F", "bat. time", Decimal(4050)),
    ],
)
def test_plain_text_units_behind_the_vif_and_behind_its_extensions(octets: str, unit: str, value: object) -> None:
    record = one(octets)
    assert (record.header.quantity, record.value) == (unit, value)


def test_idle_fillers_manufacturer_data_and_more_to_follow() -> None:
    records = read_records(bytes.fromhex("2F 2F 01 06 05 2F 1F 21 07"))
    assert len(records.records) == 1
    assert (records.manufacturer_data, records.more_follow) == (b"\x21\x07", True)
    assert not read_records(bytes.fromhex("01 06 05 0F 21")).more_follow


def test_an_obis_declaration_is_no_amount() -> None:
    record = one("06 83 3F 01 02 03 04 05 FF")
    assert (record.value, record.header.unit) == (bytes.fromhex("0102030405FF"), "")
    assert record.header.extensions == ("OBIS declaration",)


def test_a_customer_number_in_digits_keeps_its_zeros() -> None:
    assert one("0C FD 11 34 12 00 00").value == "00001234"


@pytest.mark.parametrize("octets", ["01 FF 01 80", "01 6F 80"])
def test_of_what_is_not_known_no_number_means_invalid(octets: str) -> None:
    record = one(octets)
    assert (record.value, record.note) == (Decimal(-128), "")


def test_unknown_codes_are_kept_raw() -> None:
    record = one("02 FD 7A 34 12")
    assert not record.header.is_known
    assert (record.data, record.value) == (b"\x34\x12", Decimal(0x1234))


def points(octets: str) -> list[tuple[int, object, str]]:
    records = read_records(bytes.fromhex(octets)).records
    (profile,) = (record for record in records if record.header.profile)
    return [(point.storage, point.time, str(point.value)) for point in expand(profile, records)]


def test_compact_profile_example_of_the_standard() -> None:
    # EN 13757-3, F.2.7: three hourly values after midnight.
    assert points("84046D00204111 8B0415003012 8D04951F056901030211") == [
        (9, dt.datetime(2010, 1, 1, 1), "12300.3"),
        (10, dt.datetime(2010, 1, 1, 2), "12300.5"),
        (11, dt.datetime(2010, 1, 1, 3), "12301.6"),
    ]


def test_inverse_compact_profile_example_of_the_standard() -> None:
    # EN 13757-3, F.2.8: the same, from the youngest back.
    assert points("84046D00234111 8B0415163012 8D049513056901110203") == [
        (9, dt.datetime(2010, 1, 1, 2), "12300.5"),
        (10, dt.datetime(2010, 1, 1, 1), "12300.3"),
        (11, dt.datetime(2010, 1, 1, 0), "12300.0"),
    ]


def test_inverse_compact_profile_by_months_keeps_the_last_day() -> None:
    # OMS specification, volume 2, annex G, tables G.6 and G.7.
    assert points("0C1313100000 026C1F15 0D93130A7AFE5802320314024401") == [
        (1, dt.date(2008, 4, 30), "0.755"),
        (2, dt.date(2008, 3, 31), "0.423"),
        (3, dt.date(2008, 2, 29), "0.209"),
        (4, dt.date(2008, 1, 31), "0.065"),
    ]


def test_compact_profile_with_registers_and_absolute_values() -> None:
    # OMS: monthly values of an electricity meter, registers 33 and 34.
    found = points("8680016D0000A0411135 84900103F0490200 8D900183 1E0A04FEA0860100D0FB0100")
    assert [(storage, value) for storage, _, value in found] == [(33, "100.000"), (34, "130.000")]


@given(st.binary(max_size=260))
def test_junk_never_raises_and_nothing_is_lost(data: bytes) -> None:
    records = read_records(data)
    for record in records.records:
        assert isinstance(record.note, str)
        if record.header.profile:
            expand(record, records.records)
    if records.problem:
        assert records.rest
        assert data.endswith(records.rest)


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.integers(0, 7))
def test_integers_keep_every_digit(number: int, code: int) -> None:
    record = one((bytes((0x04, code)) + struct.pack("<i", number)).hex())
    assert record.value == scaled(number, code - 6)


def test_noise_does_not_fill_the_memory() -> None:
    for n in range(3 * _CACHE_LIMIT):
        read_records(bytes((0x81, n >> 7 & 0x7F, 0x80 | n & 0x7F, 0x70 | n & 0x0F, 0)))
    assert len(_cache) <= _CACHE_LIMIT


def test_the_longest_telegram_of_tiny_records_is_little_work() -> None:
    few, many = (effort(lambda count=count: read_records(b"\x00\x06" * count)) for count in (63, 126))
    assert many < 2.2 * few
    assert many < 10 * 126


@given(st.binary(min_size=2, max_size=24))
def test_the_header_pattern_is_the_rule_of_the_extension_bit(data: bytes) -> None:
    def end_of_chain(at: int) -> int | None:
        for n in range(11):
            if at + n >= len(data):
                return None
            if not data[at + n] & 0x80:
                return at + n + 1
        return None

    middle = end_of_chain(0)
    expected = None if middle is None else end_of_chain(middle)
    match = HEADER.match(data)
    assert (None if match is None else match.end()) == expected


@pytest.mark.parametrize(
    "octets",
    [
        "8D04951F01 69",
        "8D04951F00",
        "8D04951F04 61 01 01 02 03",
        "8D04951F05 6D 01 01 02 03",
        "8D04951F05 69 01 01 02 03",
    ],
)
def test_a_profile_that_is_malformed_or_hangs_on_nothing_gives_no_values(octets: str) -> None:
    records = read_records(bytes.fromhex(octets)).records
    for record in records:
        if record.header.profile:
            assert all(point.value is None for point in expand(record, records))


def test_elements_that_are_invalid_and_times_that_cannot_be_told() -> None:
    base = "84046D00204111 84041500300000"
    # Signed differences with one invalid; a spacing of 0 is a list without time; half months are not counted out.
    assert [value for _, _, value in points(base + "8D04951F04 F1 00 80 01")] == ["None", "None"]
    assert [time for _, time, _ in points(base + "8D04951F04 71 FD 02 01")] == [None, None]
    decrements = points(base + "8D04951F04 B1 01 02 01")
    assert [value for _, _, value in decrements] == ["1228.6", "1228.5"]
    real = points("8404 6D 00204111 8D04951F06 35 01 00 00 80 3F")
    assert [(storage, value) for storage, _, value in real] == [(9, "0.1")]
