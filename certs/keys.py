"""Private keys: made, protected at rest, and opened again.

=============  =====================================================================================================
``keyring``    sealed under 32 random bytes that the operating system's keyring holds: the choice where there is one
``passphrase`` sealed under a passphrase, from ``METERLINK_PASSPHRASE`` or asked for once per run
``plain``      protected by file permissions alone: for the Consumer's key, which grants only what anyone may have, and
               on explicit request
=============  =====================================================================================================
"""

from __future__ import annotations

import enum
import importlib
import os
from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs import profile, sealing
from certs.errors import KeyStoreError
from certs.loading import UNREADABLE

PASSPHRASE_VARIABLE: Final = "METERLINK_PASSPHRASE"  # noqa: S105 - the name of the variable

MAX_KEY_FILE: Final = 8192
"""Bytes of a stored key that are read."""

_CONTEXT: Final = "key"


class Protection(enum.Enum):
    """How a private key is protected at rest."""

    KEYRING = "keyring"
    PASSPHRASE = "passphrase"  # noqa: S105 - the name of the kind
    PLAIN = "plain"


AskPassphrase = Callable[[bool], str]
"""Asks a person for the store's passphrase; True when it is a new one, to be typed twice."""


class Passphrases:
    """Where passphrases come from: the environment, else a person. Asked for once, then remembered.

    ``account`` names the store in the operating system's keyring. Without ``ask`` and without the environment variable
    a passphrase that is needed raises :class:`KeyStoreError` ``passphrase-needed``.
    """

    def __init__(self, account: str, ask: AskPassphrase | None = None) -> None:
        self._account = account
        self._ask = ask
        self._known: str | None = None

    def __repr__(self) -> str:
        return f"Passphrases({self._account!r})"

    def choose(self) -> Protection:
        """Return how a new key will be protected here."""
        if not os.environ.get(PASSPHRASE_VARIABLE) and _keyring().is_available():
            return Protection.KEYRING
        return Protection.PASSPHRASE

    def passphrase(self, *, new: bool) -> str:
        """Return the store's passphrase; ``new`` when it will protect the first key.

        Raises :class:`KeyStoreError` ``passphrase-needed``.
        """
        if self._known is None:
            self._known = os.environ.get(PASSPHRASE_VARIABLE) or self._asked(new)
        return self._known

    def forget(self) -> None:
        """Forget a passphrase that turned out to be wrong, so that the next use asks again."""
        self._known = None

    def secret_for(self, protection: Protection, *, new: bool) -> str:
        """Return what opens keys of this protection (not ``PLAIN``); ``new`` when it may be made up now."""
        if protection is Protection.KEYRING:
            fetch = _keyring().fetch_or_make if new else _keyring().fetch
            return str(fetch(self._account))
        return self.passphrase(new=new)

    def _asked(self, new: bool) -> str:
        answer = self._ask(new) if self._ask is not None else ""
        if not answer:
            hint = f"Set {PASSPHRASE_VARIABLE}, or run this in a terminal."
            raise KeyStoreError("passphrase-needed", "the store's passphrase is needed", hint)
        return answer


def generate(suite: int) -> ec.EllipticCurvePrivateKey:
    """Return a new private key on the curve of a suite (1 or 2)."""
    return ec.generate_private_key(profile.SUITE_CURVES[suite].curve)


def protect(key: ec.EllipticCurvePrivateKey, protection: Protection, secret: str = "") -> bytes:
    """Return the bytes of ``key`` as they are stored; ``secret`` seals it unless it stays plain."""
    if protection is Protection.PLAIN:
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    cost = sealing.LOG_N_RANDOM if protection is Protection.KEYRING else sealing.LOG_N_PERSON
    return sealing.seal(der, secret, _CONTEXT, log_n=cost)


def unprotect(data: bytes, protection: Protection, secret: str = "") -> ec.EllipticCurvePrivateKey:
    """Return the key that was stored.

    Raises :class:`KeyStoreError` ``key-damaged`` or ``passphrase-wrong``.
    """
    plain = protection is Protection.PLAIN
    encoded = data if plain else sealing.unseal(data, secret, _CONTEXT)
    load = serialization.load_pem_private_key if plain else serialization.load_der_private_key
    try:
        key = load(encoded, None)
    except UNREADABLE:
        # "from None": the text of the library's error could show what it tried to read.
        raise KeyStoreError("key-damaged", "the private key cannot be read", "Restore a backup.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyStoreError("key-damaged", "the private key is of another kind", "Restore a backup.")
    return key


def _keyring() -> Any:
    return importlib.import_module("certs.oskeyring")
