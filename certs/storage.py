"""Changes on disk, done whole or not at all, by one writer at a time. :mod:`certs.store` decides what changes."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from certs import files, snapshot
from certs.locking import locked

_FOLDERS: Final = (
    snapshot.CERTIFICATES,
    snapshot.REQUESTS,
    snapshot.DOMAINS,
    snapshot.CRLS,
    snapshot.REMOVED,
)


class Storage:
    """The folder of a store, for writing. Every method but :meth:`writing` is called while that is held."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer. Not reentrant.

        Raises :class:`~certs.errors.StoreError` ``file`` or ``store-busy``.
        """
        for name in _FOLDERS:
            files.make_folder(self.home / name)
        with locked(self.home / "lock"):
            self._sweep()
            yield

    def point(self, pointer: str, name: str) -> None:
        """Set a pointer (:data:`~certs.snapshot.ACTIVE`, :data:`~certs.snapshot.PREFERRED`) in one step."""
        files.write(self.home / pointer, f"{name}\n".encode())

    def set_aside(self, folder: Path, now: dt.datetime) -> Path:
        """Move a folder to those that were removed, and return where it is."""
        target = self.home / snapshot.REMOVED / f"{now:%Y%m%dT%H%M%S%fZ}-{folder.name}"
        with files.explained(target):
            folder.rename(target)
            files.sync_folder(target.parent)
            files.sync_folder(folder.parent)
        return target

    def discard(self, folder: Path) -> None:
        """Delete a folder so that it is there whole or not at all."""
        if not folder.exists():
            return
        doomed = files.temporary_beside(folder)
        with files.explained(folder):
            folder.rename(doomed)
            files.sync_folder(folder.parent)
        shutil.rmtree(doomed, ignore_errors=True)

    def _sweep(self) -> None:
        """Delete what a killed writer left. The lock is held, so nobody is still writing it."""
        for folder in (self.home, *(self.home / name for name in _FOLDERS)):
            for path in folder.glob(f"{files.TEMPORARY}*"):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
