"""From a file, a picture or a text to a certificate in the store.

Any of our things is recognised wherever it turns up; what a command does not want is named for what it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from certs import files, payload, qr, request, revocation
from certs.checking import CheckedCertificate
from certs.domain import TrustDomain
from certs.entries import Entry, Status
from certs.errors import CertsError, PayloadError, ProfileError, TokenError
from certs.loading import UNREADABLE, load_der, load_pem, load_pkcs7
from certs.payload import CertificatePayload, DomainPayload, TokenPayload
from certs.request import Request
from certs.snapshot import Snapshot
from certs.store import Store
from certs.token import Token, verify

MAX_FILE: Final = 32 * 1024 * 1024
"""Bytes of a file that are read: a large photo."""

_MAX_CERTIFICATES: Final = 16
_PEM_LABEL: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_BLANKS: Final = b"\xef\xbb\xbf \t\r\n"  # with the byte order mark that some editors put first
_TEXT_LIMIT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class CrlFound:
    """A certificate revocation list."""

    crl: x509.CertificateRevocationList


@dataclass(frozen=True, slots=True)
class RequestFound:
    """A certificate signing request: what goes to the authority, not what comes back."""

    request: Request


Item = TokenPayload | CertificatePayload | DomainPayload | CrlFound | RequestFound


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did.

    ``asks`` is set when the certificate was kept, but its level is below the active one's, so that activation is for
    the user to say.
    """

    entry: Entry
    is_new: bool
    asks: bool

    def as_json(self) -> dict[str, Any]:
        """Return the result in the form of ``certs import --json``."""
        return {**self.entry.as_json(), "new": self.is_new, "activation_needed": self.asks}


def recognise_file(path: Path) -> list[Item]:
    """Return what a file holds. Raises as :func:`recognise`, and :class:`~certs.errors.StoreError` ``file``."""
    return recognise(files.read(path, MAX_FILE))


def recognise(data: bytes) -> list[Item]:
    """Return what ``data`` holds: our text, PEM, DER, PKCS#7, a domain file, or a picture with codes of ours.

    The file's name plays no part. Raises :class:`PayloadError` ``not-ours`` and others, :class:`ProfileError`,
    :class:`~certs.errors.RequestError`, or :class:`~certs.errors.ImageError` for a picture.
    """
    if not data:
        raise PayloadError("not-ours", "the file is empty", "Ask for the file again.")
    text = _as_text(data)
    if text is not None and payload.is_ours(text):
        return [payload.parse(text)]
    if data.lstrip(_BLANKS).startswith(b"{"):
        return [DomainPayload(TrustDomain.from_json(data))]
    labels = _PEM_LABEL.findall(data[:_TEXT_LIMIT])
    if labels:
        return _from_pem(data, {label.decode("ascii") for label in labels})
    if text is None and data[:1] == b"\x30":
        return _from_der(data)
    if text is not None and not text.lstrip().startswith(("%PDF-", "%!PS")):
        return [payload.parse(text)]  # raises, saying what it is instead
    return [payload.parse(found) for found in qr.read(data)]


def recognise_text(text: str) -> Item:
    """Return what a scanned or pasted text is. Raises :class:`PayloadError`."""
    return payload.parse(text)


def describe(item: Item) -> str:
    """Return what an item is, for a message."""
    match item:
        case TokenPayload():
            return "a CSR token"
        case CertificatePayload():
            return "a certificate"
        case DomainPayload():
            return "a trust domain"
        case CrlFound():
            return "a revocation list"
        case RequestFound():
            return "a certificate signing request"


def wrong_kind(item: Item, wanted: str) -> PayloadError:
    """Return the error for an item that a command has no use for, with the command that has."""
    return PayloadError("wrong-kind", f"this is {describe(item)}, not {wanted}", _COMMANDS[type(item)])


_COMMANDS: Final = {
    TokenPayload: "Create a request with it: certs request --token ... --tag ...",
    CertificatePayload: "Import it: certs import ...",
    DomainPayload: "Join it: certs join ...",
    CrlFound: "Take it over: certs revoked ...",
    RequestFound: "It goes to the authority; import what the authority sends back.",
}


def import_items(store: Store, items: Sequence[Item], *, activate: bool | None = None) -> list[ImportResult]:
    """Import every certificate of ``items``. Raises :class:`PayloadError` ``wrong-kind`` before anything is changed."""
    for item in items:
        if not isinstance(item, CertificatePayload):
            raise wrong_kind(item, "a certificate")
    found = [item for item in items if isinstance(item, CertificatePayload)]
    return [import_certificate(store, item.leaf, item.chain, activate=activate) for item in found]


