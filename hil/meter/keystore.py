"""The meter's own key and certificate, their renewal in the field (new key pair, request, import), and the certificates
of others that it keeps."""

from __future__ import annotations

import datetime as dt
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certs import profile
from certs.domain import load_certificate
from certs.errors import ProfileError
from certs.levels import GRANTS, METER_POLICY, Level
from hil.trust import MeterIdentity

CLIENT_RIGHTS: Final = GRANTS[Level.COMMISSIONING]
"""What the certificate of a client that is to be known by its key must grant at least."""


class KeyStore:
    """Holds the identity in force and, between request and import, the key that waits for its certificate.

    ``client_keys`` are the public keys of clients that send no certificate, by system title, where the meter takes any:
    they come and go with the clients' certificates. None: it takes none.
    """

    def __init__(
        self, identity: MeterIdentity, client_keys: dict[bytes, ec.EllipticCurvePublicKey] | None = None
    ) -> None:
        self.identity = identity
        self.clients: dict[bytes, x509.Certificate] = {}
        """Imported certificates of clients, by system title."""
        self._client_keys = client_keys
        self._pending: ec.EllipticCurvePrivateKey | None = None

    @property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        """The certification authorities that the meter trusts, the root first."""
        return (self.identity.domain.root, *self.identity.domain.authorities)

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
        """Put a certificate for the newest key in force, or keep that of a client.

        Raises :class:`~certs.errors.ProfileError` when it does not chain to the meter's domain, is of another meter or
        for another key, or is a client's and the meter takes none.
        """
        identity = self.identity
        if self._client_keys is not None and not _is_of(der, METER_POLICY):
            self._import_client(der, now, self._client_keys)
            return
        checked = identity.domain.check_meter(der, now, identity.system_title)
        key = self._pending or identity.private_key
        if checked.certificate.public_key() != key.public_key():
            raise ProfileError("no-private-key", "the certificate is for a key that the meter does not have")
        self.identity = MeterIdentity(identity.system_title, checked.certificate, key, identity.domain)
        self._pending = None

    def remove_client(self, system_title: bytes) -> None:
        """Forget the certificate of a client, and with it its key."""
        del self.clients[system_title]
        if self._client_keys is not None:
            self._client_keys.pop(system_title, None)

    def _import_client(self, der: bytes, now: dt.datetime, client_keys: dict[bytes, ec.EllipticCurvePublicKey]) -> None:
        checked = self.identity.domain.check_level(der, now)
        key = checked.certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or checked.suite != self.identity.suite:
            raise ProfileError("key-type", "the client's key is not of the meter's suite")
        if not checked.permissions >= CLIENT_RIGHTS:
            # The client will be known by its key alone, and may do what everybody on its SAP may.
            raise ProfileError("level-not-allowed", "the client's level grants less than its SAP does")
        self.clients[checked.system_title] = checked.certificate
        client_keys[checked.system_title] = key

    def _organization(self) -> str:
        found = self.identity.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(found[0].value) if found else ""


def _is_of(der: bytes, policy: x509.ObjectIdentifier) -> bool:
    """Tell whether a certificate (DER) carries ``policy``. Raises :class:`~certs.errors.ProfileError` for junk."""
    try:
        policies = load_certificate(der).extensions.get_extension_for_class(x509.CertificatePolicies).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return policy in {info.policy_identifier for info in policies}
