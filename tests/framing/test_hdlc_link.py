"""The HDLC link of both stations against each other."""

from __future__ import annotations

import pytest

from meterlink.errors import LocalProtocolError
from meterlink.framing.hdlc import HdlcLink, HdlcParameters, HdlcServerPort, HdlcTimers
from meterlink.framing.hdlc.states import State
from meterlink.framing.link import LinkClosed, LinkConnected, LinkEvent, LinkNoise, PduReceived, Role
from meterlink.framing.port import PortEvent

TIMERS = HdlcTimers(response=2, inter_octet=0.2, frame=5, retries=2, poll=0.1, answer=10, inactivity=60)


def client(address: int = 16, **more: object) -> HdlcLink:
    more = {"server_upper": 1, "server_lower": 17, "timers": TIMERS} | more
    return HdlcLink(Role.CLIENT, client_address=address, **more)  # type: ignore[arg-type]


def port(**more: object) -> HdlcServerPort:
    return HdlcServerPort(timers=TIMERS, **more)  # type: ignore[arg-type]


def pump(ours: HdlcLink, theirs: HdlcServerPort, now: float = 0.0) -> tuple[list[LinkEvent], list[PortEvent]]:
    """Carry octets both ways until the line is silent."""
    events: list[LinkEvent] = []
    port_events: list[PortEvent] = []
    while True:
        out = ours.data_to_send(now)
        port_events += theirs.receive(out, now)
        back = theirs.data_to_send(now)
        events += ours.receive(back, now)
        if not out and not back:
            return events, port_events


def connected(ours: HdlcLink, theirs: HdlcServerPort) -> None:
    ours.connect(0.0)
    events, _ = pump(ours, theirs)
    assert events == [LinkConnected(ours.client_sap, ours.server_sap)]


def test_set_up_exchange_release() -> None:
    ours, theirs = client(), port()
    ours.connect(0.0)
    events, told = pump(ours, theirs)
    assert events == [LinkConnected(16, 1)]
    assert told == [PortEvent(16, 1, LinkConnected(16, 1))]
    ours.send(b"question", 0.0)
    events, told = pump(ours, theirs)
    assert (events, told) == ([], [PortEvent(16, 1, PduReceived(b"question", 16, 1))])
    theirs.send(16, 1, b"answer", 0.0)
    events, told = pump(ours, theirs)
    assert (events, told) == ([PduReceived(b"answer", 16, 1)], [])
    ours.disconnect(0.0)
    events, told = pump(ours, theirs)
    assert events == [LinkClosed("released")]
    assert told == [PortEvent(16, 1, LinkClosed("released"))]
    assert ours.state is State.DISCONNECTED


@pytest.mark.parametrize("window", [1, 2, 7])
@pytest.mark.parametrize("size", [1, 124, 125, 126, 250, 5000])
def test_segments_and_windows(window: int, size: int) -> None:
    ours = client(parameters=HdlcParameters(128, 200, window, window))
    theirs = port(parameters=HdlcParameters(150, 1024, window, window))
    connected(ours, theirs)
    assert ours.parameters == HdlcParameters(128, 150, window, window)
    for number in range(10):
        question, answer = bytes([number]) * size, bytes([255 - number]) * size
        ours.send(question, 0.0)
        assert pump(ours, theirs) == ([], [PortEvent(16, 1, PduReceived(question, 16, 1))])
        theirs.send(16, 1, answer, 0.0)
        assert pump(ours, theirs) == ([PduReceived(answer, 16, 1)], [])


def test_two_clients_on_one_line_do_not_disturb_each_other() -> None:
    one, two, theirs = client(16), client(32), port()
    connected(one, theirs)
    connected(two, theirs)
    one.send(b"one", 0.0)
    two.send(b"two", 0.0)
    line = one.data_to_send(0.0) + two.data_to_send(0.0)
    assert theirs.receive(line, 0.0) == [
        PortEvent(16, 1, PduReceived(b"one", 16, 1)),
        PortEvent(32, 1, PduReceived(b"two", 32, 1)),
    ]
    theirs.send(32, 1, b"for two", 0.0)
    theirs.send(16, 1, b"for one", 0.0)
    line = theirs.data_to_send(0.0)
    assert [event for event in one.receive(line, 0.0) if isinstance(event, PduReceived)] == [
        PduReceived(b"for one", 16, 1)
    ]
    assert [event for event in two.receive(line, 0.0) if isinstance(event, PduReceived)] == [
        PduReceived(b"for two", 32, 1)
    ]


