"""Invocation counters that outlive the program: one small file for each key and sender, in the user's folder.

A counter used twice under one key gives AES-GCM away, so a block is written down as used, and on the disk, before the
first number of it is given out. Several programs may ask at once: a lock that the operating system frees when its
holder dies makes them take turns.

Counters that came from a meter are written in place, one write of a fixed length within one sector: it is there when
the process dies the moment after, and on the disk whenever it is settled.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from certs import files
from certs.errors import StoreError
from certs.locking import locked
from certs.store import default_home
from meterlink.errors import MeterlinkError, SecurityError

FOLDER: Final = "counters"
"""Where the files stand in the user's folder."""

_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}\Z")
_MOST_OCTETS: Final = 32
_LOCK: Final = ".lock"
_LABEL: Final = b"meterlink invocation counter\0"
_NAME_LENGTH: Final = 32
_DIGITS: Final = 20
"""Of the largest counter there is, a transaction identifier of 64 bits."""

_RECORD_PATIENCE: Final = 2.0
"""Seconds that a record is waited for while another process holds it, which it does for one write."""

_HINT_SENT: Final = (
    "write a number into it that is higher than any counter the meter has seen, or change the meter's key"
)
_HINT_RECEIVED: Final = "write the least counter of the meter into it that may still be accepted"


