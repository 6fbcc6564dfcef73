"""The state table of the association: its shape, and every state with every input, in both roles."""

from __future__ import annotations

from collections.abc import Callable

import cosem_strategies as strategies
import pytest
from cosem_pair import Pair, certificate_configs, shared_configs
from hypothesis import given, settings
from hypothesis import strategies as st

from meterlink.cosem import data as cosem
from meterlink.cosem.acse import Rlrq
from meterlink.cosem.apdu import DataNotification
from meterlink.cosem.apdu.get import GetRequestNormal
from meterlink.cosem.association import (
    TRANSITIONS,
    ActionIndication,
    Associated,
    AssociationConfig,
    ClientAssociation,
    Closed,
    GetIndication,
    KeysAgreed,
    Mechanism,
    Refused,
    Released,
    Response,
    Send,
    ServerAssociation,
    SetIndication,
    Signal,
    State,
)
from meterlink.cosem.association.states import Machine
from meterlink.cosem.names import Attribute, Method
from meterlink.errors import LocalProtocolError, RemoteError
from meterlink.values import Obis

VALUE = Attribute(1, Obis(0, 0, 96, 1, 0), 2)
GET = GetRequestNormal(0xC1, VALUE).to_bytes()


def test_every_state_is_in_the_table_and_the_link_can_be_lost_in_each() -> None:
    assert set(TRANSITIONS) == set(State)
    for state, row in TRANSITIONS.items():
        assert row[Signal.LINK_LOST] is State.IDLE, state
        assert row[Signal.VIOLATION] is State.CLOSED, state


def test_a_closed_association_does_nothing_more() -> None:
    assert set(TRANSITIONS[State.CLOSED]) == {Signal.LINK_LOST, Signal.VIOLATION}


def test_an_association_is_reached_by_an_accepted_aarq_or_a_proof_alone() -> None:
    ways = {
        (state, signal) for state, row in TRANSITIONS.items() for signal, to in row.items() if to is State.ASSOCIATED
    }
    assert ways == {
        (State.PENDING, Signal.AARE_ACCEPT),
        (State.PROVING, Signal.PROOF_ACCEPT),
        (State.BUSY, Signal.RESPONSE),
        (State.ASSOCIATED, Signal.NOTIFICATION),
    }


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("signal", Signal)
def test_the_machine_follows_the_table(state: State, signal: Signal) -> None:
    machine = Machine()
    machine.state = state
    if machine.allows(signal):
        machine.step(signal)
        assert machine.state is TRANSITIONS[state][signal]
    else:
        with pytest.raises(KeyError):
            machine.step(signal)
        assert machine.state is state


PLAIN = shared_configs(Mechanism.SHA256)
AGREED = certificate_configs()


def _client_in(state: State, configs: tuple[AssociationConfig, AssociationConfig]) -> Pair:
    """Return a pair whose client is in ``state``. CHALLENGED is passed through in one step and never rests."""
    pair = Pair(*configs)
    agree = configs is AGREED
    if state is State.PENDING:
        pair.client.open()
    elif state is State.PROVING:
        pair.client.receive(pair.serve(pair.client.open())[0])
    elif state in (State.ASSOCIATED, State.BUSY, State.RELEASING):
        pair.open(agree)
        if state is State.BUSY:
            pair.client.get(VALUE)
        elif state is State.RELEASING:
            pair.client.release()
    elif state is State.CLOSED:
        with pytest.raises(RemoteError):
            pair.client.receive(b"\x00")
    assert pair.client.state is state
    return pair


def _server_in(state: State, configs: tuple[AssociationConfig, AssociationConfig]) -> Pair:
    """Return a pair whose server is in ``state``. PENDING, PROVING and RELEASING are passed through in one step."""
    pair = Pair(*configs)
    if state is State.CHALLENGED:
        pair.serve(pair.client.open())
    elif state in (State.ASSOCIATED, State.BUSY):
        pair.open(configs is AGREED)
        if state is State.BUSY:
            pair.server.receive(pair.client.get(VALUE))
    elif state is State.CLOSED:
        pair.open(True)
        pair.server.receive(GET)
    assert pair.server.state is state
    return pair


CLIENT_STATES = [state for state in State if state is not State.CHALLENGED]
SERVER_STATES = [State.IDLE, State.CHALLENGED, State.ASSOCIATED, State.BUSY, State.CLOSED]

inputs = st.one_of(
    strategies.apdus.map(lambda message: message.to_bytes()),
    strategies.aarqs.map(lambda message: message.to_bytes()),
    strategies.aares.map(lambda message: message.to_bytes()),
    strategies.rlrqs.map(lambda message: message.to_bytes()),
    strategies.rlres.map(lambda message: message.to_bytes()),
    st.binary(max_size=60),
    st.builds(lambda tag, octets: bytes((tag, len(octets))) + octets, strategies.unsigned(8), st.binary(max_size=60)),
)


@pytest.mark.parametrize("state", CLIENT_STATES)
@settings(max_examples=60)
@given(inputs)
def test_any_input_in_any_state_of_a_client(state: State, octets: bytes) -> None:
    client = _client_in(state, PLAIN).client
    try:
        events = client.receive(octets)
    except RemoteError:
        assert client.state is State.CLOSED
        return
    assert not any(isinstance(event, Associated | KeysAgreed) for event in events)
    assert all(state is State.BUSY for event in events if isinstance(event, Response))
    assert all(state is State.RELEASING for event in events if isinstance(event, Released))


