"""The file that `--trace` writes: a file, a pipe or a device."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from certs.cli.output import warn
from certs.clock import now
from meterlink.errors import UsageError
from meterlink.transport.replay import Entry, FileSink, Sink

_PRIVATE: Final = 0o600


@contextlib.contextmanager
def trace_file(path: Path, url: str) -> Iterator[Sink]:
    """Open the trace file and begin the recording of what crosses to ``url``. It is for its owner alone: a password
    crosses the wire as it is. Raises OSError, or UsageError ``trace`` when nothing can be written to it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, _PRIVATE)
    file = os.fdopen(descriptor, "w", encoding="utf-8")
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe has no contents, and the mode of a device is not ours
            if os.name == "posix":
                os.fchmod(descriptor, _PRIVATE)  # a file that was there keeps its mode otherwise
            os.truncate(descriptor, 0)
        yield _Trace(file, url)
    finally:
        with contextlib.suppress(OSError):  # what could not be written was told when it was
            file.close()


class _Trace:
    """Writes the recording as long as that goes. What is done to a meter does not break off with it."""

    def __init__(self, file: TextIO, url: str) -> None:
        self._ended = False
        try:
            self._sink = FileSink(file, url, now())
        except OSError as error:
            raise UsageError(
                f"nothing can be written to the trace file: {error.strerror}", code="trace", hint="name another file"
            ) from error

    def __call__(self, entry: Entry) -> None:
        if self._ended:
            return
        try:
            self._sink(entry)
        except OSError as error:
            self._ended = True
            warn("trace", f"the trace ends here, it cannot be written any more: {error.strerror}")
