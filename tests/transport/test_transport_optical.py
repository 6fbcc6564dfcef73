"""Optical heads: echo, parity made of eight bits, power from the modem lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from chunks import in_any_chunks
from driven_clock import clock, driven
from hypothesis import given
from hypothesis import strategies as st

from hil.pty import PtyLine
from hil.tcp import TcpServer
from hil.transport_conformance import FarEnd, TransportConformance, receive_exactly
from hil.wire import WireTransport
from meterlink.errors import LinkTimeout, LinkUnavailable, UsageError
from meterlink.transport.base import LineSettings, SerialTransport, Transport
from meterlink.transport.echo import EchoFilter, EchoMode
from meterlink.transport.head import ECHO_SLACK, FixedLine, OpticalTransport
from meterlink.transport.parity import add_parity, can_emulate, strip_parity
from meterlink.transport.serial import SerialPortTransport
from meterlink.transport.tcp import TcpTransport
from meterlink.transport.url import open_transport

FAST = LineSettings(115200, 7, "E", 1)


class Head(FarEnd):
    """Echoes like a head, then answers each whole line like a meter."""

    def __init__(self, answer: bytes, *, echoes: bool) -> None:
        super().__init__()
        self._answer = answer
        self._echoes = echoes

    def receive(self, data: bytes, now: float) -> bytes:
        super().receive(data, now)
        answer = self._answer if self.received.endswith(b"\r\n") else b""
        return (data if self._echoes else b"") + answer


class TestOpticalOverPty(TransportConformance):
    @asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[Transport, FarEnd]]:
        far = FarEnd()
        async with PtyLine(far.handler) as line:
            far.say, far.cut = line.driver.say, line.stop
            far.hold = lambda on: line.listen(not on)
            yield OpticalTransport(SerialPortTransport(line.port), LineSettings(), echo=EchoMode.NO), far


class TestEcho:
    @pytest.mark.parametrize("echoes", [False, True])
    @pytest.mark.parametrize("mode", ["auto", "right"])
    async def test_the_answer_comes_without_the_echo(self, echoes: bool, mode: str) -> None:
        request, answer = b"\x00" * 40 + b"/?!\r\n", b"/LUGCUH50\r\n"
        head = Head(answer, echoes=echoes)
        key = mode if mode == "auto" else ("yes" if echoes else "no")
        async with PtyLine(head.handler) as line:
            async with open_transport(f"optical:{line.port}?baud=115200&echo={key}") as port:
                for _ in range(2):
                    await port.send(request)
                    assert await receive_exactly(port, len(answer)) == answer
                with pytest.raises(LinkTimeout):
                    await port.receive(0.05)

    async def test_an_answer_that_begins_like_an_echo_is_not_lost(self) -> None:
        """Held back at first, given out when the rest of the echo does not come."""
        head = Head(b"/", echoes=False)
        async with PtyLine(head.handler) as line:
            async with open_transport(f"optical:{line.port}?baud=115200") as port:
                await port.send(b"/?!\r\n")
                assert await port.receive(2.0) == b"/"

    @driven(by_itself=True)
    async def test_a_deadline_is_kept_while_bytes_are_held_back(self) -> None:
        """And they are given out as soon as no echo can come any more, not at the end of the next deadline."""
        head, request = Head(b"/?", echoes=False), b"/?" + bytes(30) + b"!\r\n"
        line = FixedLine(WireTransport(head.handler), 600)
        async with OpticalTransport(line, LineSettings(600)) as port:
            start = clock().time()
            await port.send(request)
            with pytest.raises(LinkTimeout):
                await port.receive(0.05)
            assert clock().time() - start == pytest.approx(0.05)
            assert await port.receive(5.0) == b"/?"
            assert clock().time() - start == pytest.approx(len(request) * 10 / 600 + ECHO_SLACK)

    def test_a_hurt_echo_is_still_an_echo(self) -> None:
        echo = EchoFilter(EchoMode.YES)
        echo.sent(b"abcd")
        assert echo.receive(b"aXc") == b""
        assert echo.receive(b"d" + b"answer") == b"answer"

    @given(
        st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.binary(max_size=20)), min_size=1, max_size=5),
        st.booleans(),
        st.data(),
    )
    def test_any_dialogue_in_any_chunks(
        self, dialogue: list[tuple[bytes, bytes]], echoes: bool, data: st.DataObject
    ) -> None:
        echo = EchoFilter(EchoMode.YES if echoes else EchoMode.NO)
        for request, answer in dialogue:
            echo.sent(request)
            wire = (request if echoes else b"") + answer
            assert b"".join(map(echo.receive, in_any_chunks(wire, data))) == answer

    @given(st.binary(min_size=1, max_size=20), st.binary(max_size=20), st.data())
    def test_an_echo_is_learnt_in_any_chunks(self, request_: bytes, answer: bytes, data: st.DataObject) -> None:
        echo = EchoFilter()
        echo.sent(request_)
        assert b"".join(map(echo.receive, in_any_chunks(request_ + answer, data))) == answer
        assert echo.mode is EchoMode.YES

    @given(st.binary(min_size=1, max_size=20), st.binary(max_size=20))
    def test_without_an_echo_nothing_is_lost(self, request_: bytes, answer: bytes) -> None:
        echo = EchoFilter()
        echo.sent(request_)
        got = echo.receive(answer)
        if not answer.startswith(request_):
            assert got + echo.release() == answer


class TestParity:
    @pytest.mark.parametrize(("parity", "letter"), [("E", 0x41), ("O", 0xC1)])
    def test_the_parity_of_a_letter(self, parity: str, letter: int) -> None:
        assert add_parity(b"A", parity) == bytes([letter])  # type: ignore[arg-type]

    @given(st.binary(), st.sampled_from(["E", "O"]))
    def test_all_characters_survive(self, data: bytes, parity: str) -> None:
        seven = bytes(value & 0x7F for value in data)
        carried = add_parity(seven, parity)  # type: ignore[arg-type]
        assert all((value.bit_count() % 2 == 0) == (parity == "E") for value in carried)
        assert strip_parity(carried, parity) == (seven, 0)  # type: ignore[arg-type]

    @given(st.integers(0, 127), st.integers(0, 7))
    def test_one_wrong_bit_is_counted(self, value: int, bit: int) -> None:
        (carried,) = add_parity(bytes([value]), "E")
        assert strip_parity(bytes([carried ^ 1 << bit]), "E")[1] == 1

    def test_what_can_be_made_of_8n1(self) -> None:
        assert can_emulate(LineSettings(300, 7, "E", 1))
        assert can_emulate(LineSettings(300, 7, "O", 1))
        assert not can_emulate(LineSettings(300, 8, "E", 1))
        assert not can_emulate(LineSettings(300, 7, "E", 2))

    async def test_asked_for(self) -> None:
        far = FarEnd()
        async with PtyLine(far.handler) as line:
            async with open_transport(f"optical:{line.port}?baud=115200&parity-emulation=yes&echo=no") as port:
                assert isinstance(port, OpticalTransport)
                assert port.emulates_parity
                assert port.line == FAST
                await port.send(b"/?!\r\n")
                assert await far.wait_for(5) == bytes([0xAF, 0x3F, 0x21, 0x8D, 0x0A])
                line.driver.say(bytes([0xAF, 0x3F, 0x20]))
                assert await receive_exactly(port, 3) == b"/? "
                assert port.parity_errors == 1
                await port.set_line(LineSettings(9600, 8, "N", 1))
                assert not port.emulates_parity
                line.driver.say(b"\xff")
                assert await port.receive(1.0) == b"\xff"

    async def test_by_itself_where_the_line_refuses(self) -> None:
        """A bridge on TCP, with a line of its own: 7E1 is made, another speed is refused."""
        far = FarEnd()
        async with TcpServer(far.handler) as server:
            async with open_transport(f"{server.url}?line=7E1&baud=2400") as port:
                assert isinstance(port, SerialTransport)
                assert port.line == LineSettings(2400, 7, "E", 1)
                await port.send(b"/")
                assert await far.wait_for(1) == b"\xaf"
                with pytest.raises(LinkUnavailable) as caught:
                    await port.set_line(LineSettings(300, 7, "E", 1))
                assert caught.value.code == "line-settings"
                assert port.line == LineSettings(2400, 7, "E", 1)
                with pytest.raises(LinkUnavailable):
                    await port.set_line(LineSettings(2400, 8, "E", 1))

    async def test_forbidden(self) -> None:
        async with TcpServer(FarEnd().handler) as server:
            bridge = FixedLine(TcpTransport(server.host, server.port), 2400)
            head = OpticalTransport(bridge, LineSettings(2400, 7, "O", 1), emulation="no")
            with pytest.raises(LinkUnavailable):
                async with head:
                    pass
            assert not server.connections or await _all_gone(server)


async def _all_gone(server: TcpServer) -> bool:
    async with asyncio.timeout(2.0):
        while server.connections:
            server.changed.clear()
            await server.changed.wait()
    return True


async def test_a_head_charges_before_it_is_used() -> None:
    loop = asyncio.get_running_loop()
    async with PtyLine(FarEnd().handler) as line:
        start = loop.time()
        async with open_transport(f"optical:{line.port}?dtr=yes&rts=no&power-delay=0.1"):
            # A lower bound alone: a busy machine only makes it later.
            assert loop.time() - start >= 0.1


@driven(by_itself=True)
async def test_a_head_charges_no_longer_than_it_is_told_to() -> None:
    async with OpticalTransport(FixedLine(WireTransport(FarEnd), 300), LineSettings(300), power_delay=1.5):
        assert clock().time() == clock().began + 1.5


@pytest.mark.parametrize(
    "text",
    ["optical:", "optical:x?echo=perhaps", "optical:tcp://a:1", "optical:rfc2217://a", "optical:x?power-delay=99"],
)
def test_urls_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_transport(text)
    assert caught.value.code == "url-invalid"
