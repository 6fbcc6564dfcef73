"""Certificates as our program would not make them, and the refusal of what is imported."""

import datetime as dt

import pytest
from certs_support import NOW, Device, der, unchanged
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from certs import importing
from certs.errors import CertsError

YEAR = dt.timedelta(days=365)


def refused(device: Device, code: str, data: bytes, *, now: dt.datetime = NOW) -> CertsError:
    """Import ``data``, expect ``code`` and hold that the store and the active certificate are as before."""
    store = device.store(now=now)
    active = store.active().id
    with unchanged(device.home), pytest.raises(CertsError) as caught:
        importing.import_bytes(store, data)
    assert caught.value.code == code
    assert caught.value.hint
    assert store.active().id == active
    return caught.value


def leaf_builder(device: Device) -> x509.CertificateBuilder:
    """A right Commissioning certificate for a pending request, short of policies and key usage."""
    record = device.request()
    ca = device.authority.domain.issuing_ca
    names = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Stadtwerke Süd"),
        x509.NameAttribute(NameOID.COMMON_NAME, record.request.system_title.hex().upper()),
    ]
    key_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(ca.subject)
        .public_key(record.request.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(minutes=10))
        .not_valid_after(NOW + YEAR)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(record.request.public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False)
    )


def usage(**used: bool) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: used.get(name, False) for name in every})


def policies(*oids: x509.ObjectIdentifier) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(oid, None) for oid in oids])


def sign(device: Device, builder: x509.CertificateBuilder) -> bytes:
    return der(builder.sign(device.authority.made.issuing_key, hashes.SHA256()))
