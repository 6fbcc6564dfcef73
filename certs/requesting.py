"""Makes requests: a key in the store first, then the CSR, then the mail that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from certs import files, mail, names, request, smtp
from certs.domain import TrustDomain
from certs.entries import Status
from certs.errors import StoreError
from certs.importing import verify_token
from certs.mail import Attachment, Draft, Opened
from certs.records import RequestRecord
from certs.store import Store

MEDIA_TYPE: Final = "application/pkcs10"

SENDS: Final = ("draft", "mailto", "smtp", "none")
"""Ways to send a request: a draft in the mail program, a link with the request in its body, SMTP, not at all."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Where a request was written, and how it went on its way. ``how`` is one of :data:`SENDS`."""

    file: Path
    draft: Path | None
    how: str
    recipient: str


def create_request(store: Store, token_text: str, tag: str, *, plain: bool = False) -> RequestRecord:
    """Make a key and a request for a token, and keep both. Scanned again with the same tag, it is the same request.

    ``plain`` leaves the key unprotected but for the file's permissions. Raises :class:`~certs.errors.TokenError`,
    :class:`~certs.errors.RequestError` ``csr-tag``, :class:`StoreError` ``token-pending``,
    :class:`~certs.errors.KeyStoreError`.
    """
    token_text = token_text.strip()
    token, domain = verify_token(store, token_text)
    tag = names.check_tag(tag)
    seen = store.look()
    for record in seen.requests:
        if record.token_id == token.serial:
            if record.request.tag == tag:
                return record
            hint = f"Send that one again (certs request --again {record.id[:16]}), or remove it first."
            raise StoreError("token-pending", f"this token's request is pending, tagged {record.request.tag}", hint)
    key, stored = store.new_key(token.suite, plain=plain)
    csr = request.build_request(token_text, token, tag, key)
    record = RequestRecord(
        request=request.read_request(_pem(csr)),
        key=stored,
        domain=domain.id,
        level=token.level,
        created=seen.now,
        expires=token.expires,
        token_id=token.serial,
    )
    store.add_request(record)
    return record


def create_renewal(store: Store, name: str, *, tag: str | None = None, plain: bool = False) -> RequestRecord:
    """Make a new key and a request to renew a certificate, signed with the old key too, and keep both.

    Asked again, it is the same request. Raises :class:`StoreError` ``no-such-certificate`` or ``renews-itself``,
    :class:`~certs.errors.ProfileError` for a certificate that is not valid now, :class:`~certs.errors.KeyStoreError`.
    """
    old = store.get(name)
    seen = store.look()
    held = next(held for held in seen.held if held.id == old.id)
    if held.is_own_consumer:
        hint = "Nothing needs to be done."
        raise StoreError("renews-itself", "the Consumer certificate is renewed by the program", hint)
    if held.fault is not None:
        raise held.fault
    for record in seen.requests:
        if record.renews == old.id:
            return record
    key, stored = store.new_key(old.suite, plain=plain)
    csr = request.build_renewal(
        old.certificate, old.private_key, old.organization, old.system_title, tag or old.tag or "renewed", key
    )
    record = RequestRecord(
        request=request.read_request(_pem(csr)),
        key=stored,
        domain=old.domain.id,
        level=old.level,
        created=seen.now,
        expires=held.not_after,
        renews=old.id,
    )
    store.add_request(record)
    return record


def write_and_send(store: Store, record: RequestRecord, folder: Path, how: str) -> Sent:
    """Write a pending request's file into ``folder`` and send it to its domain's authority.

    The file is written in any case; a draft that no program opened still lies beside it. Raises
    :class:`~certs.mail.MailError` or :class:`StoreError`.
    """
    domain = _domain_of(store, record)
    files.make_folder(folder)
    path = _write_beside(
        folder / names.file_name(record.request.organization, record.level, record.request.tag, "csr"),
        record.request.pem,
    )
    if how == "none":
        return Sent(path, None, how, domain.mail)
    draft = request_draft(record, domain, path.name)
    if how == "smtp":
        settings = smtp.configured(store.home)
        if settings is None:
            hint = f"Set {smtp.URL_VARIABLE}, or use --send draft."
            raise mail.MailError("mail-settings", "no mail server is configured", hint)
        smtp.send(draft, settings, store.look().now)
        return Sent(path, None, how, domain.mail)
    if how == "mailto":
        link = draft.to_mailto()
        opened = link is not None and mail.open_with_default(link)
        return Sent(path, None, how if opened else "none", domain.mail)
    eml = path.with_suffix(".eml")
    ways = {Opened.DRAFT: "draft", Opened.LINK: "mailto", Opened.NOTHING: "none"}
    return Sent(path, eml, ways[mail.open_draft(draft, eml)], domain.mail)


def request_draft(record: RequestRecord, domain: TrustDomain, file_name: str) -> Draft:
    """Return the mail that carries a request, addressed to the domain's authority."""
    asked = record.request
    kind = "Renewal" if record.renews else "Request"
    body = (
        f"{kind} of a certificate\n\n"
        f"Organization: {asked.organization}\nLevel: {record.level.value}\nTag: {asked.tag}\n"
        f"Key fingerprint: {asked.fingerprint}\n\n"
        "The certificate signing request is attached. The fingerprint can be compared over the telephone.\n"
    )
    subject = f"{kind}: {asked.organization}, {record.level.value}, {asked.tag}"
    return Draft(domain.mail, subject, body, (Attachment(file_name, MEDIA_TYPE, asked.pem, is_text=True),))


def pending_request(store: Store, name: str) -> RequestRecord:
    """Return a request to be sent again. Raises :class:`StoreError` when there is none or its token has expired."""
    record = store.pending(name)
    if store.find(record.id).status is Status.EXPIRED:
        raise StoreError("token-expired", "the token of this request has expired", "Ask the authority for a new token.")
    return record


def _write_beside(path: Path, data: bytes) -> Path:
    """Write ``data`` to ``path``, or to ``NAME-2`` and so on where another request's file has the name."""
    number, chosen = 1, path
    while chosen.exists() and files.read(chosen, request.MAX_REQUEST) != data:
        number += 1
        chosen = path.with_name(f"{path.stem}-{number}{path.suffix}")
    files.write(chosen, data)
    return chosen


def _domain_of(store: Store, record: RequestRecord) -> TrustDomain:
    for domain in store.domains():
        if domain.id == record.domain:
            return domain
    raise StoreError("domain-missing", "the trust domain of this request is not known here", "Join it (certs join).")


def _pem(csr: x509.CertificateSigningRequest) -> bytes:
    return csr.public_bytes(serialization.Encoding.PEM)
