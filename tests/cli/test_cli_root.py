"""The command line as its user meets it: verbs, exit statuses, the form of errors, Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest
from program import Program, start

from meterlink import samples
from meterlink.__main__ import main as entry_point
from meterlink.cli.main import root

VERBS = {"authority", "certs", "configure", "cosem", "decode", "demo", "doctor", "find", "hil", "read"}


@pytest.fixture(autouse=True)
def own_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINK_AUTHORITY", str(tmp_path / "authority"))


def test_help_lists_exactly_the_verbs_that_work(meterlink: Program) -> None:
    done = meterlink("--help")
    assert done.status == 0
    listed = done.out.partition("Commands:")[2].splitlines()
    assert {line.split()[0] for line in listed if line.strip()} == VERBS


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(verb: str, meterlink: Program) -> None:
    done = meterlink(verb, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Usage: meterlink {verb} ")


def leaves(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command of the program with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def test_every_command_speaks_json() -> None:
    found = dict(leaves(root))
    assert len(found) > 30
    silent = [words for words, command in found.items() if not any("--json" in each.opts for each in command.params)]
    assert silent == []


def test_without_a_verb_the_help_comes(meterlink: Program) -> None:
    done = meterlink()
    assert done.status == 2
    assert "Usage: meterlink" in done.out + done.err


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("frobnicate",), 2, "usage"),
        (("read",), 2, "usage"),
        (("read", "nonsense"), 2, "url-invalid"),
        (("read", "gopher:x"), 2, "url-invalid"),
        (("read", "tcp://localhost:4059?colour=red"), 2, "url-invalid"),
        (("read", "tcp://localhost:4059?profile=toaster"), 2, "unknown-profile"),
        (("read", "sim:heat", "--object", "phlogiston"), 2, "unknown-object"),
        (("configure", "sim:heat", "clock"), 2, "setting-invalid"),
        (("configure", "sim:heat", "clock=yesterday"), 2, "setting-invalid"),
        (("configure", "sim:heat", "energy=0"), 2, "setting-invalid"),
        (("configure", "sim:heat", "clock=now"), 3, "not-permitted"),
        (("read", "serial:/dev/no-such-port"), 5, "port-not-found"),
        (("read", "tcp://127.0.0.1:1"), 5, "link-unavailable"),
        (("decode", "no-such-file"), 2, "file"),
        (("decode", "sample:toaster"), 2, "unknown-sample"),
        (("decode", __file__), 2, "not-recognised"),
    ],
)
def test_bad_input_gives_one_form_of_error(words: tuple[str, ...], status: int, code: str, meterlink: Program) -> None:
    done = meterlink(*words)
    assert done.status == status
    assert done.err.startswith(f"error: {code}: ")
    assert "Traceback" not in done.err
    assert done.out == ""


def test_errors_as_json(meterlink: Program) -> None:
    done = meterlink("configure", "sim:heat", "clock=now", "--json")
    assert done.status == 3
    error = json.loads(done.err)["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == "not-permitted"
    assert "Commissioning" in error["hint"]


def test_a_fresh_home_has_one_active_consumer_certificate(
    meterlink: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []
    for name in ("one", "two"):
        monkeypatch.setenv("METERLINK_HOME", str(tmp_path / name))
        done = meterlink("certs", "list", "--json")
        assert (done.status, done.err) == (0, "")
        (entry,) = json.loads(done.out)
        assert (entry["level"], entry["active"], entry["status"]) == ("Consumer", True, "valid")
        assert entry["permissions"] == ["read"]
        shown = json.loads(meterlink("certs", "show", entry["id"], "--json").out)
        seen.append((entry["id"], entry["system_title"], shown["fingerprint"]))
    assert all(one != two for one, two in zip(*seen, strict=True))


def test_reading_the_meter_in_the_process(meterlink: Program) -> None:
    done = meterlink("read", "sim:heat", "--json")
    assert (done.status, done.err) == (0, "")
    report = json.loads(done.out)
    assert set(report) == {"meter", "readings", "notes"}
    names = [reading["name"] for reading in report["readings"]]
    assert {"energy", "volume", "power", "flow", "flow_temperature", "return_temperature", "clock"} <= set(names)
    assert all(isinstance(reading["value"], str) for reading in report["readings"])


def test_stored_values_maxima_and_faults_are_tables(meterlink: Program) -> None:
    capture = Path(__file__).parents[1] / "data" / "heat" / "t330" / "readout.bin"
    done = meterlink("decode", str(capture))
    assert (done.status, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    begin = lines.index(["stored", "values"])
    assert lines[begin + 2][:4] == ["2025-09-15", "00:00:00", "192", "17.06"]
    assert ["power", "6.6", "kW", "2025-08-14", "18:00:00"] in lines[lines.index(["maxima"]) :]
    assert ["faults"] in lines
    assert not [line for line in lines[:begin] if line[:2] == ["energy", "192"]]  # told once


def test_standard_input_is_decoded() -> None:
    readout = samples.read("t550")
    command = [sys.executable, "-m", "meterlink", "decode", "-", "--json"]
    done = subprocess.run(command, input=readout, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["meter"]["family"] == "t550"


def test_a_reader_that_goes_away_is_no_fault() -> None:
    with start("decode", "sample:t550", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("words", "closed", "status"),
    [
        (("decode", "sample:t550"), "<&-", 0),
        (("decode", "-"), "<&-", 2),
        (("certs", "import", "-"), "<&-", 4),
        (("certs", "remove", "0"), "<&-", 4),
        (("decode", "sample:t550"), ">&-", 0),
        (("read", "nonsense"), "2>&-", 2),
    ],
)
def test_a_closed_stream_is_no_fault(words: tuple[str, ...], closed: str, status: int) -> None:
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "meterlink", *words]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"internal" not in done.stderr


def test_an_encoding_without_our_signs_loses_the_signs_alone() -> None:
    command = [sys.executable, "-m", "meterlink", "decode", "sample:t550"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    assert b"326.062" in done.stdout
    assert b"m?/h" in done.stdout


def test_ctrl_c_while_the_program_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "meterlink.cli.main", Interrupted())
    assert entry_point() == 130
    assert capsys.readouterr().err == "error: interrupted: Stopped on request.\n"


@pytest.mark.parametrize(
    ("framing", "banner"),
    [("wrapper", b"220 mail.example ESMTP\r\n"), ("wrapper", b"\xff\xfb\x01"), ("hdlc", b"220 mail.example ESMTP\r\n")],
)
def test_another_service_is_told_from_a_meter(framing: str, banner: bytes, meterlink: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service, ThreadPoolExecutor(1) as pool:
        greeted = pool.submit(_greet, service, banner)
        port = service.getsockname()[1]
        done = meterlink("read", f"tcp://127.0.0.1:{port}?framing={framing}&security=none")
        greeted.result(timeout=30)
    assert (done.status, done.code) == (5, "no-meter")


def _greet(service: socket.socket, banner: bytes) -> None:
    """Say the banner, as a mail server does, and hear what comes until the other side goes."""
    connection, _ = service.accept()
    with connection:
        connection.sendall(banner)
        while connection.recv(4096):
            pass


def test_ctrl_c_is_the_way_a_simulated_meter_ends() -> None:
    with start("hil", "meter", "--listen", "tcp://127.0.0.1:0") as process:
        assert process.stdout is not None
        assert b"127.0.0.1" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.decode().strip()) == (0, "stopped")


def test_ctrl_c_while_a_meter_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with start("read", f"tcp://127.0.0.1:{silent.getsockname()[1]}") as process:
            connection, _ = silent.accept()
            assert connection.recv(1)  # it has begun to talk
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
            connection.close()
    assert process.returncode == 130
    assert errors.decode().strip() == "error: interrupted: Stopped on request."


def test_one_simulated_meter_serves_another_process() -> None:
    """`hil meter` in one process, `read` in another: the default domain makes them trust each other."""
    with start("hil", "meter", "--listen", "tcp://127.0.0.1:0", "--json") as server:
        assert server.stdout is not None
        lines = iter(server.stdout.readline, b"")
        announced = b""
        for line in lines:
            announced += line
            if line.startswith(b"}"):
                break
        url = json.loads(announced)["url"]
        with start("read", url, "--json") as reader:
            out, errors = reader.communicate(timeout=30)
        server.send_signal(signal.SIGINT)
    assert (reader.returncode, errors) == (0, b"")
    assert len(json.loads(out)["readings"]) >= 8
