"""An authority for tests: founded once per use, tokens ordered and requests made as an applicant makes them."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certs import keys, profile, request, sealing
from certs.authority import Authority, IssuedCertificate, OrderedToken
from certs.levels import TOKEN_ATTRIBUTE, Level
from certs.token import Token

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
PASSPHRASE = "correct horse"
ORGANIZATION = "Stadtwerke Łódź"
MAIL = "technician@example.org"


@contextlib.contextmanager
def quick_sealing() -> Iterator[None]:
    """Seal keys at the lowest cost that is accepted: the cost is for guessers, and tests open keys all the time."""
    usual, sealing.LOG_N_PERSON = sealing.LOG_N_PERSON, sealing.LOG_N_RANDOM  # type: ignore[misc]
    try:
        yield
    finally:
        sealing.LOG_N_PERSON = usual  # type: ignore[misc]


def found(path: Path, *, suite: int = 1, ledger_url: str | None = None, name: str = "Test domain") -> Authority:
    with quick_sealing():
        return Authority.init(
            path,
            name=name,
            mail="certificates@example.org",
            passphrase=PASSPHRASE,
            now=NOW,
            suite=suite,
            ledger_url=ledger_url,
            actor="operator",
        )


def order(authority: Authority, level: Level = Level.COMMISSIONING, count: int = 1, **more: object) -> OrderedToken:
    """Order tokens and return the first."""
    return authority.order(organization=ORGANIZATION, level=level, count=count, now=NOW, mail=MAIL, **more)[0]  # type: ignore[arg-type]


def csr(ordered: OrderedToken, tag: str = "Tablet 3", key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """A request as the technician's side makes it."""
    key = key or keys.generate(ordered.token.suite)
    return request.build_request(ordered.text, ordered.token, tag, key).public_bytes(Encoding.PEM)


def issued(authority: Authority, tag: str = "Tablet 3") -> IssuedCertificate:
    return authority.issue(csr(order(authority), tag), NOW)


def forged(
    token: Token,
    text: str | None,
    *,
    organization: str | None = None,
    title: str | None = None,
    tag: str = "Tablet 3",
    key: object = None,
    extensions: Sequence[x509.ExtensionType] = (),
    attributes: Sequence[tuple[x509.ObjectIdentifier, bytes]] = (),
    names: Sequence[x509.NameAttribute] = (),
) -> bytes:
    """A request as somebody makes it who does not use our program. What is not given is as it should be."""
    subject = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, token.organization if organization is None else organization),
        x509.NameAttribute(NameOID.COMMON_NAME, title or profile.system_title_text(token.system_title)),
        *([x509.NameAttribute(profile.DESCRIPTION, tag)] if tag else []),
        *names,
    ]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if text is not None:
        builder = builder.add_attribute(TOKEN_ATTRIBUTE, text.encode())
    for oid, value in attributes:
        builder = builder.add_attribute(oid, value)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())  # type: ignore[arg-type]
    return signed.public_bytes(Encoding.PEM)
