"""A future that lets its one waiter go on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class PromptFuture:
    """What one task waits on until :meth:`set_result` is called.

    An :class:`asyncio.Future` lets its waiter go on with the loop's next turn, and the answer of a meter that is near
    would wait for that turn longer than it took to come. This one lets the waiter go on within :meth:`set_result`,
    where that is called by the loop itself, else with the next turn, too. It is the future-like object that the
    documentation of :func:`asyncio.isfuture` speaks of. Belongs to one event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._done = False
        self._cancelled: tuple[object, ...] | None = None
        self._waiter: Callable[[PromptFuture], object] | None = None
        self._context: Context | None = None

    def done(self) -> bool:
        """Return whether the waiter goes on, or has been cancelled."""
        return self._done

    def set_result(self, result: None) -> None:
        """Let the waiter go on. What it does before it waits again may happen within this call, so nothing that the
        caller still has to do may be due before; SystemExit and KeyboardInterrupt of the waiter come out of it."""
        self._done = True
        waiter, context = self._take_waiter()
        if waiter is None or context is None:
            return
        if self._may_run():
            try:
                context.run(waiter, self)
            except RuntimeError:  # the caller runs in this very context: a task raises none itself
                pass
            else:
                return
        self._loop.call_soon(waiter, self, context=context)

    def _may_run(self) -> bool:
        """Return whether the loop runs, and no task of it."""
        try:
            return asyncio.get_running_loop() is self._loop and asyncio.current_task() is None
        except RuntimeError:
            return False

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
        self._cancelled = () if msg is None else (msg,)
        waiter, context = self._take_waiter()
        if waiter is not None:
            self._loop.call_soon(waiter, self, context=context)
        return True

    def _take_waiter(self) -> tuple[Callable[[PromptFuture], object] | None, Context | None]:
        """Return the task's way to go on, and forget it: a task that failed holds this future in its traceback."""
        waiter, context = self._waiter, self._context
        self._waiter = self._context = None
        return waiter, context

    def result(self) -> None:
        """Raise :class:`asyncio.CancelledError` after a cancellation."""
        if self._cancelled is not None:
            raise asyncio.CancelledError(*self._cancelled)
