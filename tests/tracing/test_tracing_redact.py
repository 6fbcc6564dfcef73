"""Nothing of a meter stays in a redacted trace but what is known to be harmless."""

import pytest
from traces import Said, frame, hdlc, octets, octets_in, over_hdlc, over_wrapper, steps_of, text_of

from meterlink.cosem import data as cosem
from meterlink.cosem.acse import Aare, Aarq, AssociationResult, Context, Diagnostic
from meterlink.cosem.apdu import InitiateRequest, InitiateResponse
from meterlink.cosem.apdu.action import (
    ActionRequestNormal,
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
from meterlink.cosem.apdu.set import SetRequestBlock, SetRequestFirstBlock, SetRequestNormal
from meterlink.cosem.axdr import encode
from meterlink.cosem.conformance import SUPPORTED
from meterlink.cosem.data import CompactArray, Data, Tag, TypeDescription
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import Attribute, CaptureObject, Method, RangeSelection
from meterlink.cosem.results import ActionResponse, ActionResult
from meterlink.framing.hdlc.control import FrameKind
from meterlink.security.ciphered import Ciphering, wrap
from meterlink.security.control import SecurityControl
from meterlink.security.general_header import GeneralHeader
from meterlink.security.hls import Mechanism
from meterlink.security.keys import KeySet
from meterlink.security.octets import octet_string
from meterlink.security.suites import Suite
from meterlink.tracing import Capture, read_capture, redact
from meterlink.tracing.capture import Framing
from meterlink.transport.replay import Entry
from meterlink.values import Obis

SERIAL = b"LGZ00815004"
NUMBER = 81500477
IN_OCTETS = NUMBER.to_bytes(4, "big")
TITLE = b"LGZ\x00\x00\x00\x47\x12"
INVOKE = 0xC1
STAMP = cosem.date_time_octets(CosemDateTime(2026, 1, 31, 6, 12, 0, 0, 0, -60, 0))


def attribute(class_id: int, code: str, index: int) -> Attribute:
    return Attribute(class_id, Obis.parse(code), index)


def ask(class_id: int, code: str, index: int) -> Said:
    return "sent", GetRequestNormal(INVOKE, attribute(class_id, code, index))


def answer(value: Data) -> Said:
    return "received", GetResponseNormal(INVOKE, value)


def of_type(kind: Tag, *items: Data) -> Data:
    return Data(Tag.COMPACT_ARRAY, CompactArray(TypeDescription(kind), items))


DEVICE_ID = ask(1, "0-0:96.1.0", 2)
TEXT = cosem.octet_string(SERIAL)
DIGITS = cosem.array(map(cosem.u8, SERIAL))
KEY_TRANSFER = Method(64, Obis.parse("0-0:43.0.0"), 2)


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ((DEVICE_ID, answer(TEXT)), SERIAL),
        ((DEVICE_ID, answer(cosem.u32(NUMBER))), IN_OCTETS),
        ((DEVICE_ID, answer(cosem.u64(NUMBER))), IN_OCTETS),
        ((DEVICE_ID, answer(cosem.u16(47110))), b"\xb8\x06"),
        ((DEVICE_ID, answer(DIGITS)), encode(DIGITS)[2:]),
        ((DEVICE_ID, answer(of_type(Tag.OCTET_STRING, TEXT))), SERIAL),
        ((DEVICE_ID, answer(cosem.octet_string(b"A12"))), b"A12"),
        ((DEVICE_ID, answer(cosem.visible_string("Zähler 4711"))), b"4711"),
        ((DEVICE_ID, answer(cosem.utf8_string("Zähler 4711"))), b"4711"),
        ((DEVICE_ID, answer(cosem.bit_string("".join(f"{octet:08b}" for octet in SERIAL)))), SERIAL),
        ((DEVICE_ID, answer(cosem.f32(81500477.0))), encode(cosem.f32(81500477.0))[1:]),
        ((ask(1, "0-1:96.1.0", 2), answer(TEXT)), SERIAL),
        ((ask(1, "6-0:0.0.1", 2), answer(TEXT)), SERIAL),
        ((ask(3, "0-0:96.1.0", 2), answer(TEXT)), SERIAL),
        ((ask(4, "0-0:96.1.0", 2), answer(cosem.u32(NUMBER))), IN_OCTETS),
        ((ask(1, "0-0:96.13.0", 2), answer(cosem.octet_string(b"Mr Smith"))), b"Mr Smith"),
        ((ask(1, "0-0:42.0.0", 2), answer(TEXT)), SERIAL),
        ((ask(15, "0-0:40.0.0", 7), answer(TEXT)), SERIAL),
        ((ask(17, "0-0:41.0.0", 2), answer(cosem.array([cosem.structure(cosem.u16(1), TEXT)]))), SERIAL),
        ((ask(19, "0-0:20.0.0", 6), answer(TEXT)), SERIAL),
        ((ask(19, "0-0:20.0.0", 7), answer(TEXT)), SERIAL),
        ((ask(40, "0-0:25.9.0", 3), answer(cosem.structure(cosem.enum_(0), TEXT, cosem.enum_(0)))), SERIAL),
        ((ask(43, "0-0:25.2.0", 2), answer(cosem.octet_string(b"\0\x11\x22\x33\x44\x55"))), b"\0\x11\x22\x33\x44\x55"),
        ((ask(44, "0-0:25.3.0", 5), answer(cosem.structure(TEXT, TEXT))), SERIAL),
        ((ask(45, "0-0:25.4.0", 3), answer(cosem.u16(4711))), b"\x12\x12\x67"),
        ((ask(64, "0-0:43.0.0", 5), answer(TEXT)), SERIAL),
        ((ask(72, "0-1:24.1.0", 6), answer(cosem.u32(NUMBER))), IN_OCTETS),
        ((ask(4711, "0-0:200.0.0", 2), answer(TEXT)), SERIAL),
        ((ask(7, "1-0:99.1.0", 2), answer(cosem.array([cosem.structure(STAMP, TEXT)]))), SERIAL),
        ((answer(TEXT),), SERIAL),
        ((answer(cosem.u32(NUMBER)),), IN_OCTETS),
        ((ask(8, "0-0:1.0.0", 2), answer(STAMP), answer(TEXT)), SERIAL),
        ((ask(3, "6-0:1.0.0", 2), answer(cosem.u32(5)), answer(cosem.u32(NUMBER))), IN_OCTETS),
        ((("received", DataNotification(1, None, cosem.structure(TEXT, cosem.u32(5)))),), SERIAL),
        ((("received", DataNotification(1, None, cosem.structure(cosem.u32(NUMBER)))),), IN_OCTETS),
        ((("received", EventNotification(None, attribute(1, "0-0:96.1.0", 2), TEXT)),), SERIAL),
        ((("sent", SetRequestNormal(1, attribute(1, "0-0:96.1.1", 2), TEXT)),), SERIAL),
        ((("sent", ActionRequestNormal(1, KEY_TRANSFER, DIGITS)),), encode(DIGITS)[2:]),
        ((("sent", ActionRequestNormal(1, Method(72, Obis.parse("0-1:24.1.0"), 7), TEXT)),), SERIAL),
        (
            (
                ("sent", ActionRequestNormal(1, Method(64, Obis.parse("0-0:43.0.0"), 7), cosem.null())),
                ("received", ActionResponseNormal(1, ActionResponse(ActionResult.SUCCESS, TEXT))),
            ),
            SERIAL,
        ),
        ((("sent", b"\xff" + SERIAL),), SERIAL),
        ((("sent", b"\xc0" + SERIAL),), SERIAL),
    ],
)
@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_what_names_or_opens_a_meter_goes(framing, said, hidden) -> None:
    capture = over_wrapper(*said) if framing == "wrapper" else hdlc(over_hdlc(said))
    assert hidden in octets_in(capture)
    clean = redact(capture)
    assert hidden not in octets_in(clean)
    assert [len(entry.data) for entry in clean.entries] == [len(entry.data) for entry in capture.entries]
    if not isinstance(said[-1][1], bytes):
        before, after = ([name for name, _ in steps_of(trace)] for trace in (capture, clean))
        assert after == before


