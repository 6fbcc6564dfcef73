"""Random sessions with marked secrets, in any place and with any frames missing: no mark stays when one is redacted.

A mark has the octets from A to P, which nothing else in these sessions has four of in a row; so a part of one that is
left is found, too.
"""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from traces import Said, frame, hdlc, octets, octets_in, over_hdlc, over_wrapper

from meterlink.cosem import data as cosem
from meterlink.cosem.acse import Aare, Aarq, AssociationResult, Context, Diagnostic
from meterlink.cosem.apdu import InitiateRequest, InitiateResponse
from meterlink.cosem.apdu.action import (
    ActionRequestFirstBlock,
    ActionRequestNormal,
    ActionRequestWithList,
    ActionResponseNormal,
)
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.apdu.get import (
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithBlock,
    GetResponseWithList,
    results_to_bytes,
)
from meterlink.cosem.apdu.notification import DataNotification, EventNotification
from meterlink.cosem.apdu.set import SetRequestBlock, SetRequestFirstBlock, SetRequestNormal
from meterlink.cosem.axdr import encode
from meterlink.cosem.conformance import SUPPORTED
from meterlink.cosem.data import CompactArray, Data, Tag, TypeDescription
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import Attribute, Method, Selection
from meterlink.cosem.results import ActionResponse, ActionResult
from meterlink.framing.hdlc.control import FrameKind
from meterlink.security.ciphered import Ciphering, wrap
from meterlink.security.control import SecurityControl
from meterlink.security.general_ciphering import KeyChoice, KeyInfo
from meterlink.security.general_header import GeneralHeader
from meterlink.security.hls import Mechanism
from meterlink.security.keys import KeySet
from meterlink.security.octets import octet_string
from meterlink.security.suites import Suite
from meterlink.tracing import Capture, explain, read_capture, redact
from meterlink.transport.replay import Entry
from meterlink.values import Obis

MARK = re.compile(rb"[A-P]{4}")

marks = st.integers(4, 24).flatmap(
    lambda length: st.lists(st.sampled_from(b"ABCDEFGHIJKLMNOP"), min_size=length, max_size=length).map(bytes)
)
titles = st.lists(st.sampled_from(b"ABCDEFGHIJKLMNOP"), min_size=8, max_size=8).map(bytes)


def number(octets_: bytes, size: int) -> int:
    return int.from_bytes((octets_ * 2)[:size], "big")


@st.composite
def secret_values(draw: st.DrawFn) -> Data:
    """A secret in any type that can hold one."""
    mark = draw(marks)
    plain = draw(
        st.sampled_from(
            [
                cosem.octet_string(mark),
                cosem.visible_string(mark.decode()),
                cosem.utf8_string(mark.decode()),
                cosem.u32(number(mark, 4)),
                cosem.i32(number(mark, 4)),
                cosem.u64(number(mark, 8)),
                cosem.i64(number(mark, 8)),
                cosem.bit_string("".join(f"{octet:08b}" for octet in mark)),
                Data(Tag.COMPACT_ARRAY, CompactArray(TypeDescription(Tag.UNSIGNED), tuple(map(cosem.u8, mark)))),
                Data(Tag.COMPACT_ARRAY, CompactArray(TypeDescription(Tag.OCTET_STRING), (cosem.octet_string(mark),))),
            ]
        )
    )
    around = st.sampled_from([cosem.u16(7), cosem.null(), cosem.enum_(1), STAMP])
    form = draw(st.integers(0, 3))
    if form == 1:
        return cosem.structure(draw(around), plain, draw(around))
    if form == 2:
        return cosem.array([cosem.structure(draw(around), plain)] * draw(st.integers(1, 4)))
    return plain


STAMP = cosem.date_time_octets(CosemDateTime(2026, 1, 31, 6, 12, 0, 0, 0, -60, 0))
harmless_values = st.sampled_from([cosem.u32(1234), STAMP, cosem.u16(5), cosem.structure(cosem.i8(0), cosem.enum_(30))])

