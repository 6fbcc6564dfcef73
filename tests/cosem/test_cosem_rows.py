"""Long arrays and compact arrays, which stay octets until somebody walks over them: nobody can tell, but by the memory
that they take."""

from __future__ import annotations

import tracemalloc

import cosem_strategies as strategies
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.cosem import axdr
from meterlink.cosem import data as cosem
from meterlink.cosem.data import Data, Tag, TypeDescription
from meterlink.cosem.rows import Shape
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
