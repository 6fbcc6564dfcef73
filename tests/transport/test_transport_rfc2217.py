"""RFC 2217 against ser2net on a pseudo-terminal, and against a gateway that misbehaves."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from chunks import in_any_chunks
from hypothesis import given
from hypothesis import strategies as st

from hil.pty import PtyLine
from hil.transport_conformance import FarEnd, TransportConformance, receive_exactly
from meterlink.errors import LinkLost, LinkTimeout, LinkUnavailable, ProtocolError
from meterlink.transport.base import LineSettings, SerialTransport, Transport
from meterlink.transport.head import OpticalTransport
from meterlink.transport.rfc2217 import Rfc2217Transport
from meterlink.transport.telnet import (
    COM_PORT,
    MAX_SUBNEGOTIATION,
    Negotiation,
    Subnegotiation,
    TelnetReader,
    Verb,
    escape,
    negotiation,
    subnegotiation,
)
from meterlink.transport.url import open_transport

SER2NET = shutil.which("ser2net") or shutil.which("ser2net", path="/usr/sbin:/usr/local/sbin")
"""Debian: package ser2net."""


@asynccontextmanager
async def ser2net(port: str, folder: Path) -> AsyncIterator[tuple[int, Callable[[], Awaitable[None]]]]:
    """Run ser2net between a serial port and a TCP port of this machine; give that port, and what kills ser2net."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    configuration = folder / "ser2net.yaml"
    configuration.write_text(
        "connection: &one\n"
        f"  accepter: telnet(rfc2217),tcp,127.0.0.1,{number}\n"
        f"  connector: serialdev,{port},9600n81,local\n"
        "  options:\n    kickolduser: true\n"
    )
    assert SER2NET is not None, "install the Debian package ser2net"
    process = await asyncio.create_subprocess_exec(
        SER2NET, "-d", "-u", "-c", configuration, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )

    async def kill() -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()

    try:
        await _until_it_listens(number)
        yield number, kill
    finally:
        await kill()


async def _until_it_listens(port: int) -> None:
    async with asyncio.timeout(10.0):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)  # until it is asked again; a process that listens tells nobody
            else:
                writer.close()
                await writer.wait_closed()
                return


class TestSer2netConformance(TransportConformance):
    size = 8_000
    flood = 1 << 21

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[Transport, FarEnd]]:
        far = FarEnd()
        async with PtyLine(far.handler) as line, ser2net(line.port, self.folder) as (port, kill):
            far.say, far.cut = line.driver.say, kill
            far.hold = lambda on: line.listen(not on)
            yield Rfc2217Transport("127.0.0.1", port), far


async def test_the_line_behind_ser2net_is_set(tmp_path: Path) -> None:
    far = FarEnd()
    async with PtyLine(far.handler) as line, ser2net(line.port, tmp_path) as (port, _):
        async with open_transport(f"rfc2217://127.0.0.1:{port}?baud=300") as transport:
            assert isinstance(transport, SerialTransport)
            await transport.send(bytes(range(256)))
            assert await far.wait_for(256) == bytes(range(256))
            line.driver.say(bytes(range(256)))
            assert await receive_exactly(transport, 256) == bytes(range(256))
        assert line.speed == 300


