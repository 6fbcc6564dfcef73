"""Checks a certificate against the profile and its chain against a trust domain, with one reason code per fault.

The path is built and verified by ``cryptography.x509.verification``. That verifier leaves five things to us: curves,
lifetimes, certificate policies on every link, revocation, and a reason that a program can read. The order of the
checks is chosen so that a code says what is really wrong: first whether one of our CAs signed this at all, then what
it says, then the path, the dates and the revocation lists.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from certs import names, path, profile, revocation
from certs.errors import ProfileError
from certs.levels import LEVEL_OF_POLICY, METER_POLICY, Level, Permission
from certs.loading import UNREADABLE, is_readable

Expect = Literal["level", "meter"]


_LEAF_EXTENSIONS: Final = frozenset(
    {
        x509.AuthorityKeyIdentifier.oid,
        x509.SubjectKeyIdentifier.oid,
        x509.KeyUsage.oid,
        x509.CertificatePolicies.oid,
        x509.CRLDistributionPoints.oid,
        x509.BasicConstraints.oid,
    }
)


@dataclass(frozen=True, slots=True)
class CheckedCertificate:
    """A certificate that holds, and what it says.

    ``chain`` leads from the issuer to the root. ``level`` is None for a meter. ``system_title`` has 8 bytes. ``tag`` is
    empty where there is none. ``suite`` is the DLMS security suite of the key's curve.
    """

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    policy: x509.ObjectIdentifier
    level: Level | None
    system_title: bytes
    organization: str
    tag: str
    suite: int

    @property
    def id(self) -> str:
        """SHA-256 of the certificate, in hex."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def is_meter(self) -> bool:
        """Whether this is a meter's certificate."""
        return self.level is None

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the level grants; a meter's certificate grants nothing."""
        return self.level.permissions if self.level is not None else frozenset()

    @property
    def issuer_name(self) -> str:
        """The issuer in words: the CA's role and its domain."""
        return profile.describe_name(self.certificate.issuer)


def check(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    domain: path.Anchors,
    now: dt.datetime,
    *,
    expect: Expect,
) -> CheckedCertificate:
    """Check ``leaf`` for the moment ``now`` and return what it says.

    ``intermediates`` are certificates that came with it; those of the domain are always tried too. ``expect`` says
    whether a person's or a meter's certificate is wanted. The domain's revocation lists count.

    Raises :class:`ProfileError` with code ``chain``, ``serial``, ``key-type``, ``key-usage``, ``certificate-format``,
    ``level-missing``, ``level-unknown``, ``level-not-allowed``, ``not-a-meter``, ``system-title``,
    ``organization-name``, ``lifetime``, ``expired``, ``not-yet-valid`` or ``revoked``.
    """
    if not is_readable(leaf):
        raise ProfileError("certificate-format", "the certificate cannot be read", "Ask for it again.")
    candidates = [*filter(is_readable, intermediates), *domain.authorities]
    _check_signed_by_any(leaf, [*candidates, domain.root], domain)
    checked = read_leaf(leaf, expect=expect)
    chain = path.build_path(leaf, candidates, domain, now)
    _check_links(checked, chain)
    for certificate in (leaf, *chain):
        path.check_dates(certificate, now)
    revocation.check_path((leaf, *chain), domain.crls)
    return CheckedCertificate(
        leaf,
        chain,
        checked.policy,
        checked.level,
        checked.system_title,
        checked.organization,
        checked.tag,
        checked.suite,
    )


def read_leaf(leaf: x509.Certificate, *, expect: Expect) -> CheckedCertificate:
    """Read a certificate against the profile alone: no chain, no dates, no revocation. ``chain`` is empty.

    Raises :class:`ProfileError` as :func:`check` does.
    """
    path.check_serial(leaf)
    suite = path.check_key(leaf)
    extensions = _extensions(leaf)
    _check_leaf_usage(extensions)
    policy, level = _policy(extensions, expect)
    path.check_lifetime(leaf, profile.MAX_METER_LIFETIME if level is None else profile.MAX_LEVEL_LIFETIME)
    title, organization, tag = _subject(leaf)
    return CheckedCertificate(leaf, (), policy, level, title, organization, tag, suite)


def _check_signed_by_any(leaf: x509.Certificate, candidates: Sequence[x509.Certificate], domain: path.Anchors) -> None:
    if any(path.is_signed_by(leaf, candidate) for candidate in candidates):
        return
    issuer = profile.describe_name(leaf.issuer)
    if any(candidate.subject == leaf.issuer for candidate in candidates):
        message = f"the signature is not that of {issuer}"
        hint = "The certificate was altered, or another CA uses the same name. Ask for it again."
    else:
        message = f"{issuer} is not an authority of the domain {domain.name}"
        hint = "Join the domain it belongs to (certs join), or import the file with the whole chain."
    raise ProfileError("chain", message, hint)


