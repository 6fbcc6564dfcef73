"""The files that leave the authority: token and certificate codes, and drafts of the mails that carry them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization

from certs import files, names, payload
from certs.authority.ledger import Progress
from certs.authority.records import IssuedCertificate, MeterCredential, OrderedToken
from certs.clock import show
from certs.domain import TrustDomain
from certs.errors import PayloadError, StoreError
from certs.mail import Attachment, Draft
from certs.profile import system_title_text
from certs.qr import drawing

_JPEG: Final = "image/jpeg"
_PEM: Final = "application/x-pem-file"
_TRIAL: Final = 64 * 1024
"""Octets that must fit: more than any answer has."""


@dataclass(frozen=True, slots=True)
class Written:
    """Files that were written for one token or certificate; ``draft`` is None without an address."""

    code: Path
    draft: Path | None


def write_tokens(
    ordered: Sequence[OrderedToken], domain: TrustDomain, out: Path, *, progress: Progress | None = None
) -> tuple[Written, ...]:
    """Write the code and the mail draft of every token into the folder ``out``. Raises :class:`StoreError`."""
    files.make_folder(out)
    written: list[Written] = []
    for number, item in enumerate(ordered, start=1):
        claims = item.token
        caption = [
            f"{domain.name}: token for one certificate",
            f"{claims.organization} - {claims.level.value}",
            f"{number} of {len(ordered)}, use once, until {show(claims.expires)}",
        ]
        picture = drawing.jpeg(item.text, caption)
        name = names.file_name(claims.organization, claims.level, claims.serial[:8], "jpg")
        code = _write_beside(out / name, picture)
        draft = None
        if item.mail is not None:
            body = _ORDER_BODY.format(
                level=claims.level.value,
                organization=claims.organization,
                expires=show(claims.expires),
                domain=domain.name,
            )
            subject = f"Token for a {claims.level.value} certificate"
            mail = Draft(item.mail, subject, body, (Attachment(code.name, _JPEG, picture),))
            draft = _write_beside(code.with_suffix(".eml"), mail.to_eml())
        written.append(Written(code, draft))
        if progress is not None:
            progress(number, len(ordered))
    settle(out, written)
    return tuple(written)


def certificate_code(issued: IssuedCertificate) -> bytes:
    """Return the JPEG of a certificate's code: with its CA when both fit into one code, else alone."""
    caption = [
        f"{issued.organization} - {issued.level_name}",
        f"{issued.tag or system_title_text(issued.system_title)}",
        f"until {show(issued.certificate.not_valid_after_utc)}",
    ]
    try:
        return drawing.jpeg(payload.certificate_text(issued.certificate, issued.chain), caption)
    except PayloadError:
        return drawing.jpeg(payload.certificate_text(issued.certificate), caption)


def write_answer(issued: IssuedCertificate, domain: TrustDomain, out: Path, *, synced: bool = True) -> Written:
    """Write ``{organization}_{Level}_{Tag}.jpg`` and a mail draft into ``out``. Raises :class:`StoreError`.

    Where ``synced`` is False, :func:`settle` is to be called for all the files at the end.
    """
    files.make_folder(out)
    picture = certificate_code(issued)
    tag = issued.tag or system_title_text(issued.system_title)
    code = _write_beside(out / names.file_name(issued.organization, issued.level_name, tag, "jpg"), picture)
    draft = None
    if issued.mail is not None:
        draft = _write_beside(code.with_suffix(".eml"), _answer_mail(issued, domain, code.name, picture).to_eml())
    written = Written(code, draft)
    if synced:
        settle(out, [written])
    return written


def _answer_mail(issued: IssuedCertificate, domain: TrustDomain, name: str, picture: bytes) -> Draft:
    assert issued.mail is not None
    pem = b"".join(
        certificate.public_bytes(serialization.Encoding.PEM) for certificate in (issued.certificate, *issued.chain)
    )
    body = _ANSWER_BODY.format(
        level=issued.level_name,
        organization=issued.organization,
        tag=issued.tag,
        expires=show(issued.certificate.not_valid_after_utc),
        domain=domain.name,
    )
    attachments = (
        Attachment(name, _JPEG, picture),
        Attachment(f"{name.removesuffix('.jpg')}.pem", _PEM, pem),
    )
    return Draft(issued.mail, f"{issued.level_name} certificate: {issued.tag}", body, attachments)


def settle(out: Path, written: Sequence[Written]) -> None:
    """Make files survive a power cut: all at once, because each sync alone waits for the disk."""
    for item in written:
        for path in (item.code, item.draft):
            if path is not None:
                with path.open("r+b") as stream:  # Windows syncs only what is open for writing
                    os.fsync(stream.fileno())
    if written:
        files.sync_folder(out)


def check_place(out: Path) -> None:
    """Make the folder ``out`` where it is missing, and prove that files can be written there: before something is
    issued that is to stand in one. Raises :class:`StoreError`."""
    files.make_folder(out)
    trial = files.temporary_beside(out / "trial")
    with files.explained(out):
        try:
            files.write_new(trial, bytes(_TRIAL))
        finally:
            trial.unlink(missing_ok=True)


def write_meter(credential: MeterCredential, out: Path) -> Path:
    """Write ``meter-TITLE.pem``: the key if the authority made it, the certificate, its CA. Raises :class:`StoreError`.

    The key is plain, because a meter takes it plain; the file is its owner's alone.
    """
    files.make_folder(out)
    parts = []
    if credential.private_key is not None:
        parts.append(
            credential.private_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    chain = (credential.issued.certificate, *credential.issued.chain)
    parts += [certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain]
    path = _write_beside(out / f"meter-{system_title_text(credential.issued.system_title)}.pem", b"".join(parts))
    settle(out, [Written(path, None)])
    return path


def write_domain_code(domain: TrustDomain, path: Path) -> bool:
    """Write the domain's code; return False when the domain does not fit into one."""
    try:
        picture = drawing.jpeg(payload.domain_text(domain), [f"{domain.name}: trust domain", domain.mail])
    except PayloadError:
        return False
    files.write(path, picture)
    return True


def _write_beside(path: Path, data: bytes) -> Path:
    """Write a file; a file of that name with another content stays, and the new one gets a number.

    It is whole or not there at all, but not synced yet: see :func:`settle`.
    """
    first = path
    for number in itertools.count(2):
        if not path.exists():
            break
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return path
        path = first.with_stem(f"{first.stem}-{number}")
    temporary = files.temporary_beside(path)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, files.PRIVATE_FILE), "wb") as stream:
            stream.write(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError("file", f"{path}: {error.strerror}", "Check that the place may be written.") from error
    return path


_ORDER_BODY: Final = """\
Here is your token for one {level} certificate of {domain}, for {organization}.

1. Scan the attached code:  meterlink certs scan FILE
2. Make the request:        meterlink certs request --token FILE --tag NAME
3. Send us the request. We will ask you for its fingerprint.

The token works once, until {expires}. Who holds it can ask in your place: do not pass it on.
"""

_ANSWER_BODY: Final = """\
Here is your {level} certificate of {domain}.

Organization: {organization}
Tag:          {tag}
Valid until:  {expires}

Scan the attached code, or import the file:  meterlink certs import FILE
It works on the device alone that made the request.
"""
