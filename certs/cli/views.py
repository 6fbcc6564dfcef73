"""How certificates, requests, tokens and domains look in a terminal, and as JSON where their class does not say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.table import Table

from certs import clock, profile
from certs.cli import output
from certs.domain import TrustDomain
from certs.entries import Entry
from certs.importing import ImportResult
from certs.levels import Permission
from certs.records import RequestRecord
from certs.requesting import Sent
from certs.token import Token

SHORT: Final = 16
"""Digits of an id that are shown. Four are enough to name it where no other begins with them."""


def entry_table(entries: Sequence[Entry]) -> Table:
    """Return the list of entries; the active one is marked."""
    headers = ("", "Level", "Organization", "Tag", "Permits", "Status", "Until", "Domain", "ID")
    return output.table(headers, (_row(entry) for entry in entries))


def line(entry: Entry) -> str:
    """Return an entry in one line."""
    parts = (entry.level.value, entry.organization, entry.tag, entry.id[:SHORT])
    return ", ".join(part for part in parts if part)


def entry_text(entry: Entry) -> str:
    """Return everything about an entry, a line each."""
    pairs = [
        ("Level", entry.level.value),
        ("Permits", _permits(entry.permissions)),
        ("Organization", entry.organization),
        ("Tag", entry.tag or "-"),
        ("Status", entry.status.value + (", active" if entry.active else "")),
        ("System title", profile.system_title_text(entry.system_title)),
        ("Domain", entry.domain),
        ("Key", f"suite {entry.suite}, protected by {_PROTECTED_BY[entry.protection.value]}"),
        ("Fingerprint", entry.fingerprint),
        ("ID", entry.id),
    ]
    if entry.not_before is not None and entry.not_after is not None:
        valid = f"{clock.show(entry.not_before)} to {clock.show(entry.not_after)}"
        pairs[5:5] = [("Valid", valid), ("Issuer", entry.issuer)]
    elif entry.expires is not None:
        pairs[5:5] = [("Expires", clock.show(entry.expires))]
    return _lines(pairs)


def import_text(result: ImportResult) -> str:
    """Return what an import did."""
    entry = result.entry
    head = "Imported" if result.is_new else "Already here"
    if entry.active:
        state = "it is active"
    elif result.asks:
        state = f"not active, its level is below the active one's; activate it: meterlink certs activate {_id(entry)}"
    else:
        state = f"not active; activate it: meterlink certs activate {_id(entry)}"
    return f"{head}: {state}\n{entry_text(entry)}"


def sent_json(record: RequestRecord, sent: Sent) -> dict[str, Any]:
    """Return what became of a request, in the form of ``certs request --json``."""
    return {
        "id": record.id,
        "organization": record.request.organization,
        "level": record.level.value,
        "tag": record.request.tag,
        "system_title": profile.system_title_text(record.request.system_title),
        "fingerprint": record.request.fingerprint,
        "expires": record.expires.isoformat(),
        "recipient": sent.recipient,
        "sent": sent.how,
        "file": str(sent.file),
        "draft": None if sent.draft is None else str(sent.draft),
    }


def sent_text(record: RequestRecord, sent: Sent) -> str:
    """Return what became of a request and what the user does next."""
    pairs = [
        ("Request", f"{record.level.value}, {record.request.organization}, {record.request.tag}"),
        ("File", str(sent.file)),
        *([("Mail draft", str(sent.draft))] if sent.draft is not None else []),
        ("Recipient", sent.recipient),
        ("Fingerprint", record.request.fingerprint),
    ]
    return f"{_lines(pairs)}\n{_NEXT[sent.how].format(to=sent.recipient)}"


def token_json(token: Token, domain: TrustDomain) -> dict[str, Any]:
    """Return what a token says, in the form of ``certs scan --json``."""
    return {
        "kind": "token",
        "level": token.level.value,
        "organization": token.organization,
        "permissions": [permission.value for permission in Permission if permission in token.level.permissions],
        "system_title": profile.system_title_text(token.system_title),
        "suite": token.suite,
        "expires": token.expires.isoformat(),
        "domain": domain.name,
    }


def token_text(token: Token, domain: TrustDomain) -> str:
    """Return what a token says and what the user does next."""
    permits = _permits(permission for permission in Permission if permission in token.level.permissions)
    pairs = [
        ("Level", token.level.value),
        ("Permits", permits),
        ("Organization", token.organization),
        ("Use before", clock.show(token.expires)),
        ("Domain", domain.name),
    ]
    return f"CSR token, signature checked\n{_lines(pairs)}\nNext: meterlink certs request --token ... --tag ..."


def domain_json(domain: TrustDomain) -> dict[str, Any]:
    """Return what identifies a domain, in the form of ``certs join --json``."""
    return {"kind": "domain", "name": domain.name, "mail": domain.mail, "id": domain.id}


def domain_text(domain: TrustDomain) -> str:
    """Return what identifies a domain; the root's fingerprint can be compared over the telephone."""
    return _lines([("Domain", domain.name), ("Mail", domain.mail), ("Root", _grouped(domain.id[:32]))])


_PROTECTED_BY: Final = {"keyring": "the system's keyring", "passphrase": "a passphrase", "plain": "file permissions"}

_NEXT: Final = {
    "draft": "The mail program has a draft: send it to {to}.",
    "mailto": "The mail program has a draft with the request in its text: send it to {to}.",
    "smtp": "The request was sent to {to}.",
    "none": "Send the file to {to}.",
}


def _row(entry: Entry) -> tuple[str, ...]:
    end = entry.not_after or entry.expires
    due = ", renew" if entry.renew_due else ""
    return (
        "*" if entry.active else "",
        entry.level.value,
        entry.organization,
        entry.tag,
        _permits(entry.permissions),
        entry.status.value + due,
        f"{end:%Y-%m-%d}" if end is not None else "",
        entry.domain,
        _id(entry),
    )


def _permits(permissions: Iterable[Permission]) -> str:
    return ", ".join(permission.value for permission in permissions) or "nothing"


def _id(entry: Entry) -> str:
    return entry.id[:SHORT]


def _grouped(digits: str) -> str:
    return " ".join(digits[at : at + 4].upper() for at in range(0, len(digits), 4))


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"  {name:<13} {value}" for name, value in pairs)
