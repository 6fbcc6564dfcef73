"""Opening the ledger, and its transactions.

SQLite is the default: one file, a write-ahead log, every write transaction begun at once (``BEGIN IMMEDIATE``) and
synced to the disk before it counts. A PostgreSQL URL (``postgresql://...``) serves several operators at once. In both,
writers follow each other: each one locks the head of the audit log first.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from certs.authority import audit, schema
from certs.authority.audit import AuditEntry
from certs.errors import AuthorityError

BUSY_SECONDS: Final = 60
"""How long a writer waits for the others."""

_READ_ONLY: Final = "meterlink_read_only"
_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}


class Transaction:
    """What can be done to the ledger until the transaction ends; all of it happens, or nothing."""

    def __init__(self, connection: sa.Connection, domain_id: str, now: dt.datetime, actor: str) -> None:
        self.connection = connection
        self.now = now
        self._domain_id = domain_id
        self._actor = actor

    @property
    def moment(self) -> int:
        """The present in seconds since 1970."""
        return int(self.now.timestamp())

    def log(self, act: str, **details: Any) -> AuditEntry:
        """Add an entry to the audit log."""
        return audit.append(self.connection, self._domain_id, self.now, self._actor, act, details)

    def first(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        """Return the first row, None without one."""
        return self.connection.execute(query).first()

    def insert(self, table: sa.Table, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Insert one row, or several in one call."""
        self.connection.execute(sa.insert(table), rows)

    def change(self, statement: sa.Update) -> int:
        """Run an update and return how many rows it changed."""
        return self.connection.execute(statement).rowcount


class Ledger:
    """An opened ledger. Safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine, domain_id: str) -> None:
        self._engine = engine
        self._domain_id = domain_id

    @classmethod
    def open(cls, url: str, domain_id: str) -> Ledger:
        """Open the ledger of a domain, making its tables or bringing them to the newest version.

        Raises :class:`AuthorityError` ``ledger-url``, ``ledger`` (it cannot be reached), ``ledger-newer`` or
        ``ledger-foreign``.
        """
        ledger = cls(_engine(url), domain_id)
        try:
            ledger._prepare()
        except BaseException:  # Ctrl-C and cancellation, too: clean up, then let it go on
            ledger.close()
            raise
        return ledger

    @contextlib.contextmanager
    def write(self, now: dt.datetime, actor: str) -> Iterator[Transaction]:
        """Run a transaction that changes the ledger, alone among all writers. An exception undoes it."""
        with self._explained(), self._engine.begin() as connection:
            audit.lock(connection, self._domain_id)
            yield Transaction(connection, self._domain_id, now, actor)

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Run queries on one consistent state."""
        with self._explained(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_READ_ONLY: True})
            with connection.begin():
                yield connection

    def audit(self) -> tuple[AuditEntry, ...]:
        """Return the audit log after checking its chain. Raises :class:`AuthorityError` ``audit-broken``."""
        with self._explained(), self._engine.begin() as connection:
            return audit.read(connection, self._domain_id)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _prepare(self) -> None:
        with self._explained(), self._engine.begin() as connection:
            _take_turns(connection)
            schema.migrate(connection)
            if connection.scalar(sa.select(sa.func.count()).select_from(schema.head_table)) == 0:
                audit.begin(connection, self._domain_id)
            audit.lock(connection, self._domain_id)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            # The first line of the driver's message; SQLAlchemy's own would show statements and values.
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
            reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
            hint = "Check that the database runs, that its URL is right, and that this user may write to it."
            raise AuthorityError("ledger", f"the ledger cannot be used: {reason}", hint) from error


def sqlite_url(path: Path) -> str:
    """Return the URL of a ledger in a file."""
    return sa.URL.create("sqlite", database=str(path.absolute())).render_as_string(hide_password=False)


def check_url(url: str) -> sa.URL:
    """Return a ledger's URL with its driver. Raises :class:`AuthorityError` ``ledger-url``."""
    hint = "Give sqlite:///FILE or postgresql://USER@HOST/DATABASE."
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise AuthorityError("ledger-url", "the ledger's URL cannot be read", hint) from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None or (driver.startswith("sqlite") and parsed.database in (None, "", ":memory:")):
        raise AuthorityError("ledger-url", f"a ledger cannot be kept in {parsed.drivername}", hint)
    return parsed.set(drivername=driver)


def _engine(url: str) -> sa.Engine:
    parsed = check_url(url)
    if not parsed.drivername.startswith("sqlite"):
        return sa.create_engine(parsed, connect_args={"connect_timeout": 10})
    assert parsed.database is not None
    try:
        # Made by us, so that it is never readable by others; SQLite gives its side files the same permissions.
        os.close(os.open(parsed.database, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        message = f"the ledger {parsed.database} cannot be opened: {error.strerror}"
        raise AuthorityError("ledger", message, "Check that its folder exists and may be written.") from error
    engine = sa.create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says so
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _take_turns(connection: sa.Connection) -> None:
    """Let one process at a time look at the tables and make them. SQLite's BEGIN IMMEDIATE did that already."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SETUP_LOCK)))


_SETUP_LOCK: Final = 0x6D6C6B  # any number that nothing else in the database uses

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""
