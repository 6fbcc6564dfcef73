"""The future that wakes its waiter at once."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import weakref

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
        future.set_result(None)
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
    future.set_result(None)
    order.append("caller")
    await task
    assert order == ["caller", "waiter"]


async def test_what_is_awake_already_is_not_waited_for() -> None:
    future = PromptFuture(asyncio.get_running_loop())
    future.set_result(None)
    assert future.done()
    await asyncio.wait_for(future, 1.0)


@pytest.mark.parametrize("message", [None, "why"])
async def test_a_cancelled_waiter_ends_and_is_not_woken_again(message: str | None) -> None:
    future = PromptFuture(asyncio.get_running_loop())

    async def wait() -> None:
        await future

    task = asyncio.create_task(wait())
    await _turn()
    assert task.cancel() if message is None else task.cancel(message)
    assert future.done()
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
    future.set_result(None)
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
    await in_a_callback(future.set_result, None)
    assert await task == "the waiter's"
    assert variable.get() == "nobody's"


async def test_what_a_waiter_raises_is_its_own_and_not_the_callers() -> None:
    future = PromptFuture(asyncio.get_running_loop())
    came_back: list[bool] = []

    async def wait() -> None:
        await future
        raise ValueError("the waiter's")

    def call() -> None:
        future.set_result(None)
        came_back.append(True)

    task = asyncio.create_task(wait())
    await _turn()
    await in_a_callback(call)
    with pytest.raises(ValueError, match="the waiter's"):
        await task
    assert came_back == [True]


async def test_a_callback_in_the_waiters_own_context_lets_it_go_on_with_the_next_turn() -> None:
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    future = PromptFuture(loop)

    async def wait() -> str:
        await future
        return "went on"

    task = loop.create_task(wait(), context=context)
    await _turn()
    loop.call_soon(future.set_result, None, context=context)
    assert await asyncio.wait_for(task, 1.0) == "went on"


def test_what_is_woken_while_the_loop_stands_goes_on_when_it_runs() -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        future = PromptFuture(loop)

        async def wait() -> bool:
            await future
            return asyncio.get_running_loop() is loop

        async def begin() -> asyncio.Task[bool]:
            task = asyncio.create_task(wait())
            await _turn()
            return task

        async def end(task: asyncio.Task[bool]) -> bool:
            return await task

        task = runner.run(begin())
        future.set_result(None)
        assert runner.run(end(task))


async def test_a_cancelled_wait_leaves_nothing_to_the_garbage_collector() -> None:
    class Held:
        """What a cancelled task had in its hands."""

    async def wait() -> None:
        held = Held()
        seen.append(weakref.ref(held))
        await PromptFuture(asyncio.get_running_loop())

    seen: list[weakref.ref[Held]] = []
    gc.disable()
    try:
        task = asyncio.create_task(wait())
        await _turn()
        task.cancel()
        await asyncio.wait({task})
        del task
        await _turn()
        assert seen[0]() is None
    finally:
        gc.enable()


def test_a_reader_that_ends_the_program_at_the_loss_of_a_link_ends_it() -> None:
    """What it raises comes out of the source's own call: nothing that the closing waits for may stand behind that."""
    program = """
import asyncio, socket, sys
from meterlink.errors import LinkLost
from meterlink.transport.tcp import TcpTransport

async def main():
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = TcpTransport("127.0.0.1", server.getsockname()[1])
        await transport.open()
        meter, _ = server.accept()
        asyncio.get_running_loop().call_soon(meter.close)
        try:
            await transport.receive()
        except LinkLost:
            sys.exit(3)
        finally:
            await transport.close()

async def outer():
    await main()

asyncio.run(outer())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (3, "")


async def test_a_reader_that_reads_on_within_the_feeding_gets_every_piece_once() -> None:
    buffer = ReceiveBuffer(prompt=True)
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
    buffer = ReceiveBuffer(16, told.append, prompt=True)

    async def read() -> bytes:
        return await buffer.receive(10.0)

    task = asyncio.create_task(read())
    await _turn()
    await in_a_callback(buffer.feed, bytes(12))
    assert await task == bytes(12)
    assert told == [True, False]


@pytest.mark.parametrize("prompt", [False, True])
async def test_a_deadline_ends_a_wait_that_nothing_wakes(prompt: bool) -> None:
    with pytest.raises(LinkTimeout):
        await ReceiveBuffer(prompt=prompt).receive(0.01)
