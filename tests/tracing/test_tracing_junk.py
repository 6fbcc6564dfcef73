"""Whatever is given to decode: an explanation, or an error of ours."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tracing_sessions import links, sessions
from traces import hdlc, octets, over_wrapper

from meterlink.errors import MeterlinkError
from meterlink.framing.wrapper import WrapperPdu
from meterlink.meters.decode import decode_capture
from meterlink.security.keys import KeySet
from meterlink.tracing import Capture, explain, read_capture, redact
from meterlink.tracing.capture import Framing
from meterlink.transport.replay import Entry

KEYS = KeySet(bytes(16), bytes(16), dedicated=bytes(16))

tags = st.sampled_from(bytes.fromhex("01 08 0e 0f 60 61 62 63 c0 c1 c2 c3 c4 c5 c7 c8 d8 db dc dd df e0 21 41"))
apdus = st.builds(
    lambda tag, choice, rest: bytes((tag, *choice)) + rest,
    tags,
    st.sampled_from([b"", b"\1\xc1", b"\1\xc1\0", b"\2\xc1\1\0\0\0\1\0", b"\3\xc1\1", b"\4\xc1", b"\5\xc1"]),
    st.binary(max_size=30) | st.lists(st.sampled_from(bytes(range(34))), max_size=30).map(bytes),
)


def try_all(data: bytes) -> None:
    capture = read_capture(data)
    if capture is not None and capture.framing is not Framing.OTHER:
        check(capture)
    else:
        with contextlib.suppress(MeterlinkError):
            decode_capture(data if capture is None else capture.received)


def check(capture: Capture) -> None:
    """Explain and redact a trace, with keys and without."""
    for keys in (None, KEYS):
        assert all(step.as_json() for step in explain(capture, keys))
    assert [len(entry.data) for entry in redact(capture).entries] == [len(entry.data) for entry in capture.entries]


@settings(deadline=None, max_examples=200)
@given(st.lists(apdus, min_size=1, max_size=5), st.booleans())
def test_well_framed_junk(said, is_directed) -> None:
    entries = [
        Entry(float(at), ("sent", "received")[at % 2], WrapperPdu(*((16, 1), (1, 16))[at % 2], apdu).to_bytes())
        for at, apdu in enumerate(said)
    ]
    check(Capture(tuple(entries), Framing.WRAPPER, is_directed=True))
    try_all(b"".join(entry.data for entry in entries))


@settings(deadline=None, max_examples=100)
@given(links() | sessions().map(lambda said: list(over_wrapper(*said).entries)), st.data())
def test_garbled_octets(entries, data) -> None:
    octets_ = bytearray(b"".join(entry.data for entry in entries))
    for _ in range(data.draw(st.integers(0, 6))):
        if octets_:
            octets_[data.draw(st.integers(0, len(octets_) - 1))] = data.draw(st.integers(0, 255))
    try_all(bytes(octets_))
    try_all(octets_.hex().encode())


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_octets(data) -> None:
    try_all(data)


@settings(deadline=None, max_examples=60)
@given(sessions())
def test_every_octet_of_a_session_may_be_zero(said) -> None:
    """Lengths above all: a message of the wrapper may be empty, a frame may not."""
    for _, apdu in said[:3]:
        for at in range(min(len(octets(apdu)), 40)):
            changed = bytearray(octets(apdu))
            changed[at] = 0
            check(over_wrapper(("sent", bytes(changed))))


EMPTY = "0001 0010 0001 0000  0001 0001 0010 000A  C401C10006 0000000100"


def test_an_empty_message_is_shown(meterlink, tmp_path: Path) -> None:
    path = tmp_path / "empty.hex"
    path.write_text(EMPTY)
    steps = meterlink("decode", path, "--json").json["steps"]
    assert (steps[0]["name"], steps[0]["fields"]["octets"]) == ("message", "0")
    clean = tmp_path / "clean.hex"
    assert meterlink("decode", path, "--redact", clean).status == 0
    assert len(bytes.fromhex(clean.read_text())) == len(bytes.fromhex(EMPTY))


@pytest.mark.parametrize("content", [b"", b"\x00", b"7e", b"\x7e" * 9, b"0001", b'{"meterlink": "recording"}', b"{"])
def test_next_to_nothing_is_told(meterlink, tmp_path: Path, content) -> None:
    path = tmp_path / "junk"
    path.write_bytes(content)
    done = meterlink("decode", path)
    assert done.status == 2
    assert done.code != "internal"


def test_a_trace_without_entries_is_told(meterlink, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text('{"meterlink": "recording", "version": 1, "url": "", "started": ""}\n')
    assert meterlink("decode", path).code == "empty"
    capture = hdlc(())
    assert list(explain(capture)) == []
    assert redact(capture).entries == ()
