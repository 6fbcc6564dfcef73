"""Certificate signing requests (PKCS#10, RFC 2986): built on the technician's side, read on the authority's.

A request says O, CN (the system title) and the tag, and carries in one attribute of its own either the token's text
or, for a renewal, the proof that the holder of the old certificate asks. The attribute stands under the request's own
signature, so neither can be exchanged on the way. Nothing else is allowed in it: what is certified beside the key is
decided by the token alone.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

import base45
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certs import cose, names, profile
from certs.errors import RequestError
from certs.levels import ARC, TOKEN_ATTRIBUTE
from certs.loading import UNREADABLE, load_csr, load_der
from certs.names import file_name
from certs.token import Token

__all__ = [
    "MAX_REQUEST",
    "RENEWAL_ATTRIBUTE",
    "Renewal",
    "Request",
    "build_renewal",
    "build_request",
    "check_possession",
    "file_name",
    "fingerprint",
    "load_request",
    "read_request",
    "same_fingerprint",
]

RENEWAL_ATTRIBUTE: Final = x509.ObjectIdentifier(f"{ARC}.2.2")
"""PKCS#10 attribute that carries the old key's signature over the new one, as UTF8String."""

RENEWAL_PREFIX: Final = "MLR1:"
MAX_REQUEST: Final = 64 * 1024
"""Bytes of a request that are read."""

_MAX_ATTRIBUTE: Final = 16 * 1024
_PEM: Final = re.compile(rb"-----BEGIN (NEW )?CERTIFICATE REQUEST-----")
_FINGERPRINT_BYTES: Final = 16  # 128 bits: no second key with the same one, and short enough to read out
_ALLOWED_NAMES: Final = frozenset({NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME, profile.DESCRIPTION})
_AGAIN: Final = "Create the request again (certs request)."


@dataclass(frozen=True, slots=True)
class Renewal:
    """A renewal's proof: ``certificate`` is the old one, and its key signed the new one. Nothing else is checked.

    Whether the old certificate is valid, of this domain and not revoked is for the authority to look up.
    """

    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose form and own signature hold. Exactly one of ``token_text`` and ``renewal`` is set.

    ``organization``, ``system_title`` (8 bytes) and ``tag`` are what the applicant wrote; the token decides.
    """

    csr: x509.CertificateSigningRequest
    organization: str
    system_title: bytes
    tag: str
    public_key: ec.EllipticCurvePublicKey
    suite: int
    token_text: str | None = field(default=None, repr=False)
    renewal: Renewal | None = None

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint, to be compared over the phone."""
        return fingerprint(self.public_key)

    @property
    def pem(self) -> bytes:
        """The request as a PEM file."""
        return self.csr.public_bytes(serialization.Encoding.PEM)

    def check_against(self, token: Token) -> None:
        """Check that the request asks for what ``token`` grants.

        Raises :class:`RequestError` ``csr-organization``, ``csr-system-title`` or ``csr-key-type``.
        """
        if self.organization != token.organization:
            message = f"the request names {self.organization}, the token {token.organization}"
            raise RequestError("csr-organization", message, _AGAIN)
        if self.system_title != token.system_title:
            raise RequestError("csr-system-title", "the request names another system title than the token", _AGAIN)
        if self.suite != token.suite:
            message = f"the key is of suite {self.suite}, the token of suite {token.suite}"
            raise RequestError("csr-key-type", message, _AGAIN)