@pytest.mark.parametrize("state", SERVER_STATES)
@settings(max_examples=60)
@given(inputs)
def test_any_input_in_any_state_of_a_server(state: State, octets: bytes) -> None:
    server = _server_in(state, AGREED if state is State.CLOSED else PLAIN).server
    events = server.receive(octets)
    assert events or octets[:1] == b"\xe0"  # a block of a stream, which more follow
    assert not any(isinstance(event, Associated | KeysAgreed) for event in events)
    indications = GetIndication | SetIndication | ActionIndication
    assert all(state is State.ASSOCIATED for event in events if isinstance(event, indications))
    if state is State.CLOSED:
        assert not any(isinstance(event, Send) for event in events)


@settings(max_examples=40)
@given(st.sampled_from([State.ASSOCIATED, State.BUSY]), inputs)
def test_after_key_agreement_no_made_up_input_has_an_effect_on_a_client(state: State, octets: bytes) -> None:
    pair = _client_in(state, AGREED)
    try:
        events = pair.client.receive(octets)
    except RemoteError:
        assert pair.client.state is State.CLOSED
        return
    # What is left are blocks of a general transfer, of which nothing is believed before it is whole and opened.
    assert all(isinstance(event, Send) for event in events)


@settings(max_examples=40)
@given(st.sampled_from([State.ASSOCIATED, State.BUSY]), inputs)
def test_after_key_agreement_no_made_up_input_has_an_effect_on_a_server(state: State, octets: bytes) -> None:
    server = _server_in(state, AGREED).server
    events = server.receive(octets)
    if server.state is State.CLOSED:
        assert isinstance(events[-1], Closed)
    else:
        assert server.state is state
        assert all(isinstance(event, Send | Refused) for event in events)


Call = Callable[[ClientAssociation], object]
CALLS: dict[str, tuple[Call, set[State]]] = {
    "open": (lambda client: client.open(), {State.IDLE}),
    "agree_keys": (lambda client: client.agree_keys(), {State.ASSOCIATED}),
    "get": (lambda client: client.get(VALUE), {State.ASSOCIATED}),
    "set": (lambda client: client.set((VALUE, cosem.u8(1))), {State.ASSOCIATED}),
    "action": (lambda client: client.action((Method(3, VALUE.instance, 1), None)), {State.ASSOCIATED}),
    "release": (lambda client: client.release(), {State.ASSOCIATED}),
    "link_lost": (lambda client: client.link_lost(), set(State)),
}


@pytest.mark.parametrize("state", CLIENT_STATES)
@pytest.mark.parametrize("call", CALLS)
def test_any_call_in_any_state_of_a_client(state: State, call: str) -> None:
    client = _client_in(state, AGREED).client
    make, allowed = CALLS[call]
    if state in allowed:
        make(client)
    else:
        with pytest.raises(LocalProtocolError):
            make(client)
        assert client.state is state


ServerCall = Callable[[ServerAssociation], object]
SERVER_CALLS: dict[str, tuple[ServerCall, set[State]]] = {
    "respond_get": (lambda server: server.respond_get([cosem.u8(1)]), {State.BUSY}),
    "respond_set": (lambda server: server.respond_set([]), set()),
    "respond_action": (lambda server: server.respond_action([]), set()),
    "notify": (
        lambda server: server.notify(DataNotification(1, None, cosem.u8(1))),
        {State.IDLE, State.CHALLENGED, State.ASSOCIATED, State.BUSY},
    ),
    "link_lost": (lambda server: server.link_lost(), set(State)),
}


@pytest.mark.parametrize("state", SERVER_STATES)
@pytest.mark.parametrize("call", SERVER_CALLS)
def test_any_call_in_any_state_of_a_server(state: State, call: str) -> None:
    server = _server_in(state, AGREED if state is State.CLOSED else PLAIN).server
    make, allowed = SERVER_CALLS[call]
    if state in allowed:
        make(server)
    else:
        with pytest.raises(LocalProtocolError):
            make(server)
        assert server.state is state


def test_an_association_can_be_opened_again_after_its_release() -> None:
    pair = Pair(*AGREED)
    for _ in range(2):
        pair.open(agree=True)
        assert pair.client.is_protected
        assert any(isinstance(event, Released) for event in pair.run(pair.client.release()))
        assert not pair.client.is_protected
        assert pair.client.state is pair.server.state is State.IDLE


def test_a_lost_link_forgets_the_keys_on_both_sides() -> None:
    pair = Pair(*AGREED)
    pair.open(agree=True)
    recorded = pair.client.get(VALUE)
    pair.client.link_lost()
    pair.server.link_lost()
    assert not pair.client.is_protected
    assert not pair.server.is_protected
    assert not any(isinstance(event, GetIndication) for event in pair.server.receive(recorded))


def test_an_rlrq_before_the_association_is_refused() -> None:
    pair = Pair(*PLAIN)
    events = pair.server.receive(Rlrq().to_bytes())
    assert not any(isinstance(event, Released) for event in events)
    assert isinstance(events[0], Send)
    assert events[0].apdu[0] == 0xD8


def test_a_second_request_is_not_served_before_the_first_is_answered() -> None:
    pair = Pair(*PLAIN)
    pair.open()
    request = pair.client.get(VALUE)
    assert isinstance(pair.server.receive(request)[0], GetIndication)
    assert not any(isinstance(event, GetIndication) for event in pair.server.receive(request))
    pair.server.respond_get([cosem.u8(1)])
