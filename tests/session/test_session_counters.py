"""Counters that outlive the program: killed, several at once, damaged."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from meterlink.counter_file import FileCounterStore, counter_name
from meterlink.errors import SecurityError
from meterlink.security.counters import SendCounter

WORKER = Path(__file__).with_name("counter_worker.py")


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
