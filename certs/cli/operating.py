"""What the operator's commands share: loading the optional part, passphrases, progress, and what is printed."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from rich.progress import Progress
from rich.table import Table

from certs import clock, files
from certs.cli import output
from certs.cli.output import UsageFault
from certs.errors import StoreError
from certs.profile import system_title_text

if TYPE_CHECKING:
    from certs.authority import Authority, IssuedCertificate, OrderedToken, Review
    from certs.authority.answers import Written
    from certs.authority.audit import AuditEntry
    from certs.authority.inbox import Arrival
    from certs.authority.records import MeterCredential, MeterReview, TokenRecord

ROOT_PASSPHRASE_VARIABLE: Final = "METERLINK_ROOT_PASSPHRASE"  # noqa: S105 - the name of the variable

_EXTRA: Final = frozenset({"sqlalchemy", "psycopg"})
_FEW: Final = 10  # below this nobody needs to see progress


def part(name: str) -> Any:
    """Return the module ``certs.authority.NAME``, loaded at the first use: it needs the extra ``authority``.

    Raises :class:`UsageFault` ``extra-missing``.
    """
    try:
        return importlib.import_module(f"certs.authority.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        message = f"the authority's side needs {error.name}, which is not installed"
        raise UsageFault("extra-missing", message, "pip install 'meterlink[authority]'") from error


@contextlib.contextmanager
def opened() -> Iterator[Authority]:
    """Open the operator's authority."""
    with part("service").Authority.open(passphrase=asker("of the CA's key")) as authority:
        yield authority


def asker(what: str) -> Callable[[bool], str] | None:
    """Return a question for a passphrase, None without a terminal."""
    if not output.interactive():
        return None
    return lambda new: str(click.prompt(f"Passphrase {what}", hide_input=True, confirmation_prompt=new, err=True))


def root_passphrase() -> str | Callable[[bool], str] | None:
    """Return where the root's passphrase comes from; None lets it be the CA's."""
    return os.environ.get(ROOT_PASSPHRASE_VARIABLE) or asker("of the root's key")


@contextlib.contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on stderr in a terminal, when there is much to do."""
    if total < _FEW or output.wants_json() or not output.interactive():
        yield None
        return
    with Progress(console=output.console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done, _total: bar.update(task, completed=done)


def request_in(path: Path) -> bytes:
    """Return the one request in a ``.csr`` or ``.eml`` file. Raises :class:`UsageFault` when there are several."""
    found = part("inbox").read_requests(path)
    if len(found) != 1:
        raise UsageFault("several-requests", f"{path} holds {len(found)} requests", "Use: meterlink authority inbox")
    return bytes(found[0])


def answer(authority: Authority, issued: IssuedCertificate, out: Path) -> Written:
    """Write the code and the draft of a certificate, and remember that."""
    written: Written = part("answers").write_answer(issued, authority.domain, out)
    authority.mark_answered([issued.serial], clock.now())
    return written


def answer_meter(authority: Authority, credential: MeterCredential, out: Path) -> Path:
    """Write the PEM file of a meter's certificate, and remember that. Raises StoreError, with a hint how it is written
    again: the certificate is in the ledger."""
    serial = credential.issued.serial
    try:
        path: Path = part("answers").write_meter(credential, out)
    except StoreError as error:
        again = f"meterlink authority answer {serial}"
        if credential.private_key is not None:
            again = "the key is lost: issue another one"
        raise StoreError(error.code, f"certificate {serial} is issued, but {error.message}", again) from error
    authority.mark_answered([serial], clock.now())
    return path


def meter_json(issued: IssuedCertificate, path: Path) -> dict[str, Any]:
    """Return a meter's certificate and its file as JSON."""
    return issued.as_json(clock.now()) | {"answered": True, "file": str(path)}


def answer_json(issued: IssuedCertificate, written: Written) -> dict[str, Any]:
    """Return an issued certificate and its files as JSON."""
    return issued.as_json(clock.now()) | {"answered": True} | written_json(written)


def written_json(written: Written) -> dict[str, Any]:
    """Return files that were written as JSON."""
    return {"code": str(written.code), "draft": str(written.draft) if written.draft is not None else None}


def written_text(written: Written) -> str:
    """Return files that were written, a line each."""
    drafts = [f"Draft: {written.draft}"] if written.draft is not None else []
    return "\n".join([f"Code:  {written.code}", *drafts])


def tokens_json(ordered: Sequence[OrderedToken], written: Sequence[Written]) -> list[dict[str, Any]]:
    """Return the tokens of an order and their files as JSON. The text is in it: it is what the order was for."""
    return [
        {
            "id": item.token.serial,
            "order": item.order_id,
            "level": item.token.level.value,
            "organization": item.token.organization,
            "system_title": system_title_text(item.token.system_title),
            "suite": item.token.suite,
            "expires": item.token.expires.isoformat(),
            "text": item.text,
        }
        | written_json(of_it)
        for item, of_it in zip(ordered, written, strict=True)
    ]


