"""A-XDR: every type, every bound, and agreement with a description in construct."""

from __future__ import annotations

import contextlib
import resource
import struct
import tracemalloc
from typing import Any

import construct as c
import cosem_strategies as strategies
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.cosem import apdu, axdr, budget
from meterlink.cosem import data as cosem
from meterlink.cosem.data import CompactArray, Data, Tag, TypeDescription
from meterlink.cosem.dates import CosemDate, CosemDateTime, CosemTime
from meterlink.errors import LocalProtocolError, ProtocolError, UsageError
from meterlink.values import Obis

EXAMPLES = {
    "00": cosem.null(),
    "FF": cosem.dont_care(),
    "0301": cosem.boolean(True),
    "0300": cosem.boolean(False),
    "0405 A8": cosem.bit_string("10101"),
    "0400": cosem.bit_string(""),
    "05FFFFFFFE": cosem.i32(-2),
    "06FFFFFFFE": cosem.u32(0xFFFFFFFE),
    "0903 010203": cosem.octet_string(b"\x01\x02\x03"),
    "0A03 4D4C4B": cosem.visible_string("MLK"),
    "0A01 B0": cosem.visible_string("°"),
    "0C02 C2B0": cosem.utf8_string("°"),
    "0D42": cosem.bcd(0x42),
    "0F80": cosem.i8(-128),
    "10FF85": cosem.i16(-123),
    "11FF": cosem.u8(255),
    "12FFFF": cosem.u16(65535),
    "14FFFFFFFFFFFFFFFF": cosem.i64(-1),
    "15FFFFFFFFFFFFFFFF": cosem.u64((1 << 64) - 1),
    "161E": cosem.enum_(30),
    "1741 AC0000": cosem.f32(21.5),
    "184035800000000000": cosem.f64(21.5),
    "19 07EA 0B17 01 0C1E0F00 FFC4 00": cosem.date_time(CosemDateTime(2026, 11, 23, 1, 12, 30, 15, 0, -60, 0)),
    "1A 07EA 0B17 01": cosem.date(CosemDate(2026, 11, 23, 1)),
    "1A FFFF FEFD FF": cosem.date(CosemDate(None, 254, 253, None)),
    "1B 0C1EFFFF": cosem.time(CosemTime(12, 30)),
    "1CFF": Data(Tag.DELTA_INTEGER, -1),
    "1DFFFF": Data(Tag.DELTA_LONG, -1),
    "1EFFFFFFFF": Data(Tag.DELTA_DOUBLE_LONG, -1),
    "1FFF": Data(Tag.DELTA_UNSIGNED, 255),
    "20FFFF": Data(Tag.DELTA_LONG_UNSIGNED, 65535),
    "21FFFFFFFF": Data(Tag.DELTA_DOUBLE_LONG_UNSIGNED, 0xFFFFFFFF),
    "0102 1101 1102": cosem.array([cosem.u8(1), cosem.u8(2)]),
    "0202 0FFE 161B": cosem.structure(cosem.i8(-2), cosem.enum_(27)),
    "0100": cosem.array(),
    "13 11 03 010203": cosem.compact_array(TypeDescription(Tag.UNSIGNED), map(cosem.u8, (1, 2, 3))),
    "13 02 02 11 09 06 0101AA 0201BB": cosem.compact_array(
        TypeDescription(Tag.STRUCTURE, (TypeDescription(Tag.UNSIGNED), TypeDescription(Tag.OCTET_STRING))),
        (
            cosem.structure(cosem.u8(1), cosem.octet_string(b"\xaa")),
            cosem.structure(cosem.u8(2), cosem.octet_string(b"\xbb")),
        ),
    ),
    "13 01 0002 12 04 00010002": cosem.compact_array(
        TypeDescription(Tag.ARRAY, (TypeDescription(Tag.LONG_UNSIGNED),), 2),
        (cosem.array([cosem.u16(1), cosem.u16(2)]),),
    ),
}


@pytest.mark.parametrize("octets", EXAMPLES)
def test_every_type_is_read_and_written(octets: str) -> None:
    assert axdr.decode(bytes.fromhex(octets)) == EXAMPLES[octets]
    assert axdr.encode(EXAMPLES[octets]) == bytes.fromhex(octets)


