"""The transport conformance tests on the transports that need no radio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from hil.pty import PtyLine
from hil.tcp import TcpServer
from hil.transport_conformance import FarEnd, TransportConformance
from hil.wire import WireTransport
from meterlink.errors import LinkTimeout
from meterlink.transport.base import Transport
from meterlink.transport.memory import MemoryTransport, pair
from meterlink.transport.replay import record
from meterlink.transport.serial import SerialPortTransport
from meterlink.transport.tcp import TcpTransport


class MemoryFarEnd(FarEnd):
    """Pumps one end of a memory pair."""

    def __init__(self, transport: MemoryTransport) -> None:
        super().__init__()
        self._transport = transport
        self._to_say: asyncio.Queue[bytes] = asyncio.Queue()
        self._listening = asyncio.Event()
        self._listening.set()
        self.say = self._to_say.put_nowait
        self.cut = transport.close
        self.hold = lambda on: self._listening.clear() if on else self._listening.set()

    async def pump_in(self) -> None:
        while True:
            await self._listening.wait()
            with suppress(LinkTimeout):
                self.receive(await self._transport.receive(0.01), 0.0)

    async def pump_out(self) -> None:
        while True:
            await self._transport.send(await self._to_say.get())


class TestMemory(TransportConformance):
    can_reopen = False

    @asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[Transport, FarEnd]]:
        near, other = pair()
        far = MemoryFarEnd(other)
        async with other:
            pumps = [asyncio.create_task(far.pump_in()), asyncio.create_task(far.pump_out())]
            yield near, far
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


class TestWire(TransportConformance):
    can_hold = False

    @asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[Transport, FarEnd]]:
        far = FarEnd()
        transport = WireTransport(far.handler)
        far.say = lambda data: transport.driver.say(data)
        far.cut = transport.cut
        yield transport, far


class TestPty(TransportConformance):
    @asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[Transport, FarEnd]]:
        far = FarEnd()
        async with PtyLine(far.handler) as line:
            far.say, far.cut = line.driver.say, line.stop
            far.hold = lambda on: line.listen(not on)
            yield SerialPortTransport(line.port), far


class TestTcp(TransportConformance):
    flood = 1 << 21

    @asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[Transport, FarEnd]]:
        far = FarEnd()
        async with TcpServer(far.handler) as server:
            far.say = lambda data: server.connections[-1].say(data)
            far.hold = lambda on: server.connections[-1].listen(not on)
            far.cut = server.stop
            yield record(TcpTransport(server.host, server.port), lambda entry: None), far
