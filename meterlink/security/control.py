"""The security control byte in front of every protected message, and the security policy of a meter."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from meterlink.errors import SecurityError
from meterlink.security.keys import KeyRole
from meterlink.security.suites import Suite

_SUITE: Final = 0x0F
_AUTHENTICATED: Final = 0x10
_ENCRYPTED: Final = 0x20
_BROADCAST: Final = 0x40
_COMPRESSED: Final = 0x80


@dataclass(frozen=True, slots=True)
class SecurityControl:
    """Security control byte: bits 0-3 suite, 4 authenticated, 5 encrypted, 6 broadcast key, 7 compressed
    (IEC 62056-5-3, 5.7.2.4.2)."""

    suite: Suite = Suite.SUITE_0
    authenticated: bool = True
    encrypted: bool = True
    broadcast: bool = False
    compressed: bool = False
    key_role: KeyRole = field(init=False, repr=False, compare=False)
    """The global key that this byte names. (A ded- message uses the dedicated one whatever stands here.)"""
    _byte: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        byte = (
            self.suite
            | _AUTHENTICATED * self.authenticated
            | _ENCRYPTED * self.encrypted
            | _BROADCAST * self.broadcast
            | _COMPRESSED * self.compressed
        )
        object.__setattr__(self, "_byte", byte)
        object.__setattr__(self, "key_role", KeyRole.BROADCAST if self.broadcast else KeyRole.UNICAST)

    def to_byte(self) -> int:
        """Return the byte, 0..255."""
        return self._byte

    @classmethod
    def from_byte(cls, byte: int) -> SecurityControl:
        """Read the byte. Raises :class:`~meterlink.errors.SecurityError` (``suite-unknown``)."""
        try:
            return _KNOWN[byte]
        except KeyError:
            raise SecurityError(f"security suite {byte & _SUITE} is not known", code="suite-unknown") from None

    def covers(self, least: SecurityControl) -> bool:
        """Return whether this protection is at least ``least``: the same suite, and nothing that it has is missing."""
        return (
            self.suite == least.suite
            and self.authenticated >= least.authenticated
            and self.encrypted >= least.encrypted
        )

    def __str__(self) -> str:
        words = [f"suite {self.suite.value}"]
        for name in ("authenticated", "encrypted", "broadcast", "compressed"):
            if getattr(self, name):
                words.append(name)
        return ", ".join(words)


def _from_byte(byte: int) -> SecurityControl:
    return SecurityControl(
        suite=Suite(byte & _SUITE),
        authenticated=bool(byte & _AUTHENTICATED),
        encrypted=bool(byte & _ENCRYPTED),
        broadcast=bool(byte & _BROADCAST),
        compressed=bool(byte & _COMPRESSED),
    )


_KNOWN: Final = {high | suite: _from_byte(high | suite) for high in range(0, 0x100, 0x10) for suite in Suite}


class SecurityPolicy(enum.IntFlag):
    """What a meter asks of every message (Security setup, IC 64 version 1, attribute security_policy)."""

    NONE = 0
    AUTHENTICATED_REQUEST = 0x04
    ENCRYPTED_REQUEST = 0x08
    SIGNED_REQUEST = 0x10
    AUTHENTICATED_RESPONSE = 0x20
    ENCRYPTED_RESPONSE = 0x40
    SIGNED_RESPONSE = 0x80

    def least_request(self, suite: Suite) -> SecurityControl:
        """Return the least protection of a request."""
        return SecurityControl(
            suite, bool(self & SecurityPolicy.AUTHENTICATED_REQUEST), bool(self & SecurityPolicy.ENCRYPTED_REQUEST)
        )

    def least_response(self, suite: Suite) -> SecurityControl:
        """Return the least protection of a response."""
        return SecurityControl(
            suite, bool(self & SecurityPolicy.AUTHENTICATED_RESPONSE), bool(self & SecurityPolicy.ENCRYPTED_RESPONSE)
        )
