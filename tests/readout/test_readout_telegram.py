"""Taking a captured readout apart: identification, parity bits, echo, block check."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.readout import BlockCheck, DataSet, Identification, block_check, read_datasets, read_telegrams

CAPTURES = Path(__file__).parent.parent / "data" / "heat" / "iec-text"
BODY = b"6.8(0328.871*GJ)6.26(03329.67*m3)\r\n9.4(098.5*C&096.1*C)\r\n"


def on_the_wire(body: bytes = BODY, identification: bytes = b"/LUGCUH50\r\n") -> bytes:
    block = body + b"!\r\n\x03"
    return identification + b"\x02" + block + bytes((block_check(block),))


def with_parity(data: bytes, odd: bool = False) -> bytes:
    return bytes(byte | 0x80 if (byte.bit_count() + odd) % 2 else byte for byte in data)


def test_a_clean_readout_is_read_whole() -> None:
    (telegram,) = read_telegrams(on_the_wire())
    assert str(telegram.identification) == "/LUGCUH50"
    assert telegram.body == BODY.decode()
    assert telegram.block_check is BlockCheck.VALID
    assert telegram.complete
    assert telegram.notes == ()


def test_the_block_check_of_the_uh50_capture_holds_although_its_control_characters_were_lost() -> None:
    (telegram,) = read_telegrams((CAPTURES / "LUGCUH50_dummy_utf8.txt").read_bytes())
    assert telegram.block_check is BlockCheck.VALID


def test_the_block_check_finds_the_changed_digit() -> None:
    (telegram,) = read_telegrams((CAPTURES / "LUGCUH50_dummy_error_utf8.txt").read_bytes())
    assert telegram.block_check is BlockCheck.WRONG


def test_a_capture_that_ends_at_the_end_mark_has_no_block_check() -> None:
    (telegram,) = read_telegrams((CAPTURES / "LGUHT550_dummy_utf8.txt").read_bytes())
    assert telegram.block_check is BlockCheck.ABSENT
    assert telegram.complete


@given(place=st.integers(0, len(BODY) - 1), bit=st.integers(0, 6))
def test_every_flipped_bit_of_the_data_block_is_noticed(place: int, bit: int) -> None:
    changed = bytearray(BODY)
    changed[place] ^= 1 << bit
    wire = on_the_wire().replace(BODY, bytes(changed))
    (telegram,) = read_telegrams(wire)
    assert telegram.block_check is not BlockCheck.VALID


@pytest.mark.parametrize("odd", [False, True])
def test_parity_bits_left_in_the_data_are_removed(odd: bool) -> None:
    (telegram,) = read_telegrams(with_parity(on_the_wire(), odd))
    assert telegram.body == BODY.decode()
    assert telegram.block_check is BlockCheck.VALID
    assert any("parity bits" in note for note in telegram.notes)


def test_a_character_with_a_wrong_parity_bit_is_unreadable_and_costs_one_value() -> None:
    wire = bytearray(with_parity(on_the_wire()))
    wire[wire.index(with_parity(b"8.871")[0])] ^= 0x80
    (telegram,) = read_telegrams(bytes(wire))
    assert telegram.body.count("\ufffd") == 1
    assert len(read_datasets(telegram.body)) == 3


def test_echo_of_wake_up_and_request_is_not_taken_for_the_answer() -> None:
    (telegram,) = read_telegrams(b"\x00" * 40 + b"/#!\r\n" + on_the_wire())
    assert str(telegram.identification) == "/LUGCUH50"
    assert telegram.block_check is BlockCheck.VALID


def test_a_missing_first_line_leaves_the_values() -> None:
    (telegram,) = read_telegrams(on_the_wire(identification=b""))
    assert telegram.identification is None
    assert telegram.block_check is BlockCheck.VALID
    assert "the identification line is missing" in telegram.notes


def test_two_readouts_in_one_capture_are_told_apart() -> None:
    live = b"6.4(0001.2*kW)\r\n"
    first, second = read_telegrams(on_the_wire(live) + b"/?!\r\n" + on_the_wire())
    assert first.body == live.decode()
    assert second.body == BODY.decode()


def test_a_readout_that_is_cut_off_says_so() -> None:
    (telegram,) = read_telegrams(on_the_wire()[:40])
    assert not telegram.complete
    assert telegram.block_check is BlockCheck.ABSENT


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"/LUGCUH50\r\n", Identification("LUG", "C", "UH50")),
        (b"/SIE32WR5\r\n", Identification("SIE", "3", "2WR5")),
        (b"/LGZ5\\2ZMD310\r\n", Identification("LGZ", "5", "ZMD310", "2")),
        (b"/?!\r\n", None),
        (b"LUGCUH50\r\n", None),
    ],
)
def test_identification(line: bytes, expected: Identification | None) -> None:
    assert Identification.parse(line) == expected
    if expected is not None:
        assert str(expected) == line.decode().strip()


@given(st.binary(max_size=400))
def test_junk_never_raises(data: bytes) -> None:
    for telegram in read_telegrams(data):
        for item in read_datasets(telegram.body):
            assert item.raw or isinstance(item, DataSet)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_junk_around_a_readout_never_raises(before: bytes, after: bytes) -> None:
    read_telegrams(before + on_the_wire() + after)
