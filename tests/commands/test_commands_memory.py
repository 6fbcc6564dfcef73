"""64 MB resident for a client, whatever the meter sends: the whole program, interpreter and libraries included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands_hostile import Answer, hostile

from meterlink.cosem import axdr
from meterlink.cosem.conformance import SUPPORTED, Conformance
from meterlink.cosem.data import array, enum_, i8, null, octet_string, structure, u8, u16, u32
from meterlink.cosem.names import Attribute

LIMIT = 64 * 1024
"""kB."""

LONG = 510_000
"""Octets of a value: nearly the most that comes in one transfer."""

VALUE = ("data", "1-0:96.9.0", "2")
ONE_BY_ONE = SUPPORTED & ~Conformance.MULTIPLE_REFERENCES
UNSELECTIVE = SUPPORTED & ~Conformance.SELECTIVE_ACCESS

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="VmHWM is Linux's")


@dataclass(frozen=True)
class Measured:
    """What a run of the program did: exit status, the most memory that was resident in kB, and what it printed."""

    status: int
    peak: int
    out: Path
    err: str

    @property
    def code(self) -> str:
        """The code of the error."""
        return self.err.partition("error: ")[2].partition(":")[0]


@pytest.fixture
def measured(tmp_path: Path):
    def run(*words: str) -> Measured:
        worker, told = Path(__file__).with_name("memory_worker.py"), tmp_path / "told"
        out = tmp_path / "out"
        with out.open("wb") as file:
            done = subprocess.run(
                [sys.executable, str(worker), str(told), *words],
                stdout=file,
                stderr=subprocess.PIPE,
                env=os.environ,
                check=False,
                text=True,
            )
        assert "Traceback" not in done.stderr
        status, peak = map(int, told.read_text().split())
        print(f"{peak / 1024:.1f} MB")
        return Measured(status, peak, out, done.stderr)

    return run


def length(count: int) -> bytes:
    return b"\x83" + count.to_bytes(3, "big")


def array_of(elements: bytes, times: int, each: int = 1) -> bytes:
    """An array of ``elements``, which are ``each``, so many times."""
    return b"\x01" + length(each * times) + elements * times


VALUES = {
    "one octet": b"\x11\x05",
    "190,000 u8": array_of(b"\x11\x05", 190_000),
    "99,000 structures of one": array_of(b"\x02\x01\x11\x05", 99_000),
    "40,000 numbers of changing types": array_of(b"\x11\x05\x12\x05\x05", 20_000).replace(
        length(20_000), length(40_000)
    ),
    "30,000 texts": array_of(b"\x09\x01\xff\x0a\x01A", 15_000, 2),
    "a compact array": b"\x13\x11" + length(190_000) + b"\x05" * 190_000,
    "octets": b"\x09" + length(LONG) + b"\xff" * LONG,
    "a text": b"\x0a" + length(LONG) + b"\x1b" * LONG,
    "a wide text": b"\x0c" + length(LONG) + b"a" * (LONG - 4) + "\U0001f600".encode(),
    "bits": b"\x04" + length(1 << 21) + b"\xaa" * (1 << 18),
}

TOO_MUCH = {
    "a compact array of structures of 500,000 nulls": b"\x13\x02" + length(500_000) + bytes(500_001),
    "a compact array of structures in structures": b"\x13\x02" + length(240_000) + b"\x02\x00" * 240_000 + b"\x00",
    "a compact array that unfolds": b"\x13\x02\x82\x03\xe7" + bytes(998) + b"\x11" + length(1000) + bytes(1000),
    "36,000 dates": array_of(b"\x19" + bytes.fromhex("07e60b160217000000ffc480"), 36_000),
    "structures in structures": array_of(b"\x02\x01" * 30 + b"\x06\x01\x02\x03\x04", 7_000),
    "250,000 nulls": array_of(b"\x00", 250_000),
    "4,000,000 bits": b"\x04" + length(8 * LONG) + b"\xaa" * LONG,
    "longer than a transfer": b"\x09" + length(900_000) + bytes(900_000),
}


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("name", VALUES)
def test_64_mb_for_one_value(measured, name: str, form: tuple[str, ...]) -> None:
    with hostile(lambda _: VALUES[name]) as url:
        done = measured("cosem", "get", url, *VALUE, *form)
    assert done.status == 0
    assert done.peak < LIMIT
    if form:
        assert json.loads(done.out.read_text())["value"]
    else:
        assert done.out.stat().st_size > 4


@pytest.mark.parametrize("name", TOO_MUCH)
def test_64_mb_for_a_value_that_is_refused(measured, name: str) -> None:
    with hostile(lambda _: TOO_MUCH[name]) as url:
        done = measured("cosem", "get", url, *VALUE)
    assert (done.status, done.code) == (6, "transfer-too-long" if name.startswith("longer") else "too-many-values")
    assert "hint: " in done.err
    assert done.peak < LIMIT


def everything(value: bytes, objects: int) -> Answer:
    """A meter with so many objects, each of whose attributes has this value."""
    listed = axdr.encode(
        array(
            structure(
                u16(1),
                u8(0),
                octet_string(bytes((1, 0, 96, 9, number // 256, number % 256))),
                structure(array(structure(i8(index), enum_(1), null()) for index in (2, 3)), array()),
            )
            for number in range(objects)
        )
    )
    return lambda attribute: listed if attribute.class_id == 15 else value


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("name", ["octets", "190,000 u8", "40,000 numbers of changing types"])
def test_64_mb_for_all_that_a_meter_shows(measured, name: str, form: tuple[str, ...]) -> None:
    with hostile(everything(VALUES[name], 4), ONE_BY_ONE) as url:
        done = measured("read", url, "--all", *form)
    assert done.status == 0
    assert done.peak < LIMIT
    if form:
        objects = json.loads(done.out.read_text())["objects"]
        assert [len(item["attributes"]) for item in objects] == [2] * 4


def test_64_mb_for_2000_objects_in_lists(measured) -> None:
    with hostile(everything(array_of(b"\x11\x05", 20), 2000)) as url:
        done = measured("read", url, "--all", "--json")
    assert done.status == 0
    assert done.peak < LIMIT
    assert len(json.loads(done.out.read_text())["objects"]) == 2000


def test_64_mb_for_objects_that_are_named(measured) -> None:
    names = [word for number in range(40) for word in ("--object", f"1-0:96.9.0*{number}")]
    named = everything(VALUES["octets"], 0)
    listed = axdr.encode(
        array(
            structure(u16(1), u8(0), octet_string(bytes((1, 0, 96, 9, 0, number))), structure(array(), array()))
            for number in range(40)
        )
    )
    with hostile(lambda at: listed if at.class_id == 15 else named(at), ONE_BY_ONE) as url:
        done = measured("read", url, *names, "--json")
    assert done.status == 0
    assert done.peak < LIMIT
    readings = json.loads(done.out.read_text())["readings"]
    assert len(readings) == 40
    assert all("longer than" in reading["note"] for reading in readings)


def profile(rows: bytes, count: int) -> Answer:
    """A load profile of clock and five registers, whose buffer is ``rows``."""
    captured = [(8, (0, 0, 1, 0, 0, 255)), *((3, (6, 0, number, 0, 0, 255)) for number in range(1, 6))]
    columns = array(structure(u16(kind), octet_string(bytes(name)), i8(2), u16(0)) for kind, name in captured)
    short = {3: columns, 4: u32(3600), 7: u32(count)}

    def answer(attribute: Attribute) -> bytes:
        if attribute.class_id != 7:
            return axdr.encode(structure(i8(-3), enum_(30)))
        return rows if attribute.index == 2 else axdr.encode(short[attribute.index])

    return answer


TIME = b"\x09\x0c" + bytes.fromhex("07e60b160217000000ffc480")
NUMBERS = b"".join(b"\x06" + (100_000 + column).to_bytes(4, "big") for column in range(5))

PROFILES = {
    "11,000 rows": (array_of(b"\x02\x06" + TIME + NUMBERS, 11_000), 11_000),
    "18,000 rows without times": (
        b"\x01" + length(18_000) + b"\x02\x06" + TIME + NUMBERS + (b"\x02\x06\x00" + NUMBERS) * 17_999,
        18_000,
    ),
    "25,000 rows without anything": (array_of(b"\x02\x06" + b"\x00" * 6, 25_000), 25_000),
}


@pytest.mark.parametrize("form", [(), ("--csv",), ("--json",)], ids=["table", "csv", "json"])
@pytest.mark.parametrize("name", PROFILES)
def test_64_mb_for_a_profile(measured, name: str, form: tuple[str, ...]) -> None:
    rows, count = PROFILES[name]
    with hostile(profile(rows, count), UNSELECTIVE) as url:
        done = measured("read", url, "--profile", "load-profile", *form)
    assert (done.status, done.err) == (0, "")
    assert done.peak < LIMIT
    text = done.out.read_text()
    assert (len(json.loads(text)["rows"]) if "--json" in form else text.count("\n")) >= count
