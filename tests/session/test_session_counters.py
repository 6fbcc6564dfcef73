"""Counters that outlive the program: killed, several at once, damaged."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from certs.locking import locked
from meterlink import counter_file
from meterlink.commands.meter_counter import MeterCounter
from meterlink.counter_file import FileCounterStore, counter_name, push_name, received_name
from meterlink.errors import SecurityError
from meterlink.security.counters import SETTLE, KeptCounter, MemoryCounterStore, SendCounter
from meterlink.security.keys import KeyRole, KeySet

WORKER = Path(__file__).with_name("counter_worker.py")
RECEIVER = Path(__file__).with_name("received_worker.py")


def run_and_kill(folder: Path, processes: int, lines: int) -> list[int]:
    """Run several workers at once, kill each after it has printed some counters, and return all that they printed."""
    workers = [
        subprocess.Popen([sys.executable, WORKER, folder], stdout=subprocess.PIPE, text=True, cwd=WORKER.parents[2])
        for _ in range(processes)
    ]
    printed: list[str] = []
    for worker in workers:
        assert worker.stdout is not None
        printed += [worker.stdout.readline() for _ in range(random.randint(1, lines))]
        worker.kill()
        printed += worker.stdout.read().splitlines(keepends=True)
        worker.wait()
        worker.stdout.close()
    return [int(line) for line in printed if line.endswith("\n")]


def test_a_killed_client_continues_with_a_counter_that_never_repeats(tmp_path: Path) -> None:
    used: list[int] = []
    for _ in range(2):
        now = run_and_kill(tmp_path, processes=3, lines=40)
        assert now
        assert min(now) > max(used, default=0)
        used += now
    assert len(set(used)) == len(used)


def test_counters_go_on_behind_what_was_reserved(tmp_path: Path) -> None:
    store = FileCounterStore(tmp_path / "counters")
    first = SendCounter(1, store=store, name="a")
    assert [first.next(), first.next()] == [1, 2]
    second = SendCounter(1, store=store, name="a")
    assert second.next() == 65
    assert first.next() == 3
    assert SendCounter(1, store=store, name="b").next() == 1


def test_the_meter_can_push_the_counter_forward(tmp_path: Path) -> None:
    store = FileCounterStore(tmp_path)
    counter = SendCounter(1, store=store, name="a")
    counter.advance(10_000)
    assert counter.next() == 10_000
    assert SendCounter(1, store=store, name="a").next() == 10_064


@pytest.mark.parametrize("content", [b"", b"12x", b"-5", b"9" * 40])
def test_a_damaged_counter_is_told_and_never_starts_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Exception) as caught:
        SendCounter(1, store=FileCounterStore(tmp_path), name="a").next()
    assert getattr(caught.value, "code", None) in {"counter-store", "file-too-large"}
    assert (tmp_path / "a").read_bytes() == content


def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    FileCounterStore(tmp_path / "counters").reserve("a", 1, 0)
    assert (tmp_path / "counters").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "counters").iterdir())


def test_a_name_tells_neither_key_nor_title() -> None:
    name = counter_name(b"k" * 16, b"title-01")
    assert name != counter_name(b"k" * 16, b"title-02")
    assert name != counter_name(b"l" * 16, b"title-01")
    assert b"k".hex() * 4 not in name


def test_a_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        FileCounterStore(tmp_path).reserve("../a", 1, 0)


def test_exhaustion_is_told(tmp_path: Path) -> None:
    counter = SendCounter(0xFFFFFFFF, store=FileCounterStore(tmp_path), name="a")
    assert counter.next() == 0xFFFFFFFF
    with pytest.raises(SecurityError) as caught:
        counter.next()
    assert caught.value.code == "counter-exhausted"


# What came from a meter.


def kept(folder: Path, **more: Any) -> KeptCounter:
    store = FileCounterStore(folder)
    return KeptCounter(store, "key", "meter", store.received("key").least("meter"), **more)


def code_of(counter: KeptCounter, number: int) -> str:
    with pytest.raises(SecurityError) as caught:
        counter.accept(number)
    return caught.value.code


def test_what_was_accepted_is_refused_in_every_later_session(tmp_path: Path) -> None:
    first = kept(tmp_path)
    first.accept(0)
    first.accept(41)
    again = kept(tmp_path, hint="look at the meter")
    with pytest.raises(SecurityError) as caught:
        again.accept(41)
    assert (caught.value.code, caught.value.hint) == ("replay", "look at the meter")
    again.accept(42)
    with pytest.raises(SecurityError) as caught:
        again.accept(42)
    assert (caught.value.code, caught.value.hint) == ("replay", None)
    assert kept(tmp_path).least == 43


def test_keys_and_meters_have_counters_of_their_own(tmp_path: Path) -> None:
    kept(tmp_path).accept(7)
    store = FileCounterStore(tmp_path)
    assert store.received("key").least("meter") == 8
    assert store.received("key").least("another") == 0
    assert store.received("other").least("meter") == 0


def test_a_refused_counter_changes_nothing(tmp_path: Path) -> None:
    counter = kept(tmp_path)
    counter.accept(10)
    assert code_of(counter, 10) == "replay"
    counter.check(11)
    assert kept(tmp_path).least == 11


def test_two_sessions_at_once_take_what_each_was_sent(tmp_path: Path) -> None:
    """The meter has one counter for both; what one has heard in between says nothing of the other."""
    one, two = kept(tmp_path), kept(tmp_path)
    for number in range(0, 40, 4):
        one.accept(number + 1)
        two.accept(number)
        two.accept(number + 3)
        one.accept(number + 2)
    assert kept(tmp_path).least == 40


def test_a_counter_that_began_again_is_forgotten_once(tmp_path: Path) -> None:
    kept(tmp_path).accept(5000)
    store = FileCounterStore(tmp_path)
    anew = KeptCounter(store, "key", "meter", 3, anew=True)
    assert code_of(anew, 2) == "replay"
    assert kept(tmp_path).least == 5001  # nothing came that would verify: nothing is forgotten
    anew.accept(3)
    assert kept(tmp_path).least == 4
    other = kept(tmp_path)
    other.accept(90)
    anew.accept(4)
    assert kept(tmp_path).least == 91


@pytest.mark.parametrize("processes", [1, 3])
def test_a_killed_session_has_recorded_all_that_it_handed_on(tmp_path: Path, processes: int) -> None:
    used = 0
    for _ in range(3):
        workers = [
            subprocess.Popen(
                [sys.executable, RECEIVER, tmp_path, str(used + shift)],
                stdout=subprocess.PIPE,
                text=True,
                cwd=RECEIVER.parents[2],
            )
            for shift in range(processes)
        ]
        printed: list[str] = []
        for worker in workers:
            assert worker.stdout is not None
            printed += [worker.stdout.readline() for _ in range(random.randint(1, 200))]
            worker.kill()
            printed += worker.stdout.read().splitlines(keepends=True)
            worker.wait()
            worker.stdout.close()
        numbers = [int(line) for line in printed if line.endswith("\n")]
        assert min(numbers) >= used
        used = max(numbers) + 1
        assert kept(tmp_path).least >= used
        used = kept(tmp_path).least


@pytest.mark.parametrize("content", [b"", b"12x", b"-5", b"1\n2", b"9" * 40])
def test_a_damaged_record_is_told_for_its_meter_alone(tmp_path: Path, content: bytes) -> None:
    kept(tmp_path).accept(5)
    (tmp_path / "key" / "meter").write_bytes(content)
    store = FileCounterStore(tmp_path)
    received = store.received("key")
    assert received.least("another") == 0
    with pytest.raises(SecurityError) as caught:
        received.least("meter")
    assert caught.value.code == "counter-store"
    assert str(tmp_path / "key" / "meter") in caught.value.message
    with pytest.raises(SecurityError):
        store.record("key", "meter", 9)
    assert (tmp_path / "key" / "meter").read_bytes() == content
    KeptCounter(store, "key", "meter", 9, anew=True).accept(9)
    assert kept(tmp_path).least == 10


@pytest.mark.parametrize("content", [b"7", b"7\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", b"0" * 24 + b"7\n"])
def test_a_number_may_be_written_by_hand(tmp_path: Path, content: bytes) -> None:
    kept(tmp_path).accept(5000)
    (tmp_path / "key" / "meter").write_bytes(content)
    counter = kept(tmp_path)
    assert counter.least == 7
    counter.accept(7)
    counter.accept(12)
    assert kept(tmp_path).least == 13


def test_a_record_is_on_the_disk_after_so_many_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileCounterStore(tmp_path)
    settled: list[tuple[str, str]] = []
    monkeypatch.setattr(store, "settle", lambda *name: settled.append(name))
    counter = KeptCounter(store, "key", "meter", 0)
    for number in range(2 * SETTLE + 1):
        counter.accept(number)
    assert settled == [("key", "meter")] * 2
    counter.settle()
    counter.settle()
    assert len(settled) == 3


def test_the_record_is_the_owners_alone_and_tells_nothing(tmp_path: Path) -> None:
    store = FileCounterStore(tmp_path / "counters")
    title = bytes.fromhex("4D4C4B0000004711")
    key = received_name(b"k" * 16)
    KeptCounter(store, key, counter_name(b"k" * 16, title), 0).accept(1)
    for path in (tmp_path / "counters").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
        assert title.hex() not in str(path).lower()
        assert b"k".hex() * 4 not in str(path)
    assert len({key, push_name(b"k" * 16), counter_name(b"k" * 16, b""), received_name(b"l" * 16)}) == 4


def test_a_disk_that_takes_nothing_hands_no_value_on(tmp_path: Path) -> None:
    counter = kept(tmp_path)
    counter.accept(1)
    folder = tmp_path / "key"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.touch()
    assert code_of(counter, 2) == "counter-store"
    counter.settle()


def test_a_record_that_others_hold_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is told as what breaks a session: a write that was answered is then uncertain, not refused."""
    monkeypatch.setattr(counter_file, "_RECORD_PATIENCE", 0)
    counter = kept(tmp_path)
    counter.accept(1)
    with locked(tmp_path / "key" / "meter.lock"):
        assert code_of(counter, 2) == "counter-store"
    assert kept(tmp_path).least == 2


