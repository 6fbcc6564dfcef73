"""Publishing to a real mosquitto: from meters on lines, with passwords, over TLS, and when things break."""

import asyncio
import contextlib
import json
import signal
import sys

import pytest
from field_lines import FACES, on_a_line
from mqtt_broker import PASSWORD, USER, free_port, mosquitto
from program import start

from meterlink import samples
from meterlink.errors import LinkTimeout, LinkUnavailable
from meterlink.meters.decode import decode_capture
from meterlink.mqtt.broker import parse_broker
from meterlink.mqtt.publisher import Publisher

UH50 = decode_capture(samples.read("uh50"))
STATUS = "heating/66153690/status"


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path / "broker") as running:
        yield running


async def read(meterlink, *words: object):
    return await asyncio.to_thread(meterlink, "read", *words)


async def test_a_reading_is_published_and_stays(broker, meterlink) -> None:
    with on_a_line(FACES["generic-mbus"]) as line:
        url = f"serial:{line.port}?profile=generic-mbus&address=5"
        done = await read(meterlink, url, "--mqtt", broker.url, "--json")
    assert (done.status, done.err) == (0, "")
    held = await broker.held()
    report = done.json
    assert json.loads(held["heating/00004711/report"]) == report
    energy = next(reading for reading in report["readings"] if reading["name"] == "energy")
    assert held["heating/00004711/energy"] == energy["value"]
    config = json.loads(held["homeassistant/sensor/meterlink_00004711/energy/config"])
    assert config["state_topic"] == "heating/00004711/energy"
    assert (config["unit_of_measurement"], config["device_class"]) == ("kWh", "energy")
    # Nobody watches: the value stands for itself.
    assert "availability_topic" not in config
    assert "heating/00004711/status" not in held


@pytest.mark.parametrize(("end", "status"), [(signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)])
async def test_a_watched_meter_is_online_until_the_program_ends(end, status, broker) -> None:
    with start("read", "sim:heat", "--watch", "1", "--mqtt", broker.url, "--json") as process:
        assert process.stdout is not None
        first = json.loads(await asyncio.to_thread(process.stdout.readline))
        serial = next(reading["value"] for reading in first["readings"] if reading["name"] == "serial_number")
        await broker.wait_for(f"heating/{serial}/status", "online")
        process.send_signal(end)
        # Killed, the program says nothing any more: the broker tells its last will.
        await broker.wait_for(f"heating/{serial}/status", "offline")
        await asyncio.to_thread(process.communicate, timeout=20)
    assert process.returncode == status
    held = await broker.held()
    config = json.loads(held[f"homeassistant/sensor/meterlink_{serial}/energy/config"])
    assert config["availability_topic"] == f"heating/{serial}/status"


# Who may publish.


async def test_the_password_comes_from_the_environment(tmp_path, meterlink, monkeypatch) -> None:
    with mosquitto(tmp_path / "broker", password=PASSWORD) as broker:
        monkeypatch.setenv("METERLINK_MQTT_PASSWORD", PASSWORD)
        done = await read(meterlink, "sim:heat", "--mqtt", broker.url)
        assert (done.status, done.err) == (0, f"published to mqtt://127.0.0.1:{broker.port}/heating\n")
        assert "homeassistant" in " ".join(await broker.held())


async def test_a_password_that_would_cross_a_network_as_it_is_is_warned_of(meterlink, monkeypatch) -> None:
    monkeypatch.setenv("METERLINK_MQTT_PASSWORD", PASSWORD)
    done = await read(meterlink, "sim:heat", "--mqtt", "mqtt://anna@broker.invalid")
    assert (done.status, done.code) == (5, "mqtt-unavailable")
    assert done.err.startswith("warning: mqtt-plain: ")
    assert "mqtts://" in done.err
    assert PASSWORD not in done.err


@pytest.mark.parametrize("user", [f"{USER}@", ""])
async def test_who_is_not_let_in_asks_no_meter(user, tmp_path, meterlink, monkeypatch) -> None:
    monkeypatch.setenv("METERLINK_MQTT_PASSWORD", "wrong-horse")
    with mosquitto(tmp_path / "broker", password=PASSWORD) as broker, on_a_line(FACES["t230"]) as line:
        url = f"mqtt://{user}127.0.0.1:{broker.port}"
        done = await read(meterlink, f"optical:{line.port}?profile=t230", "--mqtt", url)
        assert (done.status, done.code, done.out) == (5, "mqtt-refused", "")
        assert "wrong-horse" not in done.err
        assert "METERLINK_MQTT_PASSWORD" in done.err
        assert line.heard == b""


async def test_a_broker_that_is_not_there_asks_no_meter(meterlink) -> None:
    with on_a_line(FACES["t230"]) as line:
        done = await read(meterlink, f"optical:{line.port}?profile=t230", "--mqtt", f"mqtt://127.0.0.1:{free_port()}")
        assert (done.status, done.code, done.out) == (5, "mqtt-unavailable", "")
        assert "hint: " in done.err
        assert line.heard == b""


async def test_tls_wants_a_certificate_that_holds(tmp_path, meterlink) -> None:
    with mosquitto(tmp_path / "broker", tls=True) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}/heating"
        unknown = await read(meterlink, "sim:heat", "--mqtt", url)
        assert (unknown.status, unknown.code) == (5, "mqtt-tls")
        assert "ca=FILE" in unknown.err
        known = await read(meterlink, "sim:heat", "--mqtt", f"{url}?ca={tmp_path / 'broker' / 'server.pem'}")
        assert known.status == 0


async def test_a_broker_without_tls_is_not_taken_for_one_with_it(broker, meterlink) -> None:
    done = await read(meterlink, "sim:heat", "--mqtt", broker.url.replace("mqtt:", "mqtts:"))
    assert (done.status, done.code) == (5, "mqtt-unavailable")


@pytest.mark.parametrize("name", ["no-such-file", "mosquitto.conf"])
async def test_a_ca_file_that_is_none(name, broker, tmp_path, meterlink) -> None:
    done = await read(meterlink, "sim:heat", "--mqtt", f"mqtts://127.0.0.1:1?ca={tmp_path / 'broker' / name}")
    assert (done.status, done.code) == (2, "mqtt-url")


# When things break.


async def test_a_broker_that_was_restarted_gets_everything_again(tmp_path) -> None:
    port = free_port()
    publisher = Publisher(parse_broker(f"mqtt://127.0.0.1:{port}/heating"), None, "sim:heat", watched=True)
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            broker = stack.enter_context(mosquitto(tmp_path / "broker", port=port))
            await publisher.take(UH50)
            held = await broker.held()
            assert held[STATUS] == "online"
            assert held["heating/66153690/energy"] == "328.871"
            assert "homeassistant/sensor/meterlink_66153690/energy/config" in held
            # It ends while this loop runs, as it would in the long wait for the next reading.
            await asyncio.to_thread(stack.close)
    with pytest.raises(LinkUnavailable) as raised:
        await publisher.take(UH50)
    assert raised.value.code == "mqtt-unavailable"
    await publisher.missed(LinkTimeout("silent"))
    await publisher.close()


async def test_a_meter_that_is_silent_for_once_is_offline_for_as_long(broker) -> None:
    publisher = Publisher(parse_broker(broker.url), None, "sim:heat", watched=True)
    await publisher.open()
    await publisher.take(UH50)
    announced = publisher.published
    await publisher.missed(LinkTimeout("silent"))
    assert (await broker.held())[STATUS] == "offline"
    await publisher.take(UH50)
    assert (await broker.held())[STATUS] == "online"
    # The sensors are announced once, not with every reading.
    assert publisher.published - announced < announced
    await publisher.close()
    assert (await broker.held())[STATUS] == "offline"


async def test_no_discovery_where_none_is_wanted(broker) -> None:
    publisher = Publisher(parse_broker(f"{broker.url}?discovery="), None, "sim:heat", watched=False)
    await publisher.take(UH50)
    await publisher.close()
    held = await broker.held()
    assert held["heating/66153690/energy"] == "328.871"
    assert {topic.split("/")[0] for topic in held} == {"heating"}


async def test_an_installation_without_the_extra_says_what_to_install(meterlink, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    monkeypatch.delitem(sys.modules, "meterlink.mqtt.publisher")
    done = await read(meterlink, "sim:heat", "--mqtt", "mqtt://127.0.0.1")
    assert (done.status, done.code) == (2, "extra-missing")
    assert "meterlink[mqtt]" in done.err
