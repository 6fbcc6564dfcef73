"""`meterlink configure` and `find --bus` on a wired M-Bus, over a pseudo-terminal; links that break in the middle."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from field_lines import FACES, Line, bus, heat_meter, on_a_line, technician

from certs.levels import Level
from hil.faces.bus import BusFace, BusMeter
from meterlink.commands.configure_field import parse_field_setting
from meterlink.errors import UsageError
from meterlink.framing.mbus import requests
from meterlink.meters.profile import profile

MBUS = profile("generic-mbus")
ACKNOWLEDGE = b"\xe5"


@pytest.fixture
def installer(home) -> None:
    technician(home, Level.INSTALLATION)


class Bench:
    """One bus with its meters at hand."""

    def __init__(self, *meters: tuple[int, str]) -> None:
        self.meters = [BusMeter(heat_meter(serial, 1), address) for address, serial in meters]

    def face(self, _: Line) -> BusFace:
        return BusFace(self.meters)


def url(line: Line, address: object = 5) -> str:
    return f"serial:{line.port}?profile=generic-mbus&baud=38400&address={address}"


def sets(data: bytes) -> bool:
    """Whether this is a telegram that sets something."""
    return len(data) > 6 and data[0] == 0x68 and data[6] == requests.CI_DATA


@pytest.mark.usefixtures("installer")
def test_clock_and_both_addresses_are_set_and_read_back(meterlink) -> None:
    bench = Bench((5, "11111111"))
    meter = bench.meters[0]
    with on_a_line(bench.face) as line:
        words = ("clock=2027-01-02T03:04", "primary-address=42", "secondary-address=87654321")
        done = meterlink("configure", url(line), *words, "--json")
        human = meterlink("configure", url(line, 42), "clock=now")
    assert (done.status, done.err) == (0, "")
    changes = {change["name"]: change for change in done.json["changes"]}
    assert changes["clock"]["after"] == "2027-01-02T03:04:00"
    assert (changes["primary_address"]["before"], changes["primary_address"]["after"]) == ("5", "42")
    assert (changes["secondary_address"]["before"], changes["secondary_address"]["after"]) == ("11111111", "87654321")
    assert all(change["confirmed"] for change in changes.values())
    assert (meter.address, meter.number) == (42, "87654321")
    assert "does not enforce certificates" in done.json["notes"][0]
    assert human.status == 0
    local = dt.datetime.now().replace(tzinfo=None)
    shown = human.out.partition("clock: ")[2][:19]
    assert abs(dt.datetime.fromisoformat(shown) - local) < dt.timedelta(minutes=3)


@pytest.mark.usefixtures("installer")
def test_a_meter_that_moved_is_found_at_its_new_secondary_address(meterlink) -> None:
    bench = Bench((1, "11111111"), (2, "22222222"))
    with on_a_line(bench.face) as line:
        done = meterlink("configure", url(line, "22222222"), "secondary-address=333", "primary-address=7")
    assert done.status == 0
    assert [(meter.address, meter.number) for meter in bench.meters] == [(1, "11111111"), (7, "00000333")]


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize("setting", ["primary-address=1", "secondary-address=11111111"])
def test_an_address_that_another_meter_has_is_refused(setting, meterlink) -> None:
    bench = Bench((1, "11111111"), (2, "22222222"))
    with on_a_line(bench.face) as line:
        done = meterlink("configure", url(line, 2), setting)
    assert (done.status, done.code) == (2, "address-taken")
    assert [(meter.address, meter.number) for meter in bench.meters] == [(1, "11111111"), (2, "22222222")]


@pytest.mark.usefixtures("installer")
def test_nothing_is_set_where_two_meters_answer(meterlink) -> None:
    bench = Bench((1, "11111111"), (2, "22222222"))
    with on_a_line(bench.face) as line:
        done = meterlink("configure", url(line, 254), "primary-address=9")
    assert (done.status, done.code) == (6, "collision")
    assert "nothing was set" in done.err
    assert [meter.address for meter in bench.meters] == [1, 2]


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize(
    ("address", "words", "code"),
    [
        ("", ("clock=now",), "address"),
        ("&address=300", ("clock=now",), "address"),
        ("&address=5", ("clock",), "setting-invalid"),
        ("&address=5", ("clock=1999-01-01",), "setting-invalid"),
        ("&address=5", ("clock=now", "energy=0"), "setting-invalid"),
        ("&address=5", ("primary-address=251",), "setting-invalid"),
        ("&address=5", ("primary-address=٣",), "setting-invalid"),
        ("&address=5", ("secondary-address=123456789",), "setting-invalid"),
    ],
)
def test_what_cannot_be_meant_sends_no_byte(address, words, code, meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        done = meterlink("configure", f"serial:{line.port}?profile=generic-mbus{address}", *words)
        assert (done.status, done.code) == (2, code)
        assert "hint: " in done.err
        assert line.heard == b""


def test_only_a_family_on_a_bus_takes_settings() -> None:
    with pytest.raises(UsageError) as raised:
        parse_field_setting(profile("generic-text"), "clock=now", lambda: dt.datetime.now(dt.UTC))
    assert raised.value.code == "profile"
    assert "only reads" in raised.value.message


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize("family", ["t230", "t330", "t550"])
@pytest.mark.parametrize("setting", ["clock=now", "primary-address=5", "user-data=0F01"])
def test_a_family_of_which_nobody_can_say_how_it_is_set_says_so(family, setting, meterlink) -> None:
    with on_a_line(FACES[family]) as line:
        done = meterlink("configure", f"optical:{line.port}?profile={family}", setting, "--yes")
        assert (done.status, done.code) == (2, "profile")
        assert "no description at hand" in done.err
        assert "parameter menu" in done.err
        assert line.heard == b""


# What is certain when the link breaks, or the meter does not do as it is told.


def configure(meterlink, bench: Bench, on_request, *words: str):
    with on_a_line(bench.face) as line:
        line.on_request = on_request
        return meterlink("configure", url(line), *words)


@pytest.mark.usefixtures("installer")
def test_a_value_that_is_not_acknowledged_is_uncertain(meterlink) -> None:
    bench = Bench((5, "11111111"))
    deaf = {"clock": False}

    def after_the_clock(data: bytes) -> bytes | None:
        deaf["clock"] = deaf["clock"] or (sets(data) and data[7:9] == b"\x01\x7a")
        return b"" if deaf["clock"] else None

    done = configure(meterlink, bench, after_the_clock, "clock=2027-01-02T03:04", "primary-address=6")
    assert (done.status, done.code) == (5, "write-uncertain")
    assert "the old value or the new one" in done.err
    assert "set before that: clock" in done.err


@pytest.mark.usefixtures("installer")
def test_a_link_that_breaks_after_the_acknowledgement(meterlink) -> None:
    bench = Bench((5, "11111111"))
    state = {"set": False}

    def silent_once_set(data: bytes) -> bytes | None:
        if state["set"]:
            return b""
        state["set"] = sets(data)
        return None

    done = configure(meterlink, bench, silent_once_set, "clock=2027-01-02T03:04")
    assert (done.status, done.code) == (5, "not-read-back")
    assert "acknowledged" in done.err


@pytest.mark.usefixtures("installer")
def test_a_link_that_breaks_before_anything_is_sent(meterlink) -> None:
    done = configure(meterlink, Bench((5, "11111111")), lambda _: b"", "clock=now")
    assert (done.status, done.code) == (5, "no-answer")
    assert "nothing was set before that" in done.err


@pytest.mark.usefixtures("installer")
def test_a_meter_that_acknowledges_and_does_nothing(meterlink) -> None:
    bench = Bench((5, "11111111"))
    done = configure(meterlink, bench, lambda data: ACKNOWLEDGE if sets(data) else None, "clock=2027-01-02T03:04")
    assert (done.status, done.code) == (6, "not-applied")
    assert "2027-01-02 03:04" in done.err


# Who is on the bus?


def test_a_bus_is_searched_by_both_kinds_of_addresses(meterlink) -> None:
    with on_a_line(bus((1, "11111101"), (2, "11111102"), (3, "22222222"), (3, "71234567"))) as line:
        at = f"serial:{line.port}?baud=38400"
        found = meterlink("find", "--bus", at, "--mask", "1111110F", "--last", 4, "--json")
        assert (found.status, found.err) == (0, "")
        shown = meterlink("find", "--bus", at, "--by", "primary", "--last", 3)
        meters = {meter["address"]: meter for meter in found.json["meters"]}
        assert [(meter["by"], address[:8]) for address, meter in meters.items()] == [
            ("secondary", "11111101"),
            ("secondary", "11111102"),
            ("primary", "1"),
            ("primary", "2"),
        ]
        assert found.json["unresolved"] == [{"by": "primary", "address": "3"}]
        read = [meterlink("read", meters[address]["url"], "--json") for address in ("2", "11111102A7320404")]
    assert [done.json["meter"]["serial_number"] for done in read] == ["11111102", "11111102"]
    assert "several meters answer at the primary address 3" in shown.out


def test_how_far_a_search_is_shows_in_a_terminal_alone() -> None:
    with on_a_line(bus((1, "11111111"))) as line:
        command = [sys.executable, "-m", "meterlink", "find", "--bus", f"serial:{line.port}", "--by", "secondary"]
        near, far = os.openpty()
        environment = {**os.environ, "TERM": "xterm"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=far, env=environment) as process:
            os.close(far)
            out, _ = process.communicate(timeout=30)
        with os.fdopen(near, "rb", buffering=0) as terminal:
            shown = terminal.read(65536)
    assert process.returncode == 0
    assert b"searching" in shown
    assert b"%" in shown
    assert b"11111111" in out
    assert b"searching" not in out


def test_nobody_on_the_bus(meterlink) -> None:
    with on_a_line(lambda _: BusFace([])) as line:
        done = meterlink("find", "--bus", f"serial:{line.port}?baud=38400", "--by", "secondary")
    assert (done.status, done.out.strip()) == (0, "no meter answers")


def test_a_meter_behind_a_slow_gateway_wants_patience(meterlink) -> None:
    with on_a_line(bus((0, "11111111"), reaction=1.5)) as line:
        at = f"serial:{line.port}?baud=38400&patience=8"
        found = meterlink("find", "--bus", at, "--by", "primary", "--last", 0, "--json")
        assert [meter["address"] for meter in found.json["meters"]] == ["0"]
        assert meterlink("read", found.json["meters"][0]["url"]).status == 0


@pytest.mark.parametrize("patience", ["soon", "-1", "61", "nan"])
def test_a_patience_that_is_none(patience, meterlink) -> None:
    with on_a_line(bus((1, "11111111"))) as line:
        at = f"serial:{line.port}?profile=generic-mbus&patience={patience}"
        for words in (("find", "--bus", at), ("read", at), ("configure", f"{at}&address=1", "clock=now")):
            done = meterlink(*words)
            assert (done.status, done.code) == (2, "url-invalid")
        assert line.heard == b""


@pytest.fixture
def searching():
    """Begin a search in a process of its own, which Ctrl-C reaches."""
    running: list[subprocess.Popen[str]] = []

    def begin(line: Line, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "meterlink", "find", "--bus", f"serial:{line.port}", "--by", "primary", *words]
        # A background job inherits SIGINT ignored, and would pass that on.
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def test_meters_are_told_as_they_are_found_and_ctrl_c_keeps_them(searching) -> None:
    with on_a_line(bus((0, "11111111"), (1, "22222222"))) as line:
        process = searching(line)
        # They are here while more than two hundred addresses are still to be asked.
        rows = [process.stdout.readline().split() for _ in range(3)]
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    assert [row[:2] for row in rows] == [["By", "Address"], ["primary", "0"], ["primary", "1"]]
    assert (process.returncode, out) == (130, "")
    assert errors.strip().startswith("error: interrupted: ")
    assert "Traceback" not in errors


def test_ctrl_c_keeps_what_was_found_in_json_too(searching) -> None:
    asked_next = threading.Event()
    with on_a_line(bus((1, "22222222"))) as line:
        line.on_request = lambda data: asked_next.set() if data == requests.reset_link(2) else None
        process = searching(line, "--json")
        assert asked_next.wait(30)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    found = json.loads(out)
    assert ([meter["address"] for meter in found["meters"]], found["complete"]) == (["1"], False)
    assert (process.returncode, json.loads(errors)["error"]["code"]) == (130, "interrupted")


def test_a_line_that_is_lost_keeps_what_was_found(meterlink) -> None:
    with on_a_line(bus((0, "11111111"))) as line:
        line.on_request = lambda data: line.hang_up() if data == requests.reset_link(1) else None
        done = meterlink("find", "--bus", f"serial:{line.port}?baud=38400", "--by", "primary", "--json")
    assert (done.status, json.loads(done.err)["error"]["code"]) == (5, "link-lost")
    assert ([meter["address"] for meter in done.json["meters"]], done.json["complete"]) == (["0"], False)


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--mask", "12"), "address"), (("--by", "colour"), "usage")],
)
def test_a_search_that_cannot_be_meant(words, code, meterlink) -> None:
    with on_a_line(bus((1, "11111111"))) as line:
        done = meterlink("find", "--bus", f"serial:{line.port}", *words, "--json")
        assert done.status == 2
        assert json.loads(done.err)["error"]["code"] == code


def test_a_family_that_is_on_no_bus_is_not_searched(meterlink) -> None:
    done = meterlink("find", "--bus", "optical:/dev/null?profile=t550")
    assert (done.status, done.code) == (2, "profile")
