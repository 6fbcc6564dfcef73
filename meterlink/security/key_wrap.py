"""AES key wrap (RFC 3394): a key under a key encryption key, as key_transfer and wrapped-key send it."""

from __future__ import annotations

from cryptography.hazmat.primitives import keywrap

from meterlink.errors import SecurityError
from meterlink.security.keys import Secret


def wrap_key(kek: bytes, key: bytes) -> bytes:
    """Return ``key`` wrapped under ``kek``, 8 octets longer than it. Raises ``ValueError`` for lengths that AES does
    not have."""
    return keywrap.aes_key_wrap(kek, key)


def unwrap_key(kek: bytes, wrapped: bytes) -> Secret:
    """Return the key in ``wrapped``. Raises :class:`~meterlink.errors.SecurityError` (``key-wrap``) when it does not
    unwrap."""
    try:
        return Secret(keywrap.aes_key_unwrap(kek, wrapped))
    except (keywrap.InvalidUnwrap, ValueError):
        raise SecurityError("a wrapped key does not unwrap: altered, or another master key", code="key-wrap") from None