def _extensions(leaf: x509.Certificate) -> x509.Extensions:
    try:
        extensions = leaf.extensions
    except UNREADABLE as error:
        raise ProfileError("certificate-format", "an extension cannot be read", "Ask for a new certificate.") from error
    for extension in extensions:
        if extension.critical and extension.oid not in _LEAF_EXTENSIONS:
            raise ProfileError(
                "certificate-format",
                f"the critical extension {extension.oid.dotted_string} is not part of the profile",
                "Ask for a certificate of this domain's profile.",
            )
    return extensions


def _check_leaf_usage(extensions: x509.Extensions) -> None:
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound:
        raise _key_usage_fault("it does not say what its key is for") from None
    value = usage.value
    others = (
        value.content_commitment,
        value.key_encipherment,
        value.data_encipherment,
        value.key_agreement,
        value.key_cert_sign,
        value.crl_sign,
    )
    if not value.digital_signature or any(others):
        raise _key_usage_fault("its key is not for digital signatures alone")
    if not usage.critical:
        raise _key_usage_fault("its key usage is not marked critical")
    for extension in extensions:
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            raise _key_usage_fault("it is the certificate of a CA")


def _key_usage_fault(message: str) -> ProfileError:
    return ProfileError("key-usage", message, "Import the certificate that was issued for signing in.")


def _policy(extensions: x509.Extensions, expect: Expect) -> tuple[x509.ObjectIdentifier, Level | None]:
    try:
        listed = [info.policy_identifier for info in extensions.get_extension_for_class(x509.CertificatePolicies).value]
    except x509.ExtensionNotFound:
        listed = []
    hint = "Ask the authority for a certificate with exactly one level."
    if not listed:
        raise ProfileError("level-missing", "the certificate carries no level", hint)
    if len(listed) > 1:
        raise ProfileError("level-unknown", "the certificate carries more than one level", hint)
    policy = listed[0]
    if expect == "meter":
        if policy != METER_POLICY:
            raise ProfileError("not-a-meter", "this is not the certificate of a meter", "Check which device answers.")
        return policy, None
    if policy == METER_POLICY:
        raise ProfileError("level-missing", "this is the certificate of a meter; it has no level", hint)
    level = LEVEL_OF_POLICY.get(policy)
    if level is None:
        raise ProfileError("level-unknown", f"the level {policy.dotted_string} is not known", hint)
    return policy, level


def _subject(leaf: x509.Certificate) -> tuple[bytes, str, str]:
    try:
        title = profile.parse_system_title(_single(leaf.subject, NameOID.COMMON_NAME) or "")
    except ValueError:
        raise ProfileError(
            "system-title",
            "the common name is no system title (16 upper-case hex digits)",
            "Ask for a new certificate.",
        ) from None
    organization = _single(leaf.subject, NameOID.ORGANIZATION_NAME)
    tag = _single(leaf.subject, profile.DESCRIPTION)
    if organization is None or not names.is_plain(organization, names.MAX_ORGANIZATION):
        raise _name_fault("organization")
    if tag is None and leaf.subject.get_attributes_for_oid(profile.DESCRIPTION):
        raise _name_fault("tag")
    if tag is not None and not names.is_plain(tag, names.MAX_TAG):
        raise _name_fault("tag")
    return title, organization, tag or ""


def _name_fault(what: str) -> ProfileError:
    message = f"the {what} is missing, doubled, or holds characters that cannot be seen"
    return ProfileError("organization-name", message, "Ask for a new certificate.")


def _single(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    values = [attribute.value for attribute in name.get_attributes_for_oid(oid)]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


def _check_links(leaf: CheckedCertificate, chain: Sequence[x509.Certificate]) -> None:
    """Check every CA of the path against the profile, and the leaf's policy on each one below the root."""
    for ca in chain:
        path.check_authority(ca, is_root=ca is chain[-1])
        path.check_lifetime(ca, profile.MAX_CA_LIFETIME)
        if leaf.suite > path.check_key(ca):
            raise ProfileError("key-type", "a P-384 key under a P-256 CA", "Ask for a certificate of suite 1.")
    for ca in chain[:-1]:
        if leaf.policy not in path.policies_of(ca):
            what = leaf.level.value if leaf.level is not None else "meter"
            raise ProfileError(
                "level-not-allowed",
                f"{profile.describe_name(ca.subject)} may not issue {what} certificates",
                "Only a certificate of the issuing CA can carry this level.",
            )
