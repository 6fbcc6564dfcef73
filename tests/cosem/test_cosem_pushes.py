"""What meters send unasked: it never becomes another value, and never breaks what is under way."""

from __future__ import annotations

import pytest
from cosem_pair import KEYS, SERVER_TITLE, Pair, certificate_configs, shared_configs
from hypothesis import given
from hypothesis import strategies as st

from meterlink.cosem import apdu
from meterlink.cosem import data as cosem
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.association import (
    AssociationConfig,
    Ciphering,
    ClientAssociation,
    Mechanism,
    Notification,
    Response,
    Send,
    SetIndication,
)
from meterlink.cosem.association.states import State
from meterlink.cosem.conformance import SUPPORTED, Conformance
from meterlink.cosem.general import MAX_PUSH, UnconfirmedStream
from meterlink.cosem.names import Attribute
from meterlink.cosem.results import DataAccessResult
from meterlink.errors import SecurityError
from meterlink.framing.hdlc import HdlcLink
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind, control
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.link import PduReceived, Role
from meterlink.security.ciphered import wrap
from meterlink.security.control import SecurityControl
from meterlink.security.suites import Suite
from meterlink.values import Obis

VALUE = Attribute(1, Obis.parse("0-0:96.1.0"), 2)
LLC = b"\xe6\xe7\x00"


def push(number: int) -> apdu.DataNotification:
    """Return a notification whose values all tell which one it is."""
    values = tuple(cosem.u32(number * 1000 + index) for index in range(20))
    return apdu.DataNotification(number, None, cosem.structure(*values))


def blocks(message: bytes, size: int = 20) -> list[GeneralBlock]:
    """Return ``message`` as an unconfirmed stream."""
    parts = [message[start : start + size] for start in range(0, len(message), size)]
    last = len(parts)
    return [GeneralBlock(at == last, at < last, 0, at, 0, part) for at, part in enumerate(parts, start=1)]


def associated() -> ClientAssociation:
    """Return a client without security, in force."""
    pair = Pair(*shared_configs(Mechanism.NONE))
    pair.open()
    return pair.client


@given(st.sets(st.integers(0, 20)))
def test_a_push_that_lost_blocks_is_dropped_and_the_next_whole_one_is_read(lost: set[int]) -> None:
    client = associated()
    first, second = blocks(push(1).to_bytes()), blocks(push(2).to_bytes())
    heard = [block for at, block in enumerate(first) if at not in lost]
    events = [event for block in (*heard, *second) for event in client.receive(block.to_bytes())]
    whole = [Notification(push(1), False)] if len(heard) == len(first) else []
    assert events == [*whole, Notification(push(2), False)]


def test_an_endless_push_is_dropped() -> None:
    stream = UnconfirmedStream()
    for number in range(1, 300):
        assert stream.add(GeneralBlock(False, True, 0, number, 0, bytes(1000))) is None
        assert len(stream._content) <= MAX_PUSH
    ends = [stream.add(block) for block in blocks(b"sound")]
    assert ends == [b"sound"]


NO_SERVICE_BLOCKS = SUPPORTED & ~(
    Conformance.BLOCK_TRANSFER_WITH_GET | Conformance.BLOCK_TRANSFER_WITH_SET | Conformance.BLOCK_TRANSFER_WITH_ACTION
)


@pytest.mark.parametrize("plain", [True, False], ids=["whole", "in blocks"])
def test_pushes_leave_a_general_block_transfer_alone(plain: bool) -> None:
    """Both ways: the request goes out in blocks and the response comes in blocks, with a push before every answer."""
    pair = Pair(*shared_configs(Mechanism.NONE, max_pdu=100, conformance=NO_SERVICE_BLOCKS))
    pair.open()
    value = cosem.octet_string(bytes(range(256)) * 2)
    between = [push(7).to_bytes()] if plain else [block.to_bytes() for block in blocks(push(7).to_bytes())]
    pushed = 0

    def ask(request: bytes) -> Response:
        nonlocal pushed
        out: bytes | None = request
        while out is not None:
            answers = []
            for event in pair.server.receive(out):
                if isinstance(event, Send):
                    answers.append(event.apdu)
                elif isinstance(event, SetIndication):
                    assert event.items == ((VALUE, value),)
                    answers.append(pair.server.respond_set([DataAccessResult.SUCCESS]))
                else:
                    answers.append(pair.server.respond_get([value]))
            assert len(answers) == 1
            told = [event for part in between for event in pair.client.receive(part)]
            assert told == [Notification(push(7), False)]
            pushed += 1
            out = None
            for event in pair.client.receive(answers[0]):
                if isinstance(event, Response):
                    return event
                assert isinstance(event, Send)
                out = event.apdu
        raise AssertionError("the exchange stopped")

    assert ask(pair.client.set((VALUE, value))).value() == cosem.NULL
    assert ask(pair.client.get(VALUE)).value() == value
    assert pushed > 10


def sealed_push() -> bytes:
    """Return a notification under shared keys, in the general form."""
    full = SecurityControl(Suite.SUITE_0, authenticated=True, encrypted=True)
    general = Ciphering.GENERAL_GLOBAL
    return wrap(
        push(1).to_bytes(),
        ciphering=general,
        control=full,
        system_title=SERVER_TITLE,
        counter=1,
        keys=KEYS[Suite.SUITE_0],
    )


