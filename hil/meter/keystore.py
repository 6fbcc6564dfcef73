"""The meter's own key and certificate, and their renewal in the field: new key pair, request, import."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certs import profile
from certs.errors import ProfileError
from hil.trust import MeterIdentity


class KeyStore:
    """Holds the identity in force and, between request and import, the key that waits for its certificate."""

    def __init__(self, identity: MeterIdentity) -> None:
        self.identity = identity
        self._pending: ec.EllipticCurvePrivateKey | None = None

    def generate_key_pair(self) -> None:
        """Make a new key; the old one stays in force until a certificate for the new one is imported."""
        self._pending = ec.generate_private_key(profile.SUITE_CURVES[self.identity.suite].curve)

    def request(self) -> bytes:
        """Return a certificate signing request (PKCS#10, DER) for the newest key."""
        key = self._pending or self.identity.private_key
        names = [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, self._organization()),
            x509.NameAttribute(NameOID.COMMON_NAME, profile.system_title_text(self.identity.system_title)),
        ]
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
        return request.sign(key, profile.SUITE_CURVES[self.identity.suite].hash).public_bytes(
            serialization.Encoding.DER
        )

    def import_certificate(self, der: bytes, now: dt.datetime) -> None:
        """Put a certificate for the newest key in force.

        Raises :class:`~certs.errors.ProfileError` when it is not this meter's, does not chain to its domain, or is for
        another key.
        """
        identity = self.identity
        checked = identity.domain.check_meter(der, now, identity.system_title)
        key = self._pending or identity.private_key
        if checked.certificate.public_key() != key.public_key():
            raise ProfileError("no-private-key", "the certificate is for a key that the meter does not have")
        self.identity = MeterIdentity(identity.system_title, checked.certificate, key, identity.domain)
        self._pending = None

    def _organization(self) -> str:
        found = self.identity.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(found[0].value) if found else ""
