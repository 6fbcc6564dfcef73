"""``meterlink certs``: the certificates on this device, and the way to a new one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from cryptography import x509

from certs import backup, camera, fetching, importing, payload, requesting
from certs.cli import asking, output, views
from certs.cli.output import UsageFault, emit, json_option, standard_input
from certs.entries import Entry
from certs.importing import CrlFound, ImportResult, Item
from certs.payload import CertificatePayload, DomainPayload, TokenPayload
from certs.records import RequestRecord
from certs.store import Store

_SEND_OPTIONS: Final = (
    click.option(
        "--send", type=click.Choice(requesting.SENDS), default="draft", show_default=True, help="How to send it."
    ),
    click.option("--out", type=click.Path(path_type=Path), default=Path(), help="Folder for the files, else this one."),
    click.option("--plain-key", is_flag=True, help="Protect the new key by file permissions alone."),
)


def _send_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_SEND_OPTIONS):
        command = option(command)
    return command


@click.group()
def certs() -> None:
    """Show, request, import and choose certificates."""


@certs.command("list")
@json_option
def list_command() -> None:
    """List the certificates and the pending requests."""
    store = asking.open_store()
    entries = store.entries()
    asking.tell(store.notices())
    emit([entry.as_json() for entry in entries], lambda: views.entry_table(entries))


@certs.command("show")
@click.argument("name", metavar="ID")
@json_option
def show_command(name: str) -> None:
    """Show one certificate or pending request."""
    store = asking.open_store()
    entry = store.find(name)
    asking.tell(store.notices())
    emit(entry.details(), views.entry_text(entry))


@certs.command("scan")
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option("--text", help="The text of a code, pasted.")
@click.option("--camera", "camera_number", type=int, help="Scan with this webcam; 0 is the first.")
@json_option
def scan_command(images: tuple[str, ...], text: str | None, camera_number: int | None) -> None:
    """Scan a code and show what it is; a certificate is imported at once.

    IMAGE is a picture or a PDF file, or - for standard input.
    """
    items = _read_items(images, text, camera_number)
    store = asking.open_store()
    shown = [_scanned(store, item) for item in items]
    asking.tell(store.notices())
    bodies = [body for body, _ in shown]
    emit(bodies if len(bodies) > 1 else bodies[0], "\n\n".join(human for _, human in shown))


@certs.command("request")
@click.option("--token", help="The token: a picture, a file with its text, - for standard input, or the text itself.")
@click.option("--tag", help="A name for this certificate, like 'Tablet 3'.")
@click.option("--again", metavar="ID", help="Send a pending request again.")
@_send_options
@json_option
def request_command(
    token: str | None, tag: str | None, again: str | None, send: str, out: Path, plain_key: bool
) -> None:
    """Create a certificate signing request for a token, and send it."""
    if (again is None) == (token is None):
        raise UsageFault("usage", "give a token, or a pending request", "--token IMAGE --tag TAG, or --again ID")
    store = asking.open_store()
    if token is None:
        record = requesting.pending_request(store, again or "")
    else:
        found = _token(token)
        record = requesting.create_request(store, found.text, tag or _ask_tag(store, found.text), plain=plain_key)
    _send(store, record, out, send)


@certs.command("import")
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option("--text", help="The text of a certificate's code, pasted.")
@click.option("--activate/--keep", default=None, help="Make it the active one, or keep the present one.")
@json_option
def import_command(files: tuple[str, ...], text: str | None, activate: bool | None) -> None:
    """Import certificates from JPEG, PNG, PDF, PEM, DER or PKCS#7 files. They are active by default."""
    items = _read_items(files, text, None)
    store = asking.open_store()
    results = [_ask_activation(store, result) for result in importing.import_items(store, items, activate=activate)]
    asking.tell(store.notices())
    emit([result.as_json() for result in results], "\n\n".join(views.import_text(result) for result in results))


@certs.command("activate")
@click.argument("name", metavar="ID")
@json_option
def activate_command(name: str) -> None:
    """Make a certificate the active one."""
    entry = asking.open_store().activate(name)
    emit(entry.as_json(), f"Active: {views.line(entry)}")


