"""Files that hold secrets or trust: written whole or not at all, readable by their owner alone.

A write goes to a new file beside the target, is synced, and takes the target's name in one step; the folder is synced
too. A process killed at any moment leaves the old content or the new.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from certs.errors import StoreError

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
TEMPORARY: Final = ".part-"
"""Prefix of files and folders that were not finished. Whoever finds an old one may delete it."""


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, mode 0700 from creation. Raises :class:`StoreError` ``file``."""
    missing = []
    at = path
    while not at.exists():
        missing.append(at)
        at = at.parent
    for folder in reversed(missing):
        with explained(folder), contextlib.suppress(FileExistsError):
            folder.mkdir(mode=PRIVATE_FOLDER)
            sync_folder(folder.parent)
    if not path.is_dir():
        raise StoreError("file", f"{path} is not a folder", "Choose another place.")


def write(path: Path, data: bytes, *, mode: int = PRIVATE_FILE) -> None:
    """Write ``data`` to ``path``, whole or not at all, in place of what was there.

    Raises :class:`StoreError` ``file``.
    """
    temporary = temporary_beside(path)
    with explained(path):
        try:
            write_new(temporary, data, mode=mode)
            temporary.replace(path)
        except BaseException:  # Ctrl-C and cancellation, too: clean up, then let it go on
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_new(path: Path, data: bytes, *, mode: int = PRIVATE_FILE) -> None:
    """Create ``path`` with ``data`` and sync it. Not atomic; raises ``OSError``, ``FileExistsError`` if it is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def read(path: Path, limit: int) -> bytes:
    """Return the content of a file of at most ``limit`` bytes.

    Raises :class:`StoreError` ``file`` when it cannot be read, ``file-too-large`` when it is larger.
    """
    with explained(path), path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise StoreError("file-too-large", f"{path} has more than {limit} bytes", "This cannot be the right file.")
    return data


def temporary_beside(path: Path) -> Path:
    """Return a name beside ``path`` that nobody else uses, on the same file system."""
    return path.with_name(f"{TEMPORARY}{path.name[:64]}-{secrets.token_hex(8)}")


def sync_folder(path: Path) -> None:
    """Make what was created or renamed in a folder survive a power cut. Where folders cannot be opened: nothing."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn ``OSError`` into :class:`StoreError` ``file`` or ``disk-full`` that names ``path``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "Free some space; what was there before is unchanged."
            raise StoreError("disk-full", f"{path}: {reason}", hint) from error
        raise StoreError("file", f"{path}: {reason}", "Check that the place exists and may be used.") from error
