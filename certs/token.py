"""CSR tokens: the right to one certificate, given by the authority.

A token is a COSE_Sign1 message over CWT claims (RFC 8392), signed by the issuing CA. As text it is ``MLT1:`` and
Base45 (RFC 9285), which fits the alphanumeric mode of a QR code. Who holds it can ask once for a certificate of the
level and organization that it names; the authority spends it when it issues.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import base45
import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certs import cose, names, profile, revocation
from certs.cbor import CborError, read
from certs.clock import show
from certs.domain import TrustDomain
from certs.errors import TokenError
from certs.levels import Level
from certs.path import policies_of

PREFIX: Final = "MLT1:"
ID_LENGTH: Final = 16
MAX_TEXT: Final = 2048

# Claim keys: 4, 6 and 7 are registered (RFC 8392, 3.1), those below -65536 are for private use (IANA CWT registry).
_EXPIRES: Final = 4
_ISSUED: Final = 6
_ID: Final = 7
_LEVEL: Final = -65537
_ORGANIZATION: Final = -65538
_SYSTEM_TITLE: Final = -65539
_SUITE: Final = -65540

_LEVEL_NUMBERS: Final = dict(enumerate(Level, start=1))  # the policy's last arc
_MAX_TIME: Final = 253_402_300_799  # 9999-12-31, the last second that datetime holds
_ASK: Final = "Ask the authority for a new token."


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says. ``id`` has 16 bytes and is unique, ``system_title`` has 8, ``suite`` is 1 or 2.

    It may be used until ``expires``. Its text is a secret of its holder: whoever has it can ask in the holder's place.
    """

    id: bytes
    level: Level
    organization: str
    system_title: bytes
    suite: int
    issued: dt.datetime
    expires: dt.datetime

    @property
    def serial(self) -> str:
        """The id in hex, for lists and messages."""
        return self.id.hex()


def issue(token: Token, ca_key: ec.EllipticCurvePrivateKey, ca_certificate: x509.Certificate) -> str:
    """Return the text of ``token`` signed by the issuing CA. Times lose their fractions of a second."""
    claims = {
        _EXPIRES: int(token.expires.timestamp()),
        _ISSUED: int(token.issued.timestamp()),
        _ID: token.id,
        _LEVEL: list(Level).index(token.level) + 1,
        _ORGANIZATION: token.organization,
        _SYSTEM_TITLE: token.system_title,
        _SUITE: token.suite,
    }
    message = cose.sign1(cbor2.dumps(claims), ca_key, {cose.KEY_ID: _key_id(ca_certificate)})
    return PREFIX + str(base45.b45encode(message), "ascii")


def verify(text: str, domain: TrustDomain, now: dt.datetime) -> Token:
    """Check a token's signature and expiry and return what it says.

    Raises :class:`TokenError` ``token-format``, ``token-signature`` or ``token-expired``.
    """
    message = _parse(text)
    signer = _signer(message, domain)
    token = _claims(message) if signer is not None else None
    if signer is None or token is None or token.level.policy not in policies_of(signer):
        raise TokenError(
            "token-signature",
            f"the token is not signed by the authority of the domain {domain.name}, or was altered",
            "Scan it again; if it belongs to another domain, join that domain first (certs join).",
        )
    if now > token.expires:
        message_text = f"the token expired on {show(token.expires)}; this device's clock says {show(now)}"
        raise TokenError("token-expired", message_text, _ASK)
    return token


def peek(text: str) -> Token:
    """Return what a token claims WITHOUT checking its signature: for sorting and messages, never for a decision.

    Raises :class:`TokenError` ``token-format``.
    """
    return _claims(_parse(text))


def _parse(text: str) -> cose.Sign1:
    if not text.startswith(PREFIX) or len(text) > MAX_TEXT:
        raise TokenError("token-format", "this is not a CSR token", "Scan the first of the two QR codes.")
    try:
        return cose.parse_sign1(base45.b45decode(text[len(PREFIX) :]))
    except ValueError as error:
        raise TokenError("token-format", "the token is damaged", "Scan it again.") from error


def _claims(message: cose.Sign1) -> Token:
    try:
        return _token(read(message.payload))
    except (CborError, KeyError, TypeError, ValueError) as error:
        raise TokenError("token-format", "the token does not say what a token must say", _ASK) from error


def _token(claims: Any) -> Token:
    if not isinstance(claims, dict):
        raise ValueError("claims are a map")
    token = Token(
        id=_bytes(claims[_ID], ID_LENGTH),
        level=_LEVEL_NUMBERS[claims[_LEVEL]],
        organization=_text(claims[_ORGANIZATION]),
        system_title=_bytes(claims[_SYSTEM_TITLE], profile.SYSTEM_TITLE_LENGTH),
        suite=claims[_SUITE],
        issued=_time(claims[_ISSUED]),
        expires=_time(claims[_EXPIRES]),
    )
    if not names.is_plain(token.organization, names.MAX_ORGANIZATION):
        raise ValueError("organization")
    if token.suite not in profile.SUITE_CURVES:
        raise ValueError("suite")
    return token


def _bytes(value: Any, length: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != length:
        raise ValueError("length of a byte string")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _time(value: Any) -> dt.datetime:
    if not isinstance(value, int) or not 0 <= value <= _MAX_TIME:
        raise ValueError("time out of range")
    return dt.datetime.fromtimestamp(value, dt.UTC)


def _key_id(ca: x509.Certificate) -> bytes:
    return ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest[:8]


def _signer(message: cose.Sign1, domain: TrustDomain) -> x509.Certificate | None:
    """Return the CA that signed a token, None where none did that may.

    A CA that may issue nothing but Consumer certificates signs no tokens: the key of such a one is public.
    """
    for ca in domain.authorities:
        key = profile.public_key_of(ca)
        if (
            _key_id(ca) == message.headers.get(cose.KEY_ID)
            and policies_of(ca) != {Level.CONSUMER.policy}
            and isinstance(key, ec.EllipticCurvePublicKey)
            and message.is_signed_by(key)
            and not any(revocation.entry_of(ca, domain.root, crl) for crl in domain.crls)
        ):
            return ca
    return None