@pytest.mark.parametrize(
    ("question", "value", "shown"),
    [
        ((3, "6-0:1.0.0", 2), cosem.u32(123456789), "u32:123456789"),
        ((3, "6-0:1.0.0", 3), cosem.structure(cosem.i8(3), cosem.enum_(30)), "i8:3"),
        ((4, "6-0:8.5.0", 5), STAMP, STAMP.as_bytes().hex()),
        ((8, "0-0:1.0.0", 2), STAMP, STAMP.as_bytes().hex()),
        ((1, "6-0:0.2.0", 2), cosem.octet_string(b"V1.23"), b"V1.23".hex()),
        ((1, "6-0:97.97.0", 2), cosem.u32(0x00010000), "u32:65536"),
        ((1, "0-0:43.1.0", 2), cosem.u32(4711), "u32:4711"),
        ((7, "1-0:99.1.0", 4), cosem.u32(86400), "u32:86400"),
        ((40, "0-0:25.9.0", 5), cosem.u16(300), "u16:300"),
        ((64, "0-0:43.0.0", 3), cosem.enum_(1), "enum:1"),
        ((15, "0-0:40.0.0", 4), cosem.octet_string(bytes.fromhex("60857405080101")), "60857405080101"),
    ],
)
def test_what_helps_and_names_nobody_stays(question, value, shown) -> None:
    assert shown in text_of(redact(over_wrapper(ask(*question), answer(value))))


