"""The operating system's keyring: Secret Service, KWallet, macOS Keychain, Windows Credential Locker.

Loaded only when a key is protected by it, because finding the backends takes a third of a second.
"""

from __future__ import annotations

import secrets
from typing import Final

import keyring
import keyring.errors

from certs.errors import KeyStoreError

_SERVICE: Final = "meterlink"
_SECRET_BYTES: Final = 32
_PROTECTED: Final = 1  # backends of a lower priority store in plain text or nowhere


def is_available() -> bool:
    """Tell whether there is a keyring that protects what it holds."""
    return bool(keyring.get_keyring().priority >= _PROTECTED)


def fetch(account: str) -> str:
    """Return the secret of ``account``. Raises :class:`KeyStoreError` ``key-locked``."""
    try:
        secret = keyring.get_password(_SERVICE, account)
    except (keyring.errors.KeyringError, RuntimeError) as error:
        raise _locked("the keyring did not open") from error
    if secret is None:
        raise _locked("the keyring of this user does not hold the secret of this store")
    return secret


def fetch_or_make(account: str) -> str:
    """Return the secret of ``account``; make one of 32 random bytes where there is none.

    Raises :class:`KeyStoreError` ``key-locked``.
    """
    try:
        secret = keyring.get_password(_SERVICE, account)
        if secret is None:
            secret = secrets.token_hex(_SECRET_BYTES)
            keyring.set_password(_SERVICE, account, secret)
    except (keyring.errors.KeyringError, RuntimeError) as error:
        raise _locked("the keyring did not open") from error
    return secret


def _locked(message: str) -> KeyStoreError:
    return KeyStoreError("key-locked", message, "Unlock the keyring of this user, or restore a backup.")
