"""What is published of a report: states, the report as a whole, and how Home Assistant discovers them.

``PREFIX/METER/NAME`` has a value alone, a number as decimal string; ``None`` is a value that the meter leaves empty.
``PREFIX/METER/report`` has everything, as ``read --json`` prints it. ``PREFIX/METER/status`` is ``online`` or
``offline`` while the meter is watched.

Sensors are announced as https://www.home-assistant.io/integrations/sensor.mqtt/ has it: values of now and of the last
set day. Months further back are in the report alone: they would be hundreds of sensors.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from meterlink._version import __version__
from meterlink.values import MeterReport, Reading, Value, value_as_json

ONLINE: Final = "online"
OFFLINE: Final = "offline"

_UNKNOWN: Final = "None"
"""What Home Assistant takes as a sensor without a value."""
_LONGEST_STATE: Final = 255
"""Characters of a state in Home Assistant; longer ones are in the report alone."""
_LAST_STORAGE: Final = 1

_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("Wh", "kWh", "MWh", "GWh", "J", "kJ", "MJ", "GJ"), "energy"),
        **dict.fromkeys(("W", "kW", "MW"), "power"),
        **dict.fromkeys(("m³/h", "m³/min", "m³/s"), "volume_flow_rate"),
        **dict.fromkeys(("d", "h", "min", "s"), "duration"),
        **dict.fromkeys(("m³",), "volume"),
        **dict.fromkeys(("°C",), "temperature"),
    }
)
"""Unit -> device class. A difference in K has none: as a temperature it would be turned into 24 K = -249 °C, and the
class `temperature_delta` is refused by versions before 2025.11."""

_COUNTERS: Final = frozenset({"energy", "volume", "operating_time", "missing_time", "flow_time", "on_time"})
_MEASURED: Final = frozenset(
    {"power", "flow", "flow_temperature", "return_temperature", "temperature_difference", "volume_flow"}
)
_DIAGNOSTIC: Final = frozenset({"duration"})
"""Device classes that tell of the meter rather than of what it measures."""


@dataclass(frozen=True, slots=True)
class Message:
    """A retained message."""

    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one meter under a prefix. ``watched``: its status is published, too."""

    prefix: str
    meter: str
    watched: bool

    @property
    def status(self) -> str:
        """Where the meter is said to be online or offline."""
        return f"{self.prefix}/{self.meter}/status"

    def state(self, key: str) -> str:
        """Where the value called ``key`` is published."""
        return f"{self.prefix}/{self.meter}/{key}"


def meter_id(report: MeterReport, source: str) -> str:
    """Return what the meter is called in topics: its serial number or system title; else a digest of ``source``, the
    URL it was read by. Letters, digits, ``_`` and ``-`` alone: what a meter says never makes a topic."""
    about = report.meter
    own = about.get("serial_number") or _serial_number(report) or about.get("system_title") or ""
    return _slug(own) or hashlib.sha256(source.encode()).hexdigest()[:12]


def state_messages(report: MeterReport, topics: Topics) -> tuple[Message, ...]:
    """Return the values, and the report as a whole."""
    states = [Message(topics.state(key), _state(reading)) for key, reading in _sensors(report)]
    body = json.dumps(report.as_json(), ensure_ascii=False, separators=(",", ":"))
    return (*states, Message(topics.state("report"), body))


def discovery_messages(report: MeterReport, topics: Topics, discovery: str) -> tuple[Message, ...]:
    """Return what announces each value under Home Assistant's prefix ``discovery``."""
    device = _device(report, topics.meter)
    return tuple(
        Message(
            f"{discovery}/sensor/meterlink_{topics.meter}/{key}/config",
            json.dumps({**_sensor(key, reading, topics), "device": device, "origin": _ORIGIN}, ensure_ascii=False),
        )
        for key, reading in _sensors(report)
    )


_ORIGIN: Final = {"name": "meterlink", "sw_version": __version__}


def _sensors(report: MeterReport) -> Iterator[tuple[str, Reading]]:
    """Yield the readings that become sensors, each with a key that no other one has."""
    seen: set[str] = {"report", "status"}
    for reading in report.readings:
        too_long = isinstance(reading.value, str) and len(reading.value) > _LONGEST_STATE
        if reading.storage > _LAST_STORAGE or isinstance(reading.value, bytes) or too_long:
            continue
        key = _slug(reading.name) or "value"
        key += "_last" if reading.storage else ""
        key += f"_tariff_{reading.tariff}" if reading.tariff else ""
        number, unique = 2, key
        while unique in seen:
            unique, number = f"{key}_{number}", number + 1
        seen.add(unique)
        yield unique, reading


def _sensor(key: str, reading: Reading, topics: Topics) -> dict[str, Any]:
    device_class = _device_class(reading)
    state_class = _state_class(reading, device_class)
    out: dict[str, Any] = {
        "name": _name(key),
        "unique_id": f"meterlink_{topics.meter}_{key}",
        "state_topic": topics.state(key),
    }
    if reading.unit:
        out["unit_of_measurement"] = reading.unit
    if device_class:
        out["device_class"] = device_class
    if state_class:
        out["state_class"] = state_class
    if not reading.unit or device_class in _DIAGNOSTIC:
        out["entity_category"] = "diagnostic"
    if topics.watched:
        out |= {"availability_topic": topics.status, "payload_available": ONLINE, "payload_not_available": OFFLINE}
    return out


def _device_class(reading: Reading) -> str:
    if reading.unit:
        return _CLASSES.get(reading.unit, "")
    value = reading.value
    if isinstance(value, dt.datetime):
        # A moment without a zone is none for Home Assistant; it stays text.
        return "timestamp" if value.tzinfo is not None else ""
    return "date" if isinstance(value, dt.date) else ""


def _state_class(reading: Reading, device_class: str) -> str:
    if reading.storage or not reading.unit:
        return ""
    if reading.name in _COUNTERS and device_class in ("energy", "volume", "duration"):
        return "total_increasing"
    return "measurement" if reading.name in _MEASURED else ""


def _device(report: MeterReport, meter: str) -> dict[str, Any]:
    about = report.meter
    model = about.get("model") or about.get("family") or "meter"
    out: dict[str, Any] = {"identifiers": [f"meterlink_{meter}"], "name": f"{model} {meter}", "model": model}
    for key, ours in (("manufacturer", "manufacturer"), ("serial_number", "serial_number"), ("sw_version", "firmware")):
        if about.get(ours):
            out[key] = about[ours]
    return out


def _state(reading: Reading) -> str:
    value: Value = reading.value
    if value is None:
        return _UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal) and not value.is_finite():
        return _UNKNOWN
    return str(value_as_json(value))


def _name(key: str) -> str:
    words = key.replace("_last", " (last set day)").replace("_", " ")
    return words[:1].upper() + words[1:]


def _serial_number(report: MeterReport) -> str:
    values = (reading.value for reading in report.readings if reading.name == "serial_number")
    return next((value for value in values if isinstance(value, str)), "")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_")[:64]