COLUMNS = (CaptureObject(8, Obis.parse("0-0:1.0.0"), 2), CaptureObject(3, Obis.parse("6-0:1.0.0"), 2))
WITH_ID = (*COLUMNS, CaptureObject(1, Obis.parse("0-0:96.1.0"), 2))
BUFFER = attribute(7, "1-0:99.1.0", 2)


@pytest.mark.parametrize("value", [TEXT, cosem.u32(NUMBER)])
def test_the_columns_of_a_profile_are_judged_one_by_one(value) -> None:
    rows = cosem.array([cosem.structure(STAMP, cosem.u32(123456789), value)] * 3)
    objects = cosem.array(column.to_data() for column in WITH_ID)
    capture = over_wrapper(ask(7, "1-0:99.1.0", 3), answer(objects), ask(7, "1-0:99.1.0", 2), answer(rows))
    shown = steps_of(redact(capture))[-1][1]["result"]
    assert shown.count("u32:123456789") == 3
    assert shown.count(STAMP.as_bytes().hex()) == 3
    assert SERIAL.hex() not in shown
    assert str(NUMBER) not in shown
    assert steps_of(redact(capture))[1] == steps_of(capture)[1]


def test_the_columns_that_were_asked_for_count() -> None:
    start = cosem.date_time_octets(CosemDateTime(2026, 1, 1, 4, 0, 0, 0, 0))
    asked = RangeSelection(start, STAMP, columns=COLUMNS)
    rows = cosem.array([cosem.structure(STAMP, cosem.u32(123456789))])
    question = GetRequestNormal(INVOKE, Attribute(7, BUFFER.instance, 2, asked))
    capture = over_wrapper(("sent", question), answer(rows))
    assert steps_of(redact(capture)) == steps_of(capture)
    chosen = RangeSelection(TEXT, TEXT, column=CaptureObject(1, Obis.parse("0-0:96.1.0"), 2))
    question = GetRequestNormal(INVOKE, Attribute(7, BUFFER.instance, 2, chosen))
    assert SERIAL not in octets_in(redact(over_wrapper(("sent", question))))


def test_rows_of_a_profile_that_nobody_knows_keep_their_times_alone() -> None:
    rows = cosem.array([cosem.structure(STAMP, cosem.u32(123456789))])
    shown = steps_of(redact(over_wrapper(ask(7, "1-0:99.1.0", 2), answer(rows))))[-1][1]["result"]
    assert STAMP.as_bytes().hex() in shown
    assert "123456789" not in shown


