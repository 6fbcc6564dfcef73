"""The server's side of a shared line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.framing.hdlc import HdlcAddress, HdlcLink, HdlcParameters, HdlcServerPort, HdlcTimers
from meterlink.framing.hdlc.control import CONTROLS, FrameKind, control
from meterlink.framing.hdlc.description import REJECTION
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.link import LinkClosed, LinkConnected, PduReceived, Role
from meterlink.framing.port import PortEvent


def ask(kind: FrameKind, to: HdlcAddress, client: int = 16, information: bytes = b"", **fields: int) -> bytes:
    poll = bool(fields.pop("poll", 1))
    return HdlcFrame(to, HdlcAddress(client), control(kind, poll=poll, **fields), information).to_bytes()


def answer(port: HdlcServerPort) -> HdlcFrame:
    return HdlcFrame.from_bytes(port.data_to_send(0.0))


@pytest.mark.parametrize(
    "asked, answers_as",
    [
        (HdlcAddress.of(1), HdlcAddress.of(1)),
        (HdlcAddress.of(1, 16), HdlcAddress.of(1, 16)),
        (HdlcAddress.of(1, 16, 4), HdlcAddress.of(1, 16, 4)),
        (HdlcAddress.of(1, 0x7F), HdlcAddress.of(1, 16)),
        (HdlcAddress.of(1, 0x3FFF), HdlcAddress.of(1, 16, 4)),
        (HdlcAddress.of(2, 16), HdlcAddress.of(2, 16)),
    ],
)
def test_a_server_answers_in_the_form_of_the_question(asked: HdlcAddress, answers_as: HdlcAddress) -> None:
    port = HdlcServerPort(server_uppers=(1, 2), server_lower=16)
    assert port.receive(ask(FrameKind.SNRM, asked), 0.0) == [PortEvent(16, asked.upper, LinkConnected(16, asked.upper))]
    frame = answer(port)
    assert (frame.control.kind, frame.source, frame.destination) == (FrameKind.UA, answers_as, HdlcAddress(16))


@pytest.mark.parametrize("asked", [HdlcAddress.of(3), HdlcAddress.of(1, 17), HdlcAddress.of(1, 17, 4)])
def test_a_server_is_silent_to_frames_for_others(asked: HdlcAddress) -> None:
    port = HdlcServerPort(server_lower=16)
    assert port.receive(ask(FrameKind.SNRM, asked), 0.0) == []
    assert port.data_to_send(0.0) == b""


def test_a_long_physical_address_is_not_asked_for_in_a_short_form() -> None:
    port = HdlcServerPort(server_lower=1000)
    assert port.receive(ask(FrameKind.SNRM, HdlcAddress.of(1, 0x7F)), 0.0) == []
    assert port.receive(ask(FrameKind.SNRM, HdlcAddress.of(1, 1000)), 0.0) != []


def test_commands_in_disconnected_mode_get_dm() -> None:
    port = HdlcServerPort()
    for kind in (FrameKind.DISC, FrameKind.I, FrameKind.RR):
        assert port.receive(ask(kind, HdlcAddress.of(1)), 0.0) == []
        assert answer(port).control.kind is FrameKind.DM
    assert port.connected == ()


def test_more_clients_than_links_get_dm_and_do_not_disturb() -> None:
    port = HdlcServerPort(max_links=2)
    for client in range(1, 100):
        port.receive(ask(FrameKind.SNRM, HdlcAddress.of(1), client), 0.0)
        assert answer(port).control.kind is (FrameKind.UA if client <= 2 else FrameKind.DM)
    assert port.connected == ((1, 1), (2, 1))


def test_a_silent_client_is_dropped() -> None:
    port = HdlcServerPort(timers=HdlcTimers(inactivity=10))
    port.receive(ask(FrameKind.SNRM, HdlcAddress.of(1)), 0.0)
    assert port.next_deadline == 10.0
    assert port.handle_timer(9.9) == []
    assert port.handle_timer(10.0) == [PortEvent(16, 1, LinkClosed("timeout"))]
    assert port.next_deadline is None


def test_a_new_set_up_ends_the_old_connection() -> None:
    port = HdlcServerPort()
    port.receive(ask(FrameKind.SNRM, HdlcAddress.of(1)), 0.0)
    port.receive(ask(FrameKind.I, HdlcAddress.of(1), information=b"\xe6\xe6\x00question"), 0.0)
    assert port.receive(ask(FrameKind.SNRM, HdlcAddress.of(1)), 0.0) == [
        PortEvent(16, 1, LinkClosed("peer")),
        PortEvent(16, 1, LinkConnected(16, 1)),
    ]
    assert port.receive(ask(FrameKind.I, HdlcAddress.of(1), information=b"\xe6\xe6\x00question"), 0.0) == [
        PortEvent(16, 1, PduReceived(b"question", 16, 1))
    ]


@pytest.mark.parametrize(
    "byte, information, reason",
    [(0x7D, b"", "unknown_control"), (0xB1, b"", "invalid_sequence"), (0xB0, b"x", "invalid_sequence")],
)
def test_frames_against_the_rules_are_rejected(byte: int, information: bytes, reason: str) -> None:
    port = HdlcServerPort()
    port.receive(ask(FrameKind.SNRM, HdlcAddress.of(1)), 0.0)
    port.data_to_send(0.0)
    frame = HdlcFrame(HdlcAddress.of(1), HdlcAddress(16), CONTROLS[byte], information)
    assert port.receive(frame.to_bytes(), 0.0) == [PortEvent(16, 1, LinkClosed("frame-reject"))]
    rejection = answer(port)
    assert rejection.control.kind is FrameKind.FRMR
    told = REJECTION.parse(rejection.information)
    assert told.control == byte
    assert [name for name, is_so in told.reasons.items() if is_so is True] == [reason]


def test_a_question_that_never_ends_is_rejected() -> None:
    port = HdlcServerPort(parameters=HdlcParameters(2030, 2030, 1, 1))
    port.receive(ask(FrameKind.SNRM, HdlcAddress.of(1)), 0.0)
    events: list[PortEvent] = []
    number = 0
    while not events:
        field = control(FrameKind.I, poll=True, send=number % 8)
        frame = HdlcFrame(HdlcAddress.of(1), HdlcAddress(16), field, bytes(2000), segmented=True)
        port.data_to_send(0.0)
        events = port.receive(frame.to_bytes(), 0.0)
        number += 1
        assert number < 40
    assert events == [PortEvent(16, 1, LinkClosed("frame-reject"))]
    assert REJECTION.parse(answer(port).information).reasons.too_long


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda to, client, byte, information, more: HdlcFrame(
                    to, client, CONTROLS[byte], information, more
                ).to_bytes(),
                st.sampled_from(
                    [HdlcAddress.of(1), HdlcAddress.of(1, 0x7F), HdlcAddress.of(1, 16, 4), HdlcAddress.of(5)]
                ),
                st.sampled_from([HdlcAddress(16), HdlcAddress(32), HdlcAddress(1, 1, 2)]),
                st.integers(0, 255),
                st.binary(max_size=30),
                st.booleans(),
            ),
        ),
        max_size=30,
    )
)
def test_nothing_a_client_sends_raises(line: list[bytes]) -> None:
    port, now = HdlcServerPort(), 0.0
    for data in line:
        now += 0.01
        for told in port.receive(data, now):
            if isinstance(told.event, PduReceived) and not told.event.unnumbered:
                port.pass_turn(told.client_sap, told.server_sap, now)
    port.data_to_send(now)
    while port.next_deadline is not None:
        now = port.next_deadline
        port.handle_timer(now)
    assert port.connected == ()


def test_a_link_serves_as_the_other_end_of_a_port() -> None:
    link = HdlcLink(Role.SERVER, client_address=16)
    assert link.receive(ask(FrameKind.SNRM, HdlcAddress.of(1)), 0.0) == [LinkConnected(16, 1)]
    assert HdlcFrame.from_bytes(link.data_to_send(0.0)).control.kind is FrameKind.UA
    link.disconnect(0.0)
    assert not link.is_connected
