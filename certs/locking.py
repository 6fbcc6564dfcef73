"""A lock between processes that the operating system frees when its holder dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from certs.errors import StoreError

TIMEOUT: Final = 30.0
"""Seconds that a writer waits for the others."""

_POLL: Final = 0.01

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def locked(path: Path, *, timeout: float = TIMEOUT) -> Iterator[None]:
    """Hold the lock file ``path`` alone. Not reentrant.

    Raises :class:`StoreError` ``store-busy`` when others hold it for ``timeout`` seconds, ``file`` when it cannot be
    opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreError("file", f"{path}: {reason}", "Check that the place exists and may be written.") from error
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                _try_lock(descriptor)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    hint = "Wait for the other program to end, then try again."
                    raise StoreError("store-busy", "another program is changing the store", hint) from error
                time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)
