"""Symmetric keys of an association, held so that nothing prints them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from meterlink.security.suites import Suite


class Secret(bytes):
    """Octets that no representation shows: not ``repr``, not ``str``, not a format string, and pickle refuses.

    It is ``bytes`` in every other way. A traceback that prints local variables prints only the length.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} secret octets>"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled")


class KeyId(enum.IntEnum):
    """Which key of a meter is meant (Security setup, IC 64, methods key_transfer and key_agreement)."""

    UNICAST = 0
    """Global unicast encryption key."""
    BROADCAST = 1
    """Global broadcast encryption key."""
    AUTHENTICATION = 2
    """Global authentication key."""
    MASTER = 3
    """Master key, the key encryption key (KEK)."""


class KeyRole(enum.IntEnum):
    """Which encryption key of a :class:`KeySet` protects a message."""

    UNICAST = 0
    BROADCAST = 1
    DEDICATED = 2


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The keys that two parties share: 16 octets each in suites 0 and 1, 32 in suite 2.

    ``unicast`` is the global unicast encryption key, ``authentication`` the global authentication key, ``dedicated``
    the key of one association, ``master`` the key encryption key. Raises ``ValueError`` when the lengths differ or fit
    no suite. The ``repr`` shows which keys are there and no octet of them.
    """

    unicast: bytes
    authentication: bytes
    broadcast: bytes | None = None
    dedicated: bytes | None = None
    master: bytes | None = None
    _ready: dict[int, tuple[AESGCM, Secret]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("unicast", "authentication", "broadcast", "dedicated", "master"):
            key = getattr(self, name)
            if key is None:
                continue
            if len(key) not in (16, 32) or len(key) != len(self.unicast):
                raise ValueError(f"the {name} key has {len(key)} octets; all keys have 16, or all have 32")
            object.__setattr__(self, name, Secret(key))

    def fits(self, suite: Suite) -> bool:
        """Return whether the keys have the length that ``suite`` asks for."""
        return len(self.unicast) == suite.key_length

    def key(self, role: KeyRole) -> bytes | None:
        """Return the encryption key of ``role``, None when there is none."""
        return (self.unicast, self.broadcast, self.dedicated)[role]

    def ready(self, control: int, suite: Suite, role: KeyRole) -> tuple[AESGCM, Secret] | None:
        """Return what protects messages with this security control byte: AES-GCM under the key of ``role``, and what is
        authenticated beside each message. None when there is no such key, or not one for ``suite``."""
        index = control << 2 | role
        found = self._ready.get(index)
        if found is None:
            key = self.key(role)
            if key is None or not self.fits(suite):
                return None
            found = AESGCM(key), Secret(bytes((control,)) + self.authentication)
            self._ready[index] = found
        return found

    def with_dedicated(self, key: bytes) -> KeySet:
        """Return the same keys with ``key`` as the dedicated one."""
        return KeySet(self.unicast, self.authentication, self.broadcast, key, self.master)
