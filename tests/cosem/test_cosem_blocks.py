"""Long values in blocks: service blocks and general block transfer, both roles, with a hostile peer on either side."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest
from cosem_pair import Pair, shared_configs
from hypothesis import given, settings
from hypothesis import strategies as st

from meterlink.cosem import apdu
from meterlink.cosem import data as cosem
from meterlink.cosem.apdu.action import (
    ActionRequestBlock,
    ActionRequestFirstBlock,
    ActionRequestNextBlock,
    ActionResponseBlock,
    ActionResponseNormal,
)
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.apdu.get import GetRequestNext, GetRequestNormal, GetResponseNormal, GetResponseWithBlock
from meterlink.cosem.apdu.set import (
    SetRequestBlock,
    SetRequestFirstBlock,
    SetResponseBlock,
    SetResponseLastBlock,
    SetResponseNormal,
)
from meterlink.cosem.association import (
    ActionIndication,
    Ciphering,
    GetIndication,
    Mechanism,
    Notification,
    Response,
    Send,
    SetIndication,
    State,
)
from meterlink.cosem.axdr import encode
from meterlink.cosem.blocks import Assembler, Splitter
from meterlink.cosem.conformance import SUPPORTED, Conformance
from meterlink.cosem.data import Data
from meterlink.cosem.general import GeneralTransfer
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.results import ActionResponse, ActionResult, DataAccessResult
from meterlink.errors import LocalProtocolError, MeterRefused, ProtocolError, UsageError
from meterlink.values import Obis

VALUE = Attribute(1, Obis(0, 0, 96, 1, 0), 2)
OTHER = Attribute(1, Obis(0, 0, 96, 1, 1), 2)
RUN = Method(9, Obis(0, 0, 10, 0, 1), 1)
MISSING = Attribute(1, Obis(0, 0, 96, 1, 2), 2)

SERVICE_BLOCKS = (
    Conformance.BLOCK_TRANSFER_WITH_GET | Conformance.BLOCK_TRANSFER_WITH_SET | Conformance.BLOCK_TRANSFER_WITH_ACTION
)
LONG = cosem.octet_string(bytes(index % 251 for index in range(3000)))


def _pair(conformance: Conformance = SUPPORTED, ciphering: Ciphering | None = None, **changes: object) -> Pair:
    pair = Pair(*shared_configs(Mechanism.LOW, ciphering, conformance=conformance, **changes))
    pair.open()
    return pair


def _response(events: list[object]) -> Response:
    (event,) = events
    assert isinstance(event, Response)
    return event


@pytest.mark.parametrize("ciphering", [None, Ciphering.GLOBAL, Ciphering.GENERAL_GLOBAL])
@pytest.mark.parametrize(
    ("conformance", "carrier"),
    [(SUPPORTED & ~Conformance.GENERAL_BLOCK_TRANSFER, "service"), (SUPPORTED & ~SERVICE_BLOCKS, "general")],
)
@pytest.mark.parametrize("max_pdu", [100, 300, 1024])
def test_long_values_go_both_ways(
    conformance: Conformance, carrier: str, ciphering: Ciphering | None, max_pdu: int
) -> None:
    pair = _pair(conformance, ciphering, max_pdu=max_pdu)
    opened = len(pair.to_server)
    assert _response(pair.run(pair.client.set((VALUE, LONG)))).value() == cosem.null()
    assert _response(pair.run(pair.client.get(VALUE))).value() == LONG
    assert _response(pair.run(pair.client.action((RUN, LONG)))).value() == LONG
    assert _response(pair.run(pair.client.set((VALUE, LONG), (OTHER, LONG)))).values() == (cosem.null(),) * 2
    outcomes = _response(pair.run(pair.client.get(VALUE, MISSING, OTHER))).outcomes()
    assert outcomes[0] == outcomes[2] == LONG
    assert isinstance(outcomes[1], MeterRefused)
    assert _response(pair.run(pair.client.action((RUN, LONG), (RUN, None)))).values() == (LONG, cosem.null())
    for message in pair.to_server[opened:] + pair.to_client[opened:]:
        assert len(message) <= max_pdu
    assert any(message[0] == 0xE0 for message in pair.to_server) is (carrier == "general")


@settings(max_examples=40)
@given(st.integers(64, 400), st.integers(0, 1500), st.booleans())
def test_a_value_of_any_length_at_any_size_of_apdu(max_pdu: int, length: int, general: bool) -> None:
    pair = _pair(SUPPORTED & ~SERVICE_BLOCKS if general else SUPPORTED, max_pdu=max_pdu)
    value = cosem.octet_string(bytes(index % 256 for index in range(length)))
    assert _response(pair.run(pair.client.set((VALUE, value)))).value() == cosem.null()
    assert _response(pair.run(pair.client.get(VALUE))).value() == value
    assert _response(pair.run(pair.client.action((RUN, value)))).value() == value


def test_without_any_block_transfer_a_long_value_is_refused_by_name() -> None:
    pair = _pair(SUPPORTED & ~SERVICE_BLOCKS & ~Conformance.GENERAL_BLOCK_TRANSFER, max_pdu=200)
    for ask in (
        lambda: pair.client.set((VALUE, LONG)),
        lambda: pair.client.action((RUN, LONG)),
    ):
        with pytest.raises(UsageError) as caught:
            ask()
        assert caught.value.code == "pdu-too-long"
    assert pair.client.state is State.ASSOCIATED
    pair.store.set(VALUE, LONG)
    with pytest.raises(MeterRefused) as refused:
        _response(pair.run(pair.client.get(VALUE))).value()
    assert refused.value.code == "other-reason"


def _all(steps: Iterable[object]) -> None:
    """Take every step, however many there are."""
    for _ in steps:
        pass


# A hostile server.


def _asking(limit: int = 10_000) -> Pair:
    pair = _pair(max_transfer=limit)
    pair.client.get(VALUE)
    return pair


def _block(pair: Pair, number: int, content: bytes | DataAccessResult, last: bool = False) -> bytes:
    return GetResponseWithBlock(pair.client._invoke | 0xC0, last, number, content).to_bytes()


def test_45_blocks_without_end_run_into_the_bound() -> None:
    pair = _asking(limit=100_000)
    tracemalloc.start()
    with pytest.raises(ProtocolError) as caught:
        _all(pair.client.receive(_block(pair, number, bytes(1000))) for number in range(1, 10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "transfer-too-long"
    assert peak < 1_000_000
    assert pair.client.state is State.CLOSED


def test_45_empty_blocks_are_refused_at_once() -> None:
    pair = _asking()
    with pytest.raises(ProtocolError) as caught:
        pair.client.receive(_block(pair, 1, b""))
    assert caught.value.code == "block-empty"


@pytest.mark.parametrize("number", [0, 2, 3, 0xFFFFFFFF])
def test_44_a_block_lost_doubled_or_out_of_order_is_refused(number: int) -> None:
    pair = _asking()
    pair.client.receive(_block(pair, 1, b"\x09\x05"))
    if number == 2:
        number = 1
    with pytest.raises(ProtocolError) as caught:
        pair.client.receive(_block(pair, number, b"\x01"))
    assert caught.value.code == "data-block-number-invalid"


def test_a_refusal_in_the_middle_is_a_refusal() -> None:
    pair = _asking()
    pair.client.receive(_block(pair, 1, b"\x09\x05"))
    (event,) = pair.client.receive(_block(pair, 2, DataAccessResult.LONG_GET_ABORTED, last=True))
    assert isinstance(event, Response)
    with pytest.raises(MeterRefused) as caught:
        event.value()
    assert caught.value.code == "long-get-aborted"
    assert pair.client.state is State.ASSOCIATED


def test_blocks_that_give_no_value_are_refused() -> None:
    pair = _asking()
    with pytest.raises(ProtocolError):
        pair.client.receive(_block(pair, 1, b"\x09\x05\x01", last=True))
    assert pair.client.state is State.CLOSED


def test_another_response_in_the_middle_is_refused() -> None:
    pair = _asking()
    pair.client.receive(_block(pair, 1, b"\x09\x05"))
    with pytest.raises(ProtocolError) as caught:
        pair.client.receive(bytes((0xC4, 1, pair.client._invoke | 0xC0, 0, 0x11, 5)))
    assert caught.value.code == "response-unexpected"


def test_a_written_value_is_not_taken_as_written_before_its_last_block() -> None:
    pair = _pair(SUPPORTED & ~Conformance.GENERAL_BLOCK_TRANSFER, max_pdu=200)
    pair.client.set((VALUE, LONG))
    invoke = pair.client._invoke | 0xC0
    for early in (
        SetResponseNormal(invoke, DataAccessResult.SUCCESS),
        SetResponseLastBlock(invoke, DataAccessResult.SUCCESS, 1),
        SetResponseBlock(invoke, 2),
    ):
        pair.client.link_lost()
        pair.server.link_lost()
        pair.open()
        pair.client.set((VALUE, LONG))
        octets = bytearray(early.to_bytes())
        octets[2] = pair.client._invoke | 0xC0
        with pytest.raises(ProtocolError):
            pair.client.receive(bytes(octets))
        assert pair.client.state is State.CLOSED


def test_a_write_can_be_refused_at_any_block() -> None:
    pair = _pair(SUPPORTED & ~Conformance.GENERAL_BLOCK_TRANSFER, max_pdu=200)
    pair.client.set((VALUE, LONG))
    invoke = pair.client._invoke | 0xC0
    (event,) = pair.client.receive(SetResponseLastBlock(invoke, DataAccessResult.LONG_SET_ABORTED, 1).to_bytes())
    assert isinstance(event, Response)
    with pytest.raises(MeterRefused) as caught:
        event.value()
    assert caught.value.code == "long-set-aborted"


def test_a_method_can_be_refused_at_any_block() -> None:
    pair = _pair(SUPPORTED & ~Conformance.GENERAL_BLOCK_TRANSFER, max_pdu=200)
    pair.client.action((RUN, LONG))
    refused = ActionResponse(ActionResult.LONG_ACTION_ABORTED)
    (event,) = pair.client.receive(ActionResponseNormal(pair.client._invoke | 0xC0, refused).to_bytes())
    assert isinstance(event, Response)
    with pytest.raises(MeterRefused) as caught:
        event.value()
    assert caught.value.code == "long-action-aborted"


def test_a_method_is_not_taken_as_done_before_its_parameters_are_sent() -> None:
    pair = _pair(SUPPORTED & ~Conformance.GENERAL_BLOCK_TRANSFER, max_pdu=200)
    pair.client.action((RUN, LONG))
    done = ActionResponse(ActionResult.SUCCESS)
    with pytest.raises(ProtocolError):
        pair.client.receive(ActionResponseNormal(pair.client._invoke | 0xC0, done).to_bytes())


@pytest.mark.parametrize("whole", [b"\x00\x01\x00\x11\x05", b"\x11\x05"])
def test_the_blocks_of_a_methods_result_hold_the_response_or_the_value_alone(whole: bytes) -> None:
    pair = _pair()
    pair.client.action((RUN, None))
    invoke = pair.client._invoke | 0xC0
    (event,) = pair.client.receive(ActionResponseBlock(invoke, Block(False, 1, whole[:1])).to_bytes())
    assert event == Send(ActionRequestNextBlock(invoke, 1).to_bytes())
    (event,) = pair.client.receive(ActionResponseBlock(invoke, Block(True, 2, whole[1:])).to_bytes())
    assert isinstance(event, Response)
    assert event.value() == cosem.u8(5)


@pytest.mark.parametrize(
    "value", [cosem.structure(cosem.null(), LONG), cosem.array([cosem.null(), LONG]), cosem.array([LONG]), LONG]
)
def test_a_value_in_blocks_is_not_taken_for_a_result(value: Data) -> None:
    pair = _pair(SUPPORTED & ~Conformance.GENERAL_BLOCK_TRANSFER, max_pdu=200)
    assert _response(pair.run(pair.client.action((RUN, value)))).value() == value


def test_a_refusal_in_blocks_is_a_refusal() -> None:
    pair = _pair()
    pair.client.action((RUN, None))
    block = ActionResponseBlock(pair.client._invoke | 0xC0, Block(True, 1, b"\x03\x00"))
    with pytest.raises(MeterRefused):
        _response(list(pair.client.receive(block.to_bytes()))).value()


# A hostile client.


def _answer(pair: Pair, request: apdu.Apdu) -> apdu.Apdu:
    (answer,) = pair.serve(request.to_bytes())
    return apdu.decode(answer)


def test_blocks_of_no_transfer_are_refused_by_name() -> None:
    pair = _pair()
    block = Block(True, 1, b"\x00")
    assert _answer(pair, GetRequestNext(0xC1, 1)) == GetResponseWithBlock(
        0xC1, True, 1, DataAccessResult.NO_LONG_GET_IN_PROGRESS
    )
    assert _answer(pair, SetRequestBlock(0xC1, block)) == SetResponseNormal(
        0xC1, DataAccessResult.NO_LONG_SET_IN_PROGRESS
    )
    for request in (ActionRequestBlock(0xC1, block), ActionRequestNextBlock(0xC1, 1)):
        assert _answer(pair, request) == ActionResponseNormal(
            0xC1, ActionResponse(ActionResult.NO_LONG_ACTION_IN_PROGRESS)
        )


def test_blocks_out_of_order_end_the_transfer_and_write_nothing() -> None:
    pair = _pair()
    first = Block(False, 1, b"\x09\x02")
    assert _answer(pair, SetRequestFirstBlock(0xC1, VALUE, first)) == SetResponseBlock(0xC1, 1)
    assert _answer(pair, SetRequestBlock(0xC1, Block(True, 3, b"\x01\x02"))) == SetResponseLastBlock(
        0xC1, DataAccessResult.DATA_BLOCK_NUMBER_INVALID, 3
    )
    assert _answer(pair, SetRequestBlock(0xC1, Block(True, 2, b"\x01\x02"))) == SetResponseNormal(
        0xC1, DataAccessResult.NO_LONG_SET_IN_PROGRESS
    )
    _answer(pair, ActionRequestFirstBlock(0xC1, RUN, first))
    assert _answer(pair, ActionRequestBlock(0xC1, Block(True, 9, b"\x01\x02"))) == ActionResponseNormal(
        0xC1, ActionResponse(ActionResult.LONG_ACTION_ABORTED)
    )
    assert pair.store.values == {}
    assert pair.store.calls == []


def test_a_transfer_of_one_service_is_not_continued_by_another() -> None:
    pair = _pair()
    _answer(pair, SetRequestFirstBlock(0xC1, VALUE, Block(False, 1, b"\x09\x02")))
    assert _answer(pair, ActionRequestBlock(0xC1, Block(True, 2, b"\x01\x02"))) == ActionResponseNormal(
        0xC1, ActionResponse(ActionResult.NO_LONG_ACTION_IN_PROGRESS)
    )
    assert pair.store.values == {}


def test_a_new_request_ends_the_transfer_under_way() -> None:
    pair = _pair()
    _answer(pair, SetRequestFirstBlock(0xC1, VALUE, Block(False, 1, b"\x09\x02")))
    _answer(pair, GetRequestNormal(0xC1, OTHER))
    assert _answer(pair, SetRequestBlock(0xC1, Block(True, 2, b"\x01\x02"))) == SetResponseNormal(
        0xC1, DataAccessResult.NO_LONG_SET_IN_PROGRESS
    )


def test_a_wrong_number_ends_a_long_get() -> None:
    pair = _pair(SUPPORTED & ~Conformance.GENERAL_BLOCK_TRANSFER, max_pdu=200)
    pair.store.set(VALUE, LONG)
    _answer(pair, GetRequestNormal(0xC1, VALUE))
    assert _answer(pair, GetRequestNext(0xC1, 7)) == GetResponseWithBlock(
        0xC1, True, 7, DataAccessResult.DATA_BLOCK_NUMBER_INVALID
    )
    assert _answer(pair, GetRequestNext(0xC1, 1)) == GetResponseWithBlock(
        0xC1, True, 1, DataAccessResult.NO_LONG_GET_IN_PROGRESS
    )


def test_45_what_a_client_writes_is_bounded() -> None:
    pair = _pair(max_transfer=5000)
    _answer(pair, SetRequestFirstBlock(0xC1, VALUE, Block(False, 1, bytes(1000))))
    answers = [_answer(pair, SetRequestBlock(0xC1, Block(False, number, bytes(1000)))) for number in range(2, 8)]
    assert SetResponseLastBlock(0xC1, DataAccessResult.LONG_SET_ABORTED, 6) in answers
    assert pair.store.values == {}


def test_blocks_that_give_no_value_write_nothing_and_the_association_goes_on() -> None:
    pair = _pair()
    assert _answer(pair, SetRequestFirstBlock(0xC1, VALUE, Block(True, 1, b"\x09\x05"))).to_bytes()[0] == 0xD8
    assert pair.store.values == {}
    assert pair.server.state is State.ASSOCIATED
    assert isinstance(_answer(pair, GetRequestNormal(0xC1, VALUE)), apdu.Response)


indications = GetIndication | SetIndication | ActionIndication


def test_the_number_of_results_must_fit_the_request() -> None:
    pair = _pair()
    assert isinstance(pair.server.receive(GetRequestNormal(0xC1, VALUE).to_bytes())[0], indications)
    with pytest.raises(LocalProtocolError):
        pair.server.respond_get([cosem.u8(1), cosem.u8(2)])


# The parts by themselves.


@given(st.binary(max_size=500), st.integers(1, 100))
def test_what_is_cut_is_put_together(content: bytes, size: int) -> None:
    splitter, assembler = Splitter(content), Assembler(len(content))
    whole = None
    while whole is None:
        last, number, part = splitter.take(size)
        assert len(part) <= size
        whole = assembler.add(last, number, part)
        assert splitter.is_done is last
    assert whole == content


def _play(sender: GeneralTransfer, receiver: GeneralTransfer, content: bytes, room: int) -> bytes:
    step: bytes | GeneralBlock | None = sender.start(content, room)
    sides = [receiver, sender]
    for _ in range(10 * len(content) + 10):
        assert isinstance(step, GeneralBlock)
        assert len(step.to_bytes()) <= room
        step = sides[0].feed(apdu.decode(step.to_bytes()))  # type: ignore[arg-type]
        sides.reverse()
        if isinstance(step, bytes):
            return step
    raise AssertionError("the transfer does not end")


@given(st.binary(min_size=1, max_size=400), st.integers(12, 60))
def test_any_apdu_goes_through_a_general_transfer(content: bytes, room: int) -> None:
    assert _play(GeneralTransfer(1000), GeneralTransfer(1000), content, room) == content


def _streamed(content: bytes, size: int, window: int) -> list[GeneralBlock]:
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    return [
        GeneralBlock(number == len(parts), number % window != 0 and number != len(parts), window, number, 0, part)
        for number, part in enumerate(parts, start=1)
    ]


@given(st.binary(min_size=1, max_size=300), st.integers(1, 40), st.integers(1, 7), st.data())
def test_a_stream_with_lost_blocks_is_put_together(content: bytes, size: int, window: int, data: st.DataObject) -> None:
    receiver = GeneralTransfer(1000)
    blocks = _streamed(content, size, window)
    position, losses = 0, 3
    while True:
        block = blocks[position]
        position += 1
        if losses and block.streaming and data.draw(st.booleans()):
            losses -= 1
            continue
        step = receiver.feed(block)
        if isinstance(step, bytes):
            break
        if isinstance(step, GeneralBlock):
            assert step.content == b""
            position = step.acknowledged
    assert step == content


def test_a_response_follows_a_request_in_blocks() -> None:
    pair = _pair()
    request = GetRequestNormal(0xC1, VALUE).to_bytes()
    parts = [GeneralBlock(last, False, 1, last + 1, 0, part) for last, part in ((0, request[:5]), (1, request[5:]))]
    (confirmed,) = pair.serve(parts[0].to_bytes())
    assert apdu.decode(confirmed) == GeneralBlock(True, False, 1, 1, 1, b"")
    (answer,) = pair.serve(parts[1].to_bytes())
    block = apdu.decode(answer)
    assert isinstance(block, GeneralBlock)
    assert block.last
    assert apdu.decode(block.content) == GetResponseNormal(0xC1, DataAccessResult.OBJECT_UNDEFINED)
    assert pair.serve(request)[0][0] == 0xC4


def test_a_push_in_blocks_is_not_confirmed() -> None:
    push = apdu.DataNotification(1, None, LONG)
    content = push.to_bytes()
    client = Pair(*shared_configs(Mechanism.LOW)).client
    events: list[object] = []
    for number, start in enumerate(range(0, len(content), 1000), start=1):
        last = start + 1000 >= len(content)
        block = GeneralBlock(last, False, 0, number, 0, content[start : start + 1000])
        events += client.receive(block.to_bytes())
    assert events == [Notification(push, False)]


def test_45_a_general_transfer_without_end_runs_into_the_bound() -> None:
    receiver = GeneralTransfer(5000)
    with pytest.raises(ProtocolError) as caught:
        _all(receiver.feed(GeneralBlock(False, True, 63, number, 0, bytes(100))) for number in range(1, 100))
    assert caught.value.code == "transfer-too-long"


@pytest.mark.parametrize(
    "block",
    [
        GeneralBlock(False, False, 1, 1, 0, b"x"),
        GeneralBlock(False, True, 1, 5, 0, b"x"),
        GeneralBlock(False, False, 1, 9, 0, b""),
    ],
)
def test_45_blocks_that_bring_nothing_new_are_not_borne_for_ever(block: GeneralBlock) -> None:
    receiver = GeneralTransfer(5000)
    with pytest.raises(ProtocolError) as caught:
        _all(receiver.feed(block) for _ in range(100))
    assert caught.value.code == "block-unexpected"


def test_45_confirmations_that_go_back_are_not_borne_for_ever() -> None:
    sender = GeneralTransfer(5000)
    sender.start(bytes(100), 20)
    with pytest.raises(ProtocolError):
        _all(sender.feed(GeneralBlock(True, False, 1, 1, 0, b"")) for _ in range(100))


def test_a_confirmation_of_what_was_not_sent_is_refused() -> None:
    sender = GeneralTransfer(5000)
    sender.start(bytes(100), 20)
    with pytest.raises(ProtocolError):
        sender.feed(GeneralBlock(True, False, 1, 1, 5, b""))


def test_an_apdu_that_cannot_be_cut_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        GeneralTransfer(5000).start(bytes(100), 5)


@given(
    st.lists(
        st.builds(
            GeneralBlock,
            st.booleans(),
            st.booleans(),
            st.integers(0, 63),
            st.integers(0, 5),
            st.integers(0, 5),
            st.binary(max_size=5),
        ),
        max_size=40,
    )
)
def test_any_blocks_in_any_order_raise_only_our_error(blocks: list[GeneralBlock]) -> None:
    transfer = GeneralTransfer(100)
    transfer.start(bytes(30), 20)
    for block in blocks:
        try:
            transfer.feed(block)
        except ProtocolError:
            return


def test_a_general_block_within_a_general_block_is_refused() -> None:
    pair = _pair()
    inner = GeneralBlock(True, False, 1, 1, 0, b"\xc0").to_bytes()
    (answer,) = pair.serve(GeneralBlock(True, False, 1, 1, 0, inner).to_bytes())
    assert answer[0] == 0xD8
    pair.client.get(VALUE)
    with pytest.raises(ProtocolError):
        pair.client.receive(GeneralBlock(True, False, 1, 1, 0, inner).to_bytes())


def test_a_profile_of_a_thousand_rows_comes_in_blocks() -> None:
    rows: Data = cosem.array(
        cosem.structure(cosem.octet_string(bytes(12)), *[cosem.u32(index)] * 5) for index in range(1000)
    )
    pair = _pair(ciphering=Ciphering.GLOBAL, max_pdu=1024)
    pair.store.set(VALUE, rows)
    assert _response(pair.run(pair.client.get(VALUE))).value() == rows
    assert len(pair.to_client) > len(encode(rows)) // 1024
