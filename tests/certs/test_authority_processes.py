"""Several processes on one ledger, and processes that are killed: rows 2 and 12, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import authority_postgres
import authority_worker
import pytest
import sqlalchemy as sa
from authority_support import NOW, ORGANIZATION, PASSPHRASE, csr, found, issued, order

from certs.authority import Authority, schema
from certs.authority.ledger import Ledger
from certs.errors import AuthorityError, TokenError
from certs.levels import Level

pytestmark = pytest.mark.xdist_group("postgresql")

TRIES = 200
KILLS = 4


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with authority_postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a new authority, once with each kind of ledger."""
    url = None
    if request.param == "postgresql":
        server = request.getfixturevalue("server")
        url = authority_postgres.new_database(server, f"db{random.getrandbits(48):x}")
    found(tmp_path / "home", ledger_url=url).close()
    return tmp_path / "home"


def reopened(home: Path) -> Authority:
    return Authority.open(home, PASSPHRASE, actor="operator")


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, authority_worker.__file__, *map(str, arguments)]
    environment = {**os.environ, "METERLINK_PASSPHRASE": PASSPHRASE, "PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return line.strip()


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def test_row_2_two_processes_spend_one_token_at_once(home: Path, tmp_path: Path) -> None:
    with reopened(home) as authority:
        ordered = authority.order(organization=ORGANIZATION, level=Level.TEST, count=TRIES, now=NOW)
    pairs = []
    for number, item in enumerate(ordered):
        pair = (tmp_path / f"{number}a.csr", tmp_path / f"{number}b.csr")
        for path in pair:
            path.write_bytes(csr(item))
        pairs.append(pair)
    with start("race", home) as first, start("race", home) as second:
        assert [line_of(first), line_of(second)] == ["ready", "ready"]
        answers = []
        for mine, theirs in pairs:
            tell(first, str(mine))
            tell(second, str(theirs))
            answers.append(sorted((line_of(first), line_of(second))))
        for process in (first, second):
            assert process.communicate()[1] == ""
    assert answers == [["issued", "token-used"]] * TRIES
    with reopened(home) as authority:
        assert len(authority.certificates()) == TRIES
        assert {item.status(NOW) for item in authority.tokens()} == {"spent"}
        assert len(authority.audit()) == 2 + TRIES


@pytest.mark.parametrize(("spot", "happened"), [("signed", False), ("recorded", False), ("committed", True)])
def test_row_12_killed_between_signing_and_recording(home: Path, tmp_path: Path, spot: str, happened: bool) -> None:
    request = tmp_path / "request.csr"
    with reopened(home) as authority:
        request.write_bytes(csr(order(authority)))
        before = authority.audit()
    with start("die", home, request, spot) as process:
        assert process.wait() == -signal.SIGKILL, process.communicate()[1]
    with reopened(home) as authority:
        certificates, (token,) = authority.certificates(), authority.tokens()
        if happened:
            assert [item.tag for item in certificates] == ["Tablet 3"]
            assert certificates[0].answered is None, "the operator is shown what is still to be answered"
            assert token.status(NOW) == "spent"
            assert len(authority.audit()) == len(before) + 1
            with pytest.raises(TokenError):
                authority.issue(request.read_bytes(), NOW)
        else:
            assert certificates == ()
            assert token.status(NOW) == "open"
            assert authority.audit() == before
            assert authority.issue(request.read_bytes(), NOW).tag == "Tablet 3"


def test_row_12_killed_at_random_moments(home: Path, tmp_path: Path) -> None:
    """A process issues as fast as it can and is killed after a random number of answers; another goes on."""
    with reopened(home) as authority:
        ordered = authority.order(organization=ORGANIZATION, level=Level.TEST, count=KILLS * 8, now=NOW)
    requests = []
    for number, item in enumerate(ordered):
        requests.append(tmp_path / f"{number}.csr")
        requests[-1].write_bytes(csr(item))
    rng = random.Random(12)
    answered = 0
    for _ in range(KILLS):
        with start("race", home) as process:
            assert line_of(process) == "ready"
            for _ in range(rng.randrange(1, 6)):
                tell(process, str(requests[answered]))
                assert line_of(process) in ("issued", "token-used")
                answered += 1
            tell(process, str(requests[answered]))  # it works on this one when it is killed
            for _ in range(rng.randrange(20_000)):
                pass
            process.kill()
        with reopened(home) as authority:
            spent = sum(1 for item in authority.tokens() if item.spent is not None)
            assert len(authority.certificates()) == spent
            assert spent in (answered, answered + 1)
            assert len(authority.audit()) == 2 + spent


def test_several_operators_at_once_keep_one_chain(home: Path) -> None:
    with reopened(home) as one, reopened(home) as other:
        for _ in range(5):
            issued(one)
            issued(other)
        assert one.audit() == other.audit()
        assert len(one.audit()) == 1 + 20
        assert one.certificates() == other.certificates()


def test_the_ledger_of_another_domain_is_refused(home: Path) -> None:
    with reopened(home) as authority:
        url = authority._home.ledger_url
    with pytest.raises(AuthorityError) as error:
        Ledger.open(url, "00" * 32)
    assert error.value.code == "ledger-foreign"
    with reopened(home) as authority:
        assert len(authority.audit()) == 1


def test_a_ledger_of_a_newer_program_is_refused_and_left_alone(home: Path) -> None:
    with reopened(home) as authority:
        url, domain_id = authority._home.ledger_url, authority.domain.id
    ledger = Ledger.open(url, domain_id)
    with ledger._engine.begin() as connection:
        connection.execute(sa.update(schema.version_table).values(version=99))
    ledger.close()
    with pytest.raises(AuthorityError) as error:
        Authority.open(home, PASSPHRASE)
    assert error.value.code == "ledger-newer"


def test_migrations_run_in_order_each_once_and_undo_themselves(home: Path) -> None:
    with reopened(home) as authority:
        engine = authority._ledger._engine
        done: list[int] = []

        def step(number: int) -> Callable[[sa.Connection], None]:
            def run(connection: sa.Connection) -> None:
                connection.execute(sa.text(f"CREATE TABLE extra_{number} (value INTEGER)"))
                done.append(number)

            return run

        def broken(connection: sa.Connection) -> None:
            connection.execute(sa.text("CREATE TABLE extra_3 (value INTEGER)"))
            raise ZeroDivisionError

        steps = [*schema.MIGRATIONS, step(1), step(2)]
        for _ in range(2):
            with engine.begin() as connection:
                schema.migrate(connection, steps)
        assert done == [1, 2]
        with pytest.raises(ZeroDivisionError), engine.begin() as connection:
            schema.migrate(connection, [*steps, broken])
        with engine.connect() as connection:
            assert connection.scalar(sa.select(schema.version_table.c.version)) == 3
            assert "extra_3" not in sa.inspect(connection).get_table_names()


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(AuthorityError) as error:
        Ledger.open("postgresql://ledger:secret@127.0.0.1:1/none", "00" * 32)
    assert error.value.code == "ledger"
    assert "secret" not in str(error.value)