secret_names = st.sampled_from(
    [
        (1, "0-0:96.1.0", 2),
        (1, "0-0:42.0.0", 2),
        (3, "6-0:0.0.0", 2),
        (15, "0-0:40.0.0", 7),
        (19, "0-0:20.0.0", 7),
        (40, "0-0:25.9.0", 3),
        (43, "0-0:25.2.0", 2),
        (44, "0-0:25.3.0", 5),
        (64, "0-0:43.0.0", 5),
        (72, "0-1:24.1.0", 6),
        (7, "1-0:99.1.0", 2),
        (9999, "0-0:200.0.0", 3),
    ]
)
harmless_names = st.sampled_from([(3, "6-0:1.0.0", 2), (8, "0-0:1.0.0", 2), (4, "6-0:8.5.0", 5), (3, "6-0:1.0.0", 3)])
methods = st.sampled_from([(15, "0-0:40.0.0", 1), (15, "0-0:40.0.0", 2), (64, "0-0:43.0.0", 2), (72, "0-1:24.1.0", 7)])


def attribute(name: tuple[int, str, int]) -> Attribute:
    return Attribute(name[0], Obis.parse(name[1]), name[2])


def method(name: tuple[int, str, int]) -> Method:
    return Method(name[0], Obis.parse(name[1]), name[2])


@st.composite
def items(draw: st.DrawFn) -> tuple[Attribute, Data]:
    """An attribute and its value, which is a secret where the attribute may be one."""
    if draw(st.booleans()):
        return attribute(draw(secret_names)), draw(secret_values())
    return attribute(draw(harmless_names)), draw(harmless_values)


def in_blocks(draw: st.DrawFn, content: bytes) -> list[bytes]:
    size = draw(st.integers(len(content) // 4 + 1, len(content) + 1))
    return [content[at : at + size] for at in range(0, len(content), size)]


@st.composite
def reads(draw: st.DrawFn, invoke: int) -> list[Said]:
    asked = draw(st.lists(items(), min_size=1, max_size=3))
    names, values = tuple(name for name, _ in asked), tuple(value for _, value in asked)
    if len(asked) == 1:
        question: object = GetRequestNormal(invoke, names[0])
        whole, content = GetResponseNormal(invoke, values[0]), encode(values[0])
    else:
        question = GetRequestWithList(invoke, names)
        whole, content = GetResponseWithList(invoke, values), results_to_bytes(values)
    form = draw(st.sampled_from(["whole", "blocks", "general"]))
    said: list[Said] = [("sent", question)]
    if form == "whole":
        return [*said, ("received", whole)]
    if form == "general":
        parts = in_blocks(draw, octets(whole))[:0xFFFF]
        for at, part in enumerate(parts, start=1):
            said.append(("received", GeneralBlock(at == len(parts), False, 1, at, 0, part)))
            said.append(("sent", GeneralBlock(True, False, 1, at, at, b"")))
        return said
    parts = in_blocks(draw, content)
    for at, part in enumerate(parts, start=1):
        said.append(("received", GetResponseWithBlock(invoke, at == len(parts), at, part)))
        if at < len(parts):
            said.append(("sent", GetRequestNext(invoke, at)))
    return said


@st.composite
def writes(draw: st.DrawFn, invoke: int) -> list[Said]:
    value = draw(secret_values())
    name, called = attribute(draw(secret_names)), method(draw(methods))
    parts = in_blocks(draw, encode(value))
    first = Block(len(parts) == 1, 1, parts[0])
    blocks: list[Said] = [("sent", SetRequestFirstBlock(invoke, name, first))]
    for at, part in enumerate(parts[1:], start=2):
        blocks.append(("sent", SetRequestBlock(invoke, Block(at == len(parts), at, part))))
    result = ActionResponse(ActionResult.SUCCESS, draw(secret_values()))
    chosen = Attribute(name.class_id, name.instance, name.index, Selection(1, value))
    return draw(
        st.sampled_from(
            [
                [("sent", SetRequestNormal(invoke, name, value))],
                [("sent", GetRequestNormal(invoke, chosen))],
                blocks,
                [
                    ("sent", ActionRequestNormal(invoke, called, value)),
                    ("received", ActionResponseNormal(invoke, result)),
                ],
                [("sent", ActionRequestWithList(invoke, (called, called), (value, value)))],
                [("sent", ActionRequestFirstBlock(invoke, called, first))],
            ]
        )
    )


@st.composite
def others(draw: st.DrawFn, with_junk: bool) -> list[Said]:
    """What belongs to no question, or hides in something else."""
    value, mark, title = draw(secret_values()), draw(marks), draw(titles)
    push = DataNotification(1, None, value)
    plain = octets(GetResponseNormal(1, value))
    sealed = wrap(
        plain,
        ciphering=draw(st.sampled_from(list(Ciphering))),
        control=SecurityControl(Suite.SUITE_0, encrypted=False),
        system_title=title,
        counter=1,
        keys=KeySet(bytes(16), bytes(16), dedicated=bytes(16)),
    )
    header = GeneralHeader(b"\1", title, title[::-1], b"", mark).to_bytes()
    signed = b"\xdf" + header + octet_string(plain) + octet_string(mark)
    wrapped = b"\xdd" + header + KeyInfo(KeyChoice.WRAPPED, mark).to_bytes() + octet_string(b"\x30" + bytes(24))
    event = EventNotification(None, attribute(draw(secret_names)), value)
    junk = (mark, b"\xc4\x01" + mark, b"\x60" + mark) if with_junk else ()
    said = draw(st.sampled_from([push, event, sealed, signed, wrapped, *junk]))
    return [(draw(st.sampled_from(["sent", "received"])), said)]


@st.composite
def openings(draw: st.DrawFn) -> list[Said]:
    key = draw(st.none() | marks)
    initiate = InitiateRequest(SUPPORTED, 500, key).to_bytes()
    aarq = Aarq(
        Context.LOGICAL_NAMES,
        initiate,
        draw(st.sampled_from(list(Mechanism))),
        draw(st.none() | titles),
        draw(st.none() | marks),
        draw(marks),
    )
    aare = Aare(
        Context.LOGICAL_NAMES,
        AssociationResult.ACCEPTED,
        Diagnostic.NULL,
        InitiateResponse(SUPPORTED).to_bytes(),
        aarq.mechanism,
        draw(st.none() | titles),
        draw(st.none() | marks),
        draw(st.none() | marks),
    )
    return [("sent", aarq), ("received", aare)]


@st.composite
def sessions(draw: st.DrawFn, with_junk: bool = True) -> list[Said]:
    said = draw(openings())
    for invoke in range(1, draw(st.integers(1, 6)) + 1):
        said += draw(st.one_of(reads(invoke), writes(invoke), others(with_junk)))
    return said


@st.composite
def links(draw: st.DrawFn) -> list[Entry]:
    """A link in HDLC: some frames are sent twice, garbled or missing, noise and pushes come between."""
    said = draw(sessions())
    entries = over_hdlc(said, draw(st.sampled_from([20, 60, 128, 2000])))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(entries) - 1))
        entries[at : at + 1] = draw(st.one_of(*(fault(entries[at], said) for fault in FAULTS)))
        if not entries:
            break
    return entries[: draw(st.integers(1, len(entries)))] if entries and draw(st.booleans()) else entries


def missing(entry: Entry, said: list[Said]) -> st.SearchStrategy[list[Entry]]:
    return st.just([])


def sent_again(entry: Entry, said: list[Said]) -> st.SearchStrategy[list[Entry]]:
    return st.just([entry, entry])


def garbled(entry: Entry, said: list[Said]) -> st.SearchStrategy[list[Entry]]:
    def flip(at: int) -> list[Entry]:
        data = bytearray(entry.data)
        data[at % len(data)] ^= 0x80
        return [Entry(entry.t, entry.event, bytes(data))] if data else [entry]

    return st.integers(0, 2100).map(flip) if entry.data else st.just([entry])