def test_an_answer_is_taken_for_that_of_its_own_question_alone() -> None:
    other = ("received", GetResponseNormal(INVOKE + 1, cosem.u32(NUMBER)))
    assert IN_OCTETS not in octets_in(redact(over_wrapper(ask(3, "6-0:1.0.0", 2), other)))
    # The answer to the first question and the second question itself are missing.
    link = over_hdlc([ask(3, "6-0:1.0.0", 2), answer(cosem.u32(1)), DEVICE_ID, answer(cosem.u32(NUMBER))])
    for lost in ((3, 4), (2, 4), (4,), (2, 3, 4)):
        capture = hdlc(entry for at, entry in enumerate(link) if at not in lost)
        assert IN_OCTETS in octets_in(capture)
        assert IN_OCTETS not in octets_in(redact(capture))


LIST = (
    ("sent", GetRequestWithList(INVOKE, (attribute(1, "0-0:96.1.0", 2), attribute(3, "6-0:1.0.0", 2)))),
    ("received", GetResponseWithList(INVOKE, (TEXT, cosem.u32(123456789)))),
)
AARQ = Aarq(Context.LOGICAL_NAMES, InitiateRequest(SUPPORTED).to_bytes(), Mechanism.LOW, secret=b"topSECRET")


def test_half_an_answer_goes_whether_or_not_it_comes_whole_later() -> None:
    link = over_hdlc(LIST, 20)
    half = link[:-1]
    for entries in (
        half,
        [*half, frame("sent", FrameKind.DISC), frame("received", FrameKind.UA)],
        [*half, Entry(3.0, "lost", b"", "gone"), *link],
        [*half, *link],
    ):
        clean = redact(hdlc(entries))
        assert SERIAL[:5] not in octets_in(clean)
        assert SERIAL[-5:] not in octets_in(clean)
        assert len(octets_in(clean)) == len(octets_in(hdlc(entries)))


def test_a_frame_without_its_last_flag_is_not_taken_for_that_of_the_next_connection() -> None:
    link = over_hdlc(LIST)
    cut = Entry(0.0, "sent", link[0].data[:-1])
    clean = redact(hdlc([cut, Entry(0.0, "lost", b"", "gone"), *link]))
    assert set(clean.entries[0].data[1:]) == {0}
    assert [entry.data for entry in clean.entries[2:4]] == [entry.data for entry in link[:2]]


def test_half_a_message_of_the_wrapper_goes() -> None:
    whole = over_wrapper(*LIST)
    cut = Entry(1.0, "received", whole.entries[1].data[:-6])
    again = (whole.entries[0], cut, Entry(2.0, "lost", b"", "gone"), *whole.entries)
    for entries in ((whole.entries[0], cut), again):
        capture = Capture(entries, Framing.WRAPPER, is_directed=True)
        clean = redact(capture)
        assert SERIAL not in octets_in(clean)
        assert len(octets_in(clean)) == len(octets_in(capture))
    assert [name for name, _ in steps_of(clean)] == ["get-request-with-list"] * 2 + ["get-response-with-list"]
    assert "u32:123456789" in text_of(clean)


def test_half_a_request_with_a_password_goes() -> None:
    link = over_hdlc([("sent", AARQ)], AARQ.to_bytes().index(b"topSECRET") + 12)
    assert len(link) == 5
    for entries in (link[:3], link):
        assert b"topSECRET" not in octets_in(redact(hdlc(entries)))


@pytest.mark.parametrize("with_answer", [True, False])
def test_a_direction_without_a_valid_frame_goes(with_answer) -> None:
    garbled = Entry(0.0, "sent", over_hdlc([("sent", AARQ)])[2].data[:-3] + b"\0\0\x7e")
    aare = Aare(
        Context.LOGICAL_NAMES, AssociationResult.ACCEPTED, Diagnostic.NULL, InitiateResponse(SUPPORTED).to_bytes()
    )
    entries = [garbled, *(over_hdlc([("received", aare)])[2:] if with_answer else ())]
    clean = redact(hdlc(entries))
    assert b"topSECRET" not in octets_in(clean)
    assert [len(entry.data) for entry in clean.entries] == [len(entry.data) for entry in entries]


