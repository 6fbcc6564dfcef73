"""Opens the protected APDUs of a trace, as far as the keys that are given reach."""

from __future__ import annotations

from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Aarq
from meterlink.cosem.apdu import InitiateRequest
from meterlink.errors import ProtocolError
from meterlink.security.ciphered import Ciphering, Opened, unwrap
from meterlink.security.keys import KeySet
from meterlink.tracing.frames import Direction


class Opener:
    """Knows the keys, and learns the system titles and the dedicated key from the association as it goes by.

    Counters are not judged: a trace shows what was there, replays too.
    """

    def __init__(self, keys: KeySet | None) -> None:
        self._shared = keys
        self._keys = keys
        self._titles: dict[Direction, bytes] = {"sent": b"", "received": b""}

    def learn(self, direction: Direction, message: Aarq | Aare) -> None:
        """Take the system title of an association request or response."""
        if message.system_title:
            self._titles[direction] = message.system_title
        if isinstance(message, Aarq):
            self._keys = self._shared

    def learn_dedicated(self, message: xdlms.Apdu) -> None:
        """Take the dedicated key of an InitiateRequest."""
        if isinstance(message, InitiateRequest) and message.dedicated_key and self._shared is not None:
            try:
                self._keys = self._shared.with_dedicated(message.dedicated_key)
            except ValueError:
                self._keys = self._shared

    def open(self, direction: Direction, data: bytes) -> Opened | str:
        """Return what is inside a glo-, ded-, general-glo- or general-ded- APDU, or why it stays closed."""
        if self._keys is None:
            return "no keys are given"
        try:
            opened = unwrap(data, system_title=self._titles[direction], keys=self._keys)
        except ProtocolError as error:
            return error.message
        if opened.ciphering in {Ciphering.GENERAL_GLOBAL, Ciphering.GENERAL_DEDICATED}:
            self._titles[direction] = opened.system_title
        return opened