def import_bytes(store: Store, data: bytes, *, activate: bool | None = None) -> list[ImportResult]:
    """Import every certificate in a file's content, see :func:`recognise` and :func:`import_certificate`."""
    return import_items(store, recognise(data), activate=activate)


def import_certificate(
    store: Store, leaf: x509.Certificate, chain: Sequence[x509.Certificate] = (), *, activate: bool | None = None
) -> ImportResult:
    """Check a certificate, keep it, and make it the active one.

    ``activate`` None activates it unless its level is below the active one's; True always, False never. A certificate
    that is here already stays as it is. Raises :class:`ProfileError`, or :class:`~certs.errors.KeyStoreError`
    ``no-private-key``; then the store is as it was.
    """
    seen = store.look()
    checked, domain = _check(seen, leaf, chain)
    is_new = store.add_certificate(checked, domain)
    level, active = checked.level, seen.active
    assert level is not None  # a meter's certificate was refused
    is_lower = active is not None and active.status is Status.VALID and level.rank < active.level.rank
    if activate or (activate is None and not is_lower):
        return ImportResult(store.activate(checked.id), is_new, asks=False)
    entry = store.find(checked.id)
    return ImportResult(entry, is_new, asks=is_lower and activate is None and not entry.active)


def check_against_known(
    store: Store, leaf: x509.Certificate, chain: Sequence[x509.Certificate]
) -> tuple[CheckedCertificate, TrustDomain]:
    """Check a certificate against every known domain; return what it says and whose it is.

    Raises :class:`ProfileError`: of the domain that signed it if one did, else of the first one.
    """
    return _check(store.look(), leaf, chain)


def verify_token(store: Store, text: str) -> tuple[Token, TrustDomain]:
    """Check a token against every known domain; return what it says and whose it is. Raises :class:`TokenError`."""
    seen = store.look()
    faults: list[TokenError] = []
    for domain in seen.domains:
        try:
            return verify(text, domain, seen.now), domain
        except TokenError as error:
            faults.append(error)
    raise next((fault for fault in faults if fault.code != "token-signature"), faults[0])


def _check(
    seen: Snapshot, leaf: x509.Certificate, chain: Sequence[x509.Certificate]
) -> tuple[CheckedCertificate, TrustDomain]:
    faults: list[ProfileError] = []
    for domain in seen.domains:
        try:
            return domain.check_level(leaf, seen.now, intermediates=chain), domain
        except ProfileError as error:
            faults.append(error)
    raise next((fault for fault in faults if fault.code != "chain"), faults[0])


def _as_text(data: bytes) -> str | None:
    if len(data) > _TEXT_LIMIT:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _from_pem(data: bytes, labels: set[str]) -> list[Item]:
    try:
        if "X509 CRL" in labels:
            return [CrlFound(revocation.load_crl(data))]
        if labels & {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"}:
            return [RequestFound(request.read_request(data))]
        if "CERTIFICATE" in labels:
            return _group(load_pem(data))
        if "PKCS7" in labels:
            return _group(load_pkcs7(data, is_pem=True))
    except UNREADABLE as error:
        raise _unreadable() from error
    shown = ", ".join(sorted(labels))[:80]
    raise PayloadError("not-ours", f"the file holds {shown}, no certificate", "Import the certificate's file.")


def _from_der(data: bytes) -> list[Item]:
    try:
        return _group([load_der(data)])
    except UNREADABLE:
        pass
    try:
        return _group(load_pkcs7(data, is_pem=False))
    except UNREADABLE:
        pass
    for read in (lambda: CrlFound(revocation.load_crl(data)), lambda: RequestFound(request.read_request(data))):
        try:
            return [read()]
        except CertsError:
            continue
    raise _unreadable()


def _group(certificates: Sequence[x509.Certificate]) -> list[Item]:
    """Tell leaves from the CAs that came with them; a file of CAs alone is refused later, by its leaf check."""
    if not certificates:
        raise _unreadable()
    if len(certificates) > _MAX_CERTIFICATES:
        hint = "Import the certificates one by one."
        raise PayloadError("payload-too-large", f"the file holds {len(certificates)} certificates", hint)
    leaves = [certificate for certificate in certificates if not _is_ca(certificate)]
    cas = tuple(certificate for certificate in certificates if certificate not in leaves)
    return [CertificatePayload(leaf, cas) for leaf in leaves or certificates[:1]]


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except UNREADABLE:
        return False


def _unreadable() -> ProfileError:
    return ProfileError(
        "certificate-format", "the file holds no certificate that can be read", "Ask for the file again, unchanged."
    )
