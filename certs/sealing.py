"""Secrets under a passphrase: scrypt (RFC 7914) and AES-256-GCM.

Keys and backups use this and not PKCS#12 or encrypted PKCS#8: the libraries write those with so few rounds in one
place or another (the PKCS#12 MAC has 2048) that a passphrase could be guessed there.

A sealed blob is CBOR ``[1, log2 n, salt, nonce, ciphertext]`` with r = 8 and p = 1. The cost, the
salt and the ``context`` are authenticated, so that a blob cannot be used in another place than it was made for.
"""

from __future__ import annotations

import os
from typing import Final

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from certs.cbor import CborError, read
from certs.errors import KeyStoreError

LOG_N_PERSON: Final = 16
"""Cost for a passphrase that a person made up: 64 MiB and about 0.2 s."""

LOG_N_RANDOM: Final = 4
"""Cost for 32 random bytes, which nobody can guess anyway."""

_VERSION: Final = 1
_LOG_N_RANGE: Final = range(LOG_N_RANDOM, 19)  # an edited blob cannot ask for more than 256 MiB
_SALT: Final = 16
_NONCE: Final = 12


def seal(data: bytes, passphrase: str, context: str, *, log_n: int | None = None) -> bytes:
    """Return ``data`` encrypted and authenticated under ``passphrase`` for use as ``context``.

    ``log_n`` is the cost of a guess; None for :data:`LOG_N_PERSON`.
    """
    log_n = LOG_N_PERSON if log_n is None else log_n
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    cipher = AESGCM(_derive(passphrase, salt, log_n))
    return cbor2.dumps([_VERSION, log_n, salt, nonce, cipher.encrypt(nonce, data, _bound(context, log_n, salt))])


def unseal(blob: bytes, passphrase: str, context: str) -> bytes:
    """Return what was sealed.

    Raises :class:`KeyStoreError` ``key-damaged`` when ``blob`` is no sealed blob, ``passphrase-wrong`` when it does not
    open (a wrong passphrase, or altered bytes: nobody can tell).
    """
    try:
        match read(blob):
            case [1, int(log_n), bytes(salt), bytes(nonce), bytes(sealed)] if log_n in _LOG_N_RANGE:
                pass
            case _:
                raise CborError("not a sealed blob")
    except CborError as error:
        raise KeyStoreError("key-damaged", "this is not something that was sealed here", "Use a backup.") from error
    try:
        cipher = AESGCM(_derive(passphrase, salt, log_n))
        return cipher.decrypt(nonce, sealed, _bound(context, log_n, salt))
    except (InvalidTag, ValueError) as error:
        raise KeyStoreError("passphrase-wrong", "the passphrase does not open it", "Try again.") from error


def _derive(passphrase: str, salt: bytes, log_n: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=1 << log_n, r=8, p=1).derive(passphrase.encode("utf-8", "surrogateescape"))


def _bound(context: str, log_n: int, salt: bytes) -> bytes:
    return cbor2.dumps([_VERSION, context, log_n, salt])