@pytest.mark.parametrize("kind", ["folder", "link", "dangling link", "pipe"])
def test_what_is_no_file_stops_its_meter_alone(tmp_path: Path, kind: str) -> None:
    kept(tmp_path / "counters").accept(5)
    record, elsewhere = tmp_path / "counters" / "key" / "meter", tmp_path / "elsewhere"
    record.unlink()
    if kind == "folder":
        record.mkdir()
    elif kind == "pipe":
        os.mkfifo(record)
    else:
        record.symlink_to(elsewhere)
        if kind == "link":
            elsewhere.write_bytes(b"00000000000000000003\n")
    store = FileCounterStore(tmp_path / "counters")
    received = store.received("key")
    assert received.least("another") == 0
    with pytest.raises(SecurityError) as caught:
        received.least("meter")
    assert caught.value.code == "counter-store"
    with pytest.raises(SecurityError):
        store.record("key", "meter", 9)
    assert not elsewhere.exists() or elsewhere.read_bytes() == b"00000000000000000003\n"


@pytest.mark.parametrize("memory", [False, True])
def test_a_counter_that_began_again_goes_on_over_the_next_link_of_a_run(tmp_path: Path, memory: bool) -> None:
    store = MemoryCounterStore() if memory else FileCounterStore(tmp_path)
    keys = KeySet(bytes(range(16)), bytes(16))
    title = bytes.fromhex("4D4C4B00000000AA")
    told = MeterCounter(begins=3)
    told.history(store, keys).messages(title)[KeyRole.UNICAST].accept(500)
    again = told.history(store, keys).messages(title)[KeyRole.UNICAST]
    with pytest.raises(SecurityError) as caught:
        again.accept(7)
    assert caught.value.code == "replay"
    again.accept(501)


def test_in_memory_the_rules_are_the_same() -> None:
    store = MemoryCounterStore()
    KeptCounter(store, "key", "meter", 0).accept(9)
    assert code_of(KeptCounter(store, "key", "meter", store.received("key").least("meter")), 9) == "replay"
    KeptCounter(store, "key", "meter", 2, anew=True).accept(2)
    assert store.received("key").least("meter") == 3
    assert store.received("key").least("another") == store.received("other").least("meter") == 0