def test_a_serial_number_known_from_elsewhere_goes_where_such_values_stay() -> None:
    firmware = ask(1, "6-0:0.2.0", 2), answer(cosem.octet_string(b"V1.23 " + SERIAL))
    energy = ask(3, "6-0:1.0.0", 2), answer(cosem.u32(NUMBER))
    digits = DEVICE_ID, answer(cosem.octet_string(str(NUMBER).encode()))
    clean = octets_in(redact(over_wrapper(*firmware, *energy, DEVICE_ID, answer(TEXT), *digits)))
    assert SERIAL not in clean
    assert IN_OCTETS not in clean


def test_blocks_are_cleaned_as_what_they_make_together() -> None:
    values = results_to_bytes((TEXT, cosem.u32(123456789)))
    blocks = values[:9], values[9:]
    said = (
        LIST[0],
        ("received", GetResponseWithBlock(INVOKE, False, 1, blocks[0])),
        ("sent", GetRequestNext(INVOKE, 1)),
        ("received", GetResponseWithBlock(INVOKE, True, 2, blocks[1])),
    )
    clean = redact(over_wrapper(*said))
    assert "u32:123456789" in steps_of(clean)[-1][1]["all blocks"]
    for part in (SERIAL[:5], SERIAL[5:]):
        assert part not in octets_in(clean)
    for unfinished in (said[:2], said[1:], said[2:]):
        assert not any(part in octets_in(redact(over_wrapper(*unfinished))) for part in (SERIAL[:5], SERIAL[5:]))


def test_an_apdu_in_general_blocks_is_cleaned() -> None:
    whole = octets(LIST[1][1])
    said = (
        LIST[0],
        ("received", GeneralBlock(False, False, 1, 1, 0, whole[:12])),
        ("sent", GeneralBlock(True, False, 1, 1, 1, b"")),
        ("received", GeneralBlock(True, False, 1, 2, 1, whole[12:])),
    )
    for capture in (over_wrapper(*said), hdlc(over_hdlc(said))):
        clean = redact(capture)
        assert "u32:123456789" in text_of(clean)
        assert steps_of(clean)[-1][0] == "get-response-with-list"
        for part in (SERIAL[:4], SERIAL[6:]):
            assert part not in octets_in(clean)
    assert SERIAL[6:] not in octets_in(redact(over_wrapper(*said[2:])))


def test_blocks_of_a_write_and_of_a_result_are_cleaned() -> None:
    value = encode(cosem.structure(cosem.u16(7), TEXT))
    written = (
        ("sent", SetRequestFirstBlock(1, attribute(17, "0-0:41.0.0", 2), Block(False, 1, value[:10]))),
        ("sent", SetRequestBlock(1, Block(True, 2, value[10:]))),
    )
    called = (
        ("sent", ActionRequestNormal(1, Method(64, Obis.parse("0-0:43.0.0"), 7), None)),
        ("received", ActionResponseBlock(1, Block(True, 1, encode(TEXT)))),
    )
    clean = redact(over_wrapper(*written, *called))
    assert "u16:7" in steps_of(clean)[1][1]["all blocks"]
    assert not any(part in octets_in(clean) for part in (SERIAL, SERIAL[:4], SERIAL[6:]))
    assert [name for name, _ in steps_of(clean)] == [name for name, _ in steps_of(over_wrapper(*written, *called))]


KEYS = KeySet(bytes(16), bytes(range(16)))


@pytest.mark.parametrize("ciphering", list(Ciphering)[::2])
def test_what_is_only_authenticated_is_cleaned(ciphering) -> None:
    control = SecurityControl(Suite.SUITE_0, encrypted=False)
    sealed = wrap(
        octets(answer(TEXT)[1]), ciphering=ciphering, control=control, system_title=TITLE, counter=1, keys=KEYS
    )
    assert SERIAL in sealed
    clean = octets_in(redact(over_wrapper(DEVICE_ID, ("received", sealed))))
    assert SERIAL not in clean
    assert TITLE not in clean


