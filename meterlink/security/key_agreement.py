"""Key agreement with elliptic curves: C(2e,0s), C(1e,1s) and C(0e,2s) (NIST SP 800-56A, IEC 62056-5-3, 5.3.4.6).

C(2e,0s), the ephemeral unified model, is what ``key_agreement`` of the Security setup does: both parties make an
ephemeral key pair for every key to agree on, sign the public part together with the key's number, and derive the key.
Nothing that is kept can later tell the key: forward secrecy. C(1e,1s) and C(0e,2s) serve general-ciphering.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from meterlink.errors import LocalProtocolError, SecurityError
from meterlink.security import signing
from meterlink.security.keys import KeyId, KeySet, Secret
from meterlink.security.suites import Suite


class AlgorithmId(enum.Enum):
    """What a derived key is for: the content of the object identifier 2.16.756.5.8.3.x."""

    AES_GCM_128 = bytes.fromhex("60857405080300")
    AES_GCM_256 = bytes.fromhex("60857405080301")
    AES_WRAP_128 = bytes.fromhex("60857405080302")
    AES_WRAP_256 = bytes.fromhex("60857405080303")


_ALGORITHMS: Final[Mapping[tuple[int, bool], AlgorithmId]] = {
    (16, False): AlgorithmId.AES_GCM_128,
    (32, False): AlgorithmId.AES_GCM_256,
    (16, True): AlgorithmId.AES_WRAP_128,
    (32, True): AlgorithmId.AES_WRAP_256,
}


def algorithm_for(suite: Suite, key_id: KeyId = KeyId.UNICAST) -> AlgorithmId:
    """Return the algorithm that ``key_id`` is agreed for: key wrap for the master key, AES-GCM for all others."""
    return _ALGORITHMS[suite.key_length, key_id is KeyId.MASTER]


def derive(shared: bytes, *, suite: Suite, algorithm: bytes, party_u: bytes, party_v: bytes) -> Secret:
    """Return the key that follows from the shared secret ``Z``: the first octets of
    ``Hash(00000001 || Z || algorithm || party U || party V)`` (NIST SP 800-56A, 5.8.2.1.1)."""
    digest = hashes.Hash(suite.hash)
    digest.update(b"\x00\x00\x00\x01" + shared + algorithm + party_u + party_v)
    return Secret(digest.finalize()[: suite.key_length])


def shared_secret(private_key: ec.EllipticCurvePrivateKey, public_key: ec.EllipticCurvePublicKey) -> Secret:
    """Return ``Z``, the X coordinate of the common point. Raises :class:`~meterlink.errors.SecurityError`
    (``public-key``) when the keys are not on one curve."""
    try:
        return Secret(private_key.exchange(ec.ECDH(), public_key))
    except (ValueError, InvalidKey):
        raise SecurityError("the public key does not fit ours", code="public-key") from None


@dataclass(frozen=True, slots=True)
class Offer:
    """One party's half of one key, as it stands in the parameters of ``key_agreement``: ``data`` is the ephemeral
    public key followed by the signature over key number and public key."""

    key_id: KeyId
    data: bytes


class EphemeralAgreement:
    """Our half of a C(2e,0s) agreement on one or more keys, for either party.

    Make one, send :attr:`offers`, give the peer's offers to :meth:`agree`. It works once: the private keys are
    dropped with the first attempt, whether that succeeds or not.
    """

    def __init__(self, *, suite: Suite, key_ids: Iterable[KeyId], signing_key: ec.EllipticCurvePrivateKey) -> None:
        self._suite = suite
        self._private: dict[KeyId, ec.EllipticCurvePrivateKey] = {}
        offers: list[Offer] = []
        for key_id in dict.fromkeys(key_ids):
            private = ec.generate_private_key(suite.curve)
            public = signing.public_key_to_bytes(private.public_key())
            signature = signing.sign(_signed_part(key_id, public), suite=suite, private_key=signing_key)
            self._private[key_id] = private
            offers.append(Offer(key_id, public + signature))
        if not offers:
            raise LocalProtocolError("there is no key to agree on")
        self._offers = tuple(offers)

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What the peer needs from us."""
        return self._offers

    def agree(
        self,
        peer_offers: Sequence[Offer],
        *,
        peer_public_key: ec.EllipticCurvePublicKey,
        party_u: bytes,
        party_v: bytes,
    ) -> dict[KeyId, Secret]:
        """Return the agreed keys.

        ``peer_public_key`` is the one of the peer's certificate, ``party_u`` the system title of the party that began
        (the client), ``party_v`` that of the other. Raises :class:`~meterlink.errors.SecurityError`:
        ``authentication-failed`` when a signature does not verify, ``reflected`` when an offer is our own,
        ``key-agreement`` when the keys offered are not exactly ours, ``public-key``.
        """
        private, self._private = self._private, {}
        if not private:
            raise LocalProtocolError("this key agreement was used before")
        if len(peer_offers) != len(private) or {offer.key_id for offer in peer_offers} != private.keys():
            raise SecurityError("the peer offers other keys than those asked for", code="key-agreement")
        own = [offer.data[: self._suite.public_key_length] for offer in self._offers]
        keys: dict[KeyId, Secret] = {}
        for offer in peer_offers:
            public = read_offer(offer, suite=self._suite, public_key=peer_public_key)
            if any(hmac.compare_digest(mine, signing.public_key_to_bytes(public)) for mine in own):
                raise SecurityError("the peer sent our own ephemeral key back", code="reflected")
            keys[offer.key_id] = derive(
                shared_secret(private[offer.key_id], public),
                suite=self._suite,
                algorithm=algorithm_for(self._suite, offer.key_id).value,
                party_u=party_u,
                party_v=party_v,
            )
        return keys


def read_offer(offer: Offer, *, suite: Suite, public_key: ec.EllipticCurvePublicKey) -> ec.EllipticCurvePublicKey:
    """Return the ephemeral public key of a signed offer.

    Raises :class:`~meterlink.errors.SecurityError`: ``key-agreement`` for a wrong length, ``authentication-failed``
    when the signature is not that of ``public_key``, ``public-key`` when it is no point of the curve.
    """
    size = suite.public_key_length
    if len(offer.data) != size + suite.signature_length:
        raise SecurityError("the offer of an ephemeral key has a wrong length", code="key-agreement")
    public, signature = offer.data[:size], offer.data[size:]
    try:
        signing.verify(_signed_part(offer.key_id, public), signature, suite=suite, public_key=public_key)
    except SecurityError:
        raise SecurityError("an ephemeral key is not signed by the peer", code="authentication-failed") from None
    return signing.public_key_from_bytes(public, suite)


def key_set_from(keys: Mapping[KeyId, bytes], base: KeySet | None = None) -> KeySet:
    """Return the key set that follows from agreed keys; those that were not agreed on are taken from ``base``.

    Raises :class:`~meterlink.errors.LocalProtocolError` when the unicast or the authentication key is missing.
    """
    unicast = keys.get(KeyId.UNICAST, base.unicast if base else None)
    authentication = keys.get(KeyId.AUTHENTICATION, base.authentication if base else None)
    if unicast is None or authentication is None:
        raise LocalProtocolError("the unicast and the authentication key must both be known")
    return KeySet(
        unicast,
        authentication,
        broadcast=keys.get(KeyId.BROADCAST, base.broadcast if base else None),
        dedicated=base.dedicated if base else None,
        master=keys.get(KeyId.MASTER, base.master if base else None),
    )


def _signed_part(key_id: KeyId, public: bytes) -> bytes:
    return bytes((key_id,)) + public
