"""Every captured telegram, against libmbus' decoding and against what is known of the meters."""

from __future__ import annotations

import tomllib
from decimal import Decimal

import libmbus_reference as reference
import pytest

from meterlink.errors import DataError
from meterlink.meters.decode import decode_capture

TABLE = tomllib.loads((reference.CAPTURES / "differences.toml").read_text("utf-8"))["difference"]


def test_there_are_captures() -> None:
    assert len(reference.names()) == 38


@pytest.mark.parametrize("name", reference.names())
def test_we_differ_from_libmbus_only_where_the_table_says_so(name: str) -> None:
    expected = {
        reference.Difference(row["record"], row["field"], row["libmbus"], row["ours"])
        for row in TABLE
        if row["capture"] == name
    }
    assert set(reference.differences(name)) == expected


def test_the_table_names_captures_and_reasons() -> None:
    for row in TABLE:
        assert row["capture"] in reference.names()
        assert len(row["why"]) > 20


@pytest.mark.parametrize("name", reference.names())
def test_every_telegram_is_read_to_its_end(name: str) -> None:
    telegram = reference.telegram_of(name)
    assert telegram.content.problem == ""
    assert telegram.records


@pytest.mark.parametrize("name", reference.names())
def test_every_capture_decodes_to_a_report(name: str) -> None:
    report = decode_capture((reference.CAPTURES / f"{name}.hex").read_bytes())
    assert len(report.readings) >= len(reference.telegram_of(name).records) - 1
    assert len(report.meter["serial_number"]) == 8


def test_power_is_never_a_date() -> None:
    for name in reference.names():
        for record in reference.telegram_of(name).records:
            if record.header.quantity == "power" and isinstance(record.value, Decimal):
                assert abs(record.value) < 10**6


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("application_busy", "too busy"),
        ("error", "unspecified"),
        ("too_many_difes", "ten DIFEs"),
        ("too_many_records", "too many records"),
        ("too_many_vifes", "ten VIFEs"),
        ("unimplemented_ci", "CI field is not implemented"),
    ],
)
def test_an_error_of_the_meter_is_refused_with_its_reason(file: str, words: str) -> None:
    with pytest.raises(DataError) as raised:
        decode_capture((reference.CAPTURES / "error-frames" / f"{file}.hex").read_bytes())
    assert raised.value.code == "application-error"
    assert words in raised.value.message


@pytest.mark.parametrize(
    ("file", "sound", "words"),
    [
        ("premature_end_of_data2", ["volume", "max_flow"], "ends inside of a record"),
        ("premature_end_of_dif2", ["volume", "max_flow"], "record header"),
        ("premature_end_of_var_vif1", ["digital_input", "%rh", "min_%rh"], "plain-text"),
        ("too_long_var_vif", ["digital_input", "%rh", "min_%rh"], "plain-text"),
    ],
)
def test_of_a_partial_telegram_the_sound_part_is_kept_and_the_rest_marked(
    file: str, sound: list[str], words: str
) -> None:
    report = decode_capture((reference.CAPTURES / "error-frames" / f"{file}.hex").read_bytes())
    *good, damaged = report.readings
    assert [reading.name for reading in good] == sound
    assert not any(reading.note for reading in good)
    assert damaged.name == "damaged"
    assert words in damaged.note
    assert bytes.fromhex(damaged.raw)
    assert any("in part only" in note for note in report.notes)