def build_request(
    token_text: str, token: Token, tag: str, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateSigningRequest:
    """Return the request for ``token`` with ``key``; ``token_text`` goes into it as it was scanned.

    Raises :class:`RequestError` ``csr-tag``, or ``csr-key-type`` when ``key`` is not of the token's suite.
    """
    suite = profile.suite_of(key)
    if suite is None or suite.suite != token.suite:
        raise RequestError("csr-key-type", f"the token asks for a key of suite {token.suite}", _AGAIN)
    return _build(token.organization, token.system_title, tag, TOKEN_ATTRIBUTE, token_text, key, suite)


def build_renewal(
    old: x509.Certificate,
    old_key: ec.EllipticCurvePrivateKey,
    organization: str,
    system_title: bytes,
    tag: str,
    key: ec.EllipticCurvePrivateKey,
) -> x509.CertificateSigningRequest:
    """Return the request to renew ``old`` with the new ``key``, of the same suite; ``old_key`` signs it too.

    Raises :class:`RequestError` ``csr-tag`` or ``csr-key-type``.
    """
    suite = profile.suite_of(key)
    if suite is None or suite != profile.suite_of(old_key):
        raise RequestError("csr-key-type", "the new key is not of the old one's suite", _AGAIN)
    der = old.public_bytes(serialization.Encoding.DER)
    proof = cose.sign1(_key_digest(key.public_key()), old_key, {cose.X5CHAIN: der})
    text = RENEWAL_PREFIX + str(base45.b45encode(proof), "ascii")
    return _build(organization, system_title, tag, RENEWAL_ATTRIBUTE, text, key, suite)


def read_request(data: bytes) -> Request:
    """Read a request, PEM (anywhere in a text) or DER, and check everything that it shows by itself.

    Raises :class:`RequestError` ``csr-format``, ``csr-key-type``, ``csr-signature``, ``csr-extension``,
    ``csr-no-token``, ``csr-organization``, ``csr-system-title``, ``csr-tag`` or ``organization-name``.
    """
    csr = load_request(data, "Send the .csr file that the program made.")
    public_key, suite = check_possession(csr, _AGAIN)
    _check_nothing_else(csr)
    organization, system_title, tag = _subject(csr)
    token_text, renewal = _grounds(csr, public_key)
    return Request(csr, organization, system_title, tag, public_key, suite.suite, token_text, renewal)


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """Return the first 128 bits of SHA-256 over the key (SubjectPublicKeyInfo), in groups of four hex digits."""
    digits = _key_digest(key)[:_FINGERPRINT_BYTES].hex().upper()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def same_fingerprint(one: str, other: str) -> bool:
    """Tell whether two fingerprints are the same, whatever their case and grouping. A part is not enough."""
    first, second = ("".join(filter(str.isalnum, text)).upper() for text in (one, other))
    return first == second and len(first) == 2 * _FINGERPRINT_BYTES


def _key_digest(key: ec.EllipticCurvePublicKey) -> bytes:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


def _build(
    organization: str,
    system_title: bytes,
    tag: str,
    attribute: x509.ObjectIdentifier,
    text: str,
    key: ec.EllipticCurvePrivateKey,
    suite: profile.SuiteCurve,
) -> x509.CertificateSigningRequest:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, profile.system_title_text(system_title)),
            x509.NameAttribute(profile.DESCRIPTION, names.check_tag(tag)),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.add_attribute(attribute, text.encode()).sign(key, suite.hash)


def load_request(data: bytes, hint: str) -> x509.CertificateSigningRequest:
    """Return a request from PEM (anywhere in a text) or DER. Raises :class:`RequestError` ``csr-format`` with
    ``hint``."""
    if len(data) > MAX_REQUEST:
        raise RequestError("csr-format", f"a request has at most {MAX_REQUEST} bytes", hint)
    try:
        return load_csr(data, is_pem=_PEM.search(data) is not None)
    except UNREADABLE as error:
        raise RequestError("csr-format", "this is not a certificate signing request", hint) from error


def check_possession(
    csr: x509.CertificateSigningRequest, hint: str
) -> tuple[ec.EllipticCurvePublicKey, profile.SuiteCurve]:
    """Return the key of a request and its suite, after checking that whoever made the request holds the key.

    Raises :class:`RequestError` ``csr-key-type`` or ``csr-signature`` with ``hint``.
    """
    key, suite = _key(csr, hint)
    _check_signature(csr, suite, hint)
    return key, suite


def _key(csr: x509.CertificateSigningRequest, hint: str) -> tuple[ec.EllipticCurvePublicKey, profile.SuiteCurve]:
    try:
        key = csr.public_key()
    except UNREADABLE:
        key = None
    suite = profile.suite_of(key)
    if suite is None or not isinstance(key, ec.EllipticCurvePublicKey):
        raise RequestError("csr-key-type", "the key is on neither P-256 nor P-384", hint)
    return key, suite


