"""The loop under a simulated meter's end of the wire."""

from __future__ import annotations

import pytest

from hil.wire import WireDriver, WireTransport
from meterlink.errors import LinkLost, LinkTimeout


class Talker:
    """Answers in upper case and says ``tick`` 20 ms after the last byte, three times at most."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.ticks = 0
        self.closed_at: float | None = None

    def receive(self, data: bytes, now: float) -> bytes:
        self.deadline = now + 0.02
        return data.upper()

    def handle_timer(self, now: float) -> bytes:
        assert self.deadline is not None
        assert now >= self.deadline - 0.001
        self.ticks += 1
        self.deadline = None if self.ticks == 3 else now + 0.02
        return b"tick"

    @property
    def next_deadline(self) -> float | None:
        return self.deadline

    def closed(self, now: float) -> None:
        assert self.closed_at is None
        self.closed_at = now


async def test_bytes_and_deadlines_reach_the_handler() -> None:
    talker = Talker()
    async with WireTransport(lambda: talker, "sim:talker") as meter:
        await meter.send(b"abc")
        assert await meter.receive(1.0) == b"ABC"
        for _ in range(3):
            assert await meter.receive(1.0) == b"tick"
        with pytest.raises(LinkTimeout):
            await meter.receive(0.05)
    assert talker.closed_at is not None
    with pytest.raises(LinkLost):
        await meter.send(b"x")


async def test_a_deadline_that_is_moved_does_not_fire_at_its_old_time() -> None:
    said: list[bytes] = []
    talker = Talker()
    driver = WireDriver(talker, said.append)
    driver.receive(b"a")
    talker.ticks = 2
    driver.receive(b"b")
    assert said == [b"A", b"B"]
    driver.close()
    driver.close()
    driver.receive(b"c")
    driver.say(b"d")
    assert said == [b"A", b"B"]


async def test_each_connection_has_a_handler_of_its_own() -> None:
    made: list[Talker] = []

    def factory() -> Talker:
        made.append(Talker())
        return made[-1]

    meter = WireTransport(factory)
    for _ in range(2):
        async with meter:
            await meter.send(b"x")
    assert len(made) == 2
