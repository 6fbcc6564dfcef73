"""Certificate levels, the permissions they grant, and the policy OIDs that carry them.

A level stands in a certificate as exactly one certificate policy (RFC 5280, 4.2.1.4). The arc is a UUID arc (ITU-T
X.667), so nobody else hands out numbers below it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cryptography.x509 import ObjectIdentifier

ARC: Final = "2.25.13629873834249850967935741841888376709"
"""Root of all object identifiers of this project."""

METER_POLICY: Final = ObjectIdentifier(f"{ARC}.1.16")
"""Policy of a meter's certificate. It is not a level: a meter may do nothing by it, it only proves which meter it
is."""

TOKEN_ATTRIBUTE: Final = ObjectIdentifier(f"{ARC}.2.1")
"""PKCS#10 attribute that carries a CSR token's text as UTF8String."""


class Permission(enum.Enum):
    """What a command asks for."""

    READ = "read"
    CONFIGURE = "configure"
    COMMISSION = "commission"
    TEST = "test"


class Level(enum.Enum):
    """What a certificate says its owner is. Ordered by :attr:`rank` where one must be called lower than another."""

    CONSUMER = "Consumer"
    INSTALLATION = "Installation"
    COMMISSIONING = "Commissioning"
    SERVICE = "Service"
    TEST = "Test"

    @property
    def policy(self) -> ObjectIdentifier:
        """The certificate policy that stands for this level."""
        return _POLICIES[self]

    @property
    def permissions(self) -> frozenset[Permission]:
        """The permissions this level grants."""
        return GRANTS[self]

    @property
    def rank(self) -> int:
        """Number of permissions: a level with fewer is the lower one."""
        return len(GRANTS[self])

    @classmethod
    def parse(cls, name: str) -> Level:
        """Return the level called ``name``, in any case of letters.

        Raises ``ValueError`` naming the known levels.
        """
        for level in cls:
            if level.value.casefold() == name.strip().casefold():
                return level
        known = ", ".join(level.value for level in cls)
        raise ValueError(f"no level is called {name!r}; known are {known}")


GRANTS: Final[Mapping[Level, frozenset[Permission]]] = MappingProxyType(
    {
        Level.CONSUMER: frozenset({Permission.READ}),
        Level.INSTALLATION: frozenset({Permission.READ, Permission.CONFIGURE}),
        Level.COMMISSIONING: frozenset({Permission.READ, Permission.CONFIGURE, Permission.COMMISSION}),
        Level.SERVICE: frozenset(Permission),
        Level.TEST: frozenset({Permission.READ, Permission.TEST}),
    }
)

_POLICIES: Final = MappingProxyType(
    {level: ObjectIdentifier(f"{ARC}.1.{number}") for number, level in enumerate(Level, start=1)}
)

LEVEL_OF_POLICY: Final[Mapping[ObjectIdentifier, Level]] = MappingProxyType(
    {policy: level for level, policy in _POLICIES.items()}
)


def levels_granting(permission: Permission) -> tuple[Level, ...]:
    """Return the levels that grant ``permission``, the lowest first."""
    return tuple(sorted((level for level in Level if permission in GRANTS[level]), key=lambda level: level.rank))
