"""A copy of a key file with new keys in it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tomllib
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from certs import files
from certs.errors import StoreError
from certs.store import default_home
from meterlink.commands.security_keys import FIRST_COUNTER
from meterlink.commands.uncertain import CallUncertain, reason
from meterlink.errors import MeterlinkError, UsageError
from meterlink.security.keys import KeySet

_MAX_FILE: Final = 64 * 1024
_LONGEST_KEY: Final = 32
_RESERVED: Final = b"# the place of keys that are being agreed on\n"
_FILE_NAMES: Final = frozenset({"signing_key", "meter_key", "agreement_key", "meter_agreement_key"})
_FOLDER: Final = "agreed-keys"


class KeyFileElsewhere(MeterlinkError):
    """New keys are in force and kept, and not where they were to be."""

    default_code = "key-file-elsewhere"


class KeyFileCopy:
    """The key file ``out``, to become what ``path`` is with other keys, as JSON. Use it with ``with``: the place is
    taken and filled on the disk before anything else is done, so that new keys are not lost for want of it. It is free
    again where no keys came; a file that may hold keys is never deleted.

    Raises UsageError ``key-file`` when ``out`` is there already, or cannot be.
    """

    def __init__(self, path: Path, out: Path) -> None:
        self._content = _load(path)
        self._folder = path.parent.absolute()
        self._out = out
        self._descriptor = -1
        self._reserved = 0
        self._has_keys = False

    def write(self, keys: KeySet) -> None:
        """Write the file with the unicast and the authentication key of ``keys``.

        Raises :class:`KeyFileElsewhere` where only another place would take them, in the user's folder, and
        CallUncertain where that would not, either.
        """
        self._has_keys = True
        data = self._data(keys.unicast, keys.authentication)
        try:
            self._fill(data)
        except OSError as error:
            elsewhere = self._keep_elsewhere(data, error)
            raise KeyFileElsewhere(
                f"the meter has the new keys, and {self._out} could not be written ({reason(error)}): "
                f"they are in {elsewhere}",
                hint=f"move it to a safe place; from the next session on: --keys {elsewhere}",
            ) from error

    def __enter__(self) -> Self:
        size = len(self._data(bytes(_LONGEST_KEY), bytes(_LONGEST_KEY)))
        if size > _MAX_FILE:
            raise _unusable(f"{self._out} would be too large for a key file", "shorten what stands in --keys FILE")
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            self._descriptor = os.open(self._out, flags, files.PRIVATE_FILE)
        except OSError as error:
            hint = "name a file that is not there yet: what stands in one could be lost"
            raise _unusable(f"{self._out} cannot be written: {reason(error).lower()}", hint) from None
        try:
            self._fill(_RESERVED.ljust(size))
            files.sync_folder(self._out.parent)
        except BaseException as error:  # Ctrl-C, too: clean up, then let it go on
            self._leave()
            if not isinstance(error, OSError):
                raise
            hint = "name a place with room for it, on a disk that keeps it"
            raise _unusable(f"{self._out} cannot be kept: {reason(error).lower()}", hint) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _data(self, unicast: bytes, authentication: bytes) -> bytes:
        content = self._content | {
            "unicast": unicast.hex(),
            "authentication": authentication.hex(),
            "counter": FIRST_COUNTER,
        }
        for name in _FILE_NAMES & content.keys():
            if content[name] is not None:
                content[name] = str(self._folder / content[name])
        # What UTF-8 cannot say, such as octets of a file name that are no text, becomes an escape of JSON.
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")

    def _fill(self, data: bytes) -> None:
        """Put ``data`` into the file on the disk, over what is there. Raises ``OSError``."""
        self._reserved = max(self._reserved, len(data))
        whole = memoryview(data.ljust(self._reserved))
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while whole:
            whole = whole[os.write(self._descriptor, whole) :]
        os.fsync(self._descriptor)
        if not os.path.samestat(self._out.stat(), os.fstat(self._descriptor)):
            raise FileNotFoundError(None, "it is another file now")

    def _keep_elsewhere(self, data: bytes, error: OSError) -> Path:
        place = default_home() / _FOLDER / f"keys-{secrets.token_hex(4)}.json"
        try:
            files.make_folder(place.parent)
            files.write_new(place, data)
        except (StoreError, OSError) as other:
            raise CallUncertain(
                f"the meter has new keys, and they could be written neither to {self._out} ({reason(error)}) nor to "
                f"{place} ({reason(other)})",
                hint="transfer or agree on keys in another association that the meter has",
            ) from other
        with contextlib.suppress(OSError):
            files.sync_folder(place.parent)
        return place.absolute()

    def _leave(self) -> None:
        os.close(self._descriptor)
        if not self._has_keys:
            self._out.unlink(missing_ok=True)


def _unusable(message: str, hint: str) -> UsageError:
    return UsageError(message, code="key-file", hint=hint)


def _load(path: Path) -> dict[str, Any]:
    """Return what stands in a key file that was read before, so that nothing is wrong with it."""
    text = files.read(path, _MAX_FILE).decode()
    return dict(json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text))
