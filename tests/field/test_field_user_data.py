"""`meterlink configure user-data=HEX`: records of a meter's description, over a pseudo-terminal."""

import os
import subprocess
import sys

import pytest
from field_lines import Line, bus, heat_meter, on_a_line, technician
from hypothesis import given
from hypothesis import strategies as st

from certs.levels import Level
from hil.faces.bus import BusFace, BusMeter
from meterlink.commands.user_data import UserData, parse_user_data
from meterlink.errors import UsageError
from meterlink.framing.mbus import requests
from meterlink.framing.mbus.frame import LongFrame
from meterlink.mbus import read_records

# A baud rate of 2400 Bd, and a place as text.
RECORDS = "02 FD 1C 60 09 0D FD 10 04 74 72 61 48"
OCTETS = bytes.fromhex(RECORDS)


@pytest.fixture
def installer(home) -> None:
    technician(home, Level.INSTALLATION)


def url(line: Line, address: object = 5) -> str:
    return f"serial:{line.port}?profile=generic-mbus&baud=38400&address={address}"


def sets(data: bytes) -> bool:
    """Whether this is a telegram that sets something."""
    return len(data) > 6 and data[0] == 0x68 and data[6] == requests.CI_DATA


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize("written", [RECORDS, RECORDS.replace(" ", "").lower(), RECORDS.replace(" ", ":")])
@pytest.mark.parametrize("address", [5, "11111111"])
def test_records_are_written_as_given(address, written, meterlink) -> None:
    meters = [BusMeter(heat_meter("11111111", 1), 5), BusMeter(heat_meter("22222222", 1), 6)]
    with on_a_line(lambda _: BusFace(meters)) as line:
        done = meterlink("configure", url(line, address), f"user-data={written}", "--yes", "--json")
        at = 5 if address == 5 else requests.NETWORK
        assert requests.send_data(at, OCTETS, True) in line.heard
    assert (done.status, done.err) == (0, "")
    assert [meter.user_data for meter in meters] == [[OCTETS], []]
    (change,) = done.json["changes"]
    assert (change["name"], change["wanted"], change["confirmed"]) == ("user_data", OCTETS.hex(), False)
    assert [(record["name"], record["value"]) for record in change["records"]] == [
        ("baud_rate", "2400"),
        ("customer_location", "Hart"),
    ]


