"""ECDSA signatures and public keys in the raw form that DLMS sends: r followed by s, X followed by Y."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from meterlink.errors import LocalProtocolError, SecurityError
from meterlink.security.suites import Suite

_UNCOMPRESSED = b"\x04"
"""Prefix of an uncompressed point (SEC 1, 2.3.3). DLMS leaves it out."""


def sign(message: bytes, *, suite: Suite, private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the signature of ``message``: 64 octets in suite 1, 96 in suite 2.

    Raises :class:`~meterlink.errors.LocalProtocolError` when the key is not on the suite's curve.
    """
    _check_curve(suite, private_key.curve)
    r, s = decode_dss_signature(private_key.sign(message, ec.ECDSA(suite.hash)))
    size = suite.public_key_algorithms.coordinate_length
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def verify(message: bytes, signature: bytes, *, suite: Suite, public_key: ec.EllipticCurvePublicKey) -> None:
    """Raise :class:`~meterlink.errors.SecurityError` (``signature``) unless ``signature`` is that of ``message``."""
    size = suite.public_key_algorithms.coordinate_length
    if len(signature) != 2 * size or public_key.curve.name != suite.curve.name:
        raise SecurityError("a signature does not fit the security suite", code="signature")
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    try:
        public_key.verify(encode_dss_signature(r, s), message, ec.ECDSA(suite.hash))
    except InvalidSignature:
        raise SecurityError("a signature does not verify", code="signature") from None


def public_key_to_bytes(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """Return X followed by Y."""
    numbers = public_key.public_numbers()
    size = (public_key.curve.key_size + 7) // 8
    return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")


def public_key_from_bytes(data: bytes, suite: Suite) -> ec.EllipticCurvePublicKey:
    """Read X followed by Y. Raises :class:`~meterlink.errors.SecurityError` (``public-key``) unless it is a point of
    the suite's curve."""
    if len(data) != suite.public_key_length:
        raise SecurityError(f"a public key has {suite.public_key_length} octets, not {len(data)}", code="public-key")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(suite.curve, _UNCOMPRESSED + data)
    except ValueError:
        raise SecurityError("a public key is not a point of the curve", code="public-key") from None


def _check_curve(suite: Suite, curve: ec.EllipticCurve) -> None:
    if curve.name != suite.curve.name:
        raise LocalProtocolError(f"the key is on {curve.name}, security suite {suite.value} needs {suite.curve.name}")
