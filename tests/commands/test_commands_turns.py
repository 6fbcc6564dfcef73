"""Sessions with the same keys and the same meter take turns: as processes, in one process, and when one is killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands_field import PASSWORD_GLO, SERIAL, FieldMeter, served
from driven_clock import driven
from program import start
from session_support import credential, utc_now

from certs.domain import make_domain
from certs.entries import Credential
from certs.levels import Level
from hil.wire import WireTransport
from meterlink.commands.connect import meter_session, target_of
from meterlink.commands.secrets import meter_secrets
from meterlink.commands.turns import PATIENCE
from meterlink.cosem.names import Attribute
from meterlink.counter_file import FileCounterStore
from meterlink.errors import LinkLost, LinkUnavailable
from meterlink.security.counters import CounterStore, MemoryCounterStore
from meterlink.session import Session
from meterlink.transport.base import Transport
from meterlink.values import Obis

WORKER = Path(__file__).with_name("turn_worker.py")
NAME = Attribute(1, Obis.parse("0-0:96.1.0"), 2)
GMAC = "security=hls-gmac&client=19"
SIGNED = "security=hls-ecdsa&client=54&ciphering=general-ciphering&key=agreed-c1e1s&signing=both"
WAITS = b"warning: keys-in-use: another session with these keys is open with this meter; waiting for it to end, 60 s"


class Holder:
    """A process that has a session open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert self._line() == "open"

    def read(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._line()

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def holding(url: str, keys: Path) -> Iterator[Holder]:
    with subprocess.Popen(
        [sys.executable, str(WORKER), url, str(keys)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Holder(process)
        finally:
            process.kill()


@contextmanager
def waiting(url: str, keys: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program as a process that has said that it waits."""
    with start("read", url, "--object", "serial-number", "--keys", str(keys)) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(WAITS)
        yield process


@pytest.mark.parametrize("query", [GMAC, SIGNED, f"security=lls&client={PASSWORD_GLO.sap}&ciphering=ded"])
def test_a_second_process_waits_and_then_counts_on(field_meter: FieldMeter, tmp_path: Path, query: str) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        wanted = f"{url}&{query}"
        with holding(wanted, keys) as first, waiting(wanted, keys) as second:
            assert first.read() == SERIAL
            assert second.poll() is None
            assert first.end() == 0
            out, err = second.communicate()
    assert (second.returncode, err) == (0, b"")
    assert SERIAL.encode() in out


def test_a_killed_holder_makes_room(field_meter: FieldMeter, tmp_path: Path) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        wanted = f"{url}&{GMAC}"
        with holding(wanted, keys) as first, waiting(wanted, keys) as second:
            first.process.kill()
            out, err = second.communicate()
    assert (second.returncode, err) == (0, b"")
    assert SERIAL.encode() in out


def test_ctrl_c_ends_the_waiting_and_harms_nobody(meterlink, field_meter: FieldMeter, tmp_path: Path) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        wanted = f"{url}&{GMAC}"
        with holding(wanted, keys) as first:
            with waiting(wanted, keys) as second:
                second.send_signal(signal.SIGINT)
                out, err = second.communicate()
            assert (second.returncode, out) == (130, b"")
            assert err.strip() == b"error: interrupted: Stopped on request."
            assert first.read() == SERIAL
            assert first.end() == 0
        done = meterlink("read", wanted, "--object", "serial-number", "--keys", keys)
    assert (done.status, done.err) == (0, "")


def test_who_shares_nothing_does_not_wait(meterlink, field_meter: FieldMeter, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    keys = field_meter.key_file(tmp_path)
    other_title = field_meter.key_file(tmp_path / "other", "meter_key", system_title="4D4C4B0000000099")
    with (
        served(field_meter.server, "wrapper") as url,
        served(FieldMeter(bytes.fromhex("4D4C4B0000004799")).server, "wrapper") as other,
        holding(f"{url}&{GMAC}", keys) as first,
    ):
        for wanted, file in (
            (f"{other}&{GMAC}", keys),
            (f"{url}&security=hls-gmac&client=57&ciphering=general-ciphering", keys),
            (f"{url}&{GMAC}", other_title),
            (f"{url}&security=lls&client=18&ciphering=none", keys),
            (f"{url}&security=none&client=17", keys),
        ):
            done = meterlink("read", wanted, "--object", "energy", "--keys", file)
            assert (done.status, done.err) == (0, ""), wanted
        assert first.read() == SERIAL


@pytest.fixture
def who() -> Credential:
    return credential(make_domain("Any", "any@example.org", utc_now()), Level.CONSUMER)


class Rig:
    """Sessions with one meter in this process, each over a line of its own."""

    def __init__(self, meter: FieldMeter, store: CounterStore, folder: Path, who: Credential) -> None:
        self._meter = meter
        self._store = store
        self._secrets = meter_secrets(meter.key_file(folder), {})
        self._who = who
        self.told: list[str] = []
        self.has_told = asyncio.Event()

    def tell(self, text: str) -> None:
        self.told.append(text)
        self.has_told.set()

    def line(self) -> Transport:
        return WireTransport(self._meter.server.wrapper_connection)

    def session(self, place: str = "meter", query: str = GMAC, transport: Transport | None = None) -> Session:
        target = target_of(f"tcp://{place}?{query}")
        line = transport or self.line()
        return meter_session(target, line, self._who, utc_now, self._secrets, self._store, self.tell)


@pytest.fixture(params=["files", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CounterStore:
    return FileCounterStore(tmp_path / "counters") if request.param == "files" else MemoryCounterStore()


@driven(by_itself=True)
async def test_sessions_in_one_process_take_turns_and_hold_nobody_else_up(
    field_meter: FieldMeter, store: CounterStore, tmp_path: Path, who: Credential
) -> None:
    rig = Rig(field_meter, store, tmp_path, who)
    order: list[str] = []
    begun = asyncio.Event()

    async def later() -> None:
        begun.set()
        async with rig.session("METER/") as session:  # the same place, written in another way
            order.append("second")
            assert (await session.get(NAME)).value == SERIAL

    async with rig.session() as first:
        second = asyncio.create_task(later())
        await begun.wait()
        for number, (place, more) in enumerate((("elsewhere", ""), ("meter", "&physical=17"))):
            meter = FieldMeter(bytes.fromhex("4D4C4B00000048") + bytes((number,)))
            line = WireTransport(meter.server.wrapper_connection)
            async with rig.session(place, f"{GMAC}{more}", line) as other:
                assert (await other.get(NAME)).value == SERIAL
        await asyncio.sleep(PATIENCE / 2)
        assert (await first.get(NAME)).value == SERIAL
        order.append("first")
    await second
    assert order == ["first", "second"]
    assert len(rig.told) == 1


@driven(by_itself=True)
async def test_who_waits_too_long_is_told_whose_fault_it_is(
    field_meter: FieldMeter, store: CounterStore, tmp_path: Path, who: Credential
) -> None:
    rig = Rig(field_meter, store, tmp_path, who)
    now = asyncio.get_running_loop().time
    async with rig.session():
        began = now()
        with pytest.raises(LinkUnavailable) as caught:
            await rig.session().open()
        assert (caught.value.code, caught.value.exit_code) == ("keys-in-use", 5)
        assert "client SAP" in (caught.value.hint or "")
        assert now() - began >= PATIENCE
    async with rig.session() as again:
        assert (await again.get(NAME)).value == SERIAL


class Gone(WireTransport):
    """A meter that is not there."""

    async def open(self) -> None:
        raise LinkLost("gone")


async def test_a_session_that_does_not_open_or_is_cut_off_gives_its_turn_back(
    field_meter: FieldMeter, store: CounterStore, tmp_path: Path, who: Credential
) -> None:
    rig = Rig(field_meter, store, tmp_path, who)
    with pytest.raises(LinkLost):
        await rig.session(transport=Gone(field_meter.server.wrapper_connection)).open()
    async with rig.session() as held:
        waits = asyncio.create_task(rig.session().open())
        await rig.has_told.wait()
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert (await held.get(NAME)).value == SERIAL
    rig.told.clear()
    async with rig.session() as after:
        assert (await after.get(NAME)).value == SERIAL
    assert not rig.told


@pytest.mark.parametrize("query", [GMAC, SIGNED])
async def test_counters_are_set_aside_when_the_turn_has_come(
    field_meter: FieldMeter, store: CounterStore, tmp_path: Path, who: Credential, query: str
) -> None:
    """What a session is made of is made before it waits, when others have still to count."""
    rig = Rig(field_meter, store, tmp_path, who)
    waiting, before = rig.session(query=query), rig.session(query=query)
    for session in (before, waiting):
        async with session:
            assert (await session.get(NAME)).value == SERIAL


def test_a_turn_is_one_for_all_stores_of_a_folder(tmp_path: Path) -> None:
    one, other = FileCounterStore(tmp_path), FileCounterStore(tmp_path)
    give_back = one.take_turn("a")
    assert give_back is not None
    assert other.take_turn("a") is None
    assert one.take_turn("a") is None
    another = other.take_turn("b")
    assert another is not None
    give_back()
    again = other.take_turn("a")
    assert again is not None
    again()
    another()
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {0}