def test_every_tag_of_the_standard_has_an_example() -> None:
    assert {data.tag for data in EXAMPLES.values()} == set(Tag)


def test_the_clock_of_the_standard_is_an_octet_string() -> None:
    clock = axdr.decode(bytes.fromhex("090C 07EA0B17010C1E0F00FFC480"))
    assert clock.as_date_time() == CosemDateTime(2026, 11, 23, 1, 12, 30, 15, 0, -60, 0x80)


@given(strategies.values)
def test_what_is_written_is_read(data: Data) -> None:
    assert axdr.decode(axdr.encode(data)) == data


@given(strategies.values, st.binary(min_size=1, max_size=4))
def test_octets_behind_the_data_are_refused(data: Data, rest: bytes) -> None:
    octets = axdr.encode(data)
    assert axdr.decode_from(octets + rest) == (data, len(octets))
    with pytest.raises(ProtocolError):
        axdr.decode(octets + rest)


@given(strategies.values, st.data())
def test_data_that_end_early_are_refused(data: Data, draw: st.DataObject) -> None:
    octets = axdr.encode(data)
    end = draw.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(ProtocolError):
        axdr.decode(octets[:end])


@given(st.binary(max_size=300))
def test_junk_raises_only_our_error(octets: bytes) -> None:
    try:
        data = axdr.decode(octets)
    except ProtocolError:
        return
    assert axdr.decode(axdr.encode(data)) == data or "nan" in repr(data)


@given(st.lists(st.sampled_from([0x01, 0x02, 0x13, 0x81, 0x84, 0xFF, 0x00, 0x09, 0x11]), max_size=40).map(bytes))
def test_junk_of_containers_raises_only_our_error(octets: bytes) -> None:
    try:
        axdr.decode(octets)
    except ProtocolError:
        return


def test_deep_nesting_is_refused_and_no_recursion_error() -> None:
    deepest = b"\x01\x01" * axdr.MAX_DEPTH + b"\x00"
    assert axdr.decode(deepest).tag is Tag.ARRAY
    for kind in (b"\x01\x01", b"\x02\x01"):
        with pytest.raises(ProtocolError):
            axdr.decode(kind * 100_000 + b"\x00")
    data = cosem.null()
    for _ in range(axdr.MAX_DEPTH + 1):
        data = cosem.array([data])
    with pytest.raises(LocalProtocolError):
        axdr.encode(data)


def test_a_deep_type_of_a_compact_array_is_refused() -> None:
    with pytest.raises(ProtocolError):
        axdr.decode(b"\x13" + b"\x02\x01" * 100_000 + b"\x11\x00")


@pytest.mark.parametrize("tag", [0x01, 0x02, 0x04, 0x09, 0x0A, 0x0C])
@pytest.mark.parametrize("length", ["84FFFFFFFF", "83FFFFFF", "85FFFFFFFFFF", "88FFFFFFFFFFFFFFFF", "80"])
def test_a_length_of_2_to_the_32_is_refused_in_bounded_memory(tag: int, length: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ProtocolError):
        axdr.decode(bytes((tag,)) + bytes.fromhex(length) + bytes(64))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


@pytest.mark.parametrize(
    "octets",
    [
        "13 02 03 00 00 11" + "8203E8" + "00" * 1000,  # nulls ride along with every octet: allowed, and bounded
        "13 00 01 00",  # nulls alone: nothing to read, for ever
        "13 02 00 01 00",
        "13 01 0000 11 01 00",
        "13 13 11 01 00",
        "13 01 FFFF 01 FFFF 01 FFFF 00 01 00",
        "13 02 02 01 FFFF 00 11" + "827530" + "00" * 30_000,
    ],
)
def test_a_compact_array_cannot_unfold_without_bound(octets: str) -> None:
    try:
        data = axdr.decode(bytes.fromhex(octets))
    except ProtocolError:
        return
    assert isinstance(data.value, CompactArray)
    assert len(data.value.items) <= budget.MAX_VALUES


