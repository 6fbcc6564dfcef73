"""The ledger's tables and the steps that bring an older ledger to them.

Times are whole seconds since 1970 UTC. Serials, ids and digests are lower-case hex. One schema serves SQLite and
PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import sqlalchemy as sa

from certs.errors import AuthorityError

metadata = sa.MetaData()

version_table = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, nullable=False))

head_table = sa.Table(
    "audit_head",
    metadata,
    # One row. Every writer locks it first, so that writers follow each other and the chain never forks.
    sa.Column("domain", sa.String(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)

audit_table = sa.Table(
    "audit",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("act", sa.String(32), nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)

orders_table = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("organization", sa.Text, nullable=False),
    sa.Column("level", sa.String(32), nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("mail", sa.Text),
    sa.Column("ordered", sa.BigInteger, nullable=False),
)

tokens_table = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("order_id", sa.ForeignKey("orders.id"), nullable=False, index=True),
    sa.Column("level", sa.String(32), nullable=False),
    sa.Column("organization", sa.Text, nullable=False),
    sa.Column("system_title", sa.String(16), nullable=False, unique=True),
    sa.Column("suite", sa.Integer, nullable=False),
    sa.Column("issued", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False),
    sa.Column("spent", sa.BigInteger),
)

certificates_table = sa.Table(
    "certificates",
    metadata,
    sa.Column("serial", sa.String(40), primary_key=True),
    sa.Column("issuer", sa.String(64), nullable=False, index=True),  # subject key identifier of the CA
    sa.Column("level", sa.String(32), nullable=False),  # a level's name, or "Meter"
    sa.Column("organization", sa.Text, nullable=False),
    sa.Column("system_title", sa.String(16), nullable=False, index=True),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("key_digest", sa.String(64), nullable=False, unique=True),  # SHA-256 of the SubjectPublicKeyInfo
    sa.Column("token_id", sa.ForeignKey("tokens.id"), unique=True),
    sa.Column("renewal_of", sa.ForeignKey("certificates.serial"), unique=True),
    sa.Column("mail", sa.Text),
    sa.Column("der", sa.LargeBinary, nullable=False),
    sa.Column("not_before", sa.BigInteger, nullable=False),
    sa.Column("not_after", sa.BigInteger, nullable=False),
    sa.Column("issued", sa.BigInteger, nullable=False),
    sa.Column("answered", sa.BigInteger),  # when the code and the mail draft were written
    sa.Column("revoked", sa.BigInteger),
    sa.Column("reason", sa.String(32)),
)

crls_table = sa.Table(
    "crls",
    metadata,
    sa.Column("issuer", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)

Migration = Callable[[sa.Connection], None]


def _create_everything(connection: sa.Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS: Final[Sequence[Migration]] = (_create_everything,)
"""Step n brings a ledger of version n to version n + 1. Steps are only ever added; a step that was released stays."""


def migrate(connection: sa.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the ledger to the newest version, within the caller's transaction.

    Raises :class:`AuthorityError` ``ledger-newer`` when it was written by a newer program.
    """
    version_table.create(connection, checkfirst=True)
    present = connection.scalar(sa.select(version_table.c.version)) or 0
    if present > len(migrations):
        message = f"the ledger is of version {present}; this program knows versions up to {len(migrations)}"
        raise AuthorityError("ledger-newer", message, "Update the program.")
    for step in migrations[present:]:
        step(connection)
    if present < len(migrations):
        connection.execute(sa.delete(version_table))
        connection.execute(sa.insert(version_table).values(version=len(migrations)))
