"""Reading by name, by OBIS code, everything, and profiles; through the program, on a simulated meter."""

import csv
import datetime as dt
import io
from decimal import Decimal

import pytest
from commands_field import FieldMeter, served

from meterlink.cli.report import in_usual_unit

SHORT = {
    "energy",
    "volume",
    "power",
    "flow",
    "flow_temperature",
    "return_temperature",
    "temperature_difference",
    "error_flags",
    "clock",
    "serial_number",
}


def readings(done) -> dict[str, dict]:
    assert (done.status, done.err) == (0, "")
    return {reading["name"]: reading for reading in done.json["readings"]}


def test_the_default_is_short(meterlink) -> None:
    assert set(readings(meterlink("read", "sim:heat", "--json"))) == SHORT


def test_people_see_megawatt_hours_and_programs_every_digit(meterlink) -> None:
    exact = readings(meterlink("read", "sim:heat", "--object", "energy", "--json"))["energy"]
    assert exact["unit"] == "Wh"
    shown = meterlink("read", "sim:heat", "--object", "energy").out
    assert "MWh" in shown
    assert str(Decimal(exact["value"]).scaleb(-6))[:6] in shown


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("41873204", "Wh", ("41.873204", "MWh")),
        ("1500", "Wh", ("1.500", "kWh")),
        ("999", "Wh", ("999", "Wh")),
        ("-16000", "W", ("-16.000", "kW")),
        ("3600000000", "J", ("3.600000000", "GJ")),
        ("1234567", "m³", ("1234567", "m³")),
    ],
)
def test_usual_units(value, unit, expected) -> None:
    assert in_usual_unit(Decimal(value), unit) == expected


@pytest.mark.parametrize(
    "name",
    ["operating-time", "missing-time", "set-day", "property-number", "averaging-period", "model", "firmware", "sealed"],
)
def test_every_object_is_read_by_name(meterlink, name) -> None:
    (reading,) = readings(meterlink("read", "sim:heat", "--object", name, "--json")).values()
    assert reading["value"] is not None


def test_maxima_and_set_day_values_have_their_time(meterlink) -> None:
    done = meterlink("read", "sim:heat", "--object", "max-power", "--object", "set-day-energy", "--json")
    found = readings(done)
    assert found["max_power"]["unit"] == "W"
    assert found["set_day_energy"]["storage"] == 1
    assert all(dt.datetime.fromisoformat(reading["time"]) for reading in found.values())


def test_an_object_that_no_profile_knows_is_found_in_the_meters_list(meterlink) -> None:
    (reading,) = readings(meterlink("read", "sim:heat", "--object", "0-0:96.11.0", "--json")).values()
    assert reading["obis"] == "0-0:96.11.0*255"
    assert reading["source"].startswith("1/")


def test_an_object_that_the_meter_does_not_have(meterlink) -> None:
    done = meterlink("read", "sim:heat", "--object", "1-0:1.8.0")
    assert (done.status, done.code) == (6, "object-undefined")


def test_read_all_walks_the_object_list(meterlink) -> None:
    done = meterlink("read", "sim:heat", "--all", "--json")
    assert (done.status, done.err) == (0, "")
    objects = {item["obis"]: item for item in done.json["objects"]}
    assert len(objects) > 30
    energy = {attribute["name"]: attribute for attribute in objects["6-0:1.0.0*255"]["attributes"]}
    assert energy["value"]["type"] == "double-long-unsigned"
    assert energy["scaler_unit"]["value"][1] == {"type": "enum", "value": 30}
    assert not [a for item in objects.values() for a in item["attributes"] if "error" in a]
    assert {item["class_name"] for item in objects.values()} >= {"Profile generic", "Image transfer", "Security setup"}
    assert "MWh" not in meterlink("read", "sim:heat", "--all").out


def test_an_older_association_shows_its_objects_too(meterlink, field_meter: FieldMeter) -> None:
    with served(field_meter.server, "wrapper") as url:
        done = meterlink("read", f"{url}&security=none&client=17", "--all", "--json")
    energy = next(item for item in done.json["objects"] if item["name"] == "energy")
    assert [attribute["name"] for attribute in energy["attributes"]] == ["value", "scaler_unit"]


def test_a_profile_as_json(meterlink) -> None:
    start = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=6)).isoformat()
    done = meterlink("read", "sim:heat", "--profile", "load-profile", "--from", start, "--json")
    assert (done.status, done.err) == (0, "")
    table = done.json
    assert [column["name"] for column in table["columns"]] == [
        "clock",
        "energy",
        "volume",
        "flow_temperature",
        "return_temperature",
        "error_flags",
    ]
    assert [column["unit"] for column in table["columns"]] == ["", "Wh", "m³", "°C", "°C", ""]
    times = [dt.datetime.fromisoformat(row[0]) for row in table["rows"]]
    assert len(times) in (5, 6, 7)  # an hour may end meanwhile
    assert min(times) >= dt.datetime.fromisoformat(start)
    assert times == sorted(times)


def test_a_profile_as_csv_and_as_a_table(meterlink) -> None:
    today = dt.datetime.now().astimezone()
    asked = ("--from", (today - dt.timedelta(days=2)).strftime("%Y-%m-%d"), "--to", today.strftime("%Y-%m-%dT%H:%M"))
    done = meterlink("read", "sim:heat", "--profile", "6-0:99.1.0", *asked, "--csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert 48 <= len(rows) <= 72
    assert float(rows[0]["flow_temperature [°C]"]) > 0
    shown = meterlink("read", "sim:heat", "--profile", "load-profile", *asked).out
    assert f"{len(rows)} rows" in shown


def test_a_whole_profile(meterlink) -> None:
    rows = list(csv.reader(io.StringIO(meterlink("read", "sim:heat", "--profile", "load-profile", "--csv").out)))
    assert len(rows) == 45 * 24 + 1


def test_a_meter_that_cannot_select_gives_all_and_the_rest_is_dropped_here(
    meterlink, field_meter: FieldMeter, monkeypatch
) -> None:
    from hil.meter.objects.base import CosemObject, Refusal
    from meterlink.cosem.results import DataAccessResult

    get = CosemObject.get

    def without_selection(self, index, context, selection=None):
        if selection is not None:
            raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        return get(self, index, context)

    monkeypatch.setattr(CosemObject, "get", without_selection)
    start = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=5)).isoformat()
    with served(field_meter.server, "hdlc") as url:
        done = meterlink(
            "read", f"{url}&security=none&client=17", "--profile", "load-profile", "--from", start, "--csv"
        )
    assert len(done.out.splitlines()) - 1 in (4, 5, 6)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--all", "--object", "energy"), "usage"),
        (("--csv", "--all"), "usage"),
        (("--from", "2026-01-01"), "usage"),
        (("--profile", "load-profile", "--csv", "--json"), "usage"),
        (("--profile", "load-profile", "--from", "yesterday"), "time-invalid"),
        (("--profile", "load-profile", "--from", "2026-02-01", "--to", "2026-01-01"), "time-invalid"),
        (("--profile", "energy"), "not-a-profile"),
        (("--profile", "phlogiston"), "unknown-object"),
    ],
)
def test_what_cannot_be_meant(meterlink, words, code) -> None:
    done = meterlink("read", "sim:heat", *words)
    assert done.status == 2
    assert f'"{code}"' in done.err or done.code == code