# The values that take the most room for their octets. A tenth of the bound and of the longest transfer is tried.
TENTH = 20_000

HEAVY = {
    "nulls": b"\x00",
    "unsigned": b"\x11\x05",
    "long-unsigned": b"\x12\x05\x05",
    "strings": b"\x09\x01\xff",
    "structures of one": b"\x02\x01\x00",
    "structures of two": b"\x02\x02\x0f\x01\x0f\x02",
    "arrays": b"\x01\x01\x00",
    "compact arrays": b"\x13\x11\x00",
    "compact arrays that unfold": bytes.fromhex("130240") + bytes(63) + b"\x11\x40" + bytes(64),
}


@pytest.mark.parametrize("name", HEAVY)
@pytest.mark.parametrize("as_list", [False, True])
def test_45_a_long_transfer_of_anything_takes_bounded_memory(
    name: str, as_list: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "MAX_VALUES", TENTH)
    count = 52 * 1024 // len(HEAVY[name])
    octets = b"\x01\x83" + count.to_bytes(3, "big") + HEAVY[name] * count
    if as_list:  # the same in the results of one response, which share the bound
        part = count // 100
        results = (b"\x00\x01\x83" + part.to_bytes(3, "big") + HEAVY[name] * part) * 100
        octets = bytes.fromhex("C403C164") + results
    tracemalloc.start()
    with contextlib.suppress(ProtocolError):
        apdu.decode(octets) if as_list else axdr.decode(octets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_800_000


def test_more_values_than_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_VALUES", TENTH)
    for width in (0, 1, 6):
        rows = budget.MAX_VALUES // (width + 1) + 1
        row = cosem.structure(*[cosem.u8(1)] * width)
        with pytest.raises(ProtocolError) as caught:
            axdr.decode(axdr.encode(cosem.array([row] * rows)))
        assert caught.value.code == "too-many-values"
        whole = cosem.array([row] * (budget.MAX_VALUES // (width + 1)))
        assert axdr.decode(axdr.encode(whole)) == whole


@pytest.mark.parametrize(
    "data",
    [
        Data(Tag.UNSIGNED, 256),
        Data(Tag.UNSIGNED, "1"),
        Data(Tag.NULL_DATA, 0),
        Data(Tag.OCTET_STRING, None),
        Data(Tag.VISIBLE_STRING, "€"),
        Data(Tag.BIT_STRING, "012"),
        Data(Tag.ARRAY, 1),
        Data(Tag.STRUCTURE, [cosem.null()]),  # type: ignore[arg-type]
        Data(Tag.COMPACT_ARRAY, ()),
        Data(Tag.DATE, CosemDate(70000)),
        cosem.compact_array(TypeDescription(Tag.UNSIGNED), [cosem.u16(1)]),
        cosem.compact_array(TypeDescription(Tag.STRUCTURE, (TypeDescription(Tag.UNSIGNED),)), [cosem.structure()]),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_not_written(data: Data) -> None:
    with pytest.raises((LocalProtocolError, UsageError)):
        axdr.encode(data)


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (cosem.i8, 128),
        (cosem.i8, -129),
        (cosem.u8, -1),
        (cosem.u16, 65536),
        (cosem.i32, 1 << 31),
        (cosem.u64, 1 << 64),
        (cosem.enum_, 256),
        (cosem.u8, True),
        (cosem.bit_string, "2"),
        (cosem.visible_string, "€"),
    ],
)
def test_a_value_out_of_range_is_a_fault_of_the_user(make: Any, value: Any) -> None:
    with pytest.raises(UsageError):
        make(value)


def test_values_are_taken_by_type() -> None:
    assert cosem.u16(7).as_int() == 7
    assert cosem.boolean(True).as_bool()
    assert cosem.octet_string(b"ab").as_text() == "ab"
    assert cosem.logical_name(Obis(1, 0, 1, 8, 0)).as_obis() == Obis(1, 0, 1, 8, 0)
    assert cosem.array([cosem.u8(1)]).native() == [1]
    assert cosem.structure(cosem.u8(1), cosem.array()).native() == (1, [])
    for taken in (
        lambda: cosem.boolean(True).as_int(),
        lambda: cosem.u8(1).as_bool(),
        lambda: cosem.u8(1).as_bytes(),
        lambda: cosem.octet_string(b"\xff").as_text(),
        lambda: cosem.u8(1).as_items(),
        lambda: cosem.array([cosem.u8(1)]).as_structure(1),
        lambda: cosem.octet_string(bytes(11)).as_date_time(),
        lambda: cosem.octet_string(bytes(5)).as_obis(),
    ):
        with pytest.raises(ProtocolError) as caught:
            taken()
        assert caught.value.code == "unexpected-type"


# Rows of a profile are read by a shape that is taken from the row before; these hold that nobody can tell.


@given(st.lists(st.tuples(st.lists(strategies.row_fields, max_size=5), st.integers(1, 4)), max_size=30))
def test_rows_of_changing_shape_are_read_as_they_are(runs: list[tuple[list[Data], int]]) -> None:
    rows = cosem.array(cosem.structure(*fields) for fields, times in runs for _ in range(times))
    octets = axdr.encode(rows)
    assert axdr.decode(octets) == rows
    assert axdr.encode(axdr.decode(octets)) == octets


def test_a_profile_of_a_thousand_rows_is_read() -> None:
    rows = cosem.array(
        cosem.structure(
            cosem.octet_string(struct.pack(">I", index) * 3) if index % 24 == 0 else cosem.null(),
            cosem.u32(index),
            cosem.i16(-index),
        )
        for index in range(1000)
    )
    assert axdr.decode(axdr.encode(rows)) == rows


# The same types, described in construct: slow, and written by another mind.

_LENGTH = c.FocusedSeq(
    "value",
    "first" / c.Byte,
    "value" / c.Switch(c.this.first, {0x81: c.Int8ub, 0x82: c.Int16ub}, default=c.Computed(c.this.first)),
)
_OCTETS = c.FocusedSeq("octets", "length" / _LENGTH, "octets" / c.Bytes(c.this.length))
_DATA: Any = c.Struct(
    "tag" / c.Byte,
    "value"
    / c.Switch(
        c.this.tag,
        {
            0: c.Pass,
            1: c.FocusedSeq("items", "count" / _LENGTH, "items" / c.Array(c.this.count, c.LazyBound(lambda: _DATA))),
            2: c.FocusedSeq("items", "count" / _LENGTH, "items" / c.Array(c.this.count, c.LazyBound(lambda: _DATA))),
            3: c.Flag,
            5: c.Int32sb,
            6: c.Int32ub,
            9: _OCTETS,
            15: c.Int8sb,
            16: c.Int16sb,
            17: c.Int8ub,
            18: c.Int16ub,
            20: c.Int64sb,
            21: c.Int64ub,
            22: c.Int8ub,
            24: c.Float64b,
        },
        default=c.Error,
    ),
)
_DESCRIBED = {0, 1, 2, 3, 5, 6, 9, 15, 16, 17, 18, 20, 21, 22, 24}
_described = st.recursive(
    strategies.leaves.filter(lambda data: data.tag in _DESCRIBED),
    lambda children: (
        st.lists(children, max_size=4).map(cosem.array)
        | st.lists(children, max_size=4).map(lambda items: cosem.structure(*items))
    ),
    max_leaves=12,
)


def _plain(parsed: Any) -> Data:
    value = tuple(map(_plain, parsed.value)) if parsed.tag in (1, 2) else parsed.value
    return Data(Tag(parsed.tag), value)


@given(_described)
def test_the_reader_agrees_with_a_description_in_construct(data: Data) -> None:
    assert _plain(_DATA.parse(axdr.encode(data))) == data


@given(st.lists(st.sampled_from([*sorted(_DESCRIBED), 7]), max_size=24).map(bytes))
def test_both_readers_take_and_refuse_the_same(octets: bytes) -> None:
    try:
        theirs = _plain(c.FocusedSeq("data", "data" / _DATA, c.Terminated).parse(octets))
    except c.ConstructError:
        theirs = None
    try:
        ours = axdr.decode(octets)
    except ProtocolError:
        ours = None
    assert ours == theirs
