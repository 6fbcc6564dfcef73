"""Long arrays and compact arrays, which stay octets until somebody walks over them: nobody can tell, but by the memory
that they take."""

from __future__ import annotations

import tracemalloc

import cosem_strategies as strategies
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.cosem import axdr, budget
from meterlink.cosem import data as cosem
from meterlink.cosem.budget import MAX_MIXTURES
from meterlink.cosem.data import Data, Tag, TypeDescription
from meterlink.cosem.rows import Shape, Shapes
from meterlink.errors import ProtocolError


@given(
    st.lists(
        st.tuples(st.one_of(strategies.row_fields, st.lists(strategies.row_fields, max_size=3)), st.integers(1, 40)),
        max_size=6,
    )
)
def test_long_runs_are_read_as_they_are(runs: list[tuple[Data | list[Data], int]]) -> None:
    """Elements of one shape that come many times stay octets until somebody walks over them."""
    elements = [
        cosem.structure(*fields) if isinstance(fields, list) else fields for fields, times in runs for _ in range(times)
    ]
    whole = cosem.array(elements)
    octets = axdr.encode(whole)
    read = axdr.decode(octets)
    items = read.as_items()
    assert (read, whole) == (whole, read)
    assert tuple(items) == tuple(elements)
    assert (len(items), items[-3:], hash(items)) == (len(elements), tuple(elements[-3:]), hash(tuple(elements)))
    assert [items[index] for index in range(-len(items), len(items))] == elements * 2
    assert axdr.encode(read) == octets
    assert read.native() == whole.native()
    with pytest.raises(IndexError):
        items[len(elements)]


@given(
    st.lists(st.lists(strategies.row_fields, min_size=1, max_size=4), min_size=1, max_size=10),
    st.lists(st.integers(0, 9), min_size=20, max_size=200),
)
def test_elements_of_several_shapes_in_turn_are_read_as_they_are(shapes: list[list[Data]], order: list[int]) -> None:
    """Null-data in the place of what has not changed give rows of a few shapes, in any order."""
    elements = [cosem.structure(*shapes[number % len(shapes)]) for number in order]
    octets = axdr.encode(cosem.array(elements))
    read = axdr.decode(octets)
    assert tuple(read.as_items()) == tuple(elements)
    assert len(read.as_items()) == len(elements)
    assert axdr.encode(read) == octets
    with pytest.raises(ProtocolError):
        axdr.decode(octets[:-1])


def test_a_long_profile_with_null_data_is_held_as_its_octets() -> None:
    moment, numbers = cosem.octet_string(bytes(12)), [*map(cosem.u32, range(5))]
    row, same_time = cosem.structure(moment, *numbers), cosem.structure(cosem.null(), *numbers)
    octets = axdr.encode(cosem.array([row, same_time, same_time] * 3_000))
    tracemalloc.start()
    rows = axdr.decode(octets)
    held = tracemalloc.get_traced_memory()[0]
    assert sum(1 for _ in rows.as_items()) == 9_000
    walked = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < len(octets) + 60_000
    assert walked < len(octets) * 2 + 400_000


def test_sets_of_shapes_are_compiled_a_few_times_in_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = 0
    make = Shapes.__init__

    def counting(self: Shapes, shapes: tuple[Shape, ...]) -> None:
        nonlocal compiled
        compiled += 1
        make(self, shapes)

    monkeypatch.setattr(Shapes, "__init__", counting)
    arrays = [
        cosem.array([cosem.structure(*[cosem.u8(1)] * wide), cosem.structure(*[cosem.u16(1)] * wide)] * 20)
        for wide in range(1, 30)
    ]
    whole = cosem.array(arrays)
    assert axdr.decode(axdr.encode(whole)) == whole
    assert 0 < compiled <= MAX_MIXTURES


@pytest.mark.parametrize("values", [99, 100])
def test_values_of_shapes_in_turn_count_as_values(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    """40 elements, 20 of them with one value and 20 with two: 100 in all, the elements counted."""
    monkeypatch.setattr(budget, "MAX_VALUES", values)
    elements = [cosem.structure(cosem.u8(1)), cosem.structure(cosem.u8(1), cosem.u8(2))] * 20
    octets = axdr.encode(cosem.array(elements))
    if values == 100:
        assert len(axdr.decode(octets).as_items()) == 40
        return
    with pytest.raises(ProtocolError) as caught:
        axdr.decode(octets)
    assert caught.value.code == "too-many-values"


def test_a_long_array_is_not_equal_to_another_one() -> None:
    numbers = axdr.decode(axdr.encode(cosem.array(map(cosem.u8, range(100)))))
    others = axdr.decode(axdr.encode(cosem.array(map(cosem.u8, range(1, 101)))))
    assert numbers != others
    assert numbers != cosem.array(map(cosem.u8, range(99)))
    assert numbers.value != 5
    assert repr(numbers.value) == "<100 elements>"


def test_a_long_profile_is_held_as_its_octets() -> None:
    row = cosem.structure(cosem.octet_string(bytes(12)), *map(cosem.u32, range(5)))
    octets = axdr.encode(cosem.array([row] * 11_000))
    tracemalloc.start()
    rows = axdr.decode(octets)
    held = tracemalloc.get_traced_memory()[0]
    assert sum(1 for _ in rows.as_items()) == 11_000
    walked = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < len(octets) + 20_000
    assert walked < len(octets) * 2 + 400_000


def test_many_short_runs_cost_no_more_than_their_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking ahead is bounded by what was found: octets that are compared grow with the message, not with its
    square."""
    compared = 0
    count = Shape._count

    def counting(self: Shape, buffer: bytes, position: int, rows: int) -> int:
        nonlocal compared
        compared += rows * self.layout.size
        return count(self, buffer, position, rows)

    monkeypatch.setattr(Shape, "_count", counting)
    monkeypatch.setattr(axdr, "MOST_SHAPES", 1)
    run = [cosem.structure(cosem.u8(1))] * 17 + [cosem.structure(cosem.u16(1))]
    octets = axdr.encode(cosem.array(run * 1000))
    axdr.decode(octets)
    assert len(octets) < compared < 10 * len(octets)


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        ("13 02 82 0400" + "00" * 1024 + "01 00", "too-many-values"),
        ("13 02 02 02 81 FF" + "00" * 255 + "02 82 02EE" + "00" * 750 + "01 00", "too-many-values"),
        ("04 83 200001" + "00" * ((1 << 18) + 1), "too-many-values"),
    ],
)
def test_types_and_bits_beyond_the_bound_are_refused(octets: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        axdr.decode(bytes.fromhex(octets))
    assert (caught.value.code, bool(caught.value.hint)) == (code, True)


def test_the_elements_of_a_compact_array_are_those_of_a_tuple() -> None:
    kind = TypeDescription(Tag.STRUCTURE, (TypeDescription(Tag.UNSIGNED), TypeDescription(Tag.OCTET_STRING)))
    elements = tuple(cosem.structure(cosem.u8(n % 256), cosem.octet_string(bytes(n % 5))) for n in range(300))
    made = cosem.compact_array(kind, elements)
    read = axdr.decode(axdr.encode(made))
    assert read == made
    assert tuple(read.as_items()) == elements
    assert read.as_items()[7] == elements[7]
    assert len(read.as_items()) == 300
