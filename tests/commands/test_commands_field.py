"""Meters without certificates: every security of the URL, key files, counters over runs and kills."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands_field import (
    AUTHENTICATION,
    CLIENT_TITLE,
    METER_TITLE,
    PASSWORD,
    SAPS,
    SECRET,
    UNICAST,
    FieldMeter,
    served,
)

from meterlink.commands.secrets import meter_secrets
from meterlink.commands.shared import forgets_counters, is_replayable
from meterlink.errors import UsageError
from meterlink.tracing import explain, read_capture

MODES = [("none", 17, ""), *((word, sap, "&ciphering=none") for word, sap in SAPS.items() if word != "hls-gmac")]
GLO = [("hls-gmac", 19, ""), ("hls-gmac", 19, "&ciphering=ded"), ("hls-gmac", 19, "&ciphering=general-glo")]
GLO += [("hls-ecdsa", 21, ""), ("hls-ecdsa", 21, "&ciphering=general-ded")]


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize(("security", "client", "more"), MODES + GLO)
def test_every_security_reads(meterlink, field_meter, tmp_path, security, client, more, framing) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, framing) as url:
        done = meterlink("read", f"{url}&security={security}&client={client}{more}", "--keys", keys, "--json")
    assert (done.status, done.err) == (0, "")
    report = done.json
    assert {reading["name"]: reading["value"] for reading in report["readings"]}["serial_number"] == "00815004"
    assert "does not enforce certificates" in report["notes"][0]


def test_the_password_comes_from_the_environment(meterlink, field_meter, monkeypatch) -> None:
    monkeypatch.setenv("METERLINK_METER_PASSWORD", PASSWORD)
    with served(field_meter.server, "wrapper") as url:
        done = meterlink("read", f"{url}&security=lls&client=18", "--object", "energy")
    assert done.status == 0
    assert "does not enforce certificates" in done.out


def test_a_wrong_password_is_refused_by_the_meter(meterlink, field_meter, monkeypatch) -> None:
    monkeypatch.setenv("METERLINK_METER_PASSWORD", "87654321")
    with served(field_meter.server, "wrapper") as url:
        done = meterlink("read", f"{url}&security=lls&client=18")
    assert (done.status, done.code) == (6, "authentication-failure")
    assert "87654321" not in done.err + done.out


def test_the_gate_still_decides_by_the_certificate(meterlink, field_meter, tmp_path) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        url += "&security=hls-gmac&client=19"
        done = meterlink("configure", url, "clock=now", "--keys", keys, "--trace", tmp_path / "t")
    assert (done.status, done.code) == (3, "not-permitted")
    assert not (tmp_path / "t").exists()  # nothing was opened, so nothing is traced


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("security=maybe", "url-invalid"),
        ("security=lls&client=18", "keys-needed"),
        ("security=hls-md5&client=22", "keys-needed"),
        ("security=hls-gmac&client=19", "keys-needed"),
        ("security=lls", "url-invalid"),
        ("security=none&ciphering=sometimes", "url-invalid"),
        ("security=none&suite=9", "url-invalid"),
    ],
)
def test_what_is_missing_or_wrong_is_told_before_anything_is_sent(meterlink, query, code) -> None:
    done = meterlink("read", f"tcp://127.0.0.1:1?{query}")
    assert (done.status, done.code) == (2, code)


def test_two_runs_never_use_a_counter_twice(meterlink, field_meter, tmp_path) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        for _ in range(3):
            done = meterlink("read", f"{url}&security=hls-gmac&client=19", "--keys", keys, "--object", "energy")
            assert done.status == 0


def test_a_killed_client_continues_with_a_counter_that_never_repeats(meterlink, field_meter, tmp_path) -> None:
    """The meter refuses a counter that does not grow, so it judges; the client dies in the middle of its session."""
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "hdlc") as url:
        url += "&security=hls-gmac&client=19"
        for _ in range(3):
            command = [
                sys.executable,
                "-m",
                "meterlink",
                "read",
                url,
                "--all",
                "--keys",
                keys,
                "--trace",
                tmp_path / "t",
            ]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not (tmp_path / "t").exists() or len((tmp_path / "t").read_text().splitlines()) < 12:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
            (tmp_path / "t").unlink()
        done = meterlink("read", url, "--keys", keys, "--object", "energy")
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666])
def test_a_key_file_that_others_may_read_is_refused(meterlink, field_meter, tmp_path, mode) -> None:
    keys = field_meter.key_file(tmp_path)
    keys.chmod(mode)
    done = meterlink("read", "tcp://127.0.0.1:1?security=hls-gmac&client=19", "--keys", keys)
    assert (done.status, done.code) == (2, "key-file-open")
    assert f"chmod 600 {keys}" in done.err


@pytest.mark.parametrize(
    "content",
    [
        "unicast = 'nonsense'",
        f"unicast = '{UNICAST.hex()}'",
        f"unicast = '{UNICAST.hex()}'\nauthentication = '00'",
        "system_title = '00'",
        "pasword = 'x'",
        "= 00112233445566778899aabbccddeeff",
        "counter = -1",
        "password = 5",
        "secret = '0xzz'",
        '{"password": "\\ud83d"}',
        "signing_key = 'nowhere.pem'",
        "meter_key = 'keys.toml'",
        "x" * 70_000,
    ],
)
def test_a_wrong_key_file_is_told_without_its_values(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.toml"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        meter_secrets(path, {})
    assert caught.value.code == "key-file"
    assert UNICAST.hex() not in str(caught.value)
    assert "00112233" not in str(caught.value)


def test_json_is_read_too_and_nothing_shows_a_secret(field_meter: FieldMeter, tmp_path: Path) -> None:
    toml = field_meter.key_file(tmp_path)
    path = tmp_path / "keys.json"
    path.touch(mode=0o600)
    content = {"unicast": UNICAST.hex(), "authentication": AUTHENTICATION.hex(), "secret": "0x0102", "counter": 7}
    path.write_text(json.dumps(content))
    for secrets in (meter_secrets(toml, {}), meter_secrets(path, {})):
        assert secrets.keys is not None
        shown = f"{secrets!r} {secrets.keys!r} {secrets}"
        for hidden in (UNICAST.hex(), AUTHENTICATION.hex(), PASSWORD, SECRET, repr(UNICAST)[2:-1]):
            assert hidden not in shown
    assert meter_secrets(path, {}).secret == b"\x01\x02"
    assert meter_secrets(path, {}).counter == 7
    assert meter_secrets(toml, {"METERLINK_METER_PASSWORD": "other"}).password == b"other"
    assert meter_secrets(toml, {}).system_title == CLIENT_TITLE


def test_no_key_file_is_needed_for_nothing() -> None:
    assert meter_secrets(None, {}).keys is None
    assert os.environ.get("METERLINK_METER_PASSWORD") is None


def test_keys_that_stay_without_a_challenge_are_warned_of() -> None:
    for options, warned in (
        ({"security": "lls", "ciphering": "glo"}, True),
        ({"security": "none", "ciphering": "general-glo"}, True),
        ({"security": "lls"}, False),
        ({"security": "lls", "ciphering": "ded"}, False),
        ({"security": "hls-gmac", "ciphering": "glo"}, False),
        ({"security": "lls", "ciphering": "general-ciphering"}, True),
        ({"security": "lls", "ciphering": "general-ciphering", "key": "wrapped"}, False),
        ({"security": "lls", "ciphering": "general-ciphering", "key": "wrapped", "header-authenticated": "no"}, True),
        ({"security": "lls", "ciphering": "general-ciphering", "key": "agreed-c0e2s"}, False),
    ):
        assert is_replayable(options) is warned


def test_counters_that_are_not_compared_are_warned_of() -> None:
    for options, warned in (
        ({"security": "hls-gmac"}, True),
        ({"security": "hls-gmac", "ciphering": "ded"}, False),
        ({"security": "lls"}, False),
        ({"security": "lls", "ciphering": "glo"}, True),
        ({"security": "hls-ecdsa", "ciphering": "general-ciphering", "key": "agreed-c1e1s"}, False),
        ({"security": "hls-ecdsa", "signing": "both"}, True),
    ):
        assert forgets_counters({**options, "meter-counter": "restarts"}) is warned
        assert not forgets_counters(options)


def test_the_private_key_beside_a_key_file_must_be_private_too(field_meter: FieldMeter, tmp_path: Path) -> None:
    keys = field_meter.key_file(tmp_path)
    (tmp_path / "client.pem").chmod(0o644)
    with pytest.raises(UsageError) as caught:
        meter_secrets(keys, {})
    assert caught.value.code == "key-file-open"


def test_a_trace_takes_a_file_that_was_there_from_others(meterlink, field_meter, tmp_path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("old")
    trace.chmod(0o644)
    with served(field_meter.server, "wrapper") as url:
        meterlink("read", f"{url}&security=none&client=17", "--object", "energy", "--trace", trace)
    assert trace.stat().st_mode & 0o077 == 0
    assert "old" not in trace.read_text()


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize("security", ["hls-gmac&client=19", "hls-ecdsa&client=21", "hls-md5&client=22&ciphering=none"])
def test_another_meter_than_the_expected_one_is_left_at_once(
    meterlink, field_meter, tmp_path, security, framing
) -> None:
    keys, trace = field_meter.key_file(tmp_path), tmp_path / "trace"
    with served(field_meter.server, framing) as url:
        words = (
            "read",
            f"{url}&security={security}&title={{}}",
            "--object",
            "energy",
            "--keys",
            keys,
            "--trace",
            trace,
        )
        right = meterlink(*(str(word).format(METER_TITLE.hex()) for word in words))
        assert (right.status, right.err) == (0, "")
        wrong = meterlink(*(str(word).format("4D4C4B0000009999") for word in words))
    assert (wrong.status, wrong.code) == (4, "system-title")
    capture = read_capture(trace.read_bytes())
    assert capture is not None
    apdus = [step.name for step in explain(capture) if step.layer == "apdu" and step.direction == "sent"]
    assert [name for name in apdus if not name.startswith(("initiate", "glo"))] == ["aarq"]
    assert meterlink("read", "tcp://127.0.0.1:1?security=none&title=12").code == "url-invalid"


def test_a_certificate_session_looks_at_the_title_too(meterlink) -> None:
    assert meterlink("read", "sim:heat?title=4D4C4B5300000001", "--object", "energy").status == 0
    done = meterlink("read", "sim:heat?title=4D4C4B5300000002", "--object", "energy")
    assert (done.status, done.code) == (4, "system-title")
