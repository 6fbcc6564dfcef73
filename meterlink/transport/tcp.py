"""``tcp://host:port``: a byte stream over the network."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from meterlink.errors import LinkLost, LinkTimeout, LinkUnavailable
from meterlink.transport.base import Transport
from meterlink.transport.head import on_bridge
from meterlink.transport.stream import StreamTransport
from meterlink.transport.stream_protocol import StreamProtocol
from meterlink.transport.url import Context, Options, TransportUrl

DEFAULT_PORT: Final = 4059
"""DLMS/COSEM, as registered with IANA."""

_CLOSED_HINT: Final = "try again; what closes it each time does not know this client, or is no meter"

SEND_BUFFER: Final = 65536
"""Bytes that the system takes ahead of the far end."""


class _Protocol(StreamProtocol):
    def __init__(self, owner: TcpTransport) -> None:
        super().__init__()
        self._owner = owner
        self.room = asyncio.Event()
        self.room.set()
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._owner._arrived(data)

    def eof_received(self) -> bool:
        # Half-open is of no use with a meter: its end of the stream is the end.
        return False

    def connection_lost(self, error: Exception | None) -> None:
        reason = f": {error}" if error is not None else ""
        self.closed.set()
        self._owner._lost(LinkLost(f"{self._owner.url} closed the connection{reason}", hint=_CLOSED_HINT))

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()


class TcpTransport(StreamTransport):
    """A TCP connection. ``connect_timeout`` is in seconds and covers the look-up of the name."""

    _prompt = True

    def __init__(self, host: str, port: int, connect_timeout: float = 10.0, url: str | None = None) -> None:
        super().__init__(url or f"tcp://{host}:{port}")
        self._host, self._port, self._connect_timeout = host, port, connect_timeout
        self._stream: asyncio.Transport | None = None
        self._protocol: _Protocol | None = None

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                self._stream, self._protocol = await loop.create_connection(
                    lambda: _Protocol(self), self._host, self._port
                )
        except TimeoutError:
            raise LinkTimeout(
                f"{self._host}:{self._port} did not answer within {self._connect_timeout:g} s",
                hint="check the address, the network and the firewall",
            ) from None
        except socket.gaierror as error:
            raise LinkUnavailable(f"the name {self._host} is not known: {error.strerror}") from None
        except OSError as error:
            raise LinkUnavailable(
                f"{self._host}:{self._port} cannot be reached: {error.strerror or error}",
                hint="check the address and that the gateway listens on this port",
            ) from None
        # Frames are small and each waits for its answer: holding them back for fuller packets only costs time.
        connected = self._stream.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Megabytes that the system takes would hide for long that the far end takes nothing.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def _arrived(self, data: bytes) -> None:
        self._buffer.feed(data)

    def _put(self, data: bytes) -> None:
        """Write without waiting; nothing happens when the connection is gone."""
        if self._stream is not None:
            self._stream.write(data)

    async def _send(self, data: bytes) -> None:
        if self._stream is None or self._protocol is None:
            raise LinkLost(f"{self.url} is closed")
        self._stream.write(data)
        await self._protocol.room.wait()

    def _send_at_once(self, data: bytes) -> bool:
        if self._stream is None or len(data) > SEND_BUFFER or self._stream.get_write_buffer_size():
            return False
        self._stream.write(data)
        return True

    def _on_full(self, full: bool) -> None:
        if self._stream is None or self._stream.is_closing():
            return
        if full:
            self._stream.pause_reading()
        else:
            self._stream.resume_reading()

    async def _close(self) -> None:
        stream, protocol = self._stream, self._protocol
        self._stream = self._protocol = None
        if stream is None or protocol is None:
            return
        # Unsent bytes are worth nothing after close, and waiting for a peer that does not take them could be endless.
        stream.abort()
        await protocol.closed.wait()


def open_tcp(url: TransportUrl, options: Options, context: Context) -> Transport:
    """Open ``tcp://host[:port]``; key ``connect-timeout`` in seconds, and ``line`` and ``baud`` of a serial bridge."""
    host, port = url.host_port(DEFAULT_PORT)
    transport = TcpTransport(host, port, options.number("connect-timeout", 10.0, 0.1, 600.0), str(url))
    return on_bridge(transport, options)
