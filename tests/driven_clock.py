"""An event loop whose clock is driven by the test, so that deadlines are seen to the very second on a busy machine.

The clock stands still while anything is ready to run, and otherwise until the test lets it go on. With
``@driven(by_itself=True)`` it jumps to the next timer as soon as nothing else is left to do. That is for tests whose
far end lives on the same loop: a thread or a process that is still at work is nothing the loop could see. There a test
in which everything waits for ever fails at once.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final

_RESOLUTION: Final = 1e-9
"""Seconds that asyncio itself takes for nothing."""


class DrivenLoop(asyncio.SelectorEventLoop):
    """A loop that asks :attr:`now` what time it is; sockets and other threads work as ever."""

    def __init__(self, *, by_itself: bool = False) -> None:
        self.now = self.began = 1000.0
        self.by_itself = by_itself
        self._end: float | None = None
        self._passed: asyncio.Future[None] | None = None
        self._armed: asyncio.Future[float] | None = None
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    async def let_pass(self, seconds: float) -> None:
        """Let time pass, timer by timer; return when it has, and all that came of it is done."""
        self._end, self._passed = self.now + seconds, self.create_future()
        await self._passed

    async def next_timer(self) -> float:
        """Return in how many seconds the next timer is due, once there is one and nothing else to do."""
        self._armed = self.create_future()
        return await self._armed

    async def in_no_time(self, operation: Coroutine[Any, Any, object]) -> bool:
        """Start an operation; True when it came to its end, False when it waits for time to pass."""
        task = self.create_task(operation)
        timer = self.create_task(self.next_timer())
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        if not task.done():
            task.cancel()
            return False
        task.result()
        return True

    def idle(self, wait: float | None) -> bool:
        """Nothing is ready; the next timer is due in ``wait`` seconds. True when something came of it."""
        if self._armed is not None and wait is not None:
            armed, self._armed = self._armed, None
            if not armed.done():
                armed.set_result(wait)
                return True
        if self._passed is not None and self._end is not None:
            left = self._end - self.now
            if wait is not None and wait <= left:
                self.now += wait
                return True
            self.now, passed = self._end, self._passed
            self._end = self._passed = None
            if not passed.done():
                passed.set_result(None)
            return True
        if not self.by_itself:
            return False
        if wait is None:
            raise RuntimeError("everything waits for something else, and nothing for the clock")
        self.now += wait
        return True


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: DrivenLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if timeout is not None and timeout < _RESOLUTION:
            self._loop.now += max(timeout, 0.0)
            return events
        if events or self._loop.idle(timeout):
            return events
        return super().select(None)


def driven(*, by_itself: bool = False) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Run an asynchronous test on a :class:`DrivenLoop`."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*arguments: Any, **fixtures: Any) -> None:
            with asyncio.Runner(loop_factory=lambda: DrivenLoop(by_itself=by_itself)) as runner:
                runner.run(test(*arguments, **fixtures))

        return run

    return decorate


def clock() -> DrivenLoop:
    """Return the running loop, for what drives its clock."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, DrivenLoop)
    return loop