def tokens_text(ordered: Sequence[OrderedToken], written: Sequence[Written], out: Path) -> str:
    """Return what an order wrote."""
    if not ordered:
        return "Every token of the order is spent."
    first = ordered[0]
    drafts = sum(1 for item in written if item.draft is not None)
    lines = [
        f"Order {first.order_id}: {len(ordered)} x {first.token.level.value} for {first.token.organization}, "
        f"until {clock.show(first.token.expires)}",
        f"{len(written)} codes and {drafts} mail drafts are in {out.absolute()}",
    ]
    if len(written) < _FEW:
        lines += [f"  {item.code.name}" for item in written]
    return "\n".join(lines)


def review_text(review: Review) -> str:
    """Return what a request would be issued as, a line each."""
    pairs = [
        ("Organization", review.organization),
        ("Level", review.level.value),
        ("Tag", review.tag),
        ("System title", system_title_text(review.system_title)),
        ("Mail", review.mail or "-"),
        ("Fingerprint", review.fingerprint),
    ]
    if review.token is not None:
        pairs.append(("Token", f"{review.token.serial}, until {clock.show(review.token.expires)}"))
    if review.renewal_of is not None:
        pairs.append(("Renews", review.renewal_of))
    return "\n".join(f"{name + ':':<14} {value}" for name, value in pairs)


def meter_review_text(review: MeterReview) -> str:
    """Return a meter's request and the certificates that the meter has, a line each."""
    now = clock.now()
    pairs = [
        ("System title", system_title_text(review.request.system_title)),
        ("Suite", str(review.request.suite)),
        ("Fingerprint", review.request.fingerprint),
        *(("Has", f"{item.serial}, {item.status(now)}") for item in review.present),
    ]
    return "\n".join(f"{name + ':':<14} {value}" for name, value in pairs)


def arrival_text(arrival: Arrival) -> str:
    """Return a request of the inbox and its verdict."""
    if arrival.review is not None:
        return f"{arrival.path.name}: may be issued\n{review_text(arrival.review)}"
    assert arrival.error is not None
    return f"{arrival.path.name}: refused, {arrival.error.code}: {arrival.error.message}"


def certificate_table(issued: Sequence[IssuedCertificate]) -> Table:
    """Return the certificates as a table."""
    now = clock.now()
    headers = ("Serial", "Level", "Organization", "Tag", "System title", "Status", "Until")
    rows = (
        (
            item.serial,
            item.level_name,
            item.organization,
            item.tag,
            system_title_text(item.system_title),
            item.status(now)
            if item.answered is not None or item.level is None
            else f"{item.status(now)}, not answered",
            f"{item.certificate.not_valid_after_utc:%Y-%m-%d}",
        )
        for item in issued
    )
    return output.table(headers, rows, title="Certificates")


def token_table(tokens: Sequence[TokenRecord]) -> Table:
    """Return the tokens as a table."""
    now = clock.now()
    headers = ("Token", "Order", "Level", "Organization", "Mail", "Status", "Until")
    rows = (
        (
            item.id,
            item.order_id,
            item.level.value,
            item.organization,
            item.mail or "",
            item.status(now),
            f"{item.expires:%Y-%m-%d}",
        )
        for item in tokens
    )
    return output.table(headers, rows, title="Tokens")


def audit_table(entries: Sequence[AuditEntry]) -> Table:
    """Return the audit log as a table."""
    rows = (
        (
            str(entry.sequence),
            clock.show(entry.time),
            entry.actor,
            entry.act,
            ", ".join(f"{name}={value}" for name, value in entry.details.items()),
        )
        for entry in entries
    )
    newest = entries[-1].digest if entries else "-"
    title = f"Audit log, {len(entries)} entries, unbroken. Newest digest: {newest}"
    return output.table(("", "Time", "Who", "Act", "Details"), rows, title=title)


def audit_json(entries: Sequence[AuditEntry]) -> dict[str, Any]:
    """Return the audit log as JSON."""
    return {
        "head": entries[-1].digest if entries else None,
        "entries": [
            {
                "sequence": entry.sequence,
                "time": entry.time.isoformat(),
                "actor": entry.actor,
                "act": entry.act,
                "details": dict(entry.details),
                "digest": entry.digest,
            }
            for entry in entries
        ],
    }


def write_crls(lists: Sequence[x509.CertificateRevocationList], out: Path) -> list[Path]:
    """Write revocation lists as PEM: the present CA's to ``out``, those of replaced CAs beside it with a number."""
    written = []
    for number, crl in enumerate(lists):
        path = out if number == 0 else out.with_stem(f"{out.stem}-{number}")
        files.make_folder(path.absolute().parent)
        files.write(path, crl.public_bytes(serialization.Encoding.PEM), mode=0o644)
        written.append(path)
    return written
