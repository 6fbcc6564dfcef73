"""A line that loses, doubles, alters, truncates and delays frames: nothing wrong is ever delivered."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.errors import LocalProtocolError
from meterlink.framing.hdlc import HdlcLink, HdlcParameters, HdlcServerPort, HdlcTimers
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind, control
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.states import State
from meterlink.framing.hdlc.station import MAX_SERVICE_DATA_UNIT
from meterlink.framing.link import LinkClosed, LinkConnected, LinkEvent, LinkNoise, PduReceived, Role

TIMERS = HdlcTimers(response=1, inter_octet=0.2, frame=2, retries=4, poll=0.1, answer=20, inactivity=1000)
FATES = ("through", "lost", "doubled", "altered", "truncated", "noise", "echoed")


def meet(fate: str, data: bytes, chance: random.Random) -> bytes:
    """What becomes of octets on the line."""
    if fate == "lost":
        return b""
    if fate == "doubled":
        return data + data
    if fate == "altered":
        at = chance.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 1 << chance.randrange(8),)) + data[at + 1 :]
    if fate == "truncated":
        return data[: chance.randrange(len(data))]
    if fate == "noise":
        return chance.randbytes(chance.randrange(20)) + data + chance.randbytes(chance.randrange(20))
    return data


class Line:
    """A client and a server that answers every question at once, and the line between them."""

    def __init__(self, fates: list[str], seed: int, parameters: HdlcParameters) -> None:
        self.fates = iter(fates)
        self.chance = random.Random(seed)
        self.client = HdlcLink(Role.CLIENT, client_address=16, parameters=parameters, timers=TIMERS)
        self.port = HdlcServerPort(parameters=parameters, timers=TIMERS)
        self.now = 0.0
        self.questions: list[bytes] = []

    def carry(self, data: bytes) -> bytes:
        """Carry a burst, frame by frame, each with its own fate."""
        frames = [b"\x7e" + part + b"\x7e" for part in data.split(b"\x7e\x7e")] if data else []
        return b"".join(
            meet(next(self.fates, "through"), frame.replace(b"\x7e\x7e", b"\x7e"), self.chance) for frame in frames
        )

    def step(self) -> list[LinkEvent]:
        """One burst each way; when nothing moves, the time does."""
        out = self.client.data_to_send(self.now)
        for told in self.port.receive(self.carry(out), self.now):
            if isinstance(told.event, PduReceived):
                self.questions.append(told.event.data)
                self.port.send(told.client_sap, told.server_sap, b"answer to " + told.event.data, self.now)
        back = self.port.data_to_send(self.now)
        events = self.client.receive(self.carry(back), self.now)
        if not out and not back:
            deadline = self.client.next_deadline
            assert deadline is not None, "the link must not hang"
            self.now = max(self.now, deadline)
            self.port.handle_timer(self.now)
            events += self.client.handle_timer(self.now)
        return events

    def until(self, *kinds: type[LinkEvent]) -> LinkEvent:
        """Run until an event of one of ``kinds``."""
        for _ in range(2000):
            for event in self.step():
                if isinstance(event, kinds):
                    return event
        raise AssertionError("the link goes on for ever")


parameters = st.builds(HdlcParameters, st.just(32), st.just(32), st.integers(1, 3), st.integers(1, 3))


@given(st.lists(st.sampled_from(FATES), max_size=60), st.integers(0), parameters, st.integers(1, 120))
def test_answers_are_right_or_the_link_says_that_it_is_down(
    fates: list[str], seed: int, agreed: HdlcParameters, size: int
) -> None:
    line = Line(fates, seed, agreed)
    line.client.connect(0.0)
    if isinstance(line.until(LinkConnected, LinkClosed), LinkClosed):
        return
    asked: list[bytes] = []
    for number in range(8):
        question = bytes((65 + number,)) * size
        line.client.send(question, line.now)
        asked.append(question)
        event = line.until(PduReceived, LinkClosed)
        assert line.questions == asked[: len(line.questions)], "each question once, in order"
        if isinstance(event, LinkClosed):
            break
        assert isinstance(event, PduReceived)
        assert event.data == b"answer to " + question
        assert line.questions == asked


@pytest.mark.parametrize("fate", ["lost", "altered", "truncated", "noise", "doubled"])
@pytest.mark.parametrize("at", range(16))
def test_one_fault_anywhere_is_healed(fate: str, at: int) -> None:
    line = Line(["through"] * at + [fate], at, HdlcParameters(32, 32, 3, 3))
    line.client.connect(0.0)
    assert isinstance(line.until(LinkConnected, LinkClosed), LinkConnected)
    for number in range(3):
        question = bytes((65 + number,)) * 100
        line.client.send(question, line.now)
        event = line.until(PduReceived, LinkClosed)
        assert isinstance(event, PduReceived)
        assert event.data == b"answer to " + question
    assert len(line.questions) == 3


# A hostile meter


def hostile(
    frame_kind: FrameKind,
    information: bytes = b"",
    *,
    poll: bool,
    receive: int = 0,
    send: int = 0,
    segmented: bool = False,
) -> bytes:
    field = control(frame_kind, poll=poll, receive=receive, send=send)
    return HdlcFrame(HdlcAddress(16), HdlcAddress(1), field, information, segmented).to_bytes()


def waiting_client() -> HdlcLink:
    link = HdlcLink(Role.CLIENT, client_address=16, parameters=HdlcParameters(2030, 2030, 1, 7), timers=TIMERS)
    link.connect(0.0)
    link.receive(hostile(FrameKind.UA, HdlcParameters(2030, 2030, 7, 7).to_bytes(), poll=True), 0.0)
    link.send(b"question", 0.0)
    link.data_to_send(0.0)
    return link


def test_an_answer_that_never_ends_closes_the_link_in_bounded_memory() -> None:
    link, events = waiting_client(), []
    number = 0
    while not events:
        events = link.receive(
            hostile(FrameKind.I, bytes(2000), poll=False, receive=1, send=number % 8, segmented=True), 0.0
        )
        number += 1
        assert number * 2000 <= MAX_SERVICE_DATA_UNIT + 2000
    assert events == [LinkClosed("peer")]


def test_empty_segments_without_end_do_not_put_the_deadline_off() -> None:
    link = waiting_client()
    for number in range(100):
        link.receive(hostile(FrameKind.I, b"", poll=False, receive=1, send=number % 8, segmented=True), 0.9)
    assert link.next_deadline is not None
    assert link.next_deadline <= 1.9


def test_noise_without_end_does_not_put_the_deadline_off() -> None:
    link, now, events = waiting_client(), 0.0, []
    chance = random.Random(1)
    while not any(isinstance(event, LinkClosed) for event in events):
        now += 0.01
        events = link.receive(b"\x7e\xa7\xff\x21\x03" + chance.randbytes(20), now)
        events += link.handle_timer(now)
        link.data_to_send(now)
        assert now < (TIMERS.retries + 1) * (TIMERS.response + TIMERS.frame) + 1


def test_a_server_that_is_busy_for_ever_is_given_up() -> None:
    link, now, events = waiting_client(), 0.0, []
    while not any(isinstance(event, LinkClosed) for event in events):
        events = link.receive(hostile(FrameKind.RNR, poll=True, receive=0), now)
        now = link.next_deadline or now
        events += link.handle_timer(now)
        assert now <= TIMERS.answer + 1


def test_frame_reject_and_disconnected_mode_close_the_link() -> None:
    for kind, reason in ((FrameKind.FRMR, "frame-reject"), (FrameKind.DM, "disconnected-mode")):
        link = waiting_client()
        assert link.receive(hostile(kind, poll=True), 0.0) == [LinkClosed(reason)]
        assert link.state is State.DISCONNECTED


def test_an_old_answer_is_not_taken_for_the_new_one() -> None:
    link = waiting_client()
    first = hostile(FrameKind.I, b"\xe6\xe7\x00first", poll=True, receive=1, send=0)
    assert link.receive(first, 0.0) == [PduReceived(b"first", 16, 1)]
    link.send(b"second question", 0.0)
    assert link.data_to_send(0.0)
    events = link.receive(first, 0.0)
    assert [type(event) for event in events] == [LinkNoise]
    assert link.data_to_send(0.0) == b""  # and the question is not doubled by it
    second = hostile(FrameKind.I, b"\xe6\xe7\x00second", poll=True, receive=2, send=1)
    assert link.receive(second, 0.0) == [PduReceived(b"second", 16, 1)]


def test_reject_makes_us_send_again() -> None:
    link = waiting_client()
    assert link.receive(hostile(FrameKind.REJ, poll=True, receive=0), 0.0) == []
    again = HdlcFrame.from_bytes(link.data_to_send(0.0))
    assert (again.control.kind, again.control.send, again.information) == (FrameKind.I, 0, b"\xe6\xe6\x00question")


def test_an_acknowledgement_of_what_was_never_sent_is_no_acknowledgement() -> None:
    link = waiting_client()
    events = link.receive(hostile(FrameKind.RR, poll=True, receive=5), 0.0)
    assert [event.reason for event in events if isinstance(event, LinkNoise)] == ["sequence"]
    assert link.state is State.WAITING


def test_a_push_comes_at_any_time_and_in_segments() -> None:
    for link in (waiting_client(), HdlcLink(Role.CLIENT, client_address=16)):
        state = link.state
        assert link.receive(hostile(FrameKind.UI, b"\xe6\xe7\x00\x0fpu", poll=False, segmented=True), 0.0) == []
        assert link.receive(hostile(FrameKind.UI, b"sh", poll=False), 0.0) == [PduReceived(b"\x0fpush", 16, 1, True)]
        assert link.state is state


def test_a_push_that_stopped_is_not_joined_with_the_next() -> None:
    link = HdlcLink(Role.CLIENT, client_address=16, timers=TIMERS)
    link.receive(hostile(FrameKind.UI, b"\xe6\xe7\x00old", poll=False, segmented=True), 0.0)
    assert link.receive(hostile(FrameKind.UI, b"\xe6\xe7\x00new", poll=False), 5.0) == [
        PduReceived(b"new", 16, 1, True)
    ]


def test_pushes_without_end_stay_bounded() -> None:
    link = HdlcLink(Role.CLIENT, client_address=16, timers=TIMERS)
    for _ in range(100):
        assert link.receive(hostile(FrameKind.UI, bytes(2000), poll=False, segmented=True), 0.0) == []
        assert len(link._station._pushed._parts) <= MAX_SERVICE_DATA_UNIT


def test_data_without_the_llc_header_is_dropped() -> None:
    link = waiting_client()
    events = link.receive(hostile(FrameKind.I, b"answer", poll=True, receive=1), 0.0)
    assert [type(event) for event in events] == [LinkNoise]


def test_frames_of_others_on_the_line_are_not_ours() -> None:
    link = waiting_client()
    other = HdlcFrame(HdlcAddress(17), HdlcAddress(1), control(FrameKind.DM, poll=True)).to_bytes()
    third = HdlcFrame(HdlcAddress(16), HdlcAddress(2), control(FrameKind.DM, poll=True)).to_bytes()
    events = link.receive(other + third, 0.0)
    assert [event.reason for event in events if isinstance(event, LinkNoise)] == ["address", "address"]
    assert link.state is State.WAITING


def test_a_frame_hidden_behind_a_false_start_comes_out_when_the_line_falls_silent() -> None:
    link = waiting_client()
    answer = hostile(FrameKind.I, b"\xe6\xe7\x00answer", poll=True, receive=1)
    # The beginning of a frame of 2,000 octets, header check and all, and then another frame.
    began = HdlcFrame(HdlcAddress(16), HdlcAddress(1), control(FrameKind.I, poll=True), bytes(2000)).to_bytes()[:12]
    assert link.receive(began + answer, 0.5) == []
    assert link.next_deadline == 0.5 + TIMERS.inter_octet
    assert link.handle_timer(0.6) == []
    assert link.handle_timer(0.7) == [LinkNoise("length", began), PduReceived(b"answer", 16, 1)]
    assert link.state is State.TURN


def test_an_answer_that_comes_slowly_is_waited_for() -> None:
    link = waiting_client()
    answer = hostile(FrameKind.I, b"\xe6\xe7\x00" + bytes(30), poll=True, receive=1)
    now, events = 0.9, []
    for octet in answer[:-1]:  # the last response time ends while it comes in
        assert events == []
        events = link.receive(bytes((octet,)), now) + link.handle_timer(now)
        now += 0.04
    assert now > TIMERS.response
    assert link.receive(answer[-1:], now) == [PduReceived(bytes(30), 16, 1)]
    assert link.data_to_send(now) == b""


def test_an_answer_that_stops_is_asked_for_again_at_once() -> None:
    link = waiting_client()
    answer = hostile(FrameKind.I, b"\xe6\xe7\x00answer", poll=True, receive=1)
    link.receive(answer[:-4], 0.95)
    assert [type(event) for event in link.handle_timer(1.2)] == [LinkNoise]
    assert HdlcFrame.from_bytes(link.data_to_send(1.2)).information == b"\xe6\xe6\x00question"


def test_what_cannot_be_sent() -> None:
    link = HdlcLink(Role.CLIENT, client_address=16)
    with pytest.raises(LocalProtocolError):
        link.send(b"", 0.0)
    with pytest.raises(LocalProtocolError):
        link.send_unnumbered(bytes(126))
    link.send_unnumbered(bytes(125))
    assert HdlcFrame.from_bytes(link.data_to_send(0.0)).information == b"\xe6\xe6\x00" + bytes(125)
