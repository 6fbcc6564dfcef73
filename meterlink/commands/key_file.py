"""A copy of a key file with new keys in it."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from certs import files
from meterlink.commands.security_keys import FIRST_COUNTER
from meterlink.errors import UsageError
from meterlink.security.keys import KeySet

_MAX_FILE: Final = 64 * 1024
_FILE_NAMES: Final = frozenset({"signing_key", "meter_key", "agreement_key", "meter_agreement_key"})


class KeyFileCopy:
    """The key file ``out``, to become what ``path`` is with other keys. Use it with ``with``: the place is taken before
    anything else is done, so that new keys are not lost for want of one; it is free again where nothing was written.

    Raises UsageError ``key-file`` when ``out`` is there already, or cannot be.
    """

    def __init__(self, path: Path, out: Path) -> None:
        self._content = _load(path)
        self._folder = path.parent.absolute()
        self._out = out
        self._written = False

    def write(self, keys: KeySet) -> None:
        """Write the file with the unicast and the authentication key of ``keys``."""
        content = self._content | {
            "unicast": keys.unicast.hex(),
            "authentication": keys.authentication.hex(),
            "counter": FIRST_COUNTER,
        }
        for name in _FILE_NAMES & content.keys():
            content[name] = str(self._folder / content[name])
        # JSON texts and numbers are TOML, too.
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in content.items())
        files.write(self._out, lines.encode())
        self._written = True

    def __enter__(self) -> Self:
        try:
            os.close(os.open(self._out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, files.PRIVATE_FILE))
        except OSError as error:
            raise UsageError(
                f"{self._out} cannot be written: {(error.strerror or 'error').lower()}",
                code="key-file",
                hint="name a file that is not there yet: what stands in one could be lost",
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._written:
            self._out.unlink(missing_ok=True)


def _load(path: Path) -> dict[str, Any]:
    """Return what stands in a key file that was read before, so that nothing is wrong with it."""
    text = files.read(path, _MAX_FILE).decode()
    return dict(json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text))
