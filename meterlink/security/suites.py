"""Security suites 0, 1 and 2 (IEC 62056-5-3, 5.3.7, table "Security suites")."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

TAG_LENGTH: Final = 12
"""Octets of an authentication tag, all suites."""

SYSTEM_TITLE_LENGTH: Final = 8
"""Octets of a system title: three of the manufacturer's flag, five that make it unique."""


@dataclass(frozen=True, slots=True)
class PublicKeyAlgorithms:
    """The public key part of a suite: curve, hash, and octets of one coordinate."""

    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm
    coordinate_length: int


class Suite(enum.IntEnum):
    """A security suite; the value is what stands in the low half of the security control byte."""

    SUITE_0 = 0
    """AES-GCM-128, AES-128 key wrap; no public keys."""
    SUITE_1 = 1
    """AES-GCM-128, ECDSA and ECDH on P-256, SHA-256, AES-128 key wrap."""
    SUITE_2 = 2
    """AES-GCM-256, ECDSA and ECDH on P-384, SHA-384, AES-256 key wrap."""

    @property
    def key_length(self) -> int:
        """Octets of a symmetric key."""
        return 32 if self is Suite.SUITE_2 else 16

    @property
    def public_key_algorithms(self) -> PublicKeyAlgorithms:
        """Curve and hash. Raises ``ValueError`` for suite 0, which has none."""
        try:
            return _PUBLIC_KEY_ALGORITHMS[self]
        except KeyError:
            raise ValueError("security suite 0 has no public keys") from None

    @property
    def curve(self) -> ec.EllipticCurve:
        """The elliptic curve. Raises ``ValueError`` for suite 0."""
        return self.public_key_algorithms.curve

    @property
    def hash(self) -> hashes.HashAlgorithm:
        """The hash of signatures and of key derivation. Raises ``ValueError`` for suite 0."""
        return self.public_key_algorithms.hash

    @property
    def public_key_length(self) -> int:
        """Octets of a raw public key, X followed by Y. Raises ``ValueError`` for suite 0."""
        return 2 * self.public_key_algorithms.coordinate_length

    @property
    def signature_length(self) -> int:
        """Octets of a raw signature, r followed by s. Raises ``ValueError`` for suite 0."""
        return 2 * self.public_key_algorithms.coordinate_length


_PUBLIC_KEY_ALGORITHMS: Final[Mapping[Suite, PublicKeyAlgorithms]] = MappingProxyType(
    {
        Suite.SUITE_1: PublicKeyAlgorithms(ec.SECP256R1(), hashes.SHA256(), 32),
        Suite.SUITE_2: PublicKeyAlgorithms(ec.SECP384R1(), hashes.SHA384(), 48),
    }
)


def suite_for_curve(curve: ec.EllipticCurve) -> Suite:
    """Return the suite whose public keys lie on ``curve``. Raises ``ValueError`` for any other curve."""
    for suite, algorithms in _PUBLIC_KEY_ALGORITHMS.items():
        if algorithms.curve.name == curve.name:
            return suite
    raise ValueError(f"no security suite uses the curve {curve.name}")
