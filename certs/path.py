"""The path from a certificate to the root: which CA signed it, whether every link may stand there, and when.

``cryptography.x509.verification`` builds and verifies the path. What it leaves open about a CA is checked here: its
curve, its lifetime, its serial number, its key identifiers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final, Protocol

from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from certs import profile
from certs.clock import show
from certs.errors import ProfileError
from certs.loading import UNREADABLE, quiet

_MAX_SERIAL_BITS: Final = 159  # 20 octets, the first bit clear (RFC 5280, 4.1.2.2)
_MAX_INTERMEDIATES: Final = 3
_KEY_IDENTIFIERS: Final = frozenset({x509.AuthorityKeyIdentifier.oid, x509.SubjectKeyIdentifier.oid})


class Anchors(Protocol):
    """What a check needs of a trust domain."""

    @property
    def name(self) -> str:
        """The name of the domain, for messages."""

    @property
    def root(self) -> x509.Certificate:
        """The trust anchor."""

    @property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        """Every CA below the root."""

    @property
    def crls(self) -> tuple[x509.CertificateRevocationList, ...]:
        """The revocation lists that the domain brings along."""


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether ``issuer`` is named in ``certificate`` and its key made the signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except UNREADABLE:
        return False
    return True


def build_path(
    leaf: x509.Certificate, candidates: Sequence[x509.Certificate], domain: Anchors, now: dt.datetime
) -> tuple[x509.Certificate, ...]:
    """Return the path from the issuer to the root: one that is valid ``now``, else one that was when the leaf began.

    The second is looked for so that an expired certificate is called expired and not unchained; :func:`check_dates`
    then says so. Raises :class:`ProfileError` ``chain``.
    """
    builder = (
        PolicyBuilder()
        .store(Store([domain.root]))
        .max_chain_depth(_MAX_INTERMEDIATES)
        .extension_policies(ca_policy=_CA_POLICY, ee_policy=_LEAF_POLICY)
    )
    fault: Exception | None = None
    for moment in (now, leaf.not_valid_before_utc):
        try:
            path = builder.time(moment.replace(microsecond=0)).build_client_verifier().verify(leaf, list(candidates))
        except (VerificationError, ValueError) as error:
            fault = error
            continue
        return tuple(path.chain[1:])
    raise ProfileError(
        "chain",
        f"no valid chain leads from {profile.describe_name(leaf.issuer)} to the root of the domain {domain.name}",
        "Import the file with the whole chain, or join the domain it belongs to (certs join).",
    ) from fault


_CA_POLICY: Final = ExtensionPolicy.webpki_defaults_ca()
_LEAF_POLICY: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.AuthorityKeyIdentifier, Criticality.NON_CRITICAL, None)
    .require_present(x509.SubjectKeyIdentifier, Criticality.NON_CRITICAL, None)
)


def check_authority(ca: x509.Certificate, *, is_root: bool) -> None:
    """Check what the verifier leaves open about a CA of a path.

    Raises :class:`ProfileError` ``serial``, ``key-type``, or ``chain`` when its key identifiers are missing (RFC
    5280, 4.2.1.1 and 4.2.1.2; a root needs no AKI).
    """
    check_serial(ca)
    check_key(ca)
    try:
        present = {extension.oid for extension in ca.extensions}
    except UNREADABLE:
        present = set()
    needed = {x509.SubjectKeyIdentifier.oid} if is_root else _KEY_IDENTIFIERS
    if not needed <= present:
        who = profile.describe_name(ca.subject)
        raise ProfileError("chain", f"{who} does not identify its key", "Ask the authority for its domain file.")


def check_ca(certificate: x509.Certificate, domain_name: str, *, root: bool) -> None:
    """Check that a certificate is a CA of the profile. Raises :class:`ProfileError` ``domain-format``."""
    try:
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
    except UNREADABLE as error:
        raise _not_a_ca(certificate, domain_name) from error
    holds = (
        any(extension.oid == x509.SubjectKeyIdentifier.oid for extension in extensions)
        and constraints.critical
        and constraints.value.ca
        and (root or constraints.value.path_length == 0)
        and usage.critical
        and usage.value.key_cert_sign
        and usage.value.crl_sign
        and profile.suite_of(profile.public_key_of(certificate)) is not None
        and certificate.not_valid_after_utc - certificate.not_valid_before_utc <= profile.MAX_CA_LIFETIME
    )
    if not holds:
        raise _not_a_ca(certificate, domain_name)
    check_serial(certificate)


def _not_a_ca(certificate: x509.Certificate, domain_name: str) -> ProfileError:
    return ProfileError(
        "domain-format",
        f"{profile.describe_name(certificate.subject)} is no CA that the domain {domain_name} could use",
        "Ask the authority for its domain file.",
    )


def policies_of(certificate: x509.Certificate) -> frozenset[x509.ObjectIdentifier]:
    """Return the certificate policies that a certificate whose extensions can be read lists; none where it has none."""
    listed = [extension.value for extension in certificate.extensions]
    return frozenset(
        info.policy_identifier for value in listed if isinstance(value, x509.CertificatePolicies) for info in value
    )


def check_dates(certificate: x509.Certificate, now: dt.datetime) -> None:
    """Check that a certificate is valid at ``now``; the last second counts whole (RFC 5280, 4.1.2.5).

    Raises :class:`ProfileError` ``not-yet-valid`` or ``expired``, with the date and time of this device.
    """
    now = now.replace(microsecond=0)
    who = f"{profile.describe_name(certificate.subject)}: "
    device = f"this device's clock says {show(now)}"
    if now < certificate.not_valid_before_utc:
        start = show(certificate.not_valid_before_utc)
        raise ProfileError("not-yet-valid", f"{who}valid from {start}; {device}", "Check this device's date and time.")
    if now > certificate.not_valid_after_utc:
        end = show(certificate.not_valid_after_utc)
        hint = "Ask for a renewal; if the date is wrong, set this device's clock."
        raise ProfileError("expired", f"{who}expired on {end}; {device}", hint)


def check_serial(certificate: x509.Certificate) -> None:
    """Raise :class:`ProfileError` ``serial`` unless the serial number is positive and has at most 20 octets."""
    with quiet():
        serial = certificate.serial_number
    if not 0 < serial < 1 << (_MAX_SERIAL_BITS + 1):
        raise ProfileError("serial", "the serial number is zero, negative or too long", "Ask for a new certificate.")


def check_key(certificate: x509.Certificate) -> int:
    """Return the suite of a certificate's key. Raises :class:`ProfileError` ``key-type``."""
    suite = profile.suite_of(profile.public_key_of(certificate))
    if suite is None:
        raise ProfileError(
            "key-type", "the key is on neither P-256 nor P-384", "Ask for a certificate of suite 1 or 2."
        )
    return suite.suite


def check_lifetime(certificate: x509.Certificate, limit: dt.timedelta) -> None:
    """Raise :class:`ProfileError` ``lifetime`` when a certificate is valid for longer than ``limit``."""
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if lifetime > limit:
        raise ProfileError(
            "lifetime",
            f"valid for {lifetime.days} days; at most {limit.days} are allowed",
            "Ask for a new certificate.",
        )
