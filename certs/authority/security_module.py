"""The issuing CA's key in a security module (PKCS#11): made there, used there, never outside.

A key is found by its public part, which stands in the CA's certificate; labels are for people. The token's PIN is the
authority's passphrase. Needs the extra ``pkcs11``; load this module when it is needed.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import pkcs11
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11.exceptions import PinIncorrect, PinLenRange, PKCS11Error, UserAlreadyLoggedIn
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from certs.authority.home import Location
from certs.errors import KeyStoreError

LABEL: Final = "meterlink issuing CA"

_KEY_ID_LENGTH: Final = 20
_STAYS: Final = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}


class ModuleKey(ec.EllipticCurvePrivateKey):
    """A private key in a security module, for everything that takes cryptography's keys to sign with."""

    def __init__(self, session: Any, private: Any, public: ec.EllipticCurvePublicKey) -> None:
        self._session = session  # kept open as long as the key is used
        self._private = private
        self._public = public

    @property
    def curve(self) -> ec.EllipticCurve:
        """The key's curve."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve's order."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public part."""
        return self._public

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:  # type: ignore[override]
        """Return a DER-encoded ECDSA signature made in the module. Raises :class:`KeyStoreError` ``key-module``."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            digest = bytes(data)
        else:
            context = hashes.Hash(algorithm)
            context.update(data)
            digest = context.finalize()
        with _explained():
            raw = bytes(self._private.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """A CA's key signs and does nothing else. Raises :class:`KeyStoreError` ``key-module``."""
        raise _stays_inside()

    def private_numbers(self) -> NoReturn:
        """The key does not leave the module. Raises :class:`KeyStoreError` ``key-module``."""
        raise _stays_inside()

    def private_bytes(self, *_arguments: object, **_named: object) -> NoReturn:
        """The key does not leave the module. Raises :class:`KeyStoreError` ``key-module``."""
        raise _stays_inside()

    def __copy__(self) -> ModuleKey:
        return self

    def __deepcopy__(self, _memo: dict[int, object]) -> ModuleKey:
        return self


def generate(location: Location, pin: str, curve: ec.EllipticCurve) -> ModuleKey:
    """Make a key in the module. Raises :class:`KeyStoreError` ``passphrase-wrong`` or ``key-module``."""
    with _explained():
        session = _open(location, pin)
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve.name)}, local=True
        )
        public, private = parameters.generate_keypair(
            id=secrets.token_bytes(_KEY_ID_LENGTH), label=LABEL, store=True, private_template=_STAYS
        )
        return ModuleKey(session, private, _load(encode_ec_public_key(public)))


def load(location: Location, pin: str, public_key: ec.EllipticCurvePublicKey) -> ModuleKey:
    """Return the key whose public part is ``public_key``.

    Raises :class:`KeyStoreError` ``passphrase-wrong``, ``key-missing`` or ``key-module``.
    """
    wanted = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    kind = {pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC}
    with _explained():
        session = _open(location, pin)
        # A list, because a search that is under way lets nothing else be done in its session.
        for public in list(session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY, **kind})):
            if encode_ec_public_key(public) == wanted:
                private = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, id=public.id)
                return ModuleKey(session, private, public_key)
    message = f"the token {location.token} does not hold the CA's key"
    raise KeyStoreError("key-missing", message, "Insert the right token.")


def _open(location: Location, pin: str) -> Any:
    token = pkcs11.lib(location.module).get_token(token_label=location.token)
    try:
        return token.open(user_pin=pin, rw=True)
    except UserAlreadyLoggedIn:  # a login counts for all sessions of a process
        return token.open(rw=True)


def _load(der: bytes) -> ec.EllipticCurvePublicKey:
    key = serialization.load_der_public_key(der)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (PinIncorrect, PinLenRange) as error:
        raise KeyStoreError("passphrase-wrong", "the token refuses the PIN", "Too many wrong ones lock it.") from error
    except PKCS11Error as error:
        message = f"the security module cannot be used: {str(error) or type(error).__name__}"
        raise KeyStoreError("key-module", message, "Check the module's file, the token and its label.") from error


def _stays_inside() -> KeyStoreError:
    return KeyStoreError("key-module", "the key is in a security module and does not leave it")
