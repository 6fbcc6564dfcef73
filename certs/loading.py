"""What the X.509 library raises for bytes that are not what they should be, in one place.

The library parses lazily: a certificate that loads may still fail when its subject is asked for. :func:`is_readable`
asks for everything once, so that nothing fails later.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.utils import CryptographyDeprecationWarning

UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)
"""Everything that loading, reading or verifying raises for foreign bytes."""


def load_der(data: bytes) -> x509.Certificate:
    """Return a certificate from DER. Raises one of :data:`UNREADABLE`."""
    with quiet():
        return x509.load_der_x509_certificate(data)


def load_pem(data: bytes) -> list[x509.Certificate]:
    """Return the certificates in a PEM file, at least one. Raises one of :data:`UNREADABLE`."""
    with quiet():
        return x509.load_pem_x509_certificates(data)


def load_pkcs7(data: bytes, *, is_pem: bool) -> list[x509.Certificate]:
    """Return the certificates in a PKCS#7 bag. Raises one of :data:`UNREADABLE`."""
    with quiet():
        return pkcs7.load_pem_pkcs7_certificates(data) if is_pem else pkcs7.load_der_pkcs7_certificates(data)


def is_readable(certificate: x509.Certificate) -> bool:
    """Tell whether every part of a certificate can be read, but for its key and its extensions."""
    try:
        with quiet():
            _ = (
                certificate.subject,
                certificate.issuer,
                certificate.serial_number,
                certificate.not_valid_before_utc,
                certificate.not_valid_after_utc,
                certificate.signature_algorithm_oid,
            )
    except UNREADABLE:
        return False
    return True


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library from warning about serial numbers and names that the profile refuses anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield
