"""``meterlink authority``: the issuing side of a trust domain, for its operator."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from cryptography import x509
from rich.console import Group

from certs import clock, files
from certs.cli import operating, output
from certs.cli.operating import opened, part
from certs.cli.output import UsageFault, confirm, emit, json_option
from certs.errors import CertsError, RequestError
from certs.levels import Level
from certs.request import MAX_REQUEST, same_fingerprint

if TYPE_CHECKING:
    from certs.authority import Authority, Review
    from certs.authority.answers import Written
    from certs.authority.inbox import Arrival
    from certs.authority.records import MeterCredential

_REASONS: Final = tuple(flag.value for flag in x509.ReasonFlags if flag is not x509.ReasonFlags.remove_from_crl)
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_METER_HINT: Final = "Give --system-title T, or --csr FILE."

_out_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder to write to, else this one."
)


@click.group()
def authority() -> None:
    """Order tokens, issue and revoke certificates: the operator's side of a trust domain."""


@authority.command("init")
@click.option("--name", required=True, help="Name of the trust domain.")
@click.option("--mail", required=True, help="Mail address that requests are sent to.")
@click.option("--root-key", type=_FILE, help="File for the root's sealed key.")
@click.option("--suite", type=click.IntRange(1, 2), default=1, show_default=True, help="2 puts every CA on P-384.")
@click.option("--ledger", help="postgresql://USER@HOST/DATABASE in place of a file.")
@click.option("--crl-url", help="Where the revocation list can be fetched.")
@click.option("--pkcs11", type=_FILE, help="Library of a security module that keeps the CA's key.")
@click.option("--pkcs11-token", help="Label of the token in it; its PIN is the passphrase.")
@json_option
def init_command(
    name: str,
    mail: str,
    root_key: Path | None,
    suite: int,
    ledger: str | None,
    crl_url: str | None,
    pkcs11: Path | None,
    pkcs11_token: str | None,
) -> None:
    """Found a trust domain: its keys, its domain file and the code of it."""
    if (pkcs11 is None) != (pkcs11_token is None):
        raise UsageFault("usage", "--pkcs11 and --pkcs11-token go together", "Give both, or neither.")
    location = part("home").Location(str(pkcs11.absolute()), pkcs11_token) if pkcs11 is not None else None
    home = part("home").default_home()
    root_file = root_key or home / part("home").root_key_name(name)
    with part("service").Authority.init(
        home,
        name=name,
        mail=mail,
        now=clock.now(),
        passphrase=operating.asker("for the CA's key"),
        root_passphrase=operating.root_passphrase(),
        root_key=root_file,
        suite=suite,
        ledger_url=ledger,
        crl_url=crl_url,
        token_location=location,
    ) as made:
        code = made.domain_file.with_suffix(".jpg")
        has_code = part("answers").write_domain_code(made.domain, code)
        domain_file = made.domain_file
    result = {
        "name": name,
        "mail": mail,
        "home": str(home),
        "domain_file": str(domain_file),
        "domain_code": str(code) if has_code else None,
        "root_key": str(root_file),
    }
    lines = [
        f"The trust domain {name} is founded in {home}",
        f"Domain file, for everybody:  {domain_file}",
        *([f"The same as a code:          {code}"] if has_code else []),
        f"Root key:                    {root_file}",
        "Move the root key to a medium that is kept offline; it is needed again for renew-ca alone.",
    ]
    emit(result, "\n".join(lines))


@authority.command("order")
@click.option("--organization", required=True, help="Who the certificates are for.")
@click.option("--level", required=True, help=f"One of {', '.join(level.value for level in Level)}.")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many.")
@click.option("--mail", help="Where tokens and certificates go; makes mail drafts.")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long the tokens live.")
@click.option("--suite", type=click.IntRange(1, 2), help="Security suite of the keys, else the domain's.")
@_out_option
@json_option
def order_command(
    organization: str, level: str, count: int, mail: str | None, days: int, suite: int | None, out: Path
) -> None:
    """Order tokens: write the code of each, and a mail draft when there is an address."""
    wanted = _level(level)
    with opened() as authority, operating.progress(f"{count} tokens", count) as progress:
        ordered = authority.order(
            organization=organization,
            level=wanted,
            count=count,
            mail=mail,
            suite=suite,
            lifetime=dt.timedelta(days=days),
            now=clock.now(),
        )
        written = part("answers").write_tokens(ordered, authority.domain, out, progress=progress)
    emit(operating.tokens_json(ordered, written), operating.tokens_text(ordered, written, out))


@authority.command("codes")
@click.argument("order", metavar="ORDER")
@_out_option
@json_option
def codes_command(order: str, out: Path) -> None:
    """Write the codes of an order's unspent tokens again."""
    with opened() as authority:
        ordered = authority.order_again(order, clock.now())
        written = part("answers").write_tokens(ordered, authority.domain, out)
    emit(operating.tokens_json(ordered, written), operating.tokens_text(ordered, written, out))