def _check_signature(csr: x509.CertificateSigningRequest, suite: profile.SuiteCurve, hint: str) -> None:
    try:
        digest = csr.signature_hash_algorithm
        valid = csr.is_signature_valid
    except UNREADABLE:
        digest, valid = None, False
    if not valid:
        raise RequestError("csr-signature", "the request was altered: its signature does not hold", hint)
    if digest is None or digest.name != suite.hash.name:
        raise RequestError("csr-key-type", f"the signature is not made with {suite.hash.name}", hint)


def _check_nothing_else(csr: x509.CertificateSigningRequest) -> None:
    """Refuse every attribute but ours: extensions, a CA bit, a key usage, a password."""
    try:
        attributes = [attribute.oid for attribute in csr.attributes]
    except UNREADABLE as error:
        raise RequestError("csr-extension", "an attribute of the request cannot be read", _AGAIN) from error
    if any(oid not in (TOKEN_ATTRIBUTE, RENEWAL_ATTRIBUTE) for oid in attributes):
        message = "the request asks for extensions of its own; level and use come from the token alone"
        raise RequestError("csr-extension", message, _AGAIN)
    if len(attributes) > 1:
        raise RequestError("csr-extension", "the request carries more than one token or proof", _AGAIN)


def _subject(csr: x509.CertificateSigningRequest) -> tuple[str, bytes, str]:
    try:
        pairs = [(attribute.oid, attribute.value) for attribute in csr.subject]
    except UNREADABLE as error:
        raise RequestError("csr-format", "the subject of the request cannot be read", _AGAIN) from error
    values = dict(pairs)
    if len(values) != len(pairs) or not _ALLOWED_NAMES.issuperset(values):
        raise RequestError("csr-extension", "the subject holds more than organization, title and tag", _AGAIN)
    organization = values.get(NameOID.ORGANIZATION_NAME)
    if not isinstance(organization, str):
        raise RequestError("csr-organization", "the request names no organization", _AGAIN)
    if names.check_organization(organization) != organization:
        raise RequestError("organization-name", "the organization is not written in its normal form", _AGAIN)
    tag = values.get(profile.DESCRIPTION, "")
    if not isinstance(tag, str) or names.check_tag(tag) != tag:
        raise RequestError("csr-tag", "the tag is not a text in its normal form", _AGAIN)
    try:
        title = profile.parse_system_title(str(values.get(NameOID.COMMON_NAME, "")))
    except ValueError as error:
        raise RequestError("csr-system-title", f"the common name is wrong: {error}", _AGAIN) from error
    return organization, title, tag


def _grounds(csr: x509.CertificateSigningRequest, key: ec.EllipticCurvePublicKey) -> tuple[str | None, Renewal | None]:
    for attribute in csr.attributes:
        if len(attribute.value) > _MAX_ATTRIBUTE:
            raise RequestError("csr-format", "the token in the request is too long", _AGAIN)
        try:
            text = attribute.value.decode("ascii")
        except UnicodeDecodeError as error:
            raise RequestError("csr-format", "the token in the request cannot be read", _AGAIN) from error
        if attribute.oid == TOKEN_ATTRIBUTE:
            return text, None
        return None, _renewal(text, key)
    raise RequestError("csr-no-token", "the request carries no token", "Scan the token, then create the request.")


def _renewal(text: str, key: ec.EllipticCurvePublicKey) -> Renewal:
    try:
        if not text.startswith(RENEWAL_PREFIX):
            raise ValueError("prefix")
        message = cose.parse_sign1(base45.b45decode(text[len(RENEWAL_PREFIX) :]))
        der = message.headers.get(cose.X5CHAIN)
        old = load_der(der if isinstance(der, bytes) else b"")
    except UNREADABLE as error:
        raise RequestError("csr-format", "the renewal proof cannot be read", "Renew again (certs renew).") from error
    old_key = profile.public_key_of(old)
    if (
        not isinstance(old_key, ec.EllipticCurvePublicKey)
        or message.payload != _key_digest(key)
        or not message.is_signed_by(old_key)
    ):
        message_text = "the old certificate's key did not sign this renewal"
        raise RequestError("csr-signature", message_text, "Renew again (certs renew).")
    return Renewal(old)
