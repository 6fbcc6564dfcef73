"""Protect and open one message: AES-GCM with a 12-octet tag (IEC 62056-5-3, 5.3.4 and 5.7.2.4).

A protected message is ``SC || IC || content``: security control byte, invocation counter (4 octets), and ciphertext
and tag, plain text and tag, or ciphertext alone. The initialization vector is ``system title || IC``; authenticated
beside the message are ``SC || authentication key`` and, in general-ciphering, the header.
"""

from __future__ import annotations

import hmac
from typing import Final

from meterlink.errors import LocalProtocolError, SecurityError
from meterlink.security.control import SecurityControl
from meterlink.security.keys import KeyRole, KeySet, Secret
from meterlink.security.suites import SYSTEM_TITLE_LENGTH, TAG_LENGTH

HEADER_LENGTH: Final = 5
"""Octets of SC and IC."""

_FULL_TAG: Final = 16
"""Octets of the tag that AES-GCM makes; DLMS sends the first twelve."""


def seal(
    plaintext: bytes,
    *,
    control: SecurityControl,
    system_title: bytes,
    counter: int,
    keys: KeySet,
    role: KeyRole | None = None,
    header: bytes = b"",
) -> bytes:
    """Return ``plaintext`` protected as ``control`` says: SC, IC, content.

    ``system_title`` is the sender's own (8 octets), ``counter`` must never have been used with this key and title.
    ``role`` names the encryption key (None: the one that ``control`` names), ``header`` is authenticated as well.
    Raises :class:`~meterlink.errors.LocalProtocolError` when the keys do not fit.
    """
    byte = control.to_byte()
    ready = keys.ready(byte, control.suite, control.key_role if role is None else role)
    if ready is None or control.compressed or len(system_title) != SYSTEM_TITLE_LENGTH:
        raise LocalProtocolError(_why_not(control, system_title, keys))
    cipher, associated = ready
    four = counter.to_bytes(4, "big")
    nonce = system_title + four
    front = bytes((byte,)) + four
    if not control.authenticated:
        content = cipher.encrypt(nonce, plaintext, None)[:-_FULL_TAG] if control.encrypted else plaintext
        return front + content
    if header:
        associated = Secret(associated + header)
    if control.encrypted:
        return front + cipher.encrypt(nonce, plaintext, associated)[: TAG_LENGTH - _FULL_TAG]
    return front + plaintext + cipher.encrypt(nonce, b"", associated + plaintext)[:TAG_LENGTH]


def unseal(
    data: bytes, *, system_title: bytes, keys: KeySet, role: KeyRole | None = None, header: bytes = b""
) -> tuple[bytes, SecurityControl, int]:
    """Open a protected message; return plain text, what protected it, and its invocation counter.

    ``system_title`` is the sender's. Whether the protection is enough and the counter new is the caller's to judge.
    Raises :class:`~meterlink.errors.SecurityError`: ``tag`` when it does not verify, ``malformed``, ``suite-unknown``,
    and ``no-key`` when the keys are not for such a message.
    """
    if len(data) < HEADER_LENGTH:
        raise SecurityError("a protected message is cut off", code="malformed")
    control = SecurityControl.from_byte(data[0])
    ready = keys.ready(data[0], control.suite, control.key_role if role is None else role)
    if ready is None or control.compressed or len(system_title) != SYSTEM_TITLE_LENGTH:
        raise SecurityError(_why_not(control, system_title, keys), code="no-key")
    cipher, associated = ready
    four = data[1:HEADER_LENGTH]
    nonce = system_title + four
    counter = int.from_bytes(four, "big")
    if not control.authenticated:
        content = data[HEADER_LENGTH:]
        return (cipher.encrypt(nonce, content, None)[:-_FULL_TAG] if control.encrypted else content), control, counter
    if len(data) < HEADER_LENGTH + TAG_LENGTH:
        raise SecurityError("an authenticated message is cut off", code="malformed")
    content, tag = data[HEADER_LENGTH:-TAG_LENGTH], data[-TAG_LENGTH:]
    if header:
        associated = Secret(associated + header)
    if control.encrypted:
        # AES-GCM's decryption insists on all 16 octets of the tag. Its cipher is a key stream, so encrypting the
        # ciphertext gives the plain text, and encrypting that gives the tag to compare with.
        plaintext = cipher.encrypt(nonce, content, None)[:-_FULL_TAG]
        expected = cipher.encrypt(nonce, plaintext, associated)[-_FULL_TAG : TAG_LENGTH - _FULL_TAG]
    else:
        plaintext = content
        expected = cipher.encrypt(nonce, b"", associated + content)[:TAG_LENGTH]
    if not hmac.compare_digest(expected, tag):
        raise SecurityError("a protected message does not verify: altered, or another key", code="tag")
    return plaintext, control, counter


def gmac(message: bytes, *, control: SecurityControl, system_title: bytes, counter: int, keys: KeySet) -> bytes:
    """Return the 12-octet tag over ``message``, which is not sent (HLS mechanism 5)."""
    protected = seal(message, control=control, system_title=system_title, counter=counter, keys=keys)
    return protected[-TAG_LENGTH:]


def _why_not(control: SecurityControl, system_title: bytes, keys: KeySet) -> str:
    if len(system_title) != SYSTEM_TITLE_LENGTH:
        return f"a system title has 8 octets, not {len(system_title)}"
    if control.compressed:
        return "compressed messages are not supported"
    if not keys.fits(control.suite):
        return f"the keys do not fit security suite {control.suite.value}"
    return "the key that the message is for is not there"
