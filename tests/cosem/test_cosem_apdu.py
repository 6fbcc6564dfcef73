"""The xDLMS APDUs: examples of the standard, round trips, junk, and the names of every result."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import cosem_strategies as strategies
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.cosem import apdu
from meterlink.cosem import data as cosem
from meterlink.cosem.apdu import action, get
from meterlink.cosem.apdu import set as set_
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.apdu.errors import ConfirmedServiceError, ExceptionResponse, ServiceError, StateError
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import Attribute, CaptureObject, EntrySelection, Method, RangeSelection, Selection
from meterlink.cosem.octets import MAX_LIST
from meterlink.cosem.results import ActionResponse, ActionResult, DataAccessResult
from meterlink.errors import LocalProtocolError, MeterRefused, ProtocolError
from meterlink.values import Obis

VECTORS: Any = json.loads((Path(__file__).parent.parent / "data/dlms/vectors.json").read_text())

CLOCK = Attribute(8, Obis(0, 0, 1, 0, 0), 2)
RESET = Method(3, Obis(1, 0, 1, 8, 0), 1)

EXAMPLES: dict[str, apdu.Apdu] = {
    "C0 01 C1 0008 0000010000FF 02 00": get.GetRequestNormal(0xC1, CLOCK),
    "C0 02 C1 00000001": get.GetRequestNext(0xC1, 1),
    "C0 03 C1 02 0008 0000010000FF 02 00 0001 0000600100FF 02 00": get.GetRequestWithList(
        0xC1, (CLOCK, Attribute(1, Obis(0, 0, 96, 1, 0), 2))
    ),
    "C4 01 C1 00 0907 30313233343536": get.GetResponseNormal(0xC1, cosem.octet_string(b"0123456")),
    "C4 01 C1 01 03": get.GetResponseNormal(0xC1, DataAccessResult.READ_WRITE_DENIED),
    "C4 02 C1 00 00000001 00 03 010203": get.GetResponseWithBlock(0xC1, False, 1, b"\x01\x02\x03"),
    "C4 02 C1 01 00000002 01 0F": get.GetResponseWithBlock(0xC1, True, 2, DataAccessResult.LONG_GET_ABORTED),
    "C4 03 C1 02 00 1105 01 04": get.GetResponseWithList(0xC1, (cosem.u8(5), DataAccessResult.OBJECT_UNDEFINED)),
    "C1 01 C1 0008 0000010000FF 02 00 1105": set_.SetRequestNormal(0xC1, CLOCK, cosem.u8(5)),
    "C1 02 C1 0008 0000010000FF 02 00 00 00000001 02 0102": set_.SetRequestFirstBlock(
        0xC1, CLOCK, Block(False, 1, b"\x01\x02")
    ),
    "C1 03 C1 01 00000002 02 0304": set_.SetRequestBlock(0xC1, Block(True, 2, b"\x03\x04")),
    "C5 01 C1 00": set_.SetResponseNormal(0xC1, DataAccessResult.SUCCESS),
    "C5 02 C1 00000001": set_.SetResponseBlock(0xC1, 1),
    "C5 03 C1 00 00000002": set_.SetResponseLastBlock(0xC1, DataAccessResult.SUCCESS, 2),
    "C5 04 C1 02 00 03 00000002": set_.SetResponseLastBlockWithList(
        0xC1, (DataAccessResult.SUCCESS, DataAccessResult.READ_WRITE_DENIED), 2
    ),
    "C5 05 C1 01 0C": set_.SetResponseWithList(0xC1, (DataAccessResult.TYPE_UNMATCHED,)),
    "C3 01 C1 0003 0100010800FF 01 00": action.ActionRequestNormal(0xC1, RESET),
    "C3 01 C1 0003 0100010800FF 01 01 0F00": action.ActionRequestNormal(0xC1, RESET, cosem.i8(0)),
    "C7 01 C1 00 00": action.ActionResponseNormal(0xC1, ActionResponse(ActionResult.SUCCESS)),
    "C7 01 C1 00 01 00 1105": action.ActionResponseNormal(0xC1, ActionResponse(ActionResult.SUCCESS, cosem.u8(5))),
    "C7 01 C1 00 01 01 04": action.ActionResponseNormal(
        0xC1, ActionResponse(ActionResult.SUCCESS, DataAccessResult.OBJECT_UNDEFINED)
    ),
    "D8 01 02": ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.SERVICE_NOT_SUPPORTED),
    "D8 02 06 00000123": ExceptionResponse(StateError.SERVICE_UNKNOWN, ServiceError.INVOCATION_COUNTER_ERROR, 0x123),
    "0E 01 06 01": ConfirmedServiceError(1, 6, 1),
    "C2 00 0008 0000010000FF 02 1105": apdu.EventNotification(None, CLOCK, cosem.u8(5)),
    "E0 C1 0002 0001 03 010203": GeneralBlock(True, True, 1, 2, 1, b"\x01\x02\x03"),
    "01 00 00 00 06 5F1F0400 007E1F 04B0": apdu.InitiateRequest(Conformance(0x007E1F), 1200),
    "08 00 06 5F1F0400 00501F 01F4 0007": apdu.InitiateResponse(Conformance(0x00501F), 500),
}


@pytest.mark.parametrize("octets", EXAMPLES)
def test_examples_are_read_and_written(octets: str) -> None:
    assert apdu.decode(bytes.fromhex(octets)) == EXAMPLES[octets]
    assert EXAMPLES[octets].to_bytes() == bytes.fromhex(octets)


@pytest.mark.parametrize(
    "octets",
    [entry["plain"] for entry in VECTORS["gcm_glo"]],
)
def test_the_plain_apdus_of_the_vectors_are_read_and_written(octets: str) -> None:
    assert apdu.decode(bytes.fromhex(octets)).to_bytes().hex().upper() == octets


@given(strategies.apdus)
def test_what_is_written_is_read(message: apdu.Apdu) -> None:
    assert apdu.decode(message.to_bytes()) == message


@given(strategies.apdus, st.data())
def test_an_apdu_that_ends_early_is_refused(message: apdu.Apdu, data: st.DataObject) -> None:
    octets = message.to_bytes()
    end = data.draw(st.integers(0, len(octets) - 1))
    if isinstance(message, ExceptionResponse) and end == 3:
        return  # the counter behind an invocation counter error is optional
    with pytest.raises(ProtocolError):
        apdu.decode(octets[:end])


@given(strategies.apdus)
def test_octets_behind_an_apdu_are_refused(message: apdu.Apdu) -> None:
    if isinstance(message, ExceptionResponse):
        return
    with pytest.raises(ProtocolError):
        apdu.decode(message.to_bytes() + b"\x00")


known_tags = st.sampled_from([0x01, 0x08, 0x0E, 0x0F, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC7, 0xD8, 0xE0])


@given(known_tags, st.integers(0, 7), st.binary(max_size=100))
def test_junk_raises_only_our_error(tag: int, choice: int, octets: bytes) -> None:
    try:
        message = apdu.decode(bytes((tag, choice)) + octets)
    except ProtocolError:
        return
    assert apdu.decode(message.to_bytes()).to_bytes() == message.to_bytes()


@given(st.binary(max_size=64))
def test_any_octets_raise_only_our_error(octets: bytes) -> None:
    try:
        apdu.decode(octets)
    except ProtocolError:
        return


def test_a_tag_of_no_service_is_named() -> None:
    with pytest.raises(ProtocolError, match="D9") as caught:
        apdu.decode(b"\xd9\x00")
    assert caught.value.code == "apdu-unknown"


def test_a_list_without_bound_is_refused() -> None:
    with pytest.raises(ProtocolError):
        apdu.decode(b"\xc0\x03\xc1\x84\xff\xff\xff\xff")
    with pytest.raises(ProtocolError):
        apdu.decode(b"\xc5\x05\xc1\x82" + (MAX_LIST + 1).to_bytes(2, "big") + bytes(MAX_LIST + 1))


def test_values_and_attributes_must_be_as_many() -> None:
    with pytest.raises(ProtocolError):
        apdu.decode(bytes.fromhex("C104C1 01 0008 0000010000FF 02 00 02 1105 1106"))
    with pytest.raises(ProtocolError):
        apdu.decode(bytes.fromhex("C303C1 01 0003 0100010800FF 01 00"))


def test_a_range_of_a_profile_is_selector_1() -> None:
    start, end = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    column = CaptureObject(3, Obis(6, 0, 1, 0, 0), 2)
    selection = RangeSelection.by_time(start, end)
    wanted = Attribute(7, Obis(6, 0, 99, 1, 0), 2, RangeSelection(selection.start, selection.end, columns=(column,)))
    octets = get.GetRequestNormal(0xC1, wanted).to_bytes()
    assert octets.hex().upper() == (
        "C001C10007060063 0100FF02".replace(" ", "") + "0101"
        "0204"
        "0204"
        "120008"
        "09060000010000FF"
        "0F02"
        "120000"
        "090C07EA01010400000000000000"
        "090C07EA02010700000000000000"
        "0101"
        "0204"
        "120003"
        "09060600010000FF"
        "0F02"
        "120000"
    )
    assert apdu.decode(octets) == get.GetRequestNormal(0xC1, wanted)


def test_entries_of_a_profile_are_selector_2() -> None:
    wanted = Attribute(7, Obis(6, 0, 99, 1, 0), 2, EntrySelection(1, 10))
    octets = get.GetRequestNormal(0xC1, wanted).to_bytes()
    assert octets.hex().upper().endswith("010202040600000001060000000A120001120000")
    assert apdu.decode(octets) == get.GetRequestNormal(0xC1, wanted)


def test_a_selection_of_another_shape_stays_as_it_is() -> None:
    odd = Attribute(7, Obis(6, 0, 99, 1, 0), 2, Selection(1, cosem.u8(1)))
    assert apdu.decode(get.GetRequestNormal(0xC1, odd).to_bytes()) == get.GetRequestNormal(0xC1, odd)


def test_a_name_out_of_range_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        get.GetRequestNormal(0xC1, Attribute(70000, Obis(0, 0, 1, 0, 0), 2)).to_bytes()
    with pytest.raises(LocalProtocolError):
        action.ActionRequestNormal(0xC1, Method(8, Obis(0, 0, 1, 0, 0), 200)).to_bytes()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1, "hardware-fault"),
        (2, "temporary-failure"),
        (3, "read-write-denied"),
        (4, "object-undefined"),
        (9, "object-class-inconsistent"),
        (11, "object-unavailable"),
        (12, "type-unmatched"),
        (13, "scope-of-access-violated"),
        (14, "data-block-unavailable"),
        (15, "long-get-aborted"),
        (16, "no-long-get-in-progress"),
        (17, "long-set-aborted"),
        (18, "no-long-set-in-progress"),
        (19, "data-block-number-invalid"),
        (250, "other-reason"),
    ],
)
def test_every_data_access_result_has_its_name_in_the_standard(number: int, code: str) -> None:
    refused = DataAccessResult(number).error("GET of the clock")
    assert isinstance(refused, MeterRefused)
    assert refused.code == code
    assert "GET of the clock" in refused.message


def test_every_action_result_has_its_name_in_the_standard() -> None:
    shared = {1, 2, 3, 4, 9, 11, 12, 13, 14, 250}
    assert {result.value for result in ActionResult} == {0, 15, 16} | shared
    for number in shared:
        assert ActionResult(number).code == DataAccessResult(number).code
    assert ActionResult(15).code == "long-action-aborted"
    assert ActionResult(16).code == "no-long-action-in-progress"


@pytest.mark.parametrize("number", [5, 20, 200, 255])
def test_an_unknown_result_is_still_a_refusal(number: int) -> None:
    response = apdu.decode(bytes((0xC4, 1, 0xC1, 1, number)))
    assert response == get.GetResponseNormal(0xC1, DataAccessResult.OTHER_REASON)
    assert ActionResult(number) is ActionResult.OTHER_REASON


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1, "operation-not-possible"),
        (2, "service-not-supported"),
        (3, "other-reason"),
        (4, "pdu-too-long"),
        (5, "deciphering-error"),
        (6, "invocation-counter-error"),
        (77, "other-reason"),
    ],
)
def test_every_exception_has_its_name_in_the_standard(number: int, code: str) -> None:
    exception = apdu.decode(bytes((0xD8, 1, number)))
    assert isinstance(exception, ExceptionResponse)
    assert exception.error("GET").code == code


@pytest.mark.parametrize(
    ("kind", "reason", "code"),
    [
        (0, 6, "deciphering-error"),
        (1, 1, "memory-unavailable"),
        (2, 1, "no-dlms-context"),
        (3, 1, "pdu-size"),
        (4, 1, "object-undefined"),
        (5, 2, "object-access-violated"),
        (6, 1, "dlms-version-too-low"),
        (6, 2, "incompatible-conformance"),
        (6, 3, "pdu-size-too-short"),
        (7, 7, "data-set-not-ready"),
        (9, 2, "ti-stopped"),
        (5, 0, "access-other"),
        (5, 99, "access-other"),
        (8, 1, "confirmed-service-error-other"),
    ],
)
def test_every_service_error_has_its_name_in_the_standard(kind: int, reason: int, code: str) -> None:
    assert ConfirmedServiceError(1, kind, reason).error("the association").code == code


def test_the_old_form_of_the_conformance_block_is_read() -> None:
    octets = bytes.fromhex("01 00 00 00 06 5F 04 00 007E1F 04B0")
    assert apdu.decode(octets) == apdu.InitiateRequest(Conformance(0x007E1F), 1200)


@pytest.mark.parametrize("octets", ["0100000006 601F0400007E1F04B0", "0100000006 5F1F0300007E1F04B0"])
def test_a_wrong_conformance_block_is_refused(octets: str) -> None:
    with pytest.raises(ProtocolError):
        apdu.decode(bytes.fromhex(octets))


def test_a_data_notification_has_its_time() -> None:
    moment = CosemDateTime(2026, 11, 23, 1, 12, 0, 0, 0, -60, 0)
    push = apdu.DataNotification(7, moment, cosem.structure(cosem.u8(1)))
    octets = push.to_bytes()
    assert octets.hex().upper() == "0F000000070C07EA0B17010C000000FFC40002011101"
    assert apdu.decode(octets) == push


def test_what_is_written_and_called_is_not_shown() -> None:
    secret = cosem.octet_string(b"sesame")
    for message in (
        set_.SetRequestNormal(0xC1, CLOCK, secret),
        set_.SetRequestWithList(0xC1, (CLOCK,), (secret,)),
        action.ActionRequestNormal(0xC1, RESET, secret),
        action.ActionRequestWithList(0xC1, (RESET,), (secret,)),
        apdu.InitiateRequest(Conformance.GET, 0, b"sesame" * 3),
    ):
        assert "sesame" not in repr(message)