@authority.command("review")
@click.argument("request", metavar="CSR", type=_FILE)
@json_option
def review_command(request: Path) -> None:
    """Check a request (.csr or .eml) and show what it would be issued as."""
    with opened() as authority:
        review = authority.review(operating.request_in(request), clock.now())
    emit(review.as_json(), operating.review_text(review))


@authority.command("issue")
@click.argument("request", metavar="CSR", type=_FILE)
@click.option("--fingerprint", help="The key's fingerprint as the applicant read it out.")
@click.option("--yes", is_flag=True, help="Issue without asking.")
@_out_option
@json_option
def issue_command(request: Path, fingerprint: str | None, yes: bool, out: Path) -> None:
    """Check a request and issue its certificate; write its code and a mail draft."""
    data = operating.request_in(request)
    with opened() as authority:
        review = authority.review(data, clock.now())
        if fingerprint is None:
            _confirm_issue(review, yes=yes)
        issued = authority.issue(data, clock.now(), fingerprint=fingerprint)
        written = operating.answer(authority, issued, out)
    human = f"Issued {issued.serial}\n{operating.review_text(review)}\n{operating.written_text(written)}"
    emit(operating.answer_json(issued, written), human)


@authority.command("inbox")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--yes", is_flag=True, help="Issue everything that may be issued, without asking.")
@_out_option
@json_option
def inbox_command(folder: Path, yes: bool, out: Path) -> None:
    """Judge every request in a folder (.csr, .eml) and issue those that you confirm.

    Without a terminal and without --yes the verdicts are shown and nothing is issued.
    """
    results: list[dict[str, Any]] = []
    answered: list[tuple[str, Written]] = []
    with opened() as authority:
        arrivals = part("inbox").look(authority, folder, clock.now())
        try:
            with operating.progress(f"{len(arrivals)} requests", len(arrivals) if yes else 0) as progress:
                for number, arrival in enumerate(arrivals, start=1):
                    results.append(_handle(authority, arrival, out, answered, yes=yes))
                    if progress is not None:
                        progress(number, len(arrivals))
        finally:  # also for those that were issued before a Ctrl-C
            part("answers").settle(out, [written for _, written in answered])
            authority.mark_answered([serial for serial, _ in answered], clock.now())
    emit(results, f"{len(answered)} of {len(results)} issued. Answers are in {out.absolute()}")


@authority.command("answer")
@click.argument("serial")
@_out_option
@json_option
def answer_command(serial: str, out: Path) -> None:
    """Write the code and the mail draft of a certificate again; of a meter's, its PEM file with the CA."""
    with opened() as authority:
        issued = authority.certificate(serial)
        if issued.level is None:
            path = operating.answer_meter(authority, part("records").MeterCredential(issued, None), out)
            emit(operating.meter_json(issued, path), f"Certificate and CA: {path}")
            return
        written = operating.answer(authority, issued, out)
    emit(operating.answer_json(issued, written), operating.written_text(written))


@authority.command("issue-meter")
@click.option("--system-title", help="The meter's system title, 16 hexadecimal digits.")
@click.option("--csr", "request", type=_FILE, help="Certify the key in this request, which the meter made.")
@click.option("--fingerprint", help="The key's fingerprint as it was shown when the meter made the request.")
@click.option("--suite", type=click.IntRange(1, 2), help="Security suite of a key that is made here.")
@click.option("--yes", is_flag=True, help="Issue without asking.")
@_out_option
@json_option
def issue_meter_command(
    system_title: str | None,
    request: Path | None,
    fingerprint: str | None,
    suite: int | None,
    yes: bool,
    out: Path,
) -> None:
    """Issue a meter's certificate, into one PEM file.

    With --csr it is for the key of a request that the meter made (meterlink cosem security csr). Without, the key is
    made here and stands in the file, too, which is readable by you alone.
    """
    title = None if system_title is None else part("acts").check_system_title_text(system_title)
    with opened() as authority:
        if request is not None:
            if suite is not None:
                raise UsageFault("usage", "--suite is for a key that is made here", "Leave it out with --csr.")
            part("answers").check_place(out)
            credential = _certify(authority, files.read(request, MAX_REQUEST), title, fingerprint, yes=yes)
        elif title is None or fingerprint is not None:
            raise UsageFault("usage", "give the system title of the meter, or the request that it made", _METER_HINT)
        else:
            part("answers").check_place(out)
            credential = authority.issue_meter(title, clock.now(), suite=suite)
        path = operating.answer_meter(authority, credential, out)
    what = "Key, certificate" if credential.private_key is not None else "Certificate"
    emit(operating.meter_json(credential.issued, path), f"{what} and CA: {path}")


@authority.command("revoke")
@click.argument("serial")
@click.option("--reason", type=click.Choice(_REASONS), default="unspecified", show_default=True, help="Why.")
@click.option("--yes", is_flag=True, help="Revoke without asking.")
@json_option
def revoke_command(serial: str, reason: str, yes: bool) -> None:
    """Revoke a certificate. Publish it with: authority crl."""
    with opened() as authority:
        found = authority.certificate(serial)
        who = f"{found.level_name}, {found.organization}, {found.tag}"
        confirm(f"Revoke {found.serial} ({who}) for good?", yes=yes)
        revoked = authority.revoke(found.serial, clock.now(), reason=x509.ReasonFlags(reason))
    emit(revoked.as_json(clock.now()), f"Revoked {revoked.serial}. Publish it with: meterlink authority crl")


