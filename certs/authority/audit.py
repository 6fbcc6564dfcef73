"""The audit log: every act of the authority, chained by hash.

An entry's digest covers the entry and the digest before it, the first one the domain's id. Whoever alters, removes or
inserts an entry has to compute every later digest anew, and the newest digest then differs from the one that the
operator has written down or printed.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from certs.authority.schema import audit_table, head_table
from certs.errors import AuthorityError


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act: ``act`` is its name, ``actor`` who did it, ``details`` what it was done to."""

    sequence: int
    time: dt.datetime
    actor: str
    act: str
    details: Mapping[str, Any]
    digest: str


def begin(connection: sa.Connection, domain_id: str) -> None:
    """Begin the log of a new ledger."""
    connection.execute(sa.insert(head_table).values(domain=domain_id, sequence=0, digest=domain_id))


def lock(connection: sa.Connection, domain_id: str) -> tuple[int, str]:
    """Keep every other writer out until the transaction ends; return the number and digest of the newest entry.

    Raises :class:`AuthorityError` ``ledger-foreign`` when the ledger is that of another domain.
    """
    query = sa.select(head_table.c.sequence, head_table.c.digest).where(head_table.c.domain == domain_id)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise AuthorityError("ledger-foreign", "the ledger belongs to another domain", "Check the ledger's URL.")
    return row.sequence, row.digest


def append(
    connection: sa.Connection, domain_id: str, now: dt.datetime, actor: str, act: str, details: Mapping[str, Any]
) -> AuditEntry:
    """Add an entry within the caller's transaction. Raises as :func:`lock` does."""
    sequence, previous = lock(connection, domain_id)
    moment = int(now.timestamp())
    text = json.dumps(details, sort_keys=True, ensure_ascii=False)
    digest = _digest(previous, sequence + 1, moment, actor, act, text)
    connection.execute(
        sa.insert(audit_table).values(
            sequence=sequence + 1, time=moment, actor=actor, act=act, details=text, digest=digest
        )
    )
    connection.execute(
        sa.update(head_table).where(head_table.c.domain == domain_id).values(sequence=sequence + 1, digest=digest)
    )
    return AuditEntry(sequence + 1, dt.datetime.fromtimestamp(moment, dt.UTC), actor, act, dict(details), digest)


def read(connection: sa.Connection, domain_id: str) -> tuple[AuditEntry, ...]:
    """Return the whole log, the oldest entry first, after checking every link of the chain.

    Raises :class:`AuthorityError` ``audit-broken``, naming the first entry that does not fit, or ``ledger-foreign``.
    """
    newest, digest = lock(connection, domain_id)
    entries: list[AuditEntry] = []
    previous = domain_id
    for row in connection.execute(sa.select(audit_table).order_by(audit_table.c.sequence)):
        expected = _digest(previous, len(entries) + 1, row.time, row.actor, row.act, row.details)
        if row.sequence != len(entries) + 1 or row.digest != expected:
            raise _broken(len(entries) + 1)
        previous = row.digest
        moment = dt.datetime.fromtimestamp(row.time, dt.UTC)
        entries.append(AuditEntry(row.sequence, moment, row.actor, row.act, json.loads(row.details), row.digest))
    if len(entries) != newest or previous != digest:
        raise _broken(len(entries) + 1)
    return tuple(entries)


def _broken(sequence: int) -> AuthorityError:
    return AuthorityError(
        "audit-broken",
        f"the audit log was altered: entry {sequence} is missing or does not fit the one before it",
        "Restore the ledger from a backup, and find out who could write to it.",
    )


def _digest(previous: str, sequence: int, moment: int, actor: str, act: str, details: str) -> str:
    body = json.dumps([previous, sequence, moment, actor, act, details], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()
