"""A future that wakes its one waiter at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class PromptFuture:
    """What one task waits on until :meth:`wake` is called.

    An :class:`asyncio.Future` wakes its waiter with the loop's next turn, and the answer of a meter that is near would
    wait for that turn longer than it took to come. This one lets the waiter go on within :meth:`wake`, where no task is
    running (a callback of the loop), else with the next turn, too. It is the future-like object that the documentation
    of :func:`asyncio.isfuture` speaks of. Belongs to one event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._done = False
        self._cancelled: asyncio.CancelledError | None = None
        self._waiter: Callable[[PromptFuture], object] | None = None
        self._context: Context | None = None

    def wake(self) -> None:
        """Let the waiter go on. What it does before it waits again happens within this call, so nothing that the caller
        still has to do may be due before. Safe to call twice, and after a cancellation."""
        if self._done:
            return
        self._done = True
        waiter, context = self._waiter, self._context
        if waiter is None or context is None:
            return
        if asyncio.current_task(self._loop) is None:
            context.run(waiter, self)
        else:
            self._loop.call_soon(waiter, self, context=context)

    # What a task asks of the thing that it waits on.

    def __await__(self) -> Generator[PromptFuture, Any, None]:
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that this belongs to."""
        return self._loop

    def add_done_callback(self, waiter: Callable[[PromptFuture], object], *, context: Context) -> None:
        """Take the task's way to go on."""
        self._waiter, self._context = waiter, context

    def cancel(self, msg: object = None) -> bool:
        """The task is cancelled: it goes on with the next turn."""
        if self._done:
            return False
        self._done = True
        self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        if self._waiter is not None:
            self._loop.call_soon(self._waiter, self, context=self._context)
        return True

    def result(self) -> None:
        """Raise :class:`asyncio.CancelledError` after a cancellation."""
        if self._cancelled is not None:
            raise self._cancelled
