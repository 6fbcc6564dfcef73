"""Certificate revocation lists (RFC 5280, 5): reading one, and looking a path up in several."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certs import profile
from certs.clock import show
from certs.errors import ProfileError
from certs.loading import UNREADABLE, is_whole

MAX_CRL_SIZE: Final = 4 * 1024 * 1024
"""Bytes of a revocation list that are read: about 100,000 entries."""

_PEM: Final = b"-----BEGIN X509 CRL-----"


def load_crl(data: bytes) -> x509.CertificateRevocationList:
    """Read a revocation list, PEM or DER. Raises :class:`ProfileError` ``crl-format``."""
    hint = "Ask the authority for its revocation list (authority crl)."
    if len(data) > MAX_CRL_SIZE:
        raise ProfileError("crl-format", "the revocation list is too large", hint)
    try:
        crl = x509.load_pem_x509_crl(data) if data.lstrip().startswith(_PEM) else x509.load_der_x509_crl(data)
        # Everything that is looked at later is parsed once now, so that a broken list is refused when it is read.
        _ = (crl.issuer, crl.last_update_utc, crl.next_update_utc, crl.signature_algorithm_oid, len(crl))
        is_partial = any(extension.critical for extension in crl.extensions)
    except UNREADABLE as error:
        raise ProfileError("crl-format", "this is not a revocation list", hint) from error
    if is_partial:
        # A delta list and one of limited scope are marked like this; neither says of the others that they are valid.
        raise ProfileError("crl-format", "this revocation list is not a complete one (RFC 5280, 5.2)", hint)
    if not is_whole(crl):
        raise ProfileError("crl-format", "the revocation list was altered", hint)
    return crl


def is_signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Tell whether ``crl`` names ``issuer``, whose key signed it and may sign lists (RFC 5280, 6.3.3 (f))."""
    key = profile.public_key_of(issuer)
    if crl.issuer != issuer.subject or not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        return usage.crl_sign and crl.is_signature_valid(key)
    except UNREADABLE:
        return False


def is_newer(one: x509.CertificateRevocationList, other: x509.CertificateRevocationList) -> bool:
    """Tell whether ``one`` replaces ``other`` of the same CA: later, or of the same second with a higher number."""
    return (one.last_update_utc, _number(one)) > (other.last_update_utc, _number(other))


def _number(crl: x509.CertificateRevocationList) -> int:
    return next((item.value.crl_number for item in crl.extensions if isinstance(item.value, x509.CRLNumber)), -1)


def entry_of(
    certificate: x509.Certificate, issuer: x509.Certificate, crl: x509.CertificateRevocationList
) -> x509.RevokedCertificate | None:
    """Return the entry of ``certificate`` in ``crl``, None if it has none or the list is not ``issuer``'s.

    A list counts on after its ``nextUpdate``: what was revoked once never comes back.
    """
    if not is_signed_by(crl, issuer):
        return None
    return crl.get_revoked_certificate_by_serial_number(certificate.serial_number)


def check_path(path: Sequence[x509.Certificate], crls: Iterable[x509.CertificateRevocationList]) -> None:
    """Look every certificate of ``path`` (leaf first, root last) up in ``crls``.

    Raises :class:`ProfileError` ``revoked``.
    """
    lists = list(crls)
    for certificate, issuer in itertools.pairwise(path):
        for crl in lists:
            entry = entry_of(certificate, issuer, crl)
            if entry is not None:
                who, when = profile.describe_name(certificate.subject), show(entry.revocation_date_utc)
                hint = "Ask the authority for a new certificate."
                raise ProfileError("revoked", f"{who} was revoked on {when}", hint)
