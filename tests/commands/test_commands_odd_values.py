"""What a meter may say that is no usual value: told as it is, and never so that it steers the terminal."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any, NoReturn

import pytest
from commands_hostile import hostile
from hypothesis import given
from hypothesis import strategies as st

from certs.cli.output import json_text, printable
from meterlink import notation
from meterlink.cosem import axdr
from meterlink.cosem.data import (
    Data,
    Tag,
    array,
    date,
    dont_care,
    f32,
    f64,
    octet_string,
    structure,
    u8,
    utf8_string,
    visible_string,
)
from meterlink.cosem.dates import CosemDate, CosemDateTime

VALUE = ("data", "1-0:96.9.0", "2")
STEERING = "\x1b]0;owned\x07\x1bc\x9b31m\u202eabc\r\n"

# Characters of the categories C (controls, formats, unassigned) and Z (separators but the blank) are none to be shown.


def no_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=no_constant)


@pytest.mark.parametrize("make", [f32, f64])
@pytest.mark.parametrize(("value", "told"), [("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")])
def test_a_float_that_is_no_number_is_text_in_json(meterlink, make, value: str, told: str) -> None:
    octets = axdr.encode(make(float(value)))
    with hostile(lambda _: octets) as url:
        assert strict(meterlink("cosem", "get", url, *VALUE, "--json").out)["value"] == told
        assert meterlink("cosem", "get", url, *VALUE).out.strip().endswith(f":{value}")
        (reading,) = strict(meterlink("read", url, "--object", "serial-number", "--json").out)["readings"]
    assert reading["value"] == told
    assert notation.to_json(make(float(value)))["value"] == told


@pytest.mark.parametrize("make", [visible_string, utf8_string, lambda text: octet_string(text.encode())])
@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_what_steers_a_terminal_is_quoted(meterlink, make, form: tuple[str, ...]) -> None:
    text = STEERING if make is utf8_string else STEERING.replace("\u202e", "")
    octets = axdr.encode(make(text))
    with hostile(lambda _: octets) as url:
        shown = meterlink("read", url, "--object", "serial-number", *form)
        assert (shown.status, shown.out.replace("\n", "").isprintable()) == (0, True)
        if form == ("--json",):
            assert strict(shown.out)["readings"][0]["value"] in (text, text.encode().hex())
        if form == ("--csv",):
            (row,) = csv.DictReader(io.StringIO(shown.out))
            assert row["value"] in (json.dumps(text), text.encode().hex())
            return
        got = meterlink("cosem", "get", url, *VALUE, *form)
    assert (got.status, got.out.replace("\n", "").isprintable()) == (0, True)


@given(st.text())
def test_whatever_is_shown_is_visible(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) == text or json.loads(printable(text)) == text
    assert json_text({"text": [text]}).isprintable()
    assert json.loads(json_text({"text": [text]})) == {"text": [text]}
    assert notation.write(utf8_string(text)).isprintable()
    pieces = "".join(notation.json_pieces(structure(utf8_string(text))))
    assert pieces.isprintable()
    assert json.loads(pieces) == notation.to_json(structure(utf8_string(text)))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (array([structure(octet_string(b"\x07\xe6"), u8(1)), structure()]), "[{octets:07e6,u8:1},{}]"),
        (date(CosemDate(2026, 11, 22)), "date:2026-11-22"),
        (date(CosemDate(None, 254, 253)), "date:****-254-253"),
        (Data(Tag.DATE_TIME, CosemDateTime(2026, 11)), "date-time:2026-11-** **:**:**"),
        (dont_care(), None),
    ],
)
def test_values_that_no_type_of_python_has_are_read_in_the_notation(meterlink, value: Data, shown: str | None) -> None:
    with hostile(lambda _: axdr.encode(value)) as url:
        (reading,) = strict(meterlink("read", url, "--object", "serial-number", "--json").out)["readings"]
        got = meterlink("cosem", "get", url, *VALUE).out.strip()
    assert reading["value"] == shown
    assert got == (shown or "dont-care")


def test_the_rows_of_a_profile_are_no_reading(meterlink) -> None:
    done = meterlink("read", "sim:heat", "--object", "load-profile", "--json")
    (reading,) = done.json["readings"]
    assert reading["value"] is None
    assert "read --profile" in reading["note"]


@pytest.mark.parametrize("moment", ["0001-01-01", "9999-12-31T23:59", "0001-01-01T00:00"])
@pytest.mark.parametrize("option", ["--from", "--to"])
def test_moments_beyond_the_calendar(meterlink, moment: str, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Honolulu", "UTC"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        done = meterlink("read", "sim:heat", "--profile", "load-profile", option, moment, "--csv")
        assert done.status in (0, 2)
        assert done.status == 0 or done.code == "time-invalid"
    monkeypatch.undo()
    time.tzset()
