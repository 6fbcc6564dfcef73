"""What the X.509 library raises for bytes that are not what they should be, in one place.

The library parses lazily: a certificate that loads may still fail when its subject is asked for. What is loaded here
was asked for everything once, so that nothing fails later, and nothing prints a warning.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.utils import CryptographyDeprecationWarning

UNREADABLE: Final = (
    ValueError,
    TypeError,
    KeyError,
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
        return _readable([x509.load_der_x509_certificate(data)])[0]


def load_pem(data: bytes) -> list[x509.Certificate]:
    """Return the certificates in a PEM file, at least one. Raises one of :data:`UNREADABLE`."""
    with quiet():
        return _readable(x509.load_pem_x509_certificates(data))


def load_pkcs7(data: bytes, *, is_pem: bool) -> list[x509.Certificate]:
    """Return the certificates in a PKCS#7 bag. Raises one of :data:`UNREADABLE`."""
    with quiet():
        found = pkcs7.load_pem_pkcs7_certificates(data) if is_pem else pkcs7.load_der_pkcs7_certificates(data)
        return _readable(found)


def load_csr(data: bytes, *, is_pem: bool) -> x509.CertificateSigningRequest:
    """Return a certificate signing request. Raises one of :data:`UNREADABLE`."""
    with quiet():
        csr = x509.load_pem_x509_csr(data) if is_pem else x509.load_der_x509_csr(data)
        try:
            _ = (csr.subject, csr.signature_algorithm_oid)
        except UserWarning as warning:
            raise ValueError(str(warning)) from warning
    if not is_whole(csr):
        raise ValueError("the signature is no string of whole bytes")
    return csr


def load_name(data: bytes) -> x509.Name:
    """Return a distinguished name from DER. Raises one of :data:`UNREADABLE`."""
    # The library reads names only where they stand in something: here as the subject of a request, the rest of which
    # is never looked at.
    key = _tlv(0x30, bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107") + _tlv(0x03, bytes(2)))
    info = _tlv(0x30, _tlv(0x02, bytes(1)) + data + key + _tlv(0xA0, b""))
    signature = bytes.fromhex("300a06082a8648ce3d040302") + _tlv(0x03, bytes(2))
    with quiet():
        try:
            return x509.load_der_x509_csr(_tlv(0x30, info + signature)).subject
        except UserWarning as warning:
            raise ValueError(str(warning)) from warning


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _readable(certificates: list[x509.Certificate]) -> list[x509.Certificate]:
    if not all(map(is_readable, certificates)):
        raise ValueError("a certificate cannot be read in every part")
    return certificates


def is_whole(signed: x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList) -> bool:
    """Tell whether the signature is a string of whole bytes.

    Readers ignore the count of unused bits before it, so without this check one bit could be changed unnoticed.
    """
    return signed.public_bytes(Encoding.DER).endswith(b"\0" + signed.signature)


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
        return is_whole(certificate)
    except (*UNREADABLE, UserWarning):
        return False


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library from warning about serial numbers, which the profile judges itself. A name whose parts have a
    length that they cannot have is no warning but a ``UserWarning`` raised."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Attribute's length", UserWarning)
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield
