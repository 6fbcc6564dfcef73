"""Values as people write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink import notation
from meterlink.cosem import data as cosem
from meterlink.cosem.data import Data
from meterlink.cosem.dates import CosemDateTime
from meterlink.errors import UsageError

SCALARS = st.one_of(
    st.just(cosem.NULL),
    st.booleans().map(cosem.boolean),
    st.integers(0, 255).map(cosem.u8),
    st.integers(0, 65535).map(cosem.u16),
    st.integers(0, 2**32 - 1).map(cosem.u32),
    st.integers(0, 2**64 - 1).map(cosem.u64),
    st.integers(-128, 127).map(cosem.i8),
    st.integers(-(2**63), 2**63 - 1).map(cosem.i64),
    st.integers(0, 255).map(cosem.enum_),
    st.integers(0, 255).map(cosem.bcd),
    st.binary(max_size=20).map(cosem.octet_string),
    st.text(st.characters(max_codepoint=255), max_size=20).map(cosem.visible_string),
    st.text(max_size=20).map(cosem.utf8_string),
    st.text("01", max_size=20).map(cosem.bit_string),
    st.floats(allow_nan=False).map(cosem.f64),
    st.datetimes().map(lambda moment: cosem.date_time(CosemDateTime.of(moment.replace(microsecond=0)))),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(cosem.array), st.lists(inner, max_size=4).map(lambda v: cosem.structure(*v))
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read(value: Data) -> None:
    assert notation.read(notation.write(value)) == value


@given(st.text(max_size=40) | st.text('u8:15,[]{}"\\text', max_size=40))
def test_other_text_is_refused_as_usage(text: str) -> None:
    with contextlib.suppress(UsageError):
        read = notation.read(text)
        assert notation.read(notation.write(read)) == read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("u16:0x10", cosem.u16(16)),
        ("obis:1-0:1.8.0", cosem.octet_string(bytes([1, 0, 1, 8, 0, 255]))),
        (
            '[{text:"a, b",null},{}]',
            cosem.array([cosem.structure(cosem.visible_string("a, b"), cosem.NULL), cosem.structure()]),
        ),
        ("date:2026-11-22", None),
        ("time:14:30:00", None),
    ],
)
def test_examples(text: str, value: Data | None) -> None:
    read = notation.read(text)
    assert value is None or read == value
    assert notation.read(notation.write(read)) == read


@pytest.mark.parametrize(
    "text", ["", "5", "u8", "u8:256", "u8:-1", "u8:1,", "[u8:1", "u8:1]", "{" * 40 + "}" * 40, "bool:yes"]
)
def test_slips_are_told(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        notation.read(text)
    assert caught.value.code == "value-invalid"


def test_json_tells_types() -> None:
    value = cosem.structure(cosem.octet_string(b"\x01"), cosem.array([cosem.u8(1)]))
    assert notation.to_json(value) == {
        "type": "structure",
        "value": [
            {"type": "octet-string", "value": "01"},
            {"type": "array", "value": [{"type": "unsigned", "value": 1}]},
        ],
    }
