"""Every state of the HDLC link with every input, in both roles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.errors import LocalProtocolError
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import CONTROLS, FrameKind, control
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.link import HdlcLink
from meterlink.framing.hdlc.parameters import HdlcParameters, HdlcTimers
from meterlink.framing.hdlc.states import CONNECTED, TABLES, TIMERS, Action, Input, State, Timer
from meterlink.framing.link import LinkClosed, LinkConnected, Role

CLIENT, SERVER = HdlcAddress(16), HdlcAddress(1)
TIMERS_USED = HdlcTimers(response=1, inter_octet=0.2, frame=2, retries=2, poll=0.1, answer=5, inactivity=30)


def make(role: Role) -> HdlcLink:
    return HdlcLink(
        role,
        client_address=16,
        server_upper=1,
        parameters=HdlcParameters(64, 64, 2, 2),
        timers=TIMERS_USED,
    )


def frame_for(role: Role, byte: int, information: bytes = b"", segmented: bool = False) -> bytes:
    """A frame of the peer of ``role``."""
    to, by = (CLIENT, SERVER) if role is Role.CLIENT else (SERVER, CLIENT)
    return HdlcFrame(to, by, CONTROLS[byte], information, segmented).to_bytes()


def give(link: HdlcLink, role: Role, kind: FrameKind, *, poll: bool = True, receive: int = 0, send: int = 0) -> None:
    llc = b"\xe6\xe7\x00" if role is Role.CLIENT else b"\xe6\xe6\x00"
    information = llc + b"data" if kind is FrameKind.I else b""
    link.receive(frame_for(role, control(kind, poll=poll, receive=receive, send=send).byte, information), 0.0)


def reach(role: Role, state: State) -> HdlcLink:
    """A link that was brought to ``state`` in the ordinary way."""
    link = make(role)
    for step in WAYS[role, state]:
        step(link)
    assert link.state is state
    link.data_to_send(0.0)
    return link


def _connect(link: HdlcLink) -> None:
    link.connect(0.0)


def _send(link: HdlcLink) -> None:
    link.send(b"question", 0.0)


def _disconnect(link: HdlcLink) -> None:
    link.disconnect(0.0)


def _from_server(kind: FrameKind, **fields: int) -> Callable[[HdlcLink], None]:
    return lambda link: give(link, Role.CLIENT, kind, **fields)


def _from_client(kind: FrameKind, **fields: int) -> Callable[[HdlcLink], None]:
    return lambda link: give(link, Role.SERVER, kind, **fields)


UA, SNRM = _from_server(FrameKind.UA), _from_client(FrameKind.SNRM)
WAYS: dict[tuple[Role, State], list[Callable[[HdlcLink], None]]] = {
    (Role.CLIENT, State.DISCONNECTED): [],
    (Role.CLIENT, State.CONNECTING): [_connect],
    (Role.CLIENT, State.TURN): [_connect, UA],
    (Role.CLIENT, State.WAITING): [_connect, UA, _send],
    (Role.CLIENT, State.PAUSING): [_connect, UA, _send, _from_server(FrameKind.RR, receive=1)],
    (Role.CLIENT, State.DISCONNECTING): [_connect, UA, _disconnect],
    (Role.SERVER, State.DISCONNECTED): [],
    (Role.SERVER, State.WAITING): [SNRM],
    (Role.SERVER, State.TURN): [SNRM, _from_client(FrameKind.I)],
}

places = pytest.mark.parametrize("role, state", WAYS, ids=lambda value: value.value)


def test_every_state_of_the_tables_is_tried() -> None:
    assert {(role, state) for role, table in TABLES.items() for state in table} == set(WAYS)
    assert {(role, state) for role, times in TIMERS.items() for state in times} == set(WAYS)


def test_every_action_is_asked_for_somewhere() -> None:
    asked = {step.action for table in TABLES.values() for steps in table.values() for step in steps.values()}
    assert asked == set(Action)


@places
def test_a_state_that_waits_for_the_peer_has_a_way_out_by_time(role: Role, state: State) -> None:
    if TIMERS[role][state] is not Timer.NONE:
        assert Input.TIMEOUT in TABLES[role][state]
    if TIMERS[role][state] is Timer.RESPONSE:
        assert Input.GIVE_UP in TABLES[role][state]


@places
@pytest.mark.parametrize("information, segmented", [(b"", False), (b"\xe6\xe7\x00data", False), (b"\x01" * 64, True)])
def test_every_control_field_in_every_state(role: Role, state: State, information: bytes, segmented: bool) -> None:
    for byte in range(256):
        link = reach(role, state)
        events = link.receive(frame_for(role, byte, information, segmented), 0.0)
        assert link.state in TABLES[role]
        assert link.is_connected == (link.state in CONNECTED)
        was, is_ = state in CONNECTED, link.is_connected
        closed = any(isinstance(event, LinkClosed) for event in events)
        opened = any(isinstance(event, LinkConnected) for event in events)
        assert opened == (is_ and (not was or closed)), f"{byte:#04x}"
        if was and not is_:
            assert closed, f"{byte:#04x}"
        if role is Role.SERVER and not byte & 0x10:
            assert link.data_to_send(0.0) == b"", "a server must not send without the turn"


@places
def test_every_local_input_in_every_state(role: Role, state: State) -> None:
    steps = TABLES[role][state]
    calls = {Input.CONNECT: _connect, Input.SEND: _send, Input.RELEASE: _disconnect}
    for what, call in calls.items():
        link = reach(role, state)
        if what in steps:
            call(link)
            assert link.state is steps[what].state
        else:
            with pytest.raises(LocalProtocolError):
                call(link)
            assert link.state is state
            assert link.data_to_send(0.0) == b""
    link = reach(role, state)
    link.pass_turn(0.0)  # safe everywhere


@places
def test_time_alone_always_comes_to_rest(role: Role, state: State) -> None:
    link = reach(role, state)
    turns = 0
    while (deadline := link.next_deadline) is not None:
        link.handle_timer(deadline)
        link.data_to_send(deadline)
        turns += 1
        assert turns < 10
    assert link.state in (State.DISCONNECTED, State.TURN)


inputs = st.one_of(
    st.tuples(st.sampled_from(["frame"]), st.integers(0, 255), st.sampled_from([b"", b"\xe6\xe7\x00x", bytes(64)])),
    st.tuples(
        st.sampled_from(["connect", "send", "disconnect", "pass", "timer", "junk", "push"]), st.just(0), st.just(b"")
    ),
)


@given(st.sampled_from(Role), st.lists(inputs, max_size=40), st.booleans())
def test_any_sequence_of_inputs(role: Role, sequence: list[tuple[str, int, bytes]], segmented: bool) -> None:
    link, now = make(role), 0.0
    calls: dict[str, Callable[[], object]] = {
        "connect": lambda: link.connect(now),
        "send": lambda: link.send(b"x" * 200, now),
        "disconnect": lambda: link.disconnect(now),
        "pass": lambda: link.pass_turn(now),
        "push": lambda: link.send_unnumbered(b"push"),
        "junk": lambda: link.receive(b"\x7e\xa0\x10\x02\x7e\xff", now),
    }
    for what, byte, information in sequence:
        now += 0.01
        if what == "frame":
            link.receive(frame_for(role, byte, information, segmented), now)
        elif what == "timer":
            now = link.next_deadline or now
            link.handle_timer(now)
            assert link.next_deadline is None or link.next_deadline > now
        else:
            try:
                calls[what]()
            except LocalProtocolError:
                assert what in ("connect", "send")
        assert link.state in TABLES[role]
        for frame in link.data_to_send(now).split(b"\x7e\x7e"):
            assert len(frame) < 100
