"""The text inside our QR codes: a token, a certificate with its chain, or a trust domain.

==========  ====================================================================================================
``MLT1:``   Base45 of a CSR token (:mod:`certs.token`)
``MLC1:``   Base45 of raw deflate of CBOR ``[1, leaf, [chain]]``, certificates as DER
``MLD1:``   Base45 of raw deflate of CBOR ``[1, name, mail, root, issuing CA, consumer CA, consumer key, crl url]``,
            the key as PKCS#8 DER, the URL as text, empty for none
==========  ====================================================================================================

Any of them is recognised wherever it is scanned or pasted.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import base45
import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs import cbor, token
from certs.domain import TrustDomain
from certs.errors import PayloadError, ProfileError, TokenError
from certs.loading import UNREADABLE, load_der

TOKEN_PREFIX: Final = token.PREFIX
CERTIFICATE_PREFIX: Final = "MLC1:"
DOMAIN_PREFIX: Final = "MLD1:"

MAX_TEXT: Final = 4296
"""Characters of the largest QR code (version 40-L, alphanumeric; ISO/IEC 18004, table 7)."""

MAX_INFLATED: Final = 8192
MAX_CHAIN: Final = 3

_VERSION: Final = 1
_RESCAN: Final = "Scan the code again, or import the file instead."


@dataclass(frozen=True, slots=True)
class TokenPayload:
    """A CSR token; ``claims`` is what it says, its signature not yet checked."""

    text: str = field(repr=False)
    claims: token.Token


@dataclass(frozen=True, slots=True)
class CertificatePayload:
    """A certificate and what came with it of its chain, nothing of it checked yet."""

    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class DomainPayload:
    """A trust domain, whole in itself; whether to trust it is for the user to say."""

    domain: TrustDomain


Payload = TokenPayload | CertificatePayload | DomainPayload


def parse(text: str) -> Payload:
    """Return what the text of a code is. Line breaks and blanks that pasting added are taken away.

    Raises :class:`PayloadError` ``not-ours`` (the message names other kinds of code for what they are),
    ``payload-too-large`` or ``payload-damaged``.
    """
    if len(text) > MAX_TEXT * 2:
        raise PayloadError("payload-too-large", f"the text has {len(text)} characters", "This is not one of our codes.")
    body = _unwrap(text)
    if body.startswith(TOKEN_PREFIX):
        return _token(body)
    if body.startswith(CERTIFICATE_PREFIX):
        return _certificate(_unpack(body[len(CERTIFICATE_PREFIX) :]))
    if body.startswith(DOMAIN_PREFIX):
        return _domain(_unpack(body[len(DOMAIN_PREFIX) :]))
    raise PayloadError("not-ours", f"this is {_kind(body)}, not one of our codes", "Scan the code from the authority.")


def is_ours(text: str) -> bool:
    """Tell whether ``text`` begins as our codes do."""
    return _unwrap(text[:64]).startswith((TOKEN_PREFIX, CERTIFICATE_PREFIX, DOMAIN_PREFIX))


def certificate_text(leaf: x509.Certificate, chain: Sequence[x509.Certificate] = ()) -> str:
    """Return the text of a certificate's code. ``chain`` need hold only what the domain file does not.

    Raises :class:`PayloadError` ``payload-too-large``.
    """
    if len(chain) > MAX_CHAIN:
        raise PayloadError("payload-too-large", f"a code carries at most {MAX_CHAIN} CAs", "Send it as a file.")
    return CERTIFICATE_PREFIX + _pack([_VERSION, _der(leaf), [_der(ca) for ca in chain]])


def domain_text(domain: TrustDomain) -> str:
    """Return the text of a domain's code: without replaced CAs and revocation lists, which the file has.

    Raises :class:`PayloadError` ``payload-too-large``.
    """
    key = domain.consumer_ca_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificates = [_der(ca) for ca in (domain.root, domain.issuing_ca, domain.consumer_ca)]
    return DOMAIN_PREFIX + _pack([_VERSION, domain.name, domain.mail, *certificates, key, domain.crl_url or ""])


def _unwrap(text: str) -> str:
    """Take away what mail programs and editors add. Base45 has a blank of its own, but never at the end."""
    return "".join(text.split("\n")).replace("\r", "").replace("\t", "").strip(" ﻿")


def _pack(item: list[Any]) -> str:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = str(base45.b45encode(packer.compress(cbor2.dumps(item)) + packer.flush()), "ascii")
    if len(text) > MAX_TEXT - len(CERTIFICATE_PREFIX):
        raise PayloadError("payload-too-large", "this does not fit into a QR code", "Send it as a file.")
    return text


def _unpack(body: str) -> Any:
    try:
        packed = base45.b45decode(body)
        inflater = zlib.decompressobj(-15)
        data = inflater.decompress(packed, MAX_INFLATED + 1)
    except (ValueError, zlib.error) as error:
        raise _damaged() from error
    if len(data) > MAX_INFLATED:
        raise PayloadError("payload-too-large", f"the code inflates to more than {MAX_INFLATED} bytes", _RESCAN)
    if not inflater.eof or inflater.unused_data:
        raise _damaged()
    try:
        return cbor.read(data)
    except cbor.CborError as error:
        raise _damaged() from error


def _damaged() -> PayloadError:
    return PayloadError("payload-damaged", "the code is damaged", _RESCAN)


def _token(text: str) -> TokenPayload:
    try:
        return TokenPayload(text, token.peek(text))
    except TokenError as error:
        raise PayloadError("payload-damaged", error.message, _RESCAN) from error


def _certificate(item: Any) -> CertificatePayload:
    match item:
        case [1, bytes(leaf), [*chain]] if len(chain) <= MAX_CHAIN and all(isinstance(ca, bytes) for ca in chain):
            return CertificatePayload(_load(leaf), tuple(_load(ca) for ca in chain))
        case _:
            raise _damaged()


def _domain(item: Any) -> DomainPayload:
    match item:
        case [1, str(name), str(mail), bytes(root), bytes(issuing), bytes(consumer), bytes(key), str(crl_url)]:
            try:
                return DomainPayload(
                    TrustDomain(
                        name, mail, _load(root), _load(issuing), _load(consumer), _key(key), crl_url=crl_url or None
                    )
                )
            except ProfileError as error:
                raise PayloadError("payload-damaged", error.message, _RESCAN) from error
        case _:
            raise _damaged()


def _load(der: bytes) -> x509.Certificate:
    try:
        return load_der(der)
    except UNREADABLE as error:
        raise _damaged() from error


def _key(der: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_der_private_key(der, None)
    except UNREADABLE as error:
        raise _damaged() from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _damaged()
    return key


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


_OTHERS: Final = (
    (("HTTP://", "HTTPS://", "WWW."), "a web address"),
    (("WIFI:",), "a Wi-Fi password"),
    (("BEGIN:VCARD", "MECARD:"), "a business card"),
    (("OTPAUTH:",), "a one-time password code"),
    (("MAILTO:",), "a mail address"),
    (("TEL:",), "a telephone number"),
    (("GEO:",), "a place"),
    (("BCD\n", "EPC"), "a payment code"),
    (("HC1:",), "a health certificate"),
    (("MLT", "MLC", "MLD"), "a code of a version that this program does not know"),
)


def _kind(text: str) -> str:
    upper = text[:16].upper()
    for prefixes, what in _OTHERS:
        if upper.startswith(prefixes):
            return what
    if text.isdecimal():
        return "a number (perhaps the barcode of a device)"
    return "a text"