@certs.command("remove")
@click.argument("name", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def remove_command(name: str, yes: bool) -> None:
    """Remove a certificate or a pending request. It is kept aside with its key."""
    store = asking.open_store()
    label = store.label(name)
    output.confirm(f"Remove {label}?", yes=yes)
    place = store.remove(name)
    active = _active(store)
    emit(
        {"removed": place.name.rpartition("-")[2], "backup": str(place), "active": active.id},
        f"Removed: {label}\nIt is kept in {place}\nActive: {views.line(active)}",
    )


@certs.command("renew")
@click.argument("name", metavar="ID")
@click.option("--tag", help="Another tag for the new certificate.")
@_send_options
@json_option
def renew_command(name: str, tag: str | None, send: str, out: Path, plain_key: bool) -> None:
    """Ask for a new certificate with a new key before one ends. No token is needed."""
    store = asking.open_store()
    _send(store, requesting.create_renewal(store, name, tag=tag, plain=plain_key), out, send)


@certs.command("join")
@click.argument("file", required=False, metavar="[DOMAINFILE]")
@click.option("--text", help="The text of a domain's code, pasted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def join_command(file: str | None, text: str | None, yes: bool) -> None:
    """Trust a domain: its authority issues certificates, its meters are believed.

    DOMAINFILE is the domain's file, or a picture of its code.
    """
    (item, *_) = _read_items((file,) if file else (), text, None)
    if not isinstance(item, DomainPayload):
        raise importing.wrong_kind(item, "a trust domain")
    domain = item.domain
    store = asking.open_store()
    if any(known.name == domain.name and known.id != domain.id for known in store.domains()):
        output.confirm(f"Another domain is called {domain.name}, too. Join this one?", yes=yes)
    store.join(domain)
    emit(views.domain_json(domain), f"Joined:\n{views.domain_text(domain)}\nActive: {views.line(_active(store))}")


@certs.command("revoked")
@click.argument("file", required=False, metavar="[CRLFILE]")
@json_option
def revoked_command(file: str | None) -> None:
    """Take over a revocation list. If the active certificate is on it, Consumer becomes active.

    Without CRLFILE the lists are fetched from the addresses that the joined domains give.
    """
    store = asking.open_store()
    before = store.look().pointer
    hit: list[Entry] = []
    for crl in _revocation_lists(store, file):
        hit = store.add_crl(crl)
    active = _active(store)
    lines = [f"Revoked: {views.line(entry)}" for entry in hit] or ["None of the certificates here is revoked."]
    if any(entry.id == before for entry in hit):
        lines.append(f"The active certificate was revoked. Active now: {views.line(active)}")
    emit({"revoked": [entry.id for entry in hit], "active": active.id}, "\n".join(lines))


@certs.command("backup")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--yes", is_flag=True, help="Write over a file that is there.")
@json_option
def backup_command(file: Path, yes: bool) -> None:
    """Write certificates, requests, keys and domains to a file sealed under a passphrase.

    The passphrase is asked for, or taken from METERLINK_BACKUP_PASSPHRASE.
    """
    if file.exists():
        output.confirm(f"Write over {file}?", yes=yes)
    store = asking.open_store()
    count = backup.save(store, file, asking.backup_passphrase(new=True))
    emit({"file": str(file), "keys": count}, f"Backup with {count} keys: {file}")


@certs.command("restore")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--plain-key", is_flag=True, help="Protect the keys by file permissions alone.")
@json_option
def restore_command(file: Path, plain_key: bool) -> None:
    """Bring back what a backup holds and this device does not. Choose among them with 'certs activate'."""
    store = asking.open_store()
    done = backup.restore(store, file, asking.backup_passphrase(new=False), plain=plain_key)
    asking.tell(store.notices())
    emit(
        {"certificates": done.certificates, "requests": done.requests, "domains": done.domains},
        f"Restored: {done.certificates} certificates, {done.requests} requests, {done.domains} domains",
    )


def _revocation_lists(store: Store, file: str | None) -> list[x509.CertificateRevocationList]:
    if file is None:
        urls = [domain.crl_url for domain in store.domains() if domain.crl_url is not None]
        if not urls:
            hint = "Take over a file: certs revoked CRLFILE."
            raise UsageFault("usage", "no domain here says where its revocation list is", hint)
        return [fetching.fetch_crl(url) for url in urls]
    items = _read_items((file,), None, None)
    for item in items:
        if not isinstance(item, CrlFound):
            raise importing.wrong_kind(item, "a revocation list")
    return [item.crl for item in items if isinstance(item, CrlFound)]


def _ask_tag(store: Store, token_text: str) -> str:
    if output.wants_json() or not output.interactive():
        raise UsageFault("usage", "the tag is missing", "Give a name for this certificate: --tag 'Tablet 3'.")
    click.echo(views.token_text(*importing.verify_token(store, token_text)), err=True)
    return str(click.prompt("Descriptive tag", err=True))


def _ask_activation(store: Store, result: ImportResult) -> ImportResult:
    if not result.asks or output.wants_json() or not output.interactive():
        return result
    question = f"{result.entry.level.value} is below the active {_active(store).level.value}. Activate it all the same?"
    if not click.confirm(question, err=True):
        return ImportResult(result.entry, result.is_new, asks=False)
    return ImportResult(store.activate(result.entry.id), result.is_new, asks=False)


def _read_items(sources: tuple[str, ...], text: str | None, camera_number: int | None) -> list[Item]:
    if camera_number is not None:
        return [importing.recognise_text(camera.scan(camera_number))]
    if text is not None:
        return [importing.recognise_text(text)]
    if not sources:
        raise UsageFault("usage", "there is nothing to read", "Name a file, - for standard input, or give --text.")
    return [item for source in sources for item in _read_source(source)]


def _read_source(source: str) -> list[Item]:
    if source == "-":
        return importing.recognise(standard_input(importing.MAX_FILE + 1))
    return importing.recognise_file(Path(source))


def _token(source: str) -> TokenPayload:
    item = importing.recognise_text(source) if payload.is_ours(source) else _read_source(source)[0]
    if not isinstance(item, TokenPayload):
        raise importing.wrong_kind(item, "a CSR token")
    return item


def _scanned(store: Store, item: Item) -> tuple[dict[str, Any], str]:
    match item:
        case TokenPayload(text=text):
            token, domain = importing.verify_token(store, text)
            return {**views.token_json(token, domain), "text": text}, views.token_text(token, domain)
        case CertificatePayload(leaf=leaf, chain=chain):
            result = _ask_activation(store, importing.import_certificate(store, leaf, chain))
            return {"kind": "certificate", **result.as_json()}, views.import_text(result)
        case DomainPayload(domain=domain):
            return views.domain_json(domain), f"{views.domain_text(domain)}\nNext: meterlink certs join ..."
        case _:
            raise importing.wrong_kind(item, "a code to scan")


def _send(store: Store, record: RequestRecord, out: Path, how: str) -> None:
    sent = requesting.write_and_send(store, record, out, how)
    emit(views.sent_json(record, sent), views.sent_text(record, sent))


def _active(store: Store) -> Entry:
    return next(entry for entry in store.entries() if entry.active)
