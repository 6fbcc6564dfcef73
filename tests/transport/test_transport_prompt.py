"""The future that wakes its waiter at once."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from meterlink.errors import LinkLost, LinkTimeout
from meterlink.transport.buffer import ReceiveBuffer
from meterlink.transport.prompt import PromptFuture


async def _turn() -> None:
    """Let everything run that is ready."""
    await asyncio.sleep(0)


def in_a_callback(call: object, *arguments: object) -> asyncio.Future[None]:
    """Have ``call`` made by the loop itself, as a socket that became readable does; ended when it has come back."""
    loop = asyncio.get_running_loop()
    back = loop.create_future()

    def run() -> None:
        try:
            assert callable(call)
            call(*arguments)
        finally:
            back.set_result(None)

    loop.call_soon(run)
    return back


async def test_a_callback_lets_the_waiter_go_on_before_it_comes_back() -> None:
    future = PromptFuture(asyncio.get_running_loop())
    order: list[str] = []

    async def wait() -> None:
        await future
        order.append("waiter")

    def call() -> None:
        future.wake()
        order.append("caller")

    task = asyncio.create_task(wait())
    await _turn()
    await in_a_callback(call)
    await task
    assert order == ["waiter", "caller"]


async def test_another_task_lets_the_waiter_go_on_with_the_next_turn() -> None:
    future = PromptFuture(asyncio.get_running_loop())
    order: list[str] = []

    async def wait() -> None:
        await future
        order.append("waiter")

    task = asyncio.create_task(wait())
    await _turn()
    future.wake()
    order.append("caller")
    await task
    assert order == ["caller", "waiter"]


async def test_what_is_awake_already_is_not_waited_for() -> None:
    future = PromptFuture(asyncio.get_running_loop())
    future.wake()
    future.wake()
    await asyncio.wait_for(future, 1.0)


@pytest.mark.parametrize("message", [None, "why"])
async def test_a_cancelled_waiter_ends_and_is_not_woken_again(message: str | None) -> None:
    future = PromptFuture(asyncio.get_running_loop())

    async def wait() -> None:
        await future

    task = asyncio.create_task(wait())
    await _turn()
    assert task.cancel() if message is None else task.cancel(message)
    future.wake()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.args == (() if message is None else (message,))
    assert not future.cancel()


async def test_a_task_that_is_cancelled_and_woken_in_one_turn_is_cancelled() -> None:
    future = PromptFuture(asyncio.get_running_loop())

    async def wait() -> None:
        await future
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await _turn()
    future.wake()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_waiter_goes_on_in_its_own_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nobody's")
    future = PromptFuture(asyncio.get_running_loop())

    async def wait() -> str:
        variable.set("the waiter's")
        await future
        return variable.get()

    task = asyncio.create_task(wait())
    await _turn()
    await in_a_callback(future.wake)
    assert await task == "the waiter's"
    assert variable.get() == "nobody's"


async def test_what_a_waiter_raises_is_its_own_and_not_the_callers() -> None:
    future = PromptFuture(asyncio.get_running_loop())
    came_back: list[bool] = []

    async def wait() -> None:
        await future
        raise ValueError("the waiter's")

    def call() -> None:
        future.wake()
        came_back.append(True)

    task = asyncio.create_task(wait())
    await _turn()
    await in_a_callback(call)
    with pytest.raises(ValueError, match="the waiter's"):
        await task
    assert came_back == [True]


async def test_a_reader_that_reads_on_within_the_feeding_gets_every_piece_once() -> None:
    buffer = ReceiveBuffer()
    got: list[bytes] = []

    async def read() -> None:
        while True:
            got.append(await buffer.receive(10.0))

    task = asyncio.create_task(read())
    await _turn()
    for piece in (b"one", b"two", b"three"):
        await in_a_callback(buffer.feed, piece)
    await in_a_callback(buffer.end, LinkLost("gone"))
    with pytest.raises(LinkLost):
        await task
    assert got == [b"one", b"two", b"three"]


async def test_a_reader_that_goes_on_within_the_feeding_stops_and_starts_the_source_in_order() -> None:
    told: list[bool] = []
    buffer = ReceiveBuffer(16, told.append)

    async def read() -> bytes:
        return await buffer.receive(10.0)

    task = asyncio.create_task(read())
    await _turn()
    await in_a_callback(buffer.feed, bytes(12))
    assert await task == bytes(12)
    assert told == [True, False]


async def test_a_deadline_ends_a_wait_that_nothing_wakes() -> None:
    with pytest.raises(LinkTimeout):
        await ReceiveBuffer().receive(0.01)
