"""Which proof an association's mechanism asks for, from what one side brings."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from meterlink.cosem.association.config import CURRENT_ASSOCIATION, AssociationConfig
from meterlink.cosem.names import Method
from meterlink.errors import LocalProtocolError, SecurityError
from meterlink.security.counters import SendCounter
from meterlink.security.hls import EcdsaProof, GmacProof, Mechanism, SecretProof
from meterlink.security.suites import suite_for_curve

Proof = SecretProof | GmacProof | EcdsaProof

REPLY_TO_HLS = Method(15, CURRENT_ASSOCIATION, 1)
"""Association LN, reply_to_HLS_authentication: carries the third and fourth pass."""


def make_proof(config: AssociationConfig, peer_key: EllipticCurvePublicKey | None, counter: SendCounter) -> Proof:
    """Return how this side proves who it is and checks the peer. Raises SecurityError (``suite-mismatch``)."""
    if config.mechanism is Mechanism.GMAC and config.keys is not None:
        return GmacProof(config.suite, config.keys, counter)
    if config.mechanism is Mechanism.ECDSA and config.signer is not None and peer_key is not None:
        check_curve(config, peer_key)
        return EcdsaProof(config.suite, config.signer, peer_key)
    if config.secret is not None:
        return SecretProof(config.mechanism, config.secret)
    raise LocalProtocolError("the association has no means to prove anything")


def check_curve(config: AssociationConfig, peer_key: EllipticCurvePublicKey) -> None:
    """Refuse a peer whose key is not of the security suite. Raises SecurityError (``suite-mismatch``)."""
    try:
        suite = suite_for_curve(peer_key.curve)
    except ValueError:
        suite = None
    if suite is not config.suite:
        raise SecurityError("the peer's key does not belong to the security suite in use", code="suite-mismatch")
