"""Invocation counters that outlive the program: one small file for each key and sender, in the user's folder.

A counter used twice under one key gives AES-GCM away, so a block is written down as used, and on the disk, before the
first number of it is given out. Several programs may ask at once: a lock that the operating system frees when its
holder dies makes them take turns.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from certs import files
from certs.locking import locked
from certs.store import default_home
from meterlink.errors import SecurityError

FOLDER: Final = "counters"
"""Where the files stand in the user's folder."""

_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}\Z")
_MOST_OCTETS: Final = 32
_LABEL: Final = b"meterlink invocation counter\0"
_NAME_LENGTH: Final = 32


class FileCounterStore:
    """Keeps counters in ``folder`` (default: in the user's folder). A
    :class:`~meterlink.security.counters.CounterStore`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = default_home() / FOLDER if folder is None else folder

    def reserve(self, name: str, count: int, at_least: int) -> int:
        """Set ``count`` counters aside durably and return the first; see
        :meth:`meterlink.security.counters.CounterStore.reserve`.

        Raises :class:`~meterlink.errors.SecurityError` ``counter-store`` when what stands in the file is no counter (to
        start again from 0 would be worse than to stop), and :class:`~certs.errors.StoreError` when the file cannot be
        written. ``name`` has letters, digits and hyphens, at most 64.
        """
        if not _NAME.match(name):
            raise ValueError(f"{name!r} cannot name a counter")
        files.make_folder(self._folder)
        path = self._folder / name
        with locked(path.with_suffix(".lock")):
            first = max(_read(path), at_least)
            files.write(path, f"{first + count}\n".encode())
        return first


def counter_name(key: bytes, system_title: bytes) -> str:
    """Return the name under which the counters of one key and sender are kept; it tells neither."""
    return hashlib.sha256(_LABEL + system_title + key).hexdigest()[:_NAME_LENGTH]


def _read(path: Path) -> int:
    if not os.path.lexists(path):
        return 0
    text = files.read(path, _MOST_OCTETS).strip()
    if not text.isdigit():
        raise SecurityError(
            f"the invocation counter in {path} is damaged",
            code="counter-store",
            hint="write a number into it that is higher than any counter the meter has seen, or change the meter's key",
        )
    return int(text)