def test_what_is_only_signed_is_cleaned() -> None:
    header = GeneralHeader(b"\1", TITLE, bytes(8), b"", SERIAL).to_bytes()
    signed = b"\xdf" + header + octet_string(octets(answer(TEXT)[1])) + octet_string(SERIAL)
    clean = redact(over_wrapper(DEVICE_ID, ("received", signed)))
    assert SERIAL not in octets_in(clean)
    assert TITLE not in octets_in(clean)
    assert b"TITLE001" in octets_in(clean)


def test_an_association_keeps_its_forms() -> None:
    key = b"dedicated key 16"
    aarq = Aarq(
        Context.LOGICAL_NAMES_CIPHERED,
        InitiateRequest(SUPPORTED, 500, key).to_bytes(),
        Mechanism.GMAC,
        TITLE,
        b"a certificate of mine",
        b"a challenge",
    )
    aare = Aare(
        Context.LOGICAL_NAMES_CIPHERED,
        AssociationResult.ACCEPTED,
        Diagnostic.AUTHENTICATION_REQUIRED,
        InitiateResponse(SUPPORTED, 500).to_bytes(),
        Mechanism.GMAC,
        TITLE[::-1],
        b"a certificate of yours",
        b"another challenge",
    )
    capture = over_wrapper(("sent", aarq), ("received", aare))
    clean = redact(capture)
    for hidden in (key, TITLE, TITLE[::-1], b"a certificate", b"challenge"):
        assert hidden in octets_in(capture)
        assert hidden not in octets_in(clean)
    read = Aarq.from_bytes(clean.entries[0].data[8:]), Aare.from_bytes(clean.entries[1].data[8:])
    assert read[0].system_title == b"TITLE001"
    assert read[1].system_title == b"TITLE002"
    assert [(each.context, each.mechanism) for each in read] == [(aarq.context, aarq.mechanism)] * 2
    assert read[1].diagnostic is aare.diagnostic
    assert read[1].user_information == aare.user_information
    assert [name for name, _ in steps_of(clean)] == [name for name, _ in steps_of(capture)]


def test_user_data_in_the_set_up_of_a_link_goes() -> None:
    negotiation = bytes.fromhex("818014050201f406 0201f4 070400000001 080400000001")
    link = [frame("sent", FrameKind.SNRM, negotiation), frame("received", FrameKind.UA, negotiation + SERIAL)]
    clean = redact(hdlc(link))
    assert clean.entries[0] == link[0]
    assert SERIAL not in octets_in(clean)


def test_a_recording_tells_no_more_than_its_line_beside_its_octets() -> None:
    entries = (
        Entry(0.0, "line", b"", "9600 8N1"),
        Entry(0.0, "line", b"", SERIAL.decode()),
        *over_hdlc(LIST),
        Entry(1.0, "lost", b"", SERIAL.decode()),
        Entry(1.0, "closed", b"", SERIAL.decode()),
    )
    clean = redact(hdlc(entries))
    assert [entry.text for entry in clean.entries if entry.text] == ["9600 8N1"]
    assert clean.url == "serial:redacted"


def test_wrapped_too_often_is_blanked() -> None:
    apdu = octets(answer(TEXT)[1])
    for _ in range(2000):
        apdu = b"\xdf" + GeneralHeader(b"", b"", b"").to_bytes() + octet_string(apdu) + b"\0"
    capture = over_wrapper(("received", apdu))
    assert SERIAL not in octets_in(redact(capture))
    assert text_of(capture)


def test_a_trace_in_hex_is_redacted_alike() -> None:
    capture = read_capture(b"".join(entry.data for entry in over_hdlc(LIST)).hex().encode())
    assert capture is not None
    clean = redact(capture)
    assert SERIAL not in clean.received
    assert "u32:123456789" in text_of(clean)
