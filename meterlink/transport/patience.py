"""Waiting for operations of the system, which may ignore their cancellation or must not be cancelled half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

GRACE: Final = 1.0
"""Seconds that a cancelled operation gets to end."""

_T = TypeVar("_T")
_abandoned: set[asyncio.Task[Any]] = set()


async def drive(operation: Coroutine[Any, Any, _T], timeout: float) -> _T:
    """Run an operation that may ignore its cancellation.

    Raises TimeoutError, soon after ``timeout`` at the latest; what does not end is left to itself.
    """
    task = asyncio.get_running_loop().create_task(operation)
    try:
        await asyncio.wait({task}, timeout=timeout)
        if task.done():
            return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=GRACE)
            _leave(task)
    raise TimeoutError


async def finish(operation: Coroutine[Any, Any, _T], timeout: float) -> _T:
    """Run an operation to its end even when the caller is cancelled meanwhile, who is told so afterwards.

    For what cannot be taken back: cancelled half-way, nobody would know what the system made of it. Raises
    TimeoutError; what does not end is cancelled and left to itself.
    """
    task = asyncio.get_running_loop().create_task(operation)
    try:
        await asyncio.wait({task}, timeout=timeout)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=timeout)
        raise
    finally:
        if not task.done():
            task.cancel()
        _leave(task)
    if task.done() and not task.cancelled():
        return task.result()
    raise TimeoutError


def _leave(task: asyncio.Task[Any]) -> None:
    _abandoned.add(task)

    def forget(done: asyncio.Task[Any]) -> None:
        _abandoned.discard(done)
        if not done.cancelled():
            done.exception()  # looked at, so that asyncio does not complain about it

    task.add_done_callback(forget)
