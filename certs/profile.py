"""The X.509 profile: what a certificate of ours holds, and how one is built.

========================  ==========================================================================================
leaf (person or meter)    CN = system title (16 upper-case hex digits), O = organization, description = tag;
                          KeyUsage critical, exactly digitalSignature; exactly one certificate policy; AKI, SKI
CA                        BasicConstraints critical with a path length; KeyUsage critical, keyCertSign and cRLSign;
                          one policy per level it may issue (the root has none: it is the anchor); SKI, AKI
keys                      P-256 with SHA-256 (suite 1); P-384 with SHA-384 (suite 2), only under P-384 CAs
========================  ==========================================================================================

:mod:`certs.checking` is the other half: it checks a certificate against this profile.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certs.levels import METER_POLICY, Level
from certs.loading import UNREADABLE

BACKDATED: Final = dt.timedelta(minutes=10)
"""How far ``notBefore`` lies before the moment of signing: a device whose clock is slow still accepts it."""

LEVEL_LIFETIME: Final = dt.timedelta(days=2 * 365)
METER_LIFETIME: Final = dt.timedelta(days=16 * 365)
CA_LIFETIME: Final = dt.timedelta(days=25 * 365)
ROOT_LIFETIME: Final = dt.timedelta(days=30 * 365)

MAX_LEVEL_LIFETIME: Final = dt.timedelta(days=5 * 366)
MAX_METER_LIFETIME: Final = dt.timedelta(days=20 * 366)
MAX_CA_LIFETIME: Final = dt.timedelta(days=40 * 366)
"""Longer validity than these is refused (``lifetime``)."""

RENEW_BEFORE: Final = dt.timedelta(days=60)
"""From this long before the end on, users are reminded to renew."""

SYSTEM_TITLE_LENGTH: Final = 8

DESCRIPTION: Final = x509.ObjectIdentifier("2.5.4.13")
"""Attribute type ``description`` (X.520, 6.5.1), which holds the tag."""

_SYSTEM_TITLE: Final = re.compile(r"[0-9A-F]{16}")


@dataclass(frozen=True, slots=True)
class SuiteCurve:
    """Curve and digest of a DLMS security suite (Green Book 9.2.3.7)."""

    suite: int
    curve: ec.EllipticCurve
    hash: hashes.SHA256 | hashes.SHA384


SUITE_CURVES: Final[Mapping[int, SuiteCurve]] = MappingProxyType(
    {1: SuiteCurve(1, ec.SECP256R1(), hashes.SHA256()), 2: SuiteCurve(2, ec.SECP384R1(), hashes.SHA384())}
)

_OF_CURVE: Final = MappingProxyType({entry.curve.name: entry for entry in SUITE_CURVES.values()})


def suite_of(key: object) -> SuiteCurve | None:
    """Return the suite whose curve ``key`` (public or private) is on, None for every other kind of key."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return _OF_CURVE.get(key.curve.name)
    return None


def system_title_text(title: bytes) -> str:
    """Return a system title as it stands in a certificate: 16 upper-case hex digits.

    Raises ``ValueError`` when ``title`` is not 8 bytes.
    """
    if len(title) != SYSTEM_TITLE_LENGTH:
        raise ValueError(f"a system title has {SYSTEM_TITLE_LENGTH} bytes, not {len(title)}")
    return title.hex().upper()


def parse_system_title(text: str) -> bytes:
    """Return the 8 bytes of a system title. Raises ``ValueError`` unless ``text`` is 16 upper-case hex digits."""
    if not _SYSTEM_TITLE.fullmatch(text):
        raise ValueError("a system title is 16 upper-case hexadecimal digits")
    return bytes.fromhex(text)


def describe_name(name: x509.Name) -> str:
    """Return a CA's or a leaf's name for a message: its common name and organization, never raw characters."""
    parts = [attribute.value for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
             for attribute in name.get_attributes_for_oid(oid)[:1]]  # fmt: skip
    shown = ", ".join(part if isinstance(part, str) else part.hex() for part in parts)
    return "".join(character if character.isprintable() else "?" for character in shown)[:160] or "no name"