def cut(entry: Entry, said: list[Said]) -> st.SearchStrategy[list[Entry]]:
    return st.integers(0, 2100).map(lambda at: [Entry(entry.t, entry.event, entry.data[:at])])


def pushed(entry: Entry, said: list[Said]) -> st.SearchStrategy[list[Entry]]:
    def push(value: Data) -> list[Entry]:
        data = b"\xe6\xe7\x00" + DataNotification(1, None, value).to_bytes()
        return [frame("received", FrameKind.UI, data), entry]

    return secret_values().map(push)


def noise(entry: Entry, said: list[Said]) -> st.SearchStrategy[list[Entry]]:
    sides = st.sampled_from(["sent", "received"])
    return st.builds(lambda side, mark: [Entry(0.0, side, mark), entry], sides, marks)


def connected_again(entry: Entry, said: list[Said]) -> st.SearchStrategy[list[Entry]]:
    return marks.map(lambda mark: [entry, Entry(0.0, "lost", b"", mark.decode()), *over_hdlc(said)])


FAULTS = (missing, missing, sent_again, garbled, cut, pushed, noise, connected_again)


def check(capture: Capture) -> None:
    clean = redact(capture)
    assert [len(entry.data) for entry in clean.entries] == [len(entry.data) for entry in capture.entries]
    assert MARK.findall(octets_in(clean)) == []
    assert MARK.findall("".join(entry.text for entry in clean.entries).encode()) == []
    # A number may stand there in digits, a text in hex.
    for step in explain(clean):
        shown = str(step.as_json())
        for found in re.findall(r"[0-9a-f]{8,}", shown.replace(" ", "")):
            assert MARK.findall(bytes.fromhex(found[: len(found) // 2 * 2])) == []
        for digits in re.findall(r"\b\d{9,20}\b", shown):
            assert MARK.findall(int(digits).to_bytes(9, "big")) == []
    # Whoever gets it sees the frames and events that were there. (Noise that could have been the start of a frame holds
    # up what comes behind it; blanked it does not, so the order of both directions may differ.)
    assert frames_in(clean) == frames_in(capture)


def frames_in(capture: Capture) -> Counter[tuple[str, str]]:
    return Counter(
        (step.layer, step.name) for step in explain(capture) if step.layer != "apdu" and step.name != "noise"
    )


@settings(deadline=None, max_examples=150)
@given(links())
def test_no_secret_stays_in_a_link(entries) -> None:
    check(hdlc(entries))


@settings(deadline=None, max_examples=100)
@given(sessions(), st.data())
def test_no_secret_stays_in_a_connection(said, data) -> None:
    """Over TCP nothing is missing in the middle, but a recording may begin late, end early, or break off."""
    whole = over_wrapper(*said)
    entries = list(whole.entries)[data.draw(st.integers(0, len(said) - 1)) :]
    last = entries[-1]
    cut = Entry(last.t, last.event, last.data[: data.draw(st.integers(1, len(last.data)))])
    again = [Entry(last.t, "lost", b"", "gone"), *whole.entries] if data.draw(st.booleans()) else []
    check(Capture((*entries[:-1], cut, *again), whole.framing, is_directed=True))


@settings(deadline=None, max_examples=50)
@given(sessions())
def test_no_secret_stays_in_octets_without_directions(said) -> None:
    for capture in (over_wrapper(*said), hdlc(over_hdlc(said, 60))):
        found = read_capture(b"".join(entry.data for entry in capture.entries).hex().encode())
        assert found is not None
        check(found)


@settings(deadline=None, max_examples=60)
@given(sessions(with_junk=False))
def test_what_a_whole_session_said_is_still_explained(said) -> None:
    for capture in (over_wrapper(*said), hdlc(over_hdlc(said, 60))):
        before = [(step.layer, step.name, step.depth) for step in explain(capture)]
        after = [(step.layer, step.name, step.depth) for step in explain(redact(capture))]
        assert after == before
