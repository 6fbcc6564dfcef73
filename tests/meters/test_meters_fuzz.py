"""Both decoders against whatever a line can bring: only our own error, bounded time, bounded memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from meterlink.errors import DataError
from meterlink.meters.decode import MAX_CAPTURE, decode_capture
from meterlink.values import MeterReport

DATA = Path(__file__).parent.parent / "data"
SEEDS = [
    (DATA / "heat" / "iec-text" / "LUGCUH50_dummy_utf8.txt").read_bytes(),
    (DATA / "heat" / "t330" / "readout.bin").read_bytes()[:800],
    bytes.fromhex((DATA / "heat" / "t230" / "readout-with-echo.hex").read_text())[:900],
    bytes.fromhex((DATA / "mbus" / "minol_minocal_c2.hex").read_text()),
    bytes.fromhex((DATA / "mbus" / "GWF-MTKcoder.hex").read_text()),
]


def decode(data: bytes) -> MeterReport | None:
    try:
        report = decode_capture(data, key=bytes(16))
    except DataError:
        return None
    assert report.as_json()["readings"] is not None
    return report


@given(st.binary(max_size=2000))
def test_junk(data: bytes) -> None:
    decode(data)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real capture with bytes changed, lost, doubled or put in."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0:
                data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[place : place + draw(st.integers(1, 40))]
            case 2:
                data[place:place] = data[place : place + draw(st.integers(1, 60))]
            case _:
                data[place:place] = draw(st.binary(min_size=1, max_size=20))
    return bytes(data)


@given(damaged())
@settings(max_examples=300)
def test_damaged_captures(data: bytes) -> None:
    decode(data)


@given(st.sampled_from(SEEDS[3:]), st.lists(st.tuples(st.integers(7, 200), st.integers(0, 255)), max_size=8))
def test_changed_telegrams_whose_check_sum_holds(seed: bytes, changes: list[tuple[int, int]]) -> None:
    """What a meter with other records, or an attacker, sends: the frame gives no reason to refuse it."""
    data = bytearray(seed)
    for place, octet in changes:
        data[min(place, len(data) - 3)] = octet
    data[-2] = sum(data[4:-2]) & 0xFF
    decode(bytes(data))


@given(st.integers(0, len(SEEDS[0]) - 1), st.integers(0, 7))
def test_a_flipped_bit_of_a_text_readout_never_passes_unnoticed(place: int, bit: int) -> None:
    data = bytearray(SEEDS[0])
    clean = decode(SEEDS[0])
    data[place] ^= 1 << bit
    report = decode(bytes(data))
    if report is not None and report.readings != clean.readings:  # type: ignore[union-attr]
        assert len(report.notes) > 1


@given(st.sampled_from(SEEDS[3:]), st.data())
def test_a_flipped_bit_of_a_telegram_never_yields_another_value(seed: bytes, data: st.DataObject) -> None:
    clean = decode(seed)
    assert clean is not None
    changed = bytearray(seed)
    changed[data.draw(st.integers(0, len(seed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    report = decode(bytes(changed))
    if report is not None:
        assert set(report.readings) <= set(clean.readings)


SIZE = 1 << 15

HOSTILE = {
    "start octets": b"\x68" * SIZE,
    "plausible starts": b"\x68\xff\xff\x68" * (SIZE // 4),
    "tiny frames": bytes.fromhex("68 03 03 68 08 01 78 81 16") * (SIZE // 9),
    "many records": (b"\x68\xff\xff\x68\x08\x01\x78" + b"\x00\x06" * 126 + bytes(2)) * 110,
    "open parentheses": b"1(" * (SIZE // 2),
    "one line of sets": b"/LUGCUH50\r\n" + b"6.8(1)" * 5_000,
    "identifications": b"/LUGCUH50\r\n" * (SIZE // 11),
    "blocks": b"\x021.1(1)\x03A" * 3_000,
    "acknowledgements": b"\xe5" * SIZE,
    "hex digits": b"6" * SIZE,
    "blanks": b" (" + b" " * (SIZE - 2),
    "ampersands": b"6.8(" + b"&" * (SIZE - 8) + b")\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_captures_cost_bounded_time_and_memory(name: str) -> None:
    data = HOSTILE[name]
    tracemalloc.start()
    decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 2**20
    half, whole = (effort(lambda part=part: decode(part)) for part in (data[: len(data) // 2], data))
    assert whole < 2.5 * half + 5_000


def test_a_capture_that_is_too_long_is_refused() -> None:
    with pytest.raises(DataError) as raised:
        decode_capture(bytes(MAX_CAPTURE + 1))
    assert raised.value.code == "data-too-large"
