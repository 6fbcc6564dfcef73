"""The sign-on of IEC 62056-21, every mode, without a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.errors import LocalProtocolError, MeterlinkError, UsageError
from meterlink.framing.iec62056_21 import (
    ACK,
    ETX,
    NAK,
    SOH,
    STX,
    Answered,
    ChangeSpeed,
    Event,
    Failed,
    HdlcReady,
    Identified,
    Mode,
    ProgrammingReady,
    ReadoutReceived,
    SignOn,
    State,
    Unnamed,
    Want,
    checked,
    request_message,
)

BLOCK = bytes((STX,)) + checked(b"6.8(0328.871*GJ)\r\n!\r\n" + bytes((ETX,)))
OPERAND = bytes((SOH,)) + checked(b"P0" + bytes((STX,)) + b"(12345678)" + bytes((ETX,)))


def started(**options: object) -> SignOn:
    table = SignOn(**options)  # type: ignore[arg-type]
    table.start(0.0)
    table.data_to_send()
    return table


def fed(table: SignOn, data: bytes, size: int = 1) -> list[Event]:
    events: list[Event] = []
    for place in range(0, len(data), size):
        events += table.receive(data[place : place + size], 1.0)
    return events


def test_wake_up_and_request_go_out_as_one_piece() -> None:
    table = SignOn(request=b"/#!\r\n", wake_up=bytes(40))
    table.start(0.0)
    assert table.data_to_send() == bytes(40) + b"/#!\r\n"
    assert table.data_to_send() == b""
    assert table.next_deadline == pytest.approx(45 * 10 / 300 + 1.5)


@given(st.integers(1, 200))
def test_mode_b_changes_the_speed_at_once(size: int) -> None:
    table = started()
    events = fed(table, b"/LUGCUH50\r\n" + BLOCK, size)
    assert events == [
        Identified("LUG", "C", "UH50", Mode.B, 2400),
        ChangeSpeed(2400),
        ReadoutReceived(b"/LUGCUH50\r\n" + BLOCK, True),
    ]
    assert table.state is State.DONE


def test_mode_c_acknowledges_first() -> None:
    table = started()
    assert fed(table, b"/SIE32WR5\r\n") == [Identified("SIE", "3", "2WR5", Mode.C, 2400), ChangeSpeed(2400)]
    assert table.data_to_send() == bytes((ACK,)) + b"030\r\n"
    assert fed(table, BLOCK) == [ReadoutReceived(b"/SIE32WR5\r\n" + BLOCK, True)]


def test_mode_c_through_a_head_that_echoes() -> None:
    table = started()
    fed(table, b"/?!\r\n/SIE32WR5\r\n")
    sent = table.data_to_send()
    assert fed(table, sent + BLOCK) == [ReadoutReceived(b"/SIE32WR5\r\n" + BLOCK, True)]


def test_a_speed_that_the_line_cannot_is_not_taken() -> None:
    table = started(max_baud=2400)
    assert fed(table, b"/ABC5X\r\n") == [Identified("ABC", "5", "X", Mode.C, 9600)]
    assert table.data_to_send() == bytes((ACK,)) + b"000\r\n"


def test_mode_a_stays_at_300_and_may_end_at_the_exclamation_mark() -> None:
    table = started()
    assert fed(table, b"/ABC Old\r\n") == []
    table = started()
    assert fed(table, b"/ABC;Old\r\n") == [Identified("ABC", ";", "Old", Mode.A, 300)]
    assert fed(table, b"6.8(1*MWh)\r\n!\r\n") == []
    assert table.next_deadline is not None
    (event,) = table.handle_timer(table.next_deadline)
    assert event == ReadoutReceived(b"/ABC;Old\r\n6.8(1*MWh)\r\n!\r\n", None)


def test_mode_d_speaks_unasked() -> None:
    table = SignOn()
    table.listen(0.0, 60.0)
    assert table.handle_timer(59.0) == []
    assert fed(table, b"/ABC3D\r\n" + BLOCK) == [ReadoutReceived(b"/ABC3D\r\n" + BLOCK, True)]


@pytest.mark.parametrize("echo", [True, False])
def test_mode_e_agrees_to_hdlc(echo: bool) -> None:
    table = started(want=Want.HDLC)
    assert fed(table, b"/LGZ5\\2ZMD\r\n") == [Identified("LGZ", "5", "ZMD", Mode.E, 9600), ChangeSpeed(9600)]
    sent = table.data_to_send()
    assert sent == bytes((ACK,)) + b"252\r\n"
    events = fed(table, sent + sent if echo else sent, len(sent))
    if not echo:
        assert table.next_deadline is not None
        events += table.handle_timer(table.next_deadline)
    assert events == [HdlcReady()]
    assert table.state is State.HDLC


def test_a_meter_without_mode_e_cannot_do_hdlc() -> None:
    (_, failed) = fed(started(want=Want.HDLC), b"/SIE32WR5\r\n")
    assert isinstance(failed, Failed)
    assert failed.reason == "no-hdlc"


def programming() -> SignOn:
    table = started(want=Want.PROGRAMMING)
    fed(table, b"/SIE32WR5\r\n")
    assert table.data_to_send() == bytes((ACK,)) + b"031\r\n"
    assert fed(table, OPERAND) == [ProgrammingReady("12345678")]
    return table


@pytest.mark.parametrize("echo", [True, False])
def test_programming_mode_reads_and_writes(echo: bool) -> None:
    table = programming()
    for name, data, answer, expected in (
        ("P1", "(00000000)", bytes((ACK,)), Answered("")),
        ("R1", "6.8()", bytes((STX,)) + checked(b"(0328.871*GJ)" + bytes((ETX,))), Answered("(0328.871*GJ)")),
        ("W1", "9.36(x)", bytes((NAK,)), Answered("", refused=True)),
        ("R1", "7.7()", bytes((STX,)) + checked(b"(ER02)" + bytes((ETX,))), Answered("(ER02)", refused=True)),
    ):
        table.command(name, data, 2.0)
        sent = table.data_to_send()
        assert sent == bytes((SOH,)) + checked(name.encode() + bytes((STX,)) + data.encode() + bytes((ETX,)))
        assert fed(table, (sent if echo else b"") + answer) == [expected]
    table.command("B0", "", 3.0)
    assert table.data_to_send() == bytes((SOH,)) + checked(b"B0" + bytes((ETX,)))
    assert table.state is State.DONE


def test_a_wrong_block_check_is_told() -> None:
    changed = BLOCK.replace(b"8.871", b"8.872")
    assert fed(started(), b"/LUGCUH50\r\n" + changed)[-1] == ReadoutReceived(b"/LUGCUH50\r\n" + changed, False)
    table = programming()
    table.command("R1", "6.8()", 2.0)
    (failed,) = fed(table, bytes((STX,)) + b"(1)" + bytes((ETX, 0x11)))
    assert isinstance(failed, Failed)
    assert failed.reason == "block-check"


def test_blank_lines_stand_for_the_name_of_some_meters() -> None:
    assert fed(started(), bytes(12) + b"/?!\r\n\r\n\r\n" + BLOCK) == [Unnamed(), ReadoutReceived(BLOCK, True)]


def test_parity_bits_are_dropped() -> None:
    wire = bytes(octet | 0x80 if octet.bit_count() % 2 else octet for octet in b"/LUGCUH50\r\n" + BLOCK)
    assert fed(started(), wire)[-1] == ReadoutReceived(b"/LUGCUH50\r\n" + BLOCK, True)


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        (b"", "no-answer"),
        (b"/?!\r\n", "no-answer"),
        (b"\x55\x12", "no-identification"),
        (b"/LUGCUH50\r\n", "incomplete"),
        (b"/LUGCUH50\r\n\x026.8(03", "incomplete"),
    ],
)
def test_what_does_not_come_or_does_not_end_fails_in_time(heard: bytes, reason: str) -> None:
    table = started()
    fed(table, heard)
    assert table.next_deadline is not None
    assert table.next_deadline < 4
    (failed,) = table.handle_timer(table.next_deadline)
    assert isinstance(failed, Failed)
    assert failed.reason == reason


def test_a_readout_that_never_ends_is_given_up() -> None:
    table = started()
    events = fed(table, b"/LUGCUH50\r\n\x02" + b"6" * 300_000, 4096)
    assert isinstance(events[-1], Failed)
    assert events[-1].reason == "too-long"


@pytest.mark.parametrize("address", ["", "12345678", "A b"])
def test_requests(address: str) -> None:
    assert request_message(address) == f"/?{address}!\r\n".encode()


@pytest.mark.parametrize("address", ["x" * 33, "a!b", "é"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(UsageError):
        request_message(address)


def test_out_of_turn_is_our_own_fault() -> None:
    table = started()
    with pytest.raises(LocalProtocolError):
        table.start(0.0)
    with pytest.raises(LocalProtocolError):
        table.command("R1", "()", 0.0)


_ACTIONS = st.one_of(
    st.tuples(st.just("receive"), st.binary(max_size=40)),
    st.tuples(
        st.just("receive"), st.sampled_from([b"/LUGCUH50\r\n", b"/LGZ5\\2Z\r\n", BLOCK, OPERAND, b"\x06252\r\n"])
    ),
    st.tuples(st.sampled_from(["start", "listen", "command", "timer"]), st.just(b"")),
)


@given(st.sampled_from(list(Want)), st.lists(_ACTIONS, max_size=12))
def test_every_state_with_every_input_raises_nothing_but_our_errors(
    want: Want, actions: list[tuple[str, bytes]]
) -> None:
    table = SignOn(want=want)
    now = 0.0
    for name, data in actions:
        now += 1.0
        try:
            match name:
                case "start":
                    table.start(now)
                case "listen":
                    table.listen(now, 5.0)
                case "command":
                    table.command("R1", "6.8()", now)
                case "timer":
                    table.handle_timer(now + 60)
                case _:
                    table.receive(data, now)
        except MeterlinkError:
            assert name != "receive"
        table.data_to_send()
        assert (table.next_deadline is None) == (table.state in (State.IDLE, State.DONE, State.HDLC, State.PROGRAMMING))
