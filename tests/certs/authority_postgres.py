"""A PostgreSQL server of one's own: started on a socket in a temporary folder, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_USER = "postgres"


def _program(name: str) -> str:
    """Debian keeps the server's programs out of PATH, one folder per version."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = shutil.which(name) or (str(versions[-1]) if versions else None)
    assert found is not None, "PostgreSQL is missing: apt-get install postgresql"
    return found


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Yield the URL of an empty database."""
    # A short path: the name of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="mlpg"))
    # The server refuses to run as root.
    as_user = {"user": _USER} if os.geteuid() == 0 else {}
    if as_user:
        owner = pwd.getpwnam(_USER)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        subprocess.run([_program(program), *arguments], check=True, capture_output=True, cwd=folder, **as_user)  # type: ignore[call-overload]

    run("initdb", "-D", str(data), "-U", "ledger", "-A", "trust", "--no-sync", "-E", "UTF8", "--no-locale")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    # With a log file, so that the server does not keep the pipes of this process open.
    run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://ledger@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder)


def new_database(url: str, name: str) -> str:
    """Make a database on the server and return its URL."""
    subprocess.run([_program("psql"), url, "-c", f'CREATE DATABASE "{name}"'], check=True, capture_output=True)
    return url.replace("/postgres?", f"/{name}?")