async def test_a_change_waits_for_the_last_byte(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    far = FarEnd()
    async with PtyLine(far.handler) as line, ser2net(line.port, tmp_path) as (port, _):
        async with Rfc2217Transport("127.0.0.1", port, LineSettings(300)) as transport:
            start = loop.time()
            await transport.send(b"12345")
            await transport.set_line(LineSettings(2400))
            # A lower bound alone: a busy machine only makes it later.
            assert loop.time() - start >= 5 * 10 / 300
            assert transport.line == LineSettings(2400)


Reply = Callable[[Negotiation | Subnegotiation | bytes], bytes]


@asynccontextmanager
async def gateway(reply: Reply) -> AsyncIterator[int]:
    """A gateway that answers each Telnet event as the test says."""
    readers: dict[asyncio.StreamWriter, TelnetReader] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        telnet = readers.setdefault(writer, TelnetReader())
        while data := await reader.read(4096):
            for event in telnet.receive(data):
                writer.write(reply(event))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in readers:
            writer.close()
        await server.wait_closed()


def agreeable(event: Negotiation | Subnegotiation | bytes) -> bytes:
    """Confirm everything; echo the payload."""
    if isinstance(event, bytes):
        return escape(event)
    if isinstance(event, Subnegotiation):
        return subnegotiation(COM_PORT, bytes([event.data[0] + 100]) + event.data[1:])
    return negotiation(Verb.DO, event.option) if event.verb is Verb.WILL else negotiation(Verb.WILL, event.option)


async def test_a_gateway_that_agrees() -> None:
    async with gateway(agreeable) as port:
        async with Rfc2217Transport("127.0.0.1", port, LineSettings(300, 7, "E", 1), dtr=True, rts=False) as transport:
            await transport.send(b"\xff\x00\xff", 1.0)
            assert await receive_exactly(transport, 3) == b"\xff\x00\xff"
            await transport.set_control_lines(dtr=False)


async def test_a_gateway_that_cannot_do_parity() -> None:
    def reply(event: Negotiation | Subnegotiation | bytes) -> bytes:
        if isinstance(event, Subnegotiation) and event.data[0] == 3:
            return subnegotiation(COM_PORT, bytes([103, 1]))
        return agreeable(event)

    async with gateway(reply) as port:
        with pytest.raises(LinkUnavailable) as caught:
            await Rfc2217Transport("127.0.0.1", port, LineSettings(300, 7, "E", 1)).open()
        assert caught.value.code == "line-settings"
        async with open_transport(f"optical:rfc2217://127.0.0.1:{port}?baud=9600") as head:
            assert isinstance(head, OpticalTransport)
            assert head.emulates_parity


async def test_a_plain_telnet_server() -> None:
    def reply(event: Negotiation | Subnegotiation | bytes) -> bytes:
        return negotiation(Verb.DONT, COM_PORT) if event == Negotiation(Verb.WILL, COM_PORT) else b""

    async with gateway(reply) as port:
        with pytest.raises(LinkUnavailable, match="does not let its line be set"):
            await Rfc2217Transport("127.0.0.1", port).open()


async def test_a_gateway_that_says_nothing() -> None:
    async with gateway(lambda event: b"") as port:
        with pytest.raises(LinkTimeout, match="RFC 2217") as caught:
            await Rfc2217Transport("127.0.0.1", port, connect_timeout=0.2).open()
        assert "tcp://" in str(caught.value.hint)


async def test_flow_control_of_the_gateway() -> None:
    suspend, resume = (subnegotiation(COM_PORT, bytes([number])) for number in (108, 109))

    def reply(event: Negotiation | Subnegotiation | bytes) -> bytes:
        return escape(event) + suspend if isinstance(event, bytes) and event == b"stop" else agreeable(event)

    async with gateway(reply) as port, Rfc2217Transport("127.0.0.1", port) as transport:
        await transport.send(b"stop")
        assert await receive_exactly(transport, 4) == b"stop"
        with pytest.raises(LinkTimeout):
            await transport.send(b"more", 0.05)
        transport._arrived(resume)
        await transport.send(b"more", 1.0)
        assert await receive_exactly(transport, 4) == b"more"


async def test_a_subnegotiation_without_end_ends_the_link() -> None:
    def reply(event: Negotiation | Subnegotiation | bytes) -> bytes:
        return b"\xff\xfa\x2c" + bytes(5000) if isinstance(event, bytes) else agreeable(event)

    async with gateway(reply) as port, Rfc2217Transport("127.0.0.1", port) as transport:
        await transport.send(b"x")
        with pytest.raises(LinkLost) as caught:
            await transport.receive(2.0)
        assert caught.value.code == "telnet"


events = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=40),
        st.builds(Negotiation, st.sampled_from(Verb), st.integers(0, 255)),
        st.builds(Subnegotiation, st.integers(0, 254), st.binary(max_size=40)),
    ),
    max_size=8,
)


@given(events, st.data())
def test_telnet_in_any_chunks(sent: list[bytes | Negotiation | Subnegotiation], data: st.DataObject) -> None:
    wire = b"".join(
        escape(event)
        if isinstance(event, bytes)
        else negotiation(event.verb, event.option)
        if isinstance(event, Negotiation)
        else subnegotiation(event.option, event.data)
        for event in sent
    )
    reader, got = TelnetReader(), []
    for chunk in in_any_chunks(wire, data):
        got += reader.receive(chunk)
    assert _joined(got) == _joined(sent)


def _joined(events: list[bytes | Negotiation | Subnegotiation]) -> list[bytes | Negotiation | Subnegotiation]:
    out: list[bytes | Negotiation | Subnegotiation] = []
    for event in events:
        if isinstance(event, bytes) and out and isinstance(out[-1], bytes):
            out[-1] += event
        else:
            out.append(event)
    return out


@given(st.binary(max_size=2000))
def test_any_bytes_give_events_or_our_error(data: bytes) -> None:
    try:
        TelnetReader().receive(data)
    except ProtocolError:
        assert len(data) > MAX_SUBNEGOTIATION
