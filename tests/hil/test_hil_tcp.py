"""The meter's TCP server: what it has accepted it also closes."""

import asyncio
import gc
import socket
import sys
from typing import Any

import pytest

from hil.tcp import TcpServer


class Silent:
    """A meter that says nothing."""

    next_deadline: float | None = None

    def receive(self, data: bytes, now: float) -> bytes:
        return b""

    def handle_timer(self, now: float) -> bytes:
        return b""

    def closed(self, now: float) -> None:
        pass


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_of_the_last_moment_is_closed(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever point the accepting has come to when the server stops."""
    lost: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    for _ in range(10):
        server = TcpServer(Silent)
        await server.start()
        with socket.create_connection((server.host, server.port)):
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.stop()
    gc.collect()
    assert lost == []