def test_a_lost_answer_is_asked_for_again_and_delivered_once() -> None:
    ours, theirs = client(), port()
    connected(ours, theirs)
    ours.send(b"question", 0.0)
    pump(ours, theirs)
    theirs.send(16, 1, b"answer", 0.0)
    assert theirs.data_to_send(0.0)  # lost on the way
    assert ours.next_deadline == 2.0
    assert ours.handle_timer(2.0) == []
    events, told = pump(ours, theirs, 2.0)
    assert [event for event in events if isinstance(event, PduReceived)] == [PduReceived(b"answer", 16, 1)]
    assert not [event for event in told if isinstance(event.event, PduReceived)]


def test_a_silent_peer_is_given_up() -> None:
    ours = client()
    ours.connect(0.0)
    sent = []
    events: list[LinkEvent] = []
    now = 0.0
    while ours.next_deadline is not None:
        sent.append(ours.data_to_send(now))
        now = ours.next_deadline
        events += ours.handle_timer(now)
    assert len(sent) == 3
    assert len(set(sent)) == 1
    assert events == [LinkClosed("timeout")]
    assert now == 6.0


def test_a_server_that_has_no_answer_yet_is_asked_again() -> None:
    ours, theirs = client(), port()
    connected(ours, theirs)
    ours.send(b"question", 0.0)
    pump(ours, theirs)
    theirs.pass_turn(16, 1, 0.0)
    pump(ours, theirs)
    assert ours.state is State.PAUSING
    theirs.send(16, 1, b"late answer", 0.05)
    assert theirs.data_to_send(0.05) == b""
    ours.handle_timer(0.1)
    events, _ = pump(ours, theirs, 0.1)
    assert events == [PduReceived(b"late answer", 16, 1)]


def test_patience_ends() -> None:
    ours, theirs = client(), port()
    connected(ours, theirs)
    ours.send(b"question", 0.0)
    pump(ours, theirs)
    theirs.pass_turn(16, 1, 0.0)
    events, now = pump(ours, theirs)[0], 0.0
    while not events:
        assert ours.next_deadline is not None
        now = ours.next_deadline
        events = ours.handle_timer(now) + pump(ours, theirs, now)[0]
    assert events == [LinkClosed("timeout")]
    assert 10 <= now < 11


def test_sending_out_of_turn_is_a_fault_of_the_program() -> None:
    ours, theirs = client(), port()
    with pytest.raises(LocalProtocolError):
        ours.send(b"x", 0.0)
    connected(ours, theirs)
    with pytest.raises(LocalProtocolError):
        ours.connect(0.0)
    ours.send(b"x", 0.0)
    with pytest.raises(LocalProtocolError):
        ours.send(b"y", 0.0)
    with pytest.raises(LocalProtocolError):
        theirs.send(99, 1, b"y", 0.0)


def test_disconnected_server_says_so() -> None:
    ours, theirs = client(), port()
    connected(ours, theirs)
    theirs.disconnect(16, 1, 0.0)
    ours.send(b"x", 0.0)
    assert pump(ours, theirs)[0] == [LinkClosed("disconnected-mode")]


def test_own_echo_is_recognised() -> None:
    ours, theirs = client(), port()
    ours.connect(0.0)
    out = ours.data_to_send(0.0)
    theirs.receive(out, 0.0)
    events = ours.receive(out + theirs.data_to_send(0.0), 0.0)
    assert events == [LinkNoise("echo", out), LinkConnected(16, 1)]


def test_own_echo_is_recognised_where_both_addresses_are_one_number() -> None:
    ours, theirs = client(1, server_lower=None), port()
    ours.connect(0.0)
    out = ours.data_to_send(0.0)
    theirs.receive(out, 0.0)
    assert ours.receive(out + theirs.data_to_send(0.0), 0.0) == [LinkNoise("echo", out), LinkConnected(1, 1)]
    ours.send(b"question", 0.0)
    out = ours.data_to_send(0.0)
    theirs.receive(out, 0.0)
    theirs.pass_turn(1, 1, 0.0)
    assert ours.receive(out, 0.0) == [LinkNoise("echo", out)]
    assert ours.receive(theirs.data_to_send(0.0), 0.0) == []
    assert ours.state is State.PAUSING