class FileCounterStore:
    """Keeps counters in ``folder`` (default: in the user's folder). A
    :class:`~meterlink.security.counters.CounterStore`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = default_home() / FOLDER if folder is None else folder
        self._folders: set[Path] = set()
        self._renewed: set[tuple[str, str]] = set()

    def reserve(self, name: str, count: int, at_least: int) -> int:
        """Set ``count`` counters aside durably and return the first; see
        :meth:`meterlink.security.counters.CounterStore.reserve`.

        Raises :class:`~meterlink.errors.SecurityError` ``counter-store`` when what stands in the file is no counter (to
        start again from 0 would be worse than to stop), and :class:`~certs.errors.StoreError` when the file cannot be
        written. ``name`` has letters, digits and hyphens, at most 64.
        """
        path = self._path(name)
        with locked(path.with_suffix(_LOCK)):
            first = max(_read(path, _HINT_SENT), at_least)
            files.write(path, f"{first + count}\n".encode())
        return first

    def received(self, key: str) -> ReceivedFiles:
        """Return what is recorded; see :meth:`meterlink.security.counters.CounterStore.received`. Raises
        :class:`~certs.errors.StoreError` when it cannot be read."""
        folder = self._path(key)
        with files.explained(folder):
            paths = [path for path in folder.iterdir() if _NAME.match(path.name)] if folder.exists() else []
        return ReceivedFiles(folder, {path.name: _locked_text(path) for path in paths})

    def renewed(self, key: str, sender: str) -> bool:
        """Return whether the record was replaced; see :meth:`meterlink.security.counters.CounterStore.renewed`."""
        return (key, sender) in self._renewed

    def record(self, key: str, sender: str, least: int, *, anew: bool = False) -> None:
        """Record what was accepted; see :meth:`meterlink.security.counters.CounterStore.record`. Others hold the file
        for a moment at most."""
        text = f"{least:0{_DIGITS}}\n".encode()
        try:
            path = self._path(key, sender)
            with locked(path.with_suffix(_LOCK), timeout=_RECORD_PATIENCE):
                if anew or not os.path.lexists(path) or not _raised(path, least, text):
                    files.write(path, text)
        except StoreError as error:
            raise SecurityError(
                f"what the meter counted cannot be kept: {error.message}", code="counter-store", hint=error.hint
            ) from error
        if anew:
            self._renewed.add((key, sender))

    def settle(self, key: str, sender: str) -> None:
        """Bring what was recorded to the disk; see :meth:`meterlink.security.counters.CounterStore.settle`."""
        with contextlib.suppress(OSError), (self._folder / key / sender).open("r+b", buffering=0) as stream:
            os.fsync(stream.fileno())

    def take_turn(self, name: str) -> Callable[[], None] | None:
        """Take a turn between processes, see :meth:`meterlink.security.counters.CounterStore.take_turn`. Raises
        :class:`~certs.errors.StoreError` when the lock file cannot be opened."""
        held = contextlib.ExitStack()
        try:
            held.enter_context(locked(self._path(name).with_suffix(_LOCK), timeout=0))
        except StoreError as error:
            if error.code != "store-busy":
                raise
            return None
        return held.close

    def _path(self, *names: str) -> Path:
        """Return the file or folder of these names, in a folder that is there."""
        for name in names:
            if not _NAME.match(name):
                raise ValueError(f"{name!r} cannot name a counter")
        path = self._folder.joinpath(*names)
        if path.parent not in self._folders:
            files.make_folder(path.parent)
            self._folders.add(path.parent)
        return path


class ReceivedFiles:
    """What stood in the files of one key at one moment. A :class:`~meterlink.security.counters.Received`."""

    def __init__(self, folder: Path, texts: Mapping[str, bytes | MeterlinkError]) -> None:
        self._folder = folder
        self._texts = texts

    def least(self, sender: str) -> int:
        """Return the least counter to accept; see :meth:`meterlink.security.counters.Received.least`."""
        text = self._texts.get(sender)
        if isinstance(text, MeterlinkError):
            raise text
        return 0 if text is None else _number(text, self._folder / sender, _HINT_RECEIVED)


def counter_name(key: bytes, system_title: bytes) -> str:
    """Return the name under which the counters of one key and sender are kept; it tells neither."""
    return hashlib.sha256(_LABEL + system_title + key).hexdigest()[:_NAME_LENGTH]


def received_name(key: bytes) -> str:
    """Return the name under which it is kept which counters came under ``key``; it does not tell the key."""
    return f"{counter_name(key, b'')}-received"


def push_name(key: bytes) -> str:
    """Return the name under which it is kept which transactions others began under ``key``."""
    return f"{counter_name(key, b'')}-pushed"


def transaction_name(system_title: bytes) -> str:
    """Return the name under which the transactions are kept that the sender ``system_title``, one of ours, begins."""
    return f"{counter_name(b'', system_title)}-transactions"


def turn_name(key: bytes, system_title: bytes, meter: str) -> str:
    """Return the name of the turn that a session takes which we, ``system_title``, have with ``meter`` under ``key``;
    it tells none of them."""
    return f"{counter_name(key, system_title + meter.encode())}-turn"


def _raised(path: Path, least: int, text: bytes) -> bool:
    """Write ``text`` in place unless what stands there is ``least`` or more. Return False where it must be written in
    place of the file, because somebody wrote a number of another length."""
    with files.explained(path), _regular(path, os.O_RDWR) as stream:
        kept = stream.read(_MOST_OCTETS + 1) or b""
        if _number(kept, path, _HINT_RECEIVED) >= least:
            return True
        if len(kept) != len(text):
            return False
        stream.seek(0)
        stream.write(text)
    return True


def _locked_text(path: Path) -> bytes | MeterlinkError:
    """Return what stands in a file that others may write in place, or why it cannot be had: that concerns one meter."""
    try:
        held = locked(path.with_suffix(_LOCK), timeout=_RECORD_PATIENCE)
        with held, files.explained(path), _regular(path, os.O_RDONLY) as stream:
            return stream.read(_MOST_OCTETS + 1) or b""
    except SecurityError as error:
        return error
    except StoreError as error:
        return SecurityError(error.message, code="counter-store", hint=error.hint)


def _regular(path: Path, mode: int) -> io.FileIO:
    """Open a file of ours. Raises SecurityError ``counter-store`` for what is no regular file: a link leads elsewhere,
    and a pipe would wait for ever."""
    try:
        descriptor = os.open(path, mode | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise _no_file(path) from None
    stream = io.FileIO(descriptor, "r+" if mode == os.O_RDWR else "r")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        stream.close()
        raise _no_file(path)
    return stream


def _no_file(path: Path) -> SecurityError:
    return SecurityError(f"{path} is no regular file", code="counter-store", hint=f"remove it, or {_HINT_RECEIVED}")


def _read(path: Path, hint: str) -> int:
    if not os.path.lexists(path):
        return 0
    return _number(files.read(path, _MOST_OCTETS), path, hint)


def _number(text: bytes, path: Path, hint: str) -> int:
    digits = text.strip()
    if not digits.isdigit() or len(text) > _MOST_OCTETS:
        raise SecurityError(f"the invocation counter in {path} is damaged", code="counter-store", hint=hint)
    return int(digits)
