"""Text readouts become readings by the profile of the family."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from meterlink import samples
from meterlink.errors import DataError, UsageError
from meterlink.meters.decode import decode_capture
from meterlink.meters.notes import ENFORCES_NOTHING
from meterlink.values import MeterReport, Obis, Reading

CAPTURES = Path(__file__).parent.parent / "data" / "heat" / "iec-text"


def pick(report: MeterReport, name: str, storage: int = 0, tariff: int = 0) -> Reading:
    (reading,) = (r for r in report.readings if (r.name, r.storage, r.tariff) == (name, storage, tariff))
    return reading


def test_the_t550_capture() -> None:
    report = decode_capture((CAPTURES / "LGUHT550_dummy_utf8.txt").read_bytes())
    assert report.meter["serial_number"] == "66935074"
    assert report.meter["firmware"] == "5.19"
    energy = pick(report, "energy")
    assert (str(energy.value), energy.unit, energy.obis) == ("326.062", "MWh", Obis.parse("6-0:1.0.0"))
    assert pick(report, "energy", storage=1).value == Decimal("323.272")
    assert pick(report, "volume", storage=1).source == "6.26*01"
    assert pick(report, "clock").value == dt.datetime(2022, 6, 8, 10, 6, 51)
    assert pick(report, "yearly_set_day").value == "01-01 00:00"
    assert pick(report, "error_flags").value == "no error"
    assert pick(report, "energy", tariff=3).value is None


def test_the_uh50_capture_is_in_gigajoule_and_sound() -> None:
    report = decode_capture((CAPTURES / "LUGCUH50_dummy_utf8.txt").read_bytes())
    energy = pick(report, "energy")
    assert (energy.value, energy.unit) == (Decimal("328.871"), "GJ")
    assert not [reading for reading in report.readings if reading.note]
    assert report.notes == (ENFORCES_NOTHING,)


def test_maxima_carry_their_date() -> None:
    report = decode_capture((CAPTURES / "LUGCUH50_dummy_utf8.txt").read_bytes())
    expected = {
        "max_power": (Decimal("22.4"), dt.date(2018, 3, 3)),
        "max_flow": (Decimal("0.744"), dt.date(2020, 6, 23)),
        "max_flow_temperature": (Decimal("98.5"), dt.date(2012, 2, 3)),
        "max_return_temperature": (Decimal("96.1"), dt.date(2017, 1, 18)),
    }
    for storage in (0, 1):
        for name, (value, day) in expected.items():
            reading = pick(report, name, storage)
            assert (reading.value, reading.time) == (value, day)


def test_one_bad_digit_costs_one_value() -> None:
    bad = decode_capture((CAPTURES / "LUGCUH50_dummy_error_utf8.txt").read_bytes())
    good = decode_capture((CAPTURES / "LUGCUH50_dummy_utf8.txt").read_bytes())
    assert pick(bad, "energy") == Reading(
        "energy", None, "GJ", Obis.parse("6-0:1.0.0"), source="6.8", note="is no number", raw="032A.871*GJ"
    )
    assert [r for r in bad.readings if r.source != "6.8"] == [r for r in good.readings if r.source != "6.8"]
    assert any("block check is wrong" in note for note in bad.notes)
    assert any("energy (6.8)" in note and "032A.871" in note for note in bad.notes)


def test_a_wrong_block_check_without_a_bad_value_trusts_none() -> None:
    changed = (CAPTURES / "LUGCUH50_dummy_utf8.txt").read_bytes().replace(b"0328.871", b"0328.872")
    assert any("trust none" in note for note in decode_capture(changed).notes)


def test_unknown_codes_are_kept_as_they_are() -> None:
    report = decode_capture(b"/LUGCUH50\r\n6.8(1*MWh)77.1(what&ever*X)\r\n!\r\n")
    assert pick(report, "77.1").value == "what&ever*X"


def test_every_code_of_a_capture_is_in_the_report() -> None:
    for file in CAPTURES.glob("*.txt"):
        text = file.read_text()
        codes = {part.rpartition(")")[2].strip() for part in text[text.index("6.8(") :].split("(")[:-1]}
        sources = {reading.source for reading in decode_capture(text.encode()).readings}
        assert codes - sources == set()


def test_a_readout_without_its_first_line_is_known_by_its_codes() -> None:
    data = (CAPTURES / "LGUHT550_dummy_utf8.txt").read_bytes().partition(b"\n")[2]
    report = decode_capture(data)
    assert report.meter["family"] == "t550"
    assert pick(report, "energy").value == Decimal("326.062")


@pytest.mark.parametrize(("unit", "value"), [("kWh", "0326062"), ("GJ", "326.062"), ("MWh", "326.062")])
def test_the_unit_is_the_meters_own(unit: str, value: str) -> None:
    energy = pick(decode_capture(f"/LUGCUH50\r\n6.8({value}*{unit})\r\n!".encode()), "energy")
    assert (energy.value, energy.unit) == (Decimal(value), unit)


def test_soft_f0_leaves_live_values_empty_and_says_why() -> None:
    report = decode_capture(b"/LUGCUH50\r\n6.4()6.27()6.29(021.0*C)F(0)\r\n!\r\n")
    assert pick(report, "power").value is None
    assert "air in the measuring tube" in pick(report, "power").note
    assert pick(report, "flow_temperature").value == Decimal("21.0")


def test_error_flags_come_in_words_with_what_to_do() -> None:
    value = pick(decode_capture(b"/LUGCUH50\r\nF(1&8)6.8(1*MWh)\r\n!\r\n"), "error_flags").value
    assert isinstance(value, str)
    assert "F1: the hot-side temperature sensor is open" in value
    assert "F8" in value
    assert "reset" in value


def test_live_and_totals_of_one_session_become_one_report() -> None:
    data = b"/LUGCUH50\r\n6.8(1*MWh)6.4(2.5*kW)\r\n!\r\n/LUGCUH50\r\n6.8(1*MWh)6.26(3*m3)\r\n!\r\n"
    report = decode_capture(data)
    assert [reading.name for reading in report.readings] == ["energy", "power", "volume"]


def test_any_text_meter_with_obis_codes() -> None:
    report = decode_capture(b"/XYZ5Meter\r\n1-0:1.8.0*255(000123.45*kWh)\r\n0.9.1(101500)\r\n!\r\n")
    first, second = report.readings
    assert (first.value, first.unit, first.obis) == (Decimal("123.45"), "kWh", Obis.parse("1-0:1.8.0*255"))
    assert second.value == "101500"


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, b"\r\n"])
def test_an_empty_capture(data: bytes) -> None:
    with pytest.raises(DataError) as raised:
        decode_capture(data)
    assert raised.value.code == "empty"


def test_noise_is_refused_with_a_reason() -> None:
    with pytest.raises(DataError) as raised:
        decode_capture(b"\x13\x37 no meter here")
    assert raised.value.code == "not-recognised"
    assert raised.value.hint


@pytest.mark.parametrize("code", ["6.8", "9.36", "6.36", "9.20", "F", "6.36.1"])
def test_an_unreadable_character_marks_the_value_whatever_its_kind(code: str) -> None:
    report = decode_capture(f"/LUGCUH50\r\n6.26(1*m3){code}(1".encode() + b"\xb1" + b")\r\n!\r\n")
    (reading,) = (r for r in report.readings if r.source == code)
    assert reading.value is None
    assert reading.note
    assert "\ufffd" in reading.raw


def test_a_program_with_parentheses_is_no_readout() -> None:
    for text in (Path(__file__).read_text(), "print(1)\n", "call f(3) and g(4)\n", "a1(x)\nb2(y)\n"):
        with pytest.raises(DataError) as raised:
            decode_capture(text.encode())
        assert raised.value.code == "not-recognised"


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UsageError) as raised:
        decode_capture(b"6.8(1*MWh)", hint="t9000")
    assert raised.value.code == "unknown-profile"
    assert "t550" in str(raised.value.hint)


def test_samples_ship_with_source_and_licence() -> None:
    for name in samples.names():
        assert decode_capture(samples.read(name)).meter["model"] == "UH50"
    folder = Path(samples.__file__).parent
    assert "MIT" in (folder / "SOURCES.md").read_text()
    assert "Permission is hereby granted, free of charge" in (folder / "LICENSE.ultraheat").read_text()
    with pytest.raises(UsageError):
        samples.read("../secrets")
