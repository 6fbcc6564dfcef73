"""The TCP wrapper, both roles."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.errors import LocalProtocolError
from meterlink.framing.link import LinkClosed, LinkConnected, LinkNoise, PduReceived, Role
from meterlink.framing.port import PortEvent
from meterlink.framing.wrapper import HEADER, MAX_APDU, WrapperLink, WrapperPdu, WrapperReader, WrapperServerPort

ports = st.integers(0, 0xFFFF)
pdus = st.builds(WrapperPdu, ports, ports, st.binary(min_size=1, max_size=300))


def client(sap: int = 16) -> WrapperLink:
    link = WrapperLink(Role.CLIENT, client_sap=sap, timeout=5)
    link.connect(0.0)
    assert link.next_deadline == 0.0
    assert link.handle_timer(0.0) == [LinkConnected(sap, 1)]
    return link


@given(pdus)
def test_the_description_agrees(pdu: WrapperPdu) -> None:
    header = {"source": pdu.source, "destination": pdu.destination, "length": len(pdu.data)}
    assert pdu.to_bytes() == HEADER.build(header) + pdu.data
    (read,) = WrapperReader().feed(pdu.to_bytes())
    assert read == pdu


@given(st.lists(pdus, max_size=5), st.binary(max_size=30), st.lists(st.integers(0)))
def test_any_chunking_gives_the_same(sent: list[WrapperPdu], junk: bytes, cuts: list[int]) -> None:
    data = b"".join(pdu.to_bytes() for pdu in sent) + junk
    whole, parts, octets = WrapperReader(), WrapperReader(), WrapperReader()
    found = whole.feed(data)
    assert found[: len(sent)] == sent
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    assert [pdu for start, end in itertools.pairwise(edges) for pdu in parts.feed(data[start:end])] == found
    assert [pdu for octet in data for pdu in octets.feed(bytes((octet,)))] == found
    assert bool(whole.broken) == bool(parts.broken) == bool(octets.broken)


def test_client_and_server() -> None:
    ours, theirs = client(), WrapperServerPort()
    ours.send(b"question", 0.0)
    data = ours.data_to_send(0.0)
    assert data == bytes.fromhex("0001 0010 0001 0008") + b"question"
    assert ours.data_to_send(0.0) == b""
    assert theirs.receive(data, 0.0) == [
        PortEvent(16, 1, LinkConnected(16, 1)),
        PortEvent(16, 1, PduReceived(b"question", 16, 1)),
    ]
    theirs.send(16, 1, b"answer", 0.0)
    assert ours.next_deadline == 5.0
    assert ours.receive(theirs.data_to_send(0.0), 1.0) == [PduReceived(b"answer", 16, 1)]
    assert ours.next_deadline is None
    theirs.disconnect(16, 1, 0.0)
    with pytest.raises(LocalProtocolError):
        theirs.send(16, 1, b"answer", 0.0)


def test_a_server_link_is_the_mirror_of_the_client_link() -> None:
    ours, theirs = client(), WrapperLink(Role.SERVER, client_sap=16)
    ours.send(b"question", 0.0)
    assert theirs.receive(ours.data_to_send(0.0), 0.0) == [LinkConnected(16, 1), PduReceived(b"question", 16, 1)]
    theirs.send(b"answer", 0.0)
    assert ours.receive(theirs.data_to_send(0.0), 0.0) == [PduReceived(b"answer", 16, 1)]
    assert theirs.next_deadline is None


def test_clients_of_one_connection_are_told_apart_and_counted() -> None:
    port = WrapperServerPort(server_saps=(1, 2), max_links=2)
    data = b"".join(WrapperPdu(sap, 1 + sap % 2, b"x").to_bytes() for sap in (16, 33, 34))
    told = port.receive(data + WrapperPdu(16, 9, b"x").to_bytes(), 0.0)
    assert port.connected == ((16, 1), (33, 2))
    assert [(event.client_sap, event.server_sap) for event in told] == [(16, 1), (16, 1), (33, 2), (33, 2)]
    assert port.handle_timer(0.0) == []
    assert port.next_deadline is None


def test_a_missing_answer_closes_the_link() -> None:
    link = client()
    link.send(b"question", 1.0)
    assert link.handle_timer(5.9) == []
    assert link.handle_timer(6.0) == [LinkClosed("timeout")]
    assert not link.is_connected


def test_nothing_is_waited_for_where_no_answer_is_due() -> None:
    link = client()
    link.send(b"question", 1.0, answered=False)
    assert link.next_deadline is None


@pytest.mark.parametrize("junk", [b"\x00\x02", b"HTTP/1.1", b"\x7e\xa0\x07", b"\x00\x00\x00"])
def test_a_header_that_is_none_closes_the_link(junk: bytes) -> None:
    link, port = client(), WrapperServerPort()
    good = WrapperPdu(1, 16, b"answer").to_bytes()
    events = link.receive(good + junk + good, 0.0)
    assert events[0] == PduReceived(b"answer", 16, 1)
    assert isinstance(events[1], LinkNoise)
    assert events[2:] == [LinkClosed("peer")]
    assert link.receive(good, 0.0) == []
    told = port.receive(WrapperPdu(16, 1, b"x").to_bytes() + junk, 0.0)
    assert told[-1] == PortEvent(16, 1, LinkClosed("peer"))
    assert port.receive(WrapperPdu(16, 1, b"x").to_bytes(), 0.0) == []


def test_what_speaks_otherwise_from_the_beginning_is_told_apart() -> None:
    link = client()
    assert link.receive(b"220 mail.example ESMTP\r\n", 0.0)[-1] == LinkClosed("framing")


def test_what_is_not_ours_is_dropped() -> None:
    link = client()
    link.send(b"question", 0.0)
    echo = link.data_to_send(0.0)
    others = WrapperPdu(1, 17, b"x").to_bytes() + WrapperPdu(2, 16, b"x").to_bytes()
    empty = bytes.fromhex("0001 0001 0010 0000")
    reasons = [event.reason for event in link.receive(echo + others + empty, 0.0) if isinstance(event, LinkNoise)]
    assert reasons == ["echo", "address", "address", "length"]
    assert link.next_deadline == 5.0


def test_a_length_that_is_never_filled_is_bounded_and_times_out() -> None:
    link = client()
    link.send(b"question", 0.0)
    link.receive(bytes.fromhex("0001 0001 0010 FFFF") + bytes(MAX_APDU - 1), 1.0)
    assert len(link._reader._buffer) == 8 + MAX_APDU - 1
    assert link.handle_timer(5.0) == []
    assert link.handle_timer(6.0) == [LinkClosed("timeout")]


def test_an_answer_that_is_arriving_is_waited_for() -> None:
    link = client()
    link.send(b"question", 0.0)
    answer = WrapperPdu(1, 16, bytes(60)).to_bytes()
    for second, start in enumerate(range(0, len(answer) - 4, 4), start=1):
        assert link.handle_timer(4.0 * second) == []
        assert link.receive(answer[start : start + 4], 4.0 * second) == []
    assert [type(event) for event in link.receive(answer[-4:], 4.0 * len(answer))] == [PduReceived]


def test_faults_of_the_program() -> None:
    link = WrapperLink(Role.CLIENT, client_sap=16)
    with pytest.raises(LocalProtocolError):
        link.send(b"x", 0.0)
    link.connect(0.0)
    with pytest.raises(LocalProtocolError):
        link.connect(0.0)
    for wrong in (b"", bytes(MAX_APDU + 1)):
        with pytest.raises(LocalProtocolError):
            link.send(wrong, 0.0)
    with pytest.raises(LocalProtocolError):
        WrapperLink(Role.SERVER, client_sap=16).connect(0.0)
    with pytest.raises(ValueError):
        WrapperLink(Role.CLIENT, client_sap=70000)
    link.disconnect(0.0)
    link.disconnect(0.0)
    link.connect(1.0)
    assert link.is_connected
