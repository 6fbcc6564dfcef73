"""Serial ports, on pseudo-terminals."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial
from driven_clock import DrivenLoop, clock, driven

from hil.pty import PtyLine
from hil.transport_conformance import FarEnd, receive_exactly
from meterlink.errors import LinkLost, LinkTimeout, LinkUnavailable, UsageError
from meterlink.transport import port_thread
from meterlink.transport.base import LineSettings
from meterlink.transport.serial import SerialPortTransport, explain
from meterlink.transport.url import open_transport


async def test_a_port_that_is_not_there() -> None:
    with pytest.raises(LinkUnavailable) as caught:
        await SerialPortTransport("/dev/ttyNONE7").open()
    assert caught.value.code == "port-not-found"
    assert "meterlink find" in str(caught.value.hint)


async def test_a_file_that_is_no_port(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(LinkUnavailable, match="cannot be opened"):
        await SerialPortTransport(str(path)).open()


async def test_a_port_is_ours_alone() -> None:
    async with PtyLine(FarEnd().handler) as line, SerialPortTransport(line.port):
        with pytest.raises(LinkUnavailable) as caught:
            await SerialPortTransport(line.port).open()
        assert caught.value.code == "port-busy"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EACCES, "port-permission"),
        (errno.EPERM, "port-permission"),
        (errno.ENODEV, "port-not-found"),
        (errno.EBUSY, "port-busy"),
        (errno.EINVAL, "link-unavailable"),
    ],
)
def test_why_a_port_does_not_open(number: int, code: str, tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.touch()
    error = explain(str(path), LineSettings(), OSError(number, os.strerror(number)))
    assert error.code == code
    assert error.hint


def test_the_group_that_may_open_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.touch()
    hint = explain(str(path), LineSettings(), PermissionError(errno.EACCES, "Permission denied")).hint
    assert hint == f"sudo usermod -aG {path.group()} $USER, then log in again"


async def test_a_port_that_is_pulled_out_is_an_error_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look at the port afterwards tells it, and no look takes longer than that."""
    pulled = threading.Event()
    looks: list[float | None] = []
    really_read = serial.Serial.read

    def read(port: serial.Serial, size: int = 1) -> bytes:
        if pulled.is_set():
            looks.append(port.timeout)
        return really_read(port, size)

    monkeypatch.setattr(serial.Serial, "read", read)
    async with PtyLine(FarEnd().handler) as line:
        async with SerialPortTransport(line.port) as port:
            reader = asyncio.create_task(port.receive())
            await asyncio.sleep(0)
            assert port_thread.POLL < 1.0
            await line.stop()
            pulled.set()
            with pytest.raises(LinkLost, match="is gone"):
                await reader
            assert looks in ([], [port_thread.POLL])  # none where the look under way at the time has told it
            with pytest.raises(LinkLost):
                await port.send(b"x", 1.0)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("meterlink")]


FIVE_AT_300 = 5 * 10 / 300
"""Seconds that five characters of ten bits take at 300 bit/s."""


@contextmanager
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[DrivenLoop]:
    """Let the threads of a port look at the clock of the loop. A test that fails does not wait for it to close."""
    loop = clock()
    monkeypatch.setattr(port_thread, "time", SimpleNamespace(monotonic=loop.time))
    try:
        yield loop
    except BaseException:
        loop.by_itself = True
        raise


@driven()
async def test_settings_change_only_after_the_last_byte_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    far = FarEnd()
    slow, fast = LineSettings(300, 7, "E", 1), LineSettings(2400, 8, "E", 1)
    async with PtyLine(far.handler) as line, SerialPortTransport(line.port, slow) as port:
        with standing_clock(monkeypatch) as time:
            assert (port.line, line.speed) == (slow, 300)
            assert await time.in_no_time(port.send(b"12345"))
            assert await far.wait_for(5) == b"12345"
            changing = asyncio.create_task(port.set_line(fast))
            assert await time.next_timer() == pytest.approx(FIVE_AT_300)
            await time.let_pass(FIVE_AT_300 - 0.001)
            assert (port.line, line.speed) == (slow, 300)
            await time.let_pass(0.001)
            await changing
            assert (port.line, line.speed) == (fast, 2400)
            assert await time.in_no_time(port.drain())
            await port.set_line(slow)
            assert (port.line, line.speed) == (slow, 300)


@driven()
async def test_a_cancelled_drain_leaves_the_port_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    far = FarEnd()
    async with PtyLine(far.handler) as line, SerialPortTransport(line.port, LineSettings(300)) as port:
        with standing_clock(monkeypatch) as time:
            await port.send(b"12345")
            draining = asyncio.create_task(port.drain())
            assert await time.next_timer() == pytest.approx(FIVE_AT_300)
            draining.cancel()
            with pytest.raises(asyncio.CancelledError):
                await draining
            line.driver.say(b"ok")
            assert await receive_exactly(port, 2) == b"ok"
            assert await far.wait_for(5) == b"12345"
            await time.let_pass(FIVE_AT_300)


async def test_modem_lines_of_a_port_without_any() -> None:
    async with PtyLine(FarEnd().handler) as line, SerialPortTransport(line.port, dtr=True, rts=False) as port:
        await port.set_control_lines(dtr=False, rts=True)


async def test_the_event_loop_is_never_stopped_by_a_blocked_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the driver holds a write, timers fire, readers give up and the far end is heard."""
    loop, ours = asyncio.get_running_loop(), threading.get_ident()
    began = asyncio.Event()
    ended: list[int | None] = []
    really_write = serial.Serial.write

    def write(port: serial.Serial, data: bytes) -> int | None:
        loop.call_soon_threadsafe(began.set)
        assert threading.get_ident() != ours
        ended.append(really_write(port, data))
        return ended[-1]

    monkeypatch.setattr(serial.Serial, "write", write)
    async with PtyLine(FarEnd().handler) as line, SerialPortTransport(line.port) as port:
        line.listen(False)
        sender = asyncio.create_task(port.send(bytes(1 << 20)))
        await began.wait()
        with pytest.raises(LinkTimeout):
            await port.receive(0.01)
        line.driver.say(b"heard")
        assert await receive_exactly(port, 5) == b"heard"
        assert not ended
        assert not sender.done()
        sender.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sender


async def test_by_url() -> None:
    far = FarEnd()
    async with PtyLine(far.handler) as line:
        async with open_transport(f"serial:{line.port}?baud=2400&line=7E1") as port:
            assert isinstance(port, SerialPortTransport)
            assert port.line == LineSettings(2400, 7, "E", 1)
            await port.send(b"/?!\r\n")
            assert await far.wait_for(5) == b"/?!\r\n"


@pytest.mark.parametrize("text", ["serial:", "serial:x?line=9E1", "serial:x?parity=M", "serial:x?baud=1"])
def test_urls_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_transport(text)
    assert caught.value.code == "url-invalid"


@driven()
async def test_a_paced_line_is_used_to_the_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line never waits for the sender: what it takes two seconds for at 9600 8N1 is there before any has passed."""
    size = 1920
    async with PtyLine(FarEnd().handler) as line, SerialPortTransport(line.port) as port:
        with standing_clock(monkeypatch) as time:
            line.listen(False)

            async def send() -> None:
                for _ in range(size // 64):
                    await port.send(bytes(64))

            assert await time.in_no_time(send())
            taken = 0
            while chunk := line.take(size - taken):
                taken += len(chunk)
            assert taken == size
            await time.let_pass(size * 10 / 9600)
