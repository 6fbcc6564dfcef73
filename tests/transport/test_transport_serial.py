"""Serial ports, on pseudo-terminals."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from hil.pty import PtyLine
from hil.transport_conformance import FarEnd, receive_exactly
from meterlink.errors import LinkLost, LinkTimeout, LinkUnavailable, UsageError
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


async def test_a_port_that_is_pulled_out_is_an_error_within_a_second() -> None:
    loop = asyncio.get_running_loop()
    async with PtyLine(FarEnd().handler) as line:
        async with SerialPortTransport(line.port) as port:
            reader = asyncio.create_task(port.receive())
            await asyncio.sleep(0)
            start = loop.time()
            await line.stop()
            with pytest.raises(LinkLost, match="is gone"):
                await reader
            assert loop.time() - start < 1.0
            with pytest.raises(LinkLost):
                await port.send(b"x", 1.0)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("meterlink")]


async def test_settings_change_only_after_the_last_byte_has_left() -> None:
    loop = asyncio.get_running_loop()
    far = FarEnd()
    slow, fast = LineSettings(300, 7, "E", 1), LineSettings(2400, 8, "E", 1)
    async with PtyLine(far.handler) as line, SerialPortTransport(line.port, slow) as port:
        assert port.line == slow
        start = loop.time()
        await port.send(b"12345", 1.0)
        assert loop.time() - start < 0.15
        await port.set_line(fast)
        assert port.line == fast
        # Five characters of ten bits at 300 bit/s.
        assert loop.time() - start >= 5 * 10 / 300
        start = loop.time()
        await port.set_line(slow)
        assert loop.time() - start < 0.15


async def test_a_cancelled_drain_leaves_the_port_usable() -> None:
    far = FarEnd()
    async with PtyLine(far.handler) as line, SerialPortTransport(line.port, LineSettings(300)) as port:
        await port.send(b"12345")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(port.drain(), 0.01)
        line.driver.say(b"ok")
        assert await receive_exactly(port, 2) == b"ok"


async def test_modem_lines_of_a_port_without_any() -> None:
    async with PtyLine(FarEnd().handler) as line, SerialPortTransport(line.port, dtr=True, rts=False) as port:
        await port.set_control_lines(dtr=False, rts=True)


async def test_the_event_loop_is_never_stopped_by_a_blocked_write() -> None:
    far = FarEnd()
    loop = asyncio.get_running_loop()
    async with PtyLine(far.handler) as line, SerialPortTransport(line.port) as port:
        line.listen(False)
        sender = asyncio.create_task(port.send(bytes(1 << 20)))
        longest = 0.0
        for _ in range(20):
            start = loop.time()
            await asyncio.sleep(0.005)
            longest = max(longest, loop.time() - start)
        assert not sender.done()
        assert longest < 0.5  # the write alone would take a quarter of an hour
        with pytest.raises(LinkTimeout):
            await port.receive(0.01)
        sender.cancel()


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


async def test_a_paced_line_is_used_to_the_full() -> None:
    """The far end takes 960 characters per second, as 9600 8N1 does; the line must never wait for the sender."""
    loop = asyncio.get_running_loop()
    size = 1920
    async with PtyLine(FarEnd().handler) as line, SerialPortTransport(line.port) as port:
        line.listen(False)

        async def send() -> None:
            for _ in range(size // 64):
                await port.send(bytes(64), 10.0)

        sender = asyncio.create_task(send())
        while not line.take(1):  # noqa: ASYNC110  # the line tells nobody
            await asyncio.sleep(0)
        start, taken, worst = loop.time(), 1, 1.0
        while taken < size:
            await asyncio.sleep(0.005)
            due = min(size, 1 + int((loop.time() - start) * 960))
            taken += len(line.take(due - taken))
            worst = min(worst, taken / due)
        await sender
    assert worst > 0.98
