"""What a trace tells whoever explains it, and what it keeps to itself."""

import pytest
from traces import METER, Said, frame, hdlc, octets, over_hdlc, over_wrapper, steps_of, text_of

from meterlink.cosem import data as cosem
from meterlink.cosem.acse import Aarq, Context
from meterlink.cosem.apdu import InitiateRequest
from meterlink.cosem.apdu.action import (
    ActionRequestBlock,
    ActionRequestFirstBlock,
    ActionRequestNormal,
    ActionRequestWithList,
    ActionResponseBlock,
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
from meterlink.cosem.apdu.set import (
    SetRequestBlock,
    SetRequestFirstBlock,
    SetRequestNormal,
    SetRequestWithList,
    SetRequestWithListFirstBlock,
    values_to_bytes,
)
from meterlink.cosem.axdr import encode
from meterlink.cosem.conformance import SUPPORTED
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.results import ActionResponse, ActionResult
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind, control
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.security.ciphered import Ciphering, wrap
from meterlink.security.control import SecurityControl
from meterlink.security.hls import Mechanism
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite
from meterlink.tracing import Capture, explain
from meterlink.tracing.capture import Framing
from meterlink.transport.replay import Entry
from meterlink.values import Obis

INVOKE = 0xC1
PASSWORD = b"passWORD"
VALUE = cosem.octet_string(PASSWORD)
ENERGY = Attribute(3, Obis.parse("6-0:1.0.0"), 2)
FLAGS = Attribute(1, Obis.parse("6-0:97.97.0"), 2)
SECRET = Attribute(15, Obis.parse("0-0:40.0.0"), 7)
CHANGE = Method(15, SECRET.instance, 2)
TRANSFER = Method(64, Obis.parse("0-0:43.0.0"), 2)
EXPORT = Method(64, Obis.parse("0-0:43.0.0"), 7)
KEYS = cosem.array([cosem.structure(cosem.enum_(0), VALUE)])


def shows_password(text: str) -> bool:
    return any(
        shown in text for shown in (PASSWORD.decode(), PASSWORD.hex(), PASSWORD.hex(" "), PASSWORD[2:6].hex(" "))
    )


def port(index: int) -> Attribute:
    return Attribute(19, Obis.parse("0-0:20.0.0"), index)


@pytest.mark.parametrize("name", [SECRET, port(7), port(8), port(9), Attribute(44, Obis.parse("0-0:25.3.0"), 5)])
def test_secrets_that_are_read_or_written_are_not_shown(name) -> None:
    for value in (VALUE, cosem.structure(VALUE, VALUE)):
        said = (
            ("sent", GetRequestNormal(INVOKE, name)),
            ("received", GetResponseNormal(INVOKE, value)),
            ("sent", SetRequestNormal(INVOKE, name, value)),
            ("received", EventNotification(None, name, value)),
        )
        for capture in (over_wrapper(*said), hdlc(over_hdlc(said))):
            assert not shows_password(text_of(capture))
            assert text_of(capture).count("not shown") == 3


def test_an_answer_that_may_be_a_secret_is_not_shown() -> None:
    """Its invoke id is another one, so nobody knows whether it is the one that was asked for."""
    said = ("sent", GetRequestNormal(INVOKE, SECRET)), ("received", GetResponseNormal(INVOKE + 1, VALUE))
    assert not shows_password(text_of(over_wrapper(*said)))


def test_a_pin_is_not_shown() -> None:
    name = Attribute(45, Obis.parse("0-0:25.4.0"), 3)
    said = ("sent", GetRequestNormal(INVOKE, name)), ("received", GetResponseNormal(INVOKE, cosem.u16(4711)))
    assert "4711" not in text_of(over_wrapper(*said))


@pytest.mark.parametrize("method", [CHANGE, TRANSFER, Method(72, Obis.parse("0-1:24.1.0"), 7)])
def test_keys_that_are_handed_over_are_not_shown(method) -> None:
    for apdu in (ActionRequestNormal(1, method, KEYS), ActionRequestWithList(1, (EXPORT, method), (KEYS, KEYS))):
        text = text_of(over_wrapper(("sent", apdu)))
        assert "not shown" in text
        assert text.count(PASSWORD.hex()) == isinstance(apdu, ActionRequestWithList)


def test_one_secret_in_a_list_hides_nothing_else() -> None:
    names, values = (ENERGY, SECRET, FLAGS), (cosem.u32(123456789), VALUE, cosem.u16(4711))
    said: tuple[Said, ...] = (
        ("sent", GetRequestWithList(INVOKE, names)),
        ("received", GetResponseWithList(INVOKE, values)),
        ("sent", SetRequestWithList(INVOKE, names, values)),
    )
    shown = [fields for _, fields in steps_of(over_wrapper(*said))]
    assert shown[1]["results"] == shown[2]["values"] == "u32:123456789; not shown; u16:4711"


@pytest.mark.parametrize("invoke", [INVOKE, INVOKE + 1])
@pytest.mark.parametrize("size", [3, 40])
def test_a_secret_in_blocks_is_not_shown(size, invoke) -> None:
    content = encode(VALUE)
    read: list[Said] = [("sent", GetRequestNormal(INVOKE, SECRET))]
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    for number, part in enumerate(parts, start=1):
        read += [("received", GetResponseWithBlock(invoke, number == len(parts), number, part))]
        read += [("sent", GetRequestNext(INVOKE, number))] if number < len(parts) else []
    written: list[Said] = [("sent", SetRequestFirstBlock(INVOKE, SECRET, Block(False, 1, content[:5])))]
    written += [("sent", SetRequestBlock(INVOKE, Block(True, 2, content[5:])))]
    called: list[Said] = [("sent", ActionRequestFirstBlock(INVOKE, CHANGE, Block(False, 1, content[:5])))]
    called += [("sent", ActionRequestBlock(INVOKE, Block(True, 2, content[5:])))]
    for said in (read, written, called):
        text = text_of(over_wrapper(*said))
        assert "'all blocks': 'not shown'" in text
        assert not shows_password(text)


def test_octets_that_nobody_can_read_may_hold_a_password() -> None:
    aarq = Aarq(Context.LOGICAL_NAMES, InitiateRequest(SUPPORTED).to_bytes(), Mechanism.LOW, secret=PASSWORD)
    written = octets(SetRequestNormal(1, SECRET, VALUE))
    answer = octets(GetResponseNormal(INVOKE, VALUE))
    asked = "sent", GetRequestNormal(INVOKE, SECRET)
    for said in ([("sent", octets(aarq) + b"\0")], [("sent", written + b"\0")], [asked, ("received", answer + b"\0")]):
        text = text_of(over_wrapper(*said))
        assert "not readable" in text
        assert not shows_password(text)
        garbled = [Entry(e.t, e.event, e.data[:-3] + b"\0\0\x7e") for e in over_hdlc(said)[-1:]]
        text = text_of(hdlc([*over_hdlc(said)[:-1], *garbled]))
        assert "noise" in text
        assert not shows_password(text)
    assert "ff 01 02" in text_of(over_wrapper(("sent", b"\xff\x01\x02")))


def test_the_blocks_of_a_list_are_joined() -> None:
    content = results_to_bytes((cosem.octet_string(bytes(40)), cosem.u32(5)))
    said = (
        ("sent", GetRequestWithList(INVOKE, (FLAGS, ENERGY))),
        ("received", GetResponseWithBlock(INVOKE, False, 1, content[:20])),
        ("sent", GetRequestNext(INVOKE, 1)),
        ("received", GetResponseWithBlock(INVOKE, True, 2, content[20:])),
    )
    assert steps_of(over_wrapper(*said))[-1][1]["all blocks"] == f"octets:{bytes(40).hex()}; u32:5"
    # Without its question it may be one value or a list: it is read as what it can be.
    assert steps_of(over_wrapper(*said[1:]))[-1][1]["all blocks"].endswith("u32:5")


def test_the_blocks_of_writes_calls_and_results_are_joined() -> None:
    values = (cosem.u32(5), cosem.u16(6))
    listed, one = values_to_bytes(values), encode(values[0])
    returned = encode(cosem.octet_string(bytes(9)))
    said = (
        ("sent", SetRequestWithListFirstBlock(1, (FLAGS, ENERGY), Block(False, 1, listed[:3]))),
        ("sent", SetRequestBlock(1, Block(True, 2, listed[3:]))),
        ("sent", ActionRequestFirstBlock(2, EXPORT, Block(False, 1, one[:2]))),
        ("sent", ActionRequestBlock(2, Block(True, 2, one[2:]))),
        ("received", ActionResponseBlock(2, Block(False, 1, returned[:4]))),
        ("received", ActionResponseBlock(2, Block(True, 2, returned[4:]))),
    )
    steps = [fields.get("all blocks") for _, fields in steps_of(over_wrapper(*said))]
    assert steps == [None, "u32:5; u16:6", None, "u32:5", None, f"octets:{bytes(9).hex()}"]


def test_blocks_that_fit_nothing_are_told() -> None:
    said = (
        ("sent", GetRequestNormal(INVOKE, ENERGY)),
        ("received", GetResponseWithBlock(INVOKE, True, 1, b"\x06\x00")),
    )
    name, fields = steps_of(over_wrapper(*said))[-1]
    assert name == "get-response-with-block"
    assert fields["all blocks"].startswith("not readable")


def test_the_result_of_a_call_is_that_of_its_method() -> None:
    said = (
        ("sent", ActionRequestNormal(1, TRANSFER, KEYS)),
        ("received", ActionResponseNormal(1, ActionResponse(ActionResult.SUCCESS))),
    )
    assert steps_of(over_wrapper(*said))[-1][1]["response"] == "success"


def in_general_blocks(apdu: bytes, size: int = 20) -> list[Said]:
    """The blocks of ``apdu``, each acknowledged, one sent twice and the last two in the wrong order."""
    parts = [apdu[at : at + size] for at in range(0, len(apdu), size)]
    blocks = [GeneralBlock(at == len(parts), True, 1, at, 0, part) for at, part in enumerate(parts, start=1)]
    order = [blocks[0], *blocks[:-2], blocks[-1], blocks[-2]]
    said: list[Said] = []
    for block in order:
        said += [("received", block), ("sent", GeneralBlock(True, False, 1, 1, block.number, b""))]
    return said


@pytest.mark.parametrize("ciphering", [None, *Ciphering])
def test_an_apdu_in_general_blocks_is_joined_and_opened(ciphering) -> None:
    keys = KeySet(bytes(16), bytes(range(16)), dedicated=bytes(range(1, 17)))
    title = b"MLK\0\0\0\0\1"
    apdu = octets(GetResponseNormal(INVOKE, cosem.structure(cosem.u32(123456789), cosem.octet_string(bytes(60)))))
    if ciphering is not None:
        protection = {"control": SecurityControl(Suite.SUITE_0), "system_title": title, "counter": 1, "keys": keys}
        apdu = wrap(apdu, ciphering=ciphering, **protection)
    said = [("received", Aarq(Context.LOGICAL_NAMES_CIPHERED, b"", system_title=title)), *in_general_blocks(apdu)]
    for capture in (over_wrapper(*said), hdlc(over_hdlc(said, 30))):
        found = [step for step in explain(capture, keys) if step.name == "get-response-normal"]
        assert [step.depth for step in found] == [1 if ciphering is None else 2]
        assert "u32:123456789" in dict(found[0].fields)["result"]


def test_a_push_between_two_segments_spoils_neither() -> None:
    link = over_hdlc([("received", GetResponseNormal(INVOKE, cosem.octet_string(bytes(40))))], 20)
    push = b"\xe6\xe7\x00" + DataNotification(1, None, cosem.u32(7)).to_bytes()
    at = next(at for at, entry in enumerate(link) if entry.event == "received" and at > 1) + 1
    link[at:at] = [frame("received", FrameKind.UI, push)]
    assert [name for name, _ in steps_of(hdlc(link))] == ["data-notification", "get-response-normal"]


def test_two_meters_on_one_line_are_told_apart() -> None:
    """Each link has sequence numbers of its own, though the client is the same."""
    other = HdlcAddress(1, 18, 2)
    entries = []
    for at, entry in enumerate(over_hdlc([("sent", GetRequestNormal(INVOKE, ENERGY))] * 3)[2:]):
        made = HdlcFrame.from_bytes(entry.data)
        again = HdlcFrame(other, made.source, control(FrameKind.I, poll=True, send=at), made.information)
        entries += [entry, Entry(0.0, "sent", again.to_bytes())]
        assert made.destination == METER
    assert len(steps_of(hdlc(entries))) == 6


def test_a_message_that_breaks_off_does_not_take_the_next_connection_with_it() -> None:
    said = ("sent", GetRequestNormal(INVOKE, ENERGY)), ("received", GetResponseNormal(INVOKE, cosem.u32(5)))
    whole = over_wrapper(*said)
    cut = Entry(1.0, "received", whole.entries[1].data[:-3])
    entries = (whole.entries[0], cut, Entry(1.0, "lost", b"", "gone"), *whole.entries)
    capture = Capture(entries, Framing.WRAPPER, is_directed=True)
    assert [name for name, _ in steps_of(capture)] == ["get-request-normal"] * 2 + ["get-response-normal"]
    noise = [step for step in explain(capture) if step.name == "noise"]
    assert [(step.layer, step.direction) for step in noise] == [("wrapper", "received")]


def test_the_end_of_what_was_sent_is_told_too() -> None:
    link = over_hdlc([("sent", GetRequestNormal(INVOKE, ENERGY))])
    cut = Entry(0.0, "sent", link[-1].data[:-4])
    noise = [step for step in explain(hdlc([*link, cut])) if step.name == "noise"]
    assert [(step.layer, step.direction) for step in noise] == [("hdlc", "sent")]