def public_key_of(certificate: x509.Certificate) -> object:
    """Return a certificate's key, None where it is of a kind that cannot be read."""
    try:
        return certificate.public_key()
    except UNREADABLE:
        return None


def build_root(
    name: str, key: ec.EllipticCurvePrivateKey, now: dt.datetime, *, lifetime: dt.timedelta = ROOT_LIFETIME
) -> x509.Certificate:
    """Return the self-signed root certificate of the trust domain ``name``: no policies, path length 1."""
    subject = _ca_name(name, "Root CA")
    return _sign(_ca_builder(subject, subject, key.public_key(), 1), now, lifetime, key, None)


def build_ca(
    name: str,
    role: str,
    key: ec.EllipticCurvePublicKey,
    policies: Iterable[x509.ObjectIdentifier],
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    *,
    lifetime: dt.timedelta = CA_LIFETIME,
) -> x509.Certificate:
    """Return the certificate of a CA below the root. It may issue leaves with exactly ``policies``.

    ``name`` is the domain's name, ``role`` what the CA is there for (``Issuing CA``). Its path length is 0.
    """
    builder = _ca_builder(_ca_name(name, role), issuer.subject, key, 0).add_extension(
        _policies(*policies), critical=False
    )
    return _sign(builder, now, lifetime, issuer_key, issuer)


def build_leaf(
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    *,
    system_title: bytes,
    policy: Level | x509.ObjectIdentifier,
    organization: str,
    tag: str = "",
    lifetime: dt.timedelta | None = None,
) -> x509.Certificate:
    """Return a certificate for a person's or a meter's key.

    ``policy`` is a :class:`Level`, or :data:`certs.levels.METER_POLICY`; ``lifetime`` counts from ``now`` (None for
    what is usual for the policy). The validity never leaves the issuer's. ``issuer_key`` may be any implementation
    of cryptography's interface, so it may live in a security module.
    """
    oid = policy.policy if isinstance(policy, Level) else policy
    usual = METER_LIFETIME if oid == METER_POLICY else LEVEL_LIFETIME
    names = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        x509.NameAttribute(NameOID.COMMON_NAME, system_title_text(system_title)),
    ]
    if tag:
        names.append(x509.NameAttribute(DESCRIPTION, tag))
    builder = (
        _builder(x509.Name(names), issuer.subject, public_key)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(_policies(oid), critical=False)
    )
    return _sign(builder, now, lifetime or usual, issuer_key, issuer)


def _ca_name(domain: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, domain),
            x509.NameAttribute(NameOID.COMMON_NAME, role),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _ca_builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, path_length: int
) -> x509.CertificateBuilder:
    return (
        _builder(subject, issuer, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(key_cert_sign=True), critical=True)
    )


def _sign(
    builder: x509.CertificateBuilder,
    now: dt.datetime,
    lifetime: dt.timedelta,
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
) -> x509.Certificate:
    suite = suite_of(issuer_key)
    if suite is None:
        raise ValueError("a CA key is on P-256 or P-384")
    now = now.astimezone(dt.UTC).replace(microsecond=0)
    start, end = now - BACKDATED, now + lifetime
    if issuer is not None:
        # Clocks of several operators differ; a leaf that is older or lives longer than its CA would never be valid.
        start = max(start, issuer.not_valid_before_utc)
        end = min(end, issuer.not_valid_after_utc)
    return (
        builder.not_valid_before(start)
        .not_valid_after(end)
        .add_extension(_authority_key(issuer, issuer_key), critical=False)
        .sign(issuer_key, suite.hash)
    )


def _authority_key(
    issuer: x509.Certificate | None, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.AuthorityKeyIdentifier:
    if issuer is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    key_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)


def _policies(*oids: x509.ObjectIdentifier) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(oid, None) for oid in oids])


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )
