"""COSE_Sign1 (RFC 9052, 4.2) with ES256 and ES384, as tokens and renewal proofs use it.

The message is always tagged (18), the algorithm stands in the protected header, and it must be the one of the key's
curve: a message cannot choose a weaker one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from certs.cbor import CborError, read

ALGORITHM: Final = 1
KEY_ID: Final = 4
X5CHAIN: Final = 33

_CRITICAL: Final = 2
_TAG: Final = b"\xd2"  # CBOR tag 18, COSE_Sign1
_ALGORITHMS: Final[Mapping[str, tuple[int, hashes.HashAlgorithm]]] = {
    "secp256r1": (-7, hashes.SHA256()),
    "secp384r1": (-35, hashes.SHA384()),
}


class CoseError(ValueError):
    """The bytes are no COSE_Sign1 message of ours."""


@dataclass(frozen=True, slots=True)
class Sign1:
    """A parsed message whose signature was not looked at yet. ``headers`` are the protected ones."""

    protected: bytes
    headers: Mapping[int, Any]
    payload: bytes
    signature: bytes

    def is_signed_by(self, key: ec.EllipticCurvePublicKey) -> bool:
        """Tell whether the signature is ``key``'s, with the algorithm of its curve."""
        known = _ALGORITHMS.get(key.curve.name)
        if known is None or self.headers.get(ALGORITHM) != known[0]:
            return False
        size = (key.curve.key_size + 7) // 8
        if len(self.signature) != 2 * size:
            return False
        r, s = int.from_bytes(self.signature[:size]), int.from_bytes(self.signature[size:])
        try:
            key.verify(encode_dss_signature(r, s), _to_sign(self.protected, self.payload), ec.ECDSA(known[1]))
        except InvalidSignature:
            return False
        return True


def sign1(payload: bytes, key: ec.EllipticCurvePrivateKey, headers: Mapping[int, Any]) -> bytes:
    """Return ``payload`` signed with ``key`` (P-256 or P-384); ``headers`` go into the protected header."""
    algorithm, digest = _ALGORITHMS[key.curve.name]
    protected = cbor2.dumps({ALGORITHM: algorithm, **headers})
    size = (key.curve.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(_to_sign(protected, payload), ec.ECDSA(digest)))
    return _TAG + cbor2.dumps([protected, {}, payload, r.to_bytes(size) + s.to_bytes(size)])


def parse_sign1(data: bytes) -> Sign1:
    """Read a message without checking its signature. Raises :class:`CoseError`."""
    if not data.startswith(_TAG):
        raise CoseError("not a COSE_Sign1 message")
    try:
        parts = read(data[1:])
        match parts:
            case [bytes(protected), {}, bytes(payload), bytes(signature)] if not parts[1]:
                headers = read(protected)
            case _:
                raise CoseError("not a COSE_Sign1 message")
    except CborError as error:
        raise CoseError(str(error)) from None
    if not isinstance(headers, dict):
        raise CoseError("the protected header is no map")
    if _CRITICAL in headers:  # RFC 9052, 3.1: what must be understood and is not makes the message unusable
        raise CoseError("the protected header asks for what is not known here")
    return Sign1(protected, headers, payload, signature)


def _to_sign(protected: bytes, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, b"", payload])