@pytest.mark.usefixtures("installer")
def test_people_see_what_is_written_and_what_is_certain(meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        done = meterlink("configure", url(line), f"user-data={RECORDS}", "clock=2027-01-02T03:04", "--yes")
    assert done.status == 0
    assert "02 FD 1C: baud rate = 2400 Bd" in done.err
    assert "customer location = Hart" in done.err
    assert "2 records acknowledged; no readout shows" in done.out
    assert "clock: 2027-01-02 03:04" in done.out


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_without_a_terminal_it_wants_a_yes(more, meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        done = meterlink("configure", url(line), f"user-data={RECORDS}", *more)
        assert (done.status, done.out) == (2, "")
        assert "confirmation-needed" in done.err
        assert line.heard == b""


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize(("answer", "status"), [("n", 2), ("y", 0)])
def test_in_a_terminal_it_asks(answer, status) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        command = [sys.executable, "-m", "meterlink", "configure", url(line), f"user-data={RECORDS}"]
        near, far = os.openpty()
        with subprocess.Popen(command, stdin=far, stdout=subprocess.PIPE, stderr=far) as process:
            os.close(far)
            os.write(near, answer.encode() + b"\n")
            process.communicate(timeout=60)
        with os.fdopen(near, "rb", buffering=0) as terminal:
            shown = terminal.read(65536)
        assert process.returncode == status
        assert b"Write 2 records (13 octets) into the meter at 5?" in shown
        assert (requests.send_data(5, OCTETS, True) in line.heard) == (answer == "y")


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("xyz", "hex"),
        ("02F", "hex"),
        ("02 FD 1C 60", "ends inside of a record (from octet 0 on)"),
        ("02 FD 1C 60 09 0C 06 01", "ends inside of a record (from octet 5 on)"),
        ("02 FD", "record header"),
        ("0D FD 10 FF 00", "reserved length"),
        ("7F", "reserved DIF"),
        ("2F 2F", "no record"),
        ("0F", "no record"),
        ("01 FD 1C 09 1F", "further telegrams"),
        ("0F" + "00" * 252, "252 octets"),
        ("01 7A 06", "primary address"),
        ("02 FD 1C 60 09 81 00 7A 06", "primary address"),
        ("0C 79 78 56 34 12", "secondary address"),
    ],
)
def test_what_is_no_whole_record_sends_no_byte(written, words, meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        done = meterlink("configure", url(line), "clock=now", f"user-data={written}", "--yes")
        assert (done.status, done.code) == (2, "setting-invalid")
        assert words in done.err
        assert line.heard == b""


@pytest.mark.parametrize("level", [Level.CONSUMER, Level.TEST])
def test_who_may_not_configure_is_not_asked(level, home, meterlink) -> None:
    technician(home, level) if level is not Level.CONSUMER else None
    with on_a_line(bus((5, "11111111"))) as line:
        done = meterlink("configure", url(line), f"user-data={RECORDS}")
        assert (done.status, done.code) == (3, "not-permitted")
        assert line.heard == b""


@pytest.mark.usefixtures("installer")
def test_a_meter_must_be_named_before_anybody_is_asked(meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        done = meterlink("configure", f"serial:{line.port}?profile=generic-mbus", f"user-data={RECORDS}")
        assert (done.status, done.code, line.heard) == (2, "address", b"")


@pytest.mark.usefixtures("installer")
def test_nothing_is_written_where_two_meters_answer(meterlink) -> None:
    meters = [BusMeter(heat_meter(serial, 1), 5) for serial in ("11111111", "22222222")]
    with on_a_line(lambda _: BusFace(meters)) as line:
        done = meterlink("configure", url(line), f"user-data={RECORDS}", "--yes")
    assert (done.status, done.code) == (6, "collision")
    assert [meter.user_data for meter in meters] == [[], []]


@pytest.mark.usefixtures("installer")
def test_what_is_not_acknowledged_is_uncertain(meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        line.on_request = lambda data: b"" if sets(data) else None
        done = meterlink("configure", url(line), f"user-data={RECORDS}", "--yes")
    assert (done.status, done.code) == (5, "write-uncertain")
    assert "no readout tells" in done.err


@pytest.mark.usefixtures("installer")
def test_a_meter_that_complains_after_its_acknowledgement(meterlink) -> None:
    # EN 13757-3, 10: the answer to the next request is the error (here: too many records).
    error = LongFrame(0x08, 5, 0x70, b"\x03").to_bytes()
    written = []

    def complain(data: bytes) -> bytes | None:
        if sets(data):
            written.append(data)
        asks = data[:1] == b"\x10" and data[1] & 0x0F == 0x0B
        return error if written and asks else None

    with on_a_line(bus((5, "11111111"))) as line:
        line.on_request = complain
        done = meterlink("configure", url(line), f"user-data={RECORDS}", "--yes")
    assert (done.status, done.code) == (6, "not-applied")
    assert "too many records" in done.err
    assert len(written) == 1


@pytest.mark.usefixtures("installer")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_password_goes_to_the_meter_alone(more, meterlink) -> None:
    with on_a_line(bus((5, "11111111"))) as line:
        # Twice the same, so that nothing leans on the place of a record.
        written = ("02 FD 1C 60 09 " * 2) + "04 FD 16 73 65 73 61 06 FD 19 11 22 33 44 55 66"
        done = meterlink("configure", url(line), f"user-data={written}", "--yes", *more)
        assert requests.send_data(5, bytes.fromhex(written), True) in line.heard
    assert done.status == 0
    for hidden in ("73657361", "73 65 73 61", "ases", "112233", "11 22 33"):
        assert hidden not in done.out + done.err
    assert "not shown" in done.out + done.err
    assert "736573" not in repr(parse_user_data(written))


def taken_or_code(text: str) -> UserData | str:
    try:
        return parse_user_data(text)
    except UsageError as error:
        return error.code


@given(st.binary(min_size=1, max_size=260))
def test_what_is_taken_is_whole_and_everything_else_is_refused(octets: bytes) -> None:
    taken = taken_or_code(octets.hex())
    if isinstance(taken, str):
        assert taken == "setting-invalid"
        return
    found = read_records(octets)
    assert taken.octets == octets
    assert (found.problem, found.more_follow) == ("", False)
    assert len(octets) <= 252
    assert taken.records
