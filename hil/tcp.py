"""A simulated meter that listens on TCP."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from hil.wire import HandlerFactory, WireDriver
from meterlink.transport.stream_protocol import StreamProtocol


class Connection(StreamProtocol):
    """One connection to the simulated meter."""

    def __init__(self, server: TcpServer) -> None:
        super().__init__()
        self._server = server
        self.transport: asyncio.Transport | None = None
        self.driver: WireDriver | None = None

    def say(self, data: bytes) -> None:
        """Put bytes on the line that the meter did not send."""
        if self.driver is not None:
            self.driver.say(data)

    def listen(self, on: bool) -> None:
        """Take bytes from the line (True), or let them wait there (False)."""
        if self.transport is not None:
            (self.transport.resume_reading if on else self.transport.pause_reading)()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put a meter on the line."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.driver = WireDriver(self._server.factory(), transport.write)
        self._server.connections.append(self)

    def data_received(self, data: bytes) -> None:
        """Pass on what arrived."""
        if self.driver is not None:
            self.driver.receive(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Take the meter off."""
        if self.driver is not None:
            self.driver.close()
        self._server.connections.remove(self)
        self._server.changed.set()


class TcpServer:
    """Serves a meter on ``host:port``; port 0 takes a free one. Each connection gets a handler of its own.

    :attr:`connections` holds the open ones, the newest last. Use it with ``async with``.
    """

    def __init__(self, factory: HandlerFactory, host: str = "127.0.0.1", port: int = 0) -> None:
        self.factory = factory
        self.host = host
        self.port = port
        self.connections: list[Connection] = []
        self.changed = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where the meter is reached."""
        return f"tcp://{self.host}:{self.port}"

    async def start(self) -> None:
        """Begin to listen. Raises ``OSError`` when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop all connections. Safe to call twice."""
        if self._server is None:
            return
        # A connection that was accepted a moment ago gets its protocol some turns of the loop later; a server that is
        # closed by then would forget it. So accept no more, let those come, and close then.
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):
            for listening in self._server.sockets:
                loop.remove_reader(listening.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        self._server.close()
        self.drop_all()
        while self.connections:
            self.changed.clear()
            await self.changed.wait()
        await self._server.wait_closed()
        self._server = None

    def drop_all(self) -> None:
        """Break every connection."""
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.abort()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
