"""Building a revocation list (RFC 5280, 5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certs import profile

LIFETIME: Final = dt.timedelta(days=31)
"""Until when the next list is promised. A list counts on after that."""

Revoked = tuple[str, int, str]
"""Serial in hex, seconds since 1970, reason as RFC 5280 spells it."""


def build(
    ca: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    number: int,
    revoked: Sequence[Revoked],
) -> x509.CertificateRevocationList:
    """Return the revocation list ``number`` of a CA."""
    suite = profile.suite_of(key)
    assert suite is not None
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    moment = now.replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(moment)
        .next_update(moment + LIFETIME)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    for entry in revoked:
        builder = builder.add_revoked_certificate(_entry(*entry))
    return builder.sign(key, suite.hash)


def _entry(serial: str, revoked_at: int, reason: str) -> x509.RevokedCertificate:
    entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16))
    entry = entry.revocation_date(dt.datetime.fromtimestamp(revoked_at, dt.UTC))
    flag = x509.ReasonFlags(reason)
    if flag is not x509.ReasonFlags.unspecified:  # RFC 5280, 5.3.1: then the extension should be absent
        entry = entry.add_extension(x509.CRLReason(flag), critical=False)
    return entry.build()
