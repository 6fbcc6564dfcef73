"""A technician's and an authority's place, where the program runs as processes, and meters as processes beside it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from certs import sealing
from meterlink.cli.main import main

TITLE = "4D4C4B0000004711"


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)

    @property
    def code(self) -> str:
        return self.err.partition("error: ")[2].partition(":")[0]


@contextmanager
def quick_sealing() -> Iterator[None]:
    """Seal keys at the lowest cost that is accepted: the cost is for guessers."""
    with mock.patch.object(sealing, "LOG_N_PERSON", sealing.LOG_N_RANDOM):
        yield


class Site:
    """A folder with a technician's and an authority's home. A call is a process of the program; :meth:`here` runs it in
    this one, for what is not what a test is about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "METERLINK_HOME": str(folder / "home"),
            "METERLINK_AUTHORITY": str(folder / "authority"),
            "METERLINK_PASSPHRASE": "correct horse",
            "PYTHONUNBUFFERED": "1",
        }

    def __call__(self, *words: object) -> Done:
        command = [sys.executable, "-m", "meterlink", *map(str, words)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=100
        )
        assert b"Traceback" not in done.stderr
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def here(self, *words: object) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            status = main([str(word) for word in words])
        assert "Traceback" not in err.getvalue()
        return Done(status, out.getvalue(), err.getvalue())

    def certify(self, level: str) -> None:
        """Found a trust domain, get a certificate of it, and make it the active one."""
        with quick_sealing():
            self.here("authority", "init", "--name", "Heat", "--mail", "ca@heat.example")
            assert self.here("certs", "join", "authority/Heat.domain.json").status == 0
            order = ("order", "--organization", "Warm AG", "--level", level, "--out", "tokens", "--json")
            token = self.here("authority", *order).json[0]["text"]
            self.here("certs", "request", "--token", token, "--tag", level, "--send", "none", "--out", "requests")
        (request,) = (self.folder / "requests").glob("*.csr")
        answer = self.here("authority", "issue", request, "--yes", "--out", "answers", "--json").json["code"]
        assert self.here("certs", "import", answer, "--activate").status == 0

    @contextmanager
    def process(self, *words: object) -> Iterator[subprocess.Popen[bytes]]:
        """A process of the program that goes on until it is killed."""
        command = [sys.executable, "-m", "meterlink", *map(str, words)]
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGKILL)


def issue_meter(site: Site, title: str, out: str) -> str:
    """Issue key and certificate of a meter; return the file."""
    words = ("--system-title", title, "--out", out, "--json")
    return str(site.here("authority", "issue-meter", *words).json["file"])


@contextmanager
def certified_meter(site: Site, *more: object) -> Iterator[tuple[str, str]]:
    """`hil meter` with a certificate of the site's authority; yields its URLs, serial and TCP."""
    issued = issue_meter(site, TITLE, "meters")
    listen = ("--listen", "pty:", "--listen", "tcp://127.0.0.1:0")
    identity = ("--domain", "authority/Heat.domain.json", "--certificate", issued, "--key", issued)
    with site.process("hil", "meter", *listen, *identity, *more) as process:
        assert process.stdout is not None
        serial, tcp = (process.stdout.readline().decode().split()[-1] for _ in range(2))
        yield serial, tcp


def key_file(site: Site, name: str, **keys: str) -> Path:
    path = site.folder / f"{name}.toml"
    path.touch(mode=0o600)
    path.write_text("".join(f'{key} = "{value}"\n' for key, value in keys.items()))
    return path