CONFIGS = {
    "no ciphering": shared_configs(Mechanism.NONE)[0],
    "shared keys": shared_configs(Mechanism.GMAC, Ciphering.GLOBAL)[0],
    "certificates": certificate_configs()[0],
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("message", [push(1).to_bytes(), sealed_push()], ids=["plain", "protected"])
def test_a_push_before_the_association_does_not_end_it(config: AssociationConfig, message: bytes) -> None:
    client = ClientAssociation(config)
    believed = [Notification(push(1), False)] if config.ciphering is None and message[0] == 0x0F else []
    for state in (State.IDLE, State.PENDING):
        assert client.state is state
        assert client.receive(message) == believed
        assert client.state is state
        if state is State.IDLE:
            client.open()


def test_a_push_under_keys_of_others_does_not_end_a_plain_association() -> None:
    client = associated()
    client.get(VALUE)
    assert client.receive(sealed_push()) == []
    assert client.state is State.BUSY


@given(st.binary())
def test_nothing_that_comes_unnumbered_ends_an_association(junk: bytes) -> None:
    for configs in (shared_configs(Mechanism.NONE), shared_configs(Mechanism.LOW, Ciphering.GLOBAL)):
        pair = Pair(*configs)
        pair.open()
        sound = pair.server.notify(push(3))
        request = pair.client.get(VALUE)
        for data in (junk, sound[:-1], bytes((sound[0],)) + junk, push(4).to_bytes()[:-2]):
            told = pair.client.receive_push(data)
            assert all(isinstance(event, Notification) and not event.protected for event in told)
        assert [event.apdu for event in pair.client.receive_push(sound) if isinstance(event, Notification)] == [push(3)]
        assert isinstance(pair.run(request)[0], Response)


def test_a_response_is_not_taken_from_an_unnumbered_frame() -> None:
    pair = Pair(*shared_configs(Mechanism.NONE))
    pair.open()
    request = pair.client.get(VALUE)
    forged = apdu.get.GetResponseNormal(request[2], cosem.u8(1)).to_bytes()
    assert pair.client.receive_push(forged) == []
    assert pair.client.state is State.BUSY


@pytest.mark.parametrize(("source", "foreign"), [((1,), False), ((2,), True), ((1, 99, 2), False), ((2, 99, 2), True)])
def test_a_link_tells_the_pushes_of_other_stations(source: tuple[int, ...], foreign: bool) -> None:
    link = HdlcLink(Role.CLIENT, client_address=17, server_upper=1)
    frame = ui(LLC + push(1).to_bytes(), source=HdlcAddress(*source))
    assert link.receive(frame, 0.0) == [PduReceived(push(1).to_bytes(), 17, source[0], True, foreign)]


def test_a_physical_address_tells_meters_on_one_line_apart() -> None:
    link = HdlcLink(Role.CLIENT, client_address=17, server_upper=1, server_lower=16)
    (ours,) = link.receive(ui(LLC + b"ours", source=HdlcAddress(1, 16, 2)), 0.0)
    (others,) = link.receive(ui(LLC + b"others", source=HdlcAddress(1, 17, 2)), 0.0)
    assert isinstance(ours, PduReceived)
    assert isinstance(others, PduReceived)
    assert (ours.foreign, others.foreign) == (False, True)


def test_segments_of_two_meters_are_not_joined() -> None:
    link = HdlcLink(Role.CLIENT, client_address=17, server_upper=1)
    ours, other = HdlcAddress(1), HdlcAddress(2)
    assert link.receive(ui(LLC + b"first half", source=ours, segmented=True), 0.0) == []
    assert link.receive(ui(LLC + b"whole", source=other), 0.1) == [PduReceived(b"whole", 17, 2, True, True)]


def ui(information: bytes, *, source: HdlcAddress, segmented: bool = False) -> bytes:
    """Return a UI frame to client 17."""
    frame = HdlcFrame(HdlcAddress(17), source, control(FrameKind.UI, poll=False), information, segmented)
    return frame.to_bytes()


@pytest.mark.parametrize("answer", ["D80103", "0E060103"], ids=["exception", "service error"])
def test_44_a_plain_refusal_of_a_protected_write_is_not_believed(answer: str) -> None:
    """The meter does it; on the line its answer becomes a refusal that anybody can write."""
    for ask in (lambda client: client.set((VALUE, cosem.u8(5))), lambda client: client.action((METHOD, None))):
        pair = Pair(*shared_configs(Mechanism.GMAC, Ciphering.GLOBAL))
        pair.open()
        ask(pair.client)
        with pytest.raises(SecurityError) as caught:
            pair.client.receive(bytes.fromhex(answer))
        assert caught.value.code == "unprotected"


METHOD = apdu.action.Method(9, Obis.parse("0-0:10.0.0"), 1)


def test_a_plain_refusal_of_a_protected_read_is_one() -> None:
    pair = Pair(*shared_configs(Mechanism.GMAC, Ciphering.GLOBAL))
    pair.open()
    pair.client.get(VALUE)
    (response,) = pair.client.receive(bytes.fromhex("D80103"))
    assert isinstance(response, Response)


@pytest.mark.parametrize("refused", [{0}, {1}, {2}, {0, 1}, {0, 2}])
def test_a_list_in_blocks_keeps_every_result(refused: set[int]) -> None:
    pair = Pair(*shared_configs(Mechanism.NONE, max_pdu=200))
    pair.open()
    names = [Attribute(1, Obis.parse(f"0-0:96.{index}.0"), 2) for index in range(3)]
    long = cosem.octet_string(bytes(300))
    for index, name in enumerate(names):
        if index not in refused:
            pair.store.values[1, name.instance.to_bytes(), 2] = long
    (response,) = pair.run(pair.client.get(*names))
    assert isinstance(response, Response)
    codes = [getattr(outcome, "code", outcome) for outcome in response.outcomes()]
    assert codes == ["object-undefined" if index in refused else long for index in range(3)]
