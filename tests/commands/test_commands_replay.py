"""Answers of older sessions, played to new ones: the program as processes, a meter, and who recorded what it said."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands_field import AUTHENTICATION, PASSWORD_GLO, UNICAST, FieldMeter, served
from session_support import credential, utc_now

from certs.domain import make_domain
from certs.levels import Level
from hil.wire import WireTransport
from meterlink.commands.connect import meter_session, target_of
from meterlink.commands.meter_counter import MeterCounter
from meterlink.commands.secrets import meter_secrets
from meterlink.cosem.names import Attribute
from meterlink.counter_file import FileCounterStore, ReceivedFiles
from meterlink.errors import SecurityError
from meterlink.security.keys import KeySet
from meterlink.session import Session
from meterlink.transport.replay import read_recording
from meterlink.values import Obis

SERIAL = Attribute(1, Obis.parse("0-0:96.1.0"), 2)
GLO = f"security=lls&client={PASSWORD_GLO.sap}&ciphering=glo"
HEADER = 8


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "meterlink", *map(str, words)]


def run(*words: object) -> tuple[int, Any, str]:
    """Run the program as a process; return its status, what it printed, and the code of its error."""
    done = subprocess.run(command(*words, "--json"), capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    shown = json.loads(done.stdout) if done.stdout else None
    return done.returncode, shown, json.loads(done.stderr)["error"]["code"] if done.stderr else ""


def energy(shown: Any) -> int:
    (reading,) = shown["readings"]
    return int(reading["value"])


def recorded(trace: Path) -> list[bytes]:
    """What the meter said, PDU by PDU of the wrapper."""
    _, entries = read_recording(trace.read_text().splitlines())
    octets = b"".join(entry.data for entry in entries if entry.event == "received")
    pdus = []
    while len(octets) >= HEADER:
        length = HEADER + int.from_bytes(octets[6:HEADER], "big")
        pdus.append(octets[:length])
        octets = octets[length:]
    return pdus


@contextlib.contextmanager
def played(answers: list[bytes]) -> Iterator[str]:
    """Answer every request, whatever it is, with the next of ``answers``; yield the URL."""

    def play() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                for answer in answers:
                    head = stream.read(HEADER)
                    if len(head) < HEADER:
                        return
                    stream.read(int.from_bytes(head[6:], "big"))
                    connection.sendall(answer)
                stream.read()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=play)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}?framing=wrapper"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@pytest.mark.parametrize("form", ["glo", "general-glo"])
def test_40_answers_recorded_in_one_run_are_refused_in_the_next(
    field_meter: FieldMeter, tmp_path: Path, form: str
) -> None:
    query = f"{GLO.replace('glo', form)}"
    words = ("--object", "energy", "--keys", field_meter.key_file(tmp_path))
    with served(field_meter.server, "wrapper") as url:
        status, first, _ = run("read", f"{url}&{query}", *words, "--trace", tmp_path / "t")
        assert status == 0
        said = recorded(tmp_path / "t")
        field_meter.server.meter.metrology.totals.energy += 1_000_000
        with played(said) as hostile:
            assert run("read", f"{hostile}&{query}", *words) == (6, None, "replay")
        # The attack is a real one: where nothing is kept, the old value comes as if it were new, and that is told.
        with played(said) as hostile:
            status, shown, _ = run("read", f"{hostile}&{query}&meter-counter=restarts", *words)
        assert (status, energy(shown)) == (0, energy(first))
        assert "nothing told its answers from recorded ones" in shown["notes"][1]
        status, shown, _ = run("read", f"{url}&{query}", *words)
        assert status == 0
        assert energy(shown) >= energy(first) + 1_000_000


def test_40_answers_that_a_killed_process_had_got_are_refused(field_meter: FieldMeter, tmp_path: Path) -> None:
    keys, trace = field_meter.key_file(tmp_path), tmp_path / "t"
    with served(field_meter.server, "wrapper") as url:
        killed = subprocess.Popen(
            command("read", f"{url}&{GLO}", "--all", "--keys", keys, "--trace", trace),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not trace.exists() or len(trace.read_text().splitlines()) < 16:
            assert killed.poll() is None
        killed.kill()
        killed.wait()
    said = recorded(trace)
    with played(said) as hostile:
        assert run("read", f"{hostile}&{GLO}", "--object", "energy", "--keys", keys) == (6, None, "replay")


def test_a_meter_that_begins_again_is_told_and_accepted_when_the_user_says_so(meterlink, tmp_path: Path) -> None:
    """A new electronics module under the old keys and the old name."""
    old, new = FieldMeter(), FieldMeter()
    keys = old.key_file(tmp_path)
    words = ("--object", "energy", "--keys", keys)
    query = "security=hls-gmac&client=19"
    with served(old.server, "wrapper") as url:
        for _ in range(3):
            assert meterlink("read", f"{url}&{query}", *words).status == 0
    with served(new.server, "hdlc") as url:
        refused = meterlink("read", f"{url}&{query}", *words)
        assert (refused.status, refused.code, refused.out) == (6, "replay", "")
        assert "meter-counter=N" in refused.err
        assert "meter-counter=restarts" in refused.err
        too_high = meterlink("read", f"{url}&{query}&meter-counter=4000", *words)
        assert (too_high.code, "earlier associations" in too_high.err) == ("replay", False)
        assert meterlink("read", f"{url}&{query}", *words).code == "replay"
        once = meterlink("read", f"{url}&{query}&meter-counter=1", *words)
        assert (once.status, once.err) == (0, "")
        assert "not compared with those of earlier sessions" in " ".join(once.out.split())
        after = meterlink("read", f"{url}&{query}", *words)
        assert (after.status, after.err) == (0, "")
        assert "not compared" not in " ".join(after.out.split())


def test_meters_that_share_their_keys_are_kept_apart(meterlink, tmp_path: Path) -> None:
    one, other = FieldMeter(), FieldMeter(bytes.fromhex("4D4C4B0000004799"))
    words = ("--object", "energy", "--keys", one.key_file(tmp_path))
    for meter in (one, one, other, one, other):
        with served(meter.server, "wrapper") as url:
            done = meterlink("read", f"{url}&security=hls-gmac&client=19", *words)
        assert (done.status, done.err) == (0, "")
    keys = KeySet(UNICAST, AUTHENTICATION)
    store = FileCounterStore(tmp_path / "another")
    MeterCounter().history(store, keys).transactions(b"one-name").accept(5)
    history = MeterCounter().history(store, keys)
    assert [history.transactions(name).least for name in (b"one-name", b"another-")] == [6, 0]
    assert MeterCounter().history(store, KeySet(UNICAST, UNICAST)).transactions(b"one-name").least == 0


@pytest.mark.parametrize("ciphering", ["glo", "ded", "general-ciphering"])
def test_a_meter_that_always_begins_again_is_read_where_the_url_says_so(
    meterlink, tmp_path: Path, ciphering: str
) -> None:
    sap = 57 if ciphering == "general-ciphering" else 19
    for number in range(3):
        meter = FieldMeter()
        words = ("--object", "energy", "--keys", meter.key_file(tmp_path), "--json")
        with served(meter.server, "wrapper") as url:
            url += f"&security=hls-gmac&client={sap}&ciphering={ciphering}"
            done = meterlink("read", f"{url}&meter-counter=restarts", *words)
            assert (done.status, done.err) == (0, "")
            assert any("recorded ones" in note for note in done.json["notes"]) is (ciphering != "ded")
            # Nothing was kept, so nothing is known to the one that asks for it, and it keeps from then on.
            assert meterlink("read", url, *words).status == (0 if number == 0 else 6)


def test_processes_that_read_one_meter_at_once_do_not_disturb_each_other(
    field_meter: FieldMeter, tmp_path: Path
) -> None:
    """Under one key, so their meter has one counter for all; each with a client SAP of its own, as meters want it."""
    keys = field_meter.key_file(tmp_path)
    ways = ("security=hls-gmac&client=19", "security=hls-gmac&client=57&ciphering=general-ciphering", GLO)
    with served(field_meter.server, "wrapper") as url:
        for _ in range(2):
            readers = [
                subprocess.Popen(
                    command("read", f"{url}&{way}", "--all", "--keys", keys, "--json"),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for way in ways
            ]
            for reader in readers:
                out, err = reader.communicate()
                assert (reader.returncode, err) == (0, "")
                assert len(json.loads(out)["objects"]) > 20


def test_a_damaged_record_stops_the_session_and_names_its_file(
    meterlink, field_meter: FieldMeter, tmp_path: Path, home: Path
) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        words = ("read", f"{url}&{GLO}", "--object", "energy", "--keys", keys)
        assert meterlink(*words).status == 0
        (record,) = (home / "counters").glob("*-received/*[!k]")
        kept = record.read_text()
        record.write_text("a lot")
        refused = meterlink(*words)
        assert (refused.status, refused.code, refused.out) == (6, "counter-store", "")
        assert str(record) in refused.err.replace("\n", "")
        record.write_text(kept)
        assert meterlink(*words).status == 0


def test_a_folder_that_cannot_be_written_gives_no_value(
    meterlink, field_meter: FieldMeter, tmp_path: Path, home: Path
) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        words = ("read", f"{url}&{GLO}", "--object", "energy", "--keys", keys)
        assert meterlink(*words).status == 0
        (folder,) = (home / "counters").glob("*-received")
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        folder.write_bytes(b"")
        done = meterlink(*words)
    assert (done.code, done.out) == ("file", "")
    assert os.environ["METERLINK_HOME"] == str(home)


class Watched(FileCounterStore):
    """A store that notes what it is asked to do."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seen: list[str] = []

    def received(self, key: str) -> ReceivedFiles:
        self.seen.append("look up")
        return super().received(key)

    def record(self, key: str, sender: str, least: int, *, anew: bool = False) -> None:
        super().record(key, sender, least, anew=anew)
        self.seen.append("record")

    def settle(self, key: str, sender: str) -> None:
        super().settle(key, sender)
        self.seen.append("settle")


async def test_40_a_counter_is_recorded_before_its_value_is_handed_on(field_meter: FieldMeter, tmp_path: Path) -> None:
    store = Watched(tmp_path / "counters")
    secrets = meter_secrets(field_meter.key_file(tmp_path), {})
    target = target_of(f"tcp://127.0.0.1:1?{GLO}")
    who = credential(make_domain("Any", "any@example.org", utc_now()), Level.CONSUMER)

    def session() -> Session:
        return meter_session(target, WireTransport(field_meter.server.wrapper_connection), who, utc_now, secrets, store)

    async with session() as opened:
        for count in range(1, 4):
            assert store.seen[-1] == "record"
            assert store.seen.count("record") == count
            await opened.get(SERIAL)
    assert store.seen[:3] == ["look up", "look up", "record"]
    assert store.seen[-2:] == ["record", "settle"]  # the answer to the release, and the end
    store.seen.clear()
    broken = session()
    await broken.open()
    await broken.get(SERIAL)
    with pytest.raises(SecurityError):
        broken.association.receive(b"\xcc\x00")
    assert store.seen[-1] == "settle"
    await broken.close()
