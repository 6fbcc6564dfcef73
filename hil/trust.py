"""A simulated meter's part in a trust domain: its own certificate, and how it judges a client's."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from importlib import resources

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certs import profile
from certs.checking import CheckedCertificate
from certs.domain import TrustDomain, default_domain
from certs.errors import ProfileError
from certs.levels import METER_POLICY, Level
from meterlink.errors import UsageError


@dataclass(frozen=True)
class MeterIdentity:
    """What a meter brings from its factory: system title, certificate, private key, and the domain that it trusts."""

    system_title: bytes
    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    domain: TrustDomain

    @property
    def certificate_der(self) -> bytes:
        """The certificate as it goes into an association response."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def suite(self) -> int:
        """The security suite of the meter's key, 1 or 2."""
        entry = profile.suite_of(self.private_key)
        return entry.suite if entry is not None else 1


def issue_identity(
    domain: TrustDomain,
    issuing_key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    *,
    system_title: bytes,
    organization: str = "meterlink simulated meters",
    suite: int = 1,
) -> MeterIdentity:
    """Return the identity of a new meter, certified by the domain's issuing CA, whose key is given."""
    key = ec.generate_private_key(profile.SUITE_CURVES[suite].curve)
    certificate = profile.build_leaf(
        key.public_key(),
        domain.issuing_ca,
        issuing_key,
        now,
        system_title=system_title,
        policy=METER_POLICY,
        organization=organization,
    )
    return MeterIdentity(system_title, certificate, key, domain)


def load_identity(pem: bytes, domain: TrustDomain) -> MeterIdentity:
    """Return a meter's identity from its private key (PKCS#8, not encrypted) and certificate, both PEM in one file.

    Raises :class:`~meterlink.errors.UsageError` when that is not what ``pem`` holds.
    """
    try:
        key = serialization.load_pem_private_key(pem, None)
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_identity("the file holds no private key or no certificate") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise _no_identity("the certificate is not for the key in the file")
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    try:
        title = profile.parse_system_title(str(names[0].value) if names else "")
    except ValueError as error:
        raise _no_identity("the certificate names no system title") from error
    return MeterIdentity(title, certificate, key, domain)


def shipped_identity() -> MeterIdentity:
    """Return the identity of the simulated meter that comes with the package: a meter of the default domain.

    Its key is in the package for everybody to see, and its certificate says so; it proves that a meter is simulated.
    """
    pem = resources.files("hil").joinpath("data", "simulated-meter.pem").read_bytes()
    return load_identity(pem, default_domain())


def _no_identity(what: str) -> UsageError:
    return UsageError(
        f"this is no meter's identity: {what}", hint="`meterlink authority issue-meter` makes one: key and certificate"
    )


def check_client(
    domain: TrustDomain, certificate: bytes, title: bytes, level: Level | None, now: dt.datetime
) -> CheckedCertificate:
    """Check the certificate (DER) that a client presents on a SAP for ``level``.

    Raises :class:`~certs.errors.ProfileError`: chain, policy, validity and revocation as everywhere; ``system-title``
    when the certificate is not that of ``title``; ``level-not-allowed`` when it is of another level than the SAP's.
    """
    checked = domain.check_level(certificate, now)
    if checked.system_title != title:
        raise ProfileError("system-title", "the client's certificate is not that of its system title")
    if level is not None and checked.level is not level:
        found = checked.level.value if checked.level else "no level"
        raise ProfileError(
            "level-not-allowed", f"a certificate of {found} does not open the association of {level.value}"
        )
    return checked
