"""Frames: construct's description, the reader written by hand, streams in pieces, captures with noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.framing.mbus.frame import (
    LONG_FRAME,
    SHORT_FRAME,
    Acknowledge,
    LongFrame,
    Rejected,
    ShortFrame,
    read_frame,
    split_frames,
)
from meterlink.framing.mbus.reader import FrameReader

BYTE = st.integers(0, 255)
SHORT = st.builds(ShortFrame, BYTE, BYTE)
LONG = st.builds(LongFrame, BYTE, BYTE, BYTE, st.binary(max_size=252))
FRAME = st.one_of(SHORT, LONG, st.just(Acknowledge()))
FROM_METER = st.one_of(
    st.builds(LongFrame, st.sampled_from([0x08, 0x18, 0x28, 0x38]), BYTE, BYTE, st.binary(max_size=252)),
    st.just(Acknowledge()),
)


@given(FRAME)
def test_round_trip(frame: Acknowledge | ShortFrame | LongFrame) -> None:
    data = frame.to_bytes()
    assert read_frame(data) == (frame, len(data))


@given(LONG)
def test_construct_and_the_hand_written_reader_agree(frame: LongFrame) -> None:
    described = LONG_FRAME.parse(frame.to_bytes())
    assert (described.control, described.address, described.ci, described.data) == (
        frame.control,
        frame.address,
        frame.ci,
        frame.data,
    )


@given(SHORT)
def test_construct_and_the_hand_written_reader_agree_on_short_frames(frame: ShortFrame) -> None:
    described = SHORT_FRAME.parse(frame.to_bytes())
    assert (described.control, described.address) == (frame.control, frame.address)


def test_frames_of_the_standard() -> None:
    assert ShortFrame(0x40, 0xFE).to_bytes() == bytes.fromhex("10 40 FE 3E 16")
    assert ShortFrame(0x7B, 0xFE).to_bytes() == bytes.fromhex("10 7B FE 79 16")
    assert LongFrame(0x53, 0xFE, 0x50, b"\x00").to_bytes() == bytes.fromhex("68 04 04 68 53 FE 50 00 A1 16")


def test_a_frame_takes_252_octets_of_data() -> None:
    assert len(LongFrame(8, 1, 0x72, bytes(252)).to_bytes()) == 261
    with pytest.raises(ValueError, match="252"):
        LongFrame(8, 1, 0x72, bytes(253)).to_bytes()


@given(LONG, st.data())
def test_one_flipped_bit_never_gives_another_frame(frame: LongFrame, data: st.DataObject) -> None:
    octets = bytearray(frame.to_bytes())
    place = data.draw(st.integers(0, len(octets) - 1))
    octets[place] ^= 1 << data.draw(st.integers(0, 7))
    found = read_frame(bytes(octets))
    if not isinstance(found, Rejected):
        assert not isinstance(found[0], LongFrame)


@given(st.lists(FROM_METER, max_size=5), st.data())
def test_any_chunking_of_a_stream_gives_the_same_frames(
    frames: list[LongFrame | Acknowledge], data: st.DataObject
) -> None:
    stream = b"".join(frame.to_bytes() for frame in frames)
    reader = FrameReader()
    found = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += reader.receive(stream[:size])
        stream = stream[size:]
    assert found + reader.flush() == frames


@given(FROM_METER, st.integers(0, 300))
def test_wake_up_and_echo_are_dropped(answer: LongFrame | Acknowledge, nulls: int) -> None:
    echo = bytes(nulls) + ShortFrame(0x7B, 0xFE).to_bytes() + LongFrame(0x53, 0xFE, 0x51, b"\x0f").to_bytes()
    reader = FrameReader()
    assert reader.receive(echo + answer.to_bytes()) + reader.flush() == [answer]


def test_a_wrong_length_does_not_hold_the_line_for_ever() -> None:
    reader = FrameReader()
    answer = LongFrame(0x08, 1, 0x78, b"\x01\x06\x05")
    assert reader.receive(bytes.fromhex("68 FF FF 68") + answer.to_bytes()) == []
    assert [item for item in reader.flush() if isinstance(item, LongFrame)] == [answer]
    assert reader.pending == 0


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_a_reader_never_raises_and_holds_little(chunks: list[bytes]) -> None:
    reader = FrameReader()
    for chunk in chunks:
        reader.receive(chunk)
        assert reader.pending <= 261


@given(st.binary(max_size=600))
def test_splitting_a_capture_never_raises_and_is_bounded(data: bytes) -> None:
    items = list(split_frames(data))
    assert sum(len(item.data) for item in items if isinstance(item, Rejected)) <= 300 * len(data)


def test_a_damaged_telegram_between_sound_ones_is_told_and_costs_no_other() -> None:
    good = LongFrame(0x08, 1, 0x78, b"\x01\x06\x05")
    bad = bytearray(good.to_bytes())
    bad[8] ^= 0x01
    items = list(split_frames(good.to_bytes() + bytes(bad) + good.to_bytes() + good.to_bytes()[:9]))
    assert [item if isinstance(item, LongFrame) else item.reason for item in items] == [  # type: ignore[union-attr]
        good,
        "checksum",
        good,
        "incomplete",
    ]


def test_a_long_capture_of_start_octets_is_split_quickly() -> None:
    items = list(split_frames(b"\x68" * 200_000))
    assert [item.reason for item in items if isinstance(item, Rejected)] == ["noise", "incomplete"]
