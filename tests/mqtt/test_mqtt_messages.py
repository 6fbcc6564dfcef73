"""What is published of a report, and how a broker is named: without any broker."""

import datetime as dt
import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink import samples
from meterlink.errors import UsageError
from meterlink.meters.decode import decode_capture
from meterlink.mqtt.broker import Broker, parse_broker
from meterlink.mqtt.messages import Topics, discovery_messages, meter_id, state_messages
from meterlink.values import MeterReport, Reading

UH50 = decode_capture(samples.read("uh50"))


def configs(report: MeterReport, *, watched: bool = False) -> dict[str, dict[str, object]]:
    topics = Topics("heating", meter_id(report, "sim:heat"), watched)
    return {
        message.topic.split("/")[-2]: json.loads(message.payload)
        for message in discovery_messages(report, topics, "homeassistant")
    }


def states(report: MeterReport) -> dict[str, str]:
    topics = Topics("heating", "m", False)
    return {message.topic.removeprefix("heating/m/"): message.payload for message in state_messages(report, topics)}


def test_a_real_readout_as_home_assistant_gets_it() -> None:
    found = configs(UH50)
    assert found["energy"] == {
        "name": "Energy",
        "unique_id": "meterlink_66153690_energy",
        "state_topic": "heating/66153690/energy",
        "unit_of_measurement": "GJ",
        "device_class": "energy",
        "state_class": "total_increasing",
        "device": {
            "identifiers": ["meterlink_66153690"],
            "name": "UH50 66153690",
            "model": "UH50",
            "manufacturer": "Landis+Gyr",
            "serial_number": "66153690",
            "sw_version": "5.16",
        },
        "origin": found["energy"]["origin"],
    }
    assert found["energy_last"]["name"] == "Energy (last set day)"
    assert "state_class" not in found["energy_last"]
    assert found["max_power"]["device_class"] == "power"
    assert "state_class" not in found["max_power"]
    assert found["error_flags"]["entity_category"] == "diagnostic"


def test_every_sensor_has_a_state_and_no_two_share_one() -> None:
    found, told = configs(UH50), states(UH50)
    assert set(found) | {"report"} == set(told)
    ids = [config["unique_id"] for config in found.values()]
    assert len(set(ids)) == len(ids)
    assert told["energy"] == "328.871"
    assert json.loads(told["report"]) == UH50.as_json()


# Classes and units that go together, as Home Assistant's sensor component checks them.
ALLOWED = {
    "energy": {"total_increasing"},
    "volume": {"total_increasing"},
    "power": {"measurement"},
    "temperature": {"measurement"},
    "volume_flow_rate": {"measurement"},
    "duration": {"total_increasing"},
    "date": set(),
    "timestamp": set(),
    None: {"measurement"},
}


@pytest.mark.parametrize("name", samples.names())
def test_classes_go_together(name: str) -> None:
    for config in configs(decode_capture(samples.read(name)), watched=True).values():
        state_class = config.get("state_class")
        assert state_class is None or state_class in ALLOWED[config.get("device_class")]
        assert state_class is None or "unit_of_measurement" in config
        assert config["availability_topic"] == f"heating/{config['device']['serial_number']}/status"


@pytest.mark.parametrize(
    ("reading", "device_class", "state"),
    [
        (Reading("temperature_difference", Decimal("24.1"), "K"), None, "24.1"),
        (Reading("power", None, "kW", note="air in the tube"), "power", "None"),
        (Reading("energy", Decimal("0E+3"), "Wh"), "energy", "0"),
        (Reading("clock", dt.datetime(2026, 1, 2, 3, 4)), None, "2026-01-02T03:04:00"),
        (Reading("clock", dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)), "timestamp", "2026-01-02T03:04:00+00:00"),
        (Reading("set_day", dt.date(2026, 1, 2)), "date", "2026-01-02"),
        (Reading("sealed", True), None, "yes"),
    ],
)
def test_values_and_their_class(reading: Reading, device_class: str | None, state: str) -> None:
    report = MeterReport(readings=(reading,))
    assert configs(report)[reading.name].get("device_class") == device_class
    assert states(report)[reading.name] == state


def test_what_is_no_sensor_is_in_the_report_alone() -> None:
    odd = MeterReport(
        readings=(
            Reading("manufacturer_data", b"\x01\x02"),
            Reading("energy", Decimal(1), "kWh", storage=2),
            Reading("text", "x" * 256),
        )
    )
    assert configs(odd) == {}
    assert set(states(odd)) == {"report"}


def test_the_same_name_twice_is_two_sensors() -> None:
    twice = MeterReport(readings=(Reading("energy", Decimal(1), "kWh"), Reading("energy", Decimal(2), "kWh")))
    assert {key: value for key, value in states(twice).items() if key != "report"} == {"energy": "1", "energy_2": "2"}


@given(st.text(), st.text())
def test_what_a_meter_says_never_makes_a_topic(serial: str, name: str) -> None:
    report = MeterReport({"serial_number": serial}, (Reading(name, Decimal(1)),))
    topics = Topics("p", meter_id(report, "serial:x"), True)
    for message in (*state_messages(report, topics), *discovery_messages(report, topics, "homeassistant")):
        levels = message.topic.split("/")
        assert len(levels) == (3 if levels[0] == "p" else 5)
        assert all(re.fullmatch(r"[A-Za-z0-9_-]+", level) for level in levels)


def test_a_meter_without_a_number_is_known_by_where_it_is() -> None:
    one, two = meter_id(MeterReport(), "serial:/dev/ttyUSB0"), meter_id(MeterReport(), "serial:/dev/ttyUSB1")
    assert one != two
    assert one == meter_id(MeterReport(), "serial:/dev/ttyUSB0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://broker", Broker("broker", 1883)),
        ("mqtts://anna@[::1]/a/b/", Broker("::1", 8883, True, "anna", "a/b")),
        ("mqtt://h:1/p?discovery=ha&ca=x.pem", Broker("h", 1, prefix="p", discovery="ha", ca="x.pem")),
        ("mqtt://a%40b@h/?discovery=", Broker("h", 1883, user="a@b", discovery="")),
    ],
)
def test_brokers(text: str, expected: Broker) -> None:
    assert parse_broker(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "broker", "http://h", "mqtt://", "mqtt://h:99999", "mqtt://h/a//b", "mqtt://h/a+b", "mqtt://h/%23",
     "mqtt://h/a b", "mqtt://h?colour=red", "mqtt://h?ca=a&ca=b", "mqtt://h?discovery=a%00b"],
)  # fmt: skip
def test_brokers_that_are_none(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_broker(text)
    assert raised.value.code == "mqtt-url"
    assert raised.value.hint


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    for text in ("mqtt://anna:geheim@h", "mqtt://:geheim@h/x"):
        with pytest.raises(UsageError) as raised:
            parse_broker(text)
        assert "METERLINK_MQTT_PASSWORD" in str(raised.value.hint)
        assert "geheim" not in f"{raised.value} {raised.value.hint}"