@authority.command("crl")
@click.option("--out", type=_FILE, help="File for the revocation list, else NAME.crl here.")
@json_option
def crl_command(out: Path | None) -> None:
    """Write a new revocation list, and put it into the domain file."""
    with opened() as authority:
        lists = authority.crl(clock.now())
        written = operating.write_crls(lists, out or Path(f"{part('home').safe_name(authority.domain.name)}.crl"))
        domain_file = authority.domain_file
    entries = sum(len(crl) for crl in lists)
    result = {"files": [str(path) for path in written], "entries": entries, "domain_file": str(domain_file)}
    lines = [f"{entries} certificates are revoked.", *(f"List: {path}" for path in written), f"Also in: {domain_file}"]
    emit(result, "\n".join(lines))


@authority.command("renew-ca")
@click.option("--root-key", type=_FILE, required=True, help="The file with the root's sealed key.")
@click.option("--suite", type=click.IntRange(1, 2), help="Security suite of the new key, else the domain's.")
@json_option
def renew_ca_command(root_key: Path, suite: int | None) -> None:
    """Replace the issuing CA by one with a new key. Certificates of the old one count on."""
    with opened() as authority:
        ca = authority.renew_ca(
            clock.now(), root_key=root_key, root_passphrase=operating.root_passphrase(), suite=suite
        )
        part("answers").write_domain_code(authority.domain, authority.domain_file.with_suffix(".jpg"))
        domain_file = authority.domain_file
    result = {"not_after": ca.not_valid_after_utc.isoformat(), "domain_file": str(domain_file)}
    until = clock.show(ca.not_valid_after_utc)
    emit(result, f"The new issuing CA is valid until {until}.\nGive everybody the new domain file: {domain_file}")


@authority.command("list")
@click.option("--audit", is_flag=True, help="Show the log of every act, after checking its chain.")
@json_option
def list_command(audit: bool) -> None:
    """List certificates and tokens, or the audit log."""
    with opened() as authority:
        if audit:
            entries = authority.audit()
            emit(operating.audit_json(entries), lambda: operating.audit_table(entries))
            return
        certificates, tokens = authority.certificates(), authority.tokens()
    now = clock.now()
    result = {
        "certificates": [item.as_json(now) for item in certificates],
        "tokens": [item.as_json(now) for item in tokens],
    }
    emit(result, lambda: Group(operating.certificate_table(certificates), "", operating.token_table(tokens)))


def _level(name: str) -> Level:
    try:
        return Level.parse(name)
    except ValueError as error:
        raise UsageFault("usage", str(error)) from error


def _confirm_issue(review: Review, *, yes: bool) -> None:
    if not yes and not output.wants_json() and output.interactive():
        output.console(stderr=True).print(operating.review_text(review), markup=False)
    confirm("Did the applicant read out the same fingerprint? Issue?", yes=yes)


def _handle(
    authority: Authority, arrival: Arrival, out: Path, answered: list[tuple[str, Written]], *, yes: bool
) -> dict[str, Any]:
    """Show one request of the inbox; issue it when it may be and the operator says so, and add it to ``answered``."""
    if not output.wants_json():
        output.console().print(operating.arrival_text(arrival), markup=False, soft_wrap=True)
    if arrival.review is None or not (yes or _wanted()):
        return arrival.as_json()
    try:
        issued = authority.issue(arrival.data, clock.now())
    except CertsError as error:  # what came before it in this inbox used the token or the key
        refused = dataclasses.replace(arrival, review=None, error=error)
        output.note(operating.arrival_text(refused))
        return refused.as_json()
    written: Written = part("answers").write_answer(issued, authority.domain, out, synced=False)
    answered.append((issued.serial, written))
    return arrival.as_json() | operating.answer_json(issued, written)


def _certify(
    authority: Authority, data: bytes, title: bytes | None, fingerprint: str | None, *, yes: bool
) -> MeterCredential:
    """Issue the certificate that a meter's request asks for, when the operator vouches for the key."""
    review = authority.review_meter(data, title)
    asked = review.request
    if fingerprint is None:
        if not yes and not output.wants_json() and output.interactive():
            output.console(stderr=True).print(operating.meter_review_text(review), markup=False)
        confirm("Is this the fingerprint that was shown when the meter made the request? Issue?", yes=yes)
    elif not same_fingerprint(fingerprint, asked.fingerprint):
        raise RequestError(
            "fingerprint-mismatch",
            f"the request's fingerprint is {asked.fingerprint}, not {fingerprint}",
            "This is another request than the meter made. Do not issue; ask for the file once more.",
        )
    credential: MeterCredential = authority.issue_meter(asked.system_title, clock.now(), public_key=asked.public_key)
    return credential


def _wanted() -> bool:
    if output.wants_json() or not output.interactive():
        return False
    return click.confirm("Issue?", err=True)
