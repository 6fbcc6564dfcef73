"""Keys and certificates put into a meter as a technician does it: processes of the program, a pseudo-terminal, TCP."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs import sealing
from meterlink.cli.main import main

TITLE = "4D4C4B0000004711"
METER = '''
"""A meter of the field on a pseudo-terminal and on TCP; its keys come on standard input."""
import asyncio, datetime as dt, json, sys, time
from certs.domain import make_domain
from hil.meter.clients import FIELD_CLIENTS
from hil.meter.credentials import FieldKeys
from hil.meter.server import MeterServer
from hil.pty import PtyLine
from hil.tcp import TcpServer
from hil.trust import issue_identity
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite

async def serve():
    now = dt.datetime.now(dt.UTC)
    made = make_domain("Field", "field@example.org", now)
    identity = issue_identity(made.domain, made.issuing_key, now, system_title=bytes.fromhex("4D4C4B0000004711"))
    keys = KeySet(**{name: bytes.fromhex(key) for name, key in json.loads(sys.stdin.readline()).items()})
    shared = FieldKeys(password=b"12345678", secret=b"secret", keys={Suite.SUITE_0: keys})
    server = MeterServer(time.monotonic(), now, identity, clients=FIELD_CLIENTS, field_keys=shared)
    async with PtyLine(server.hdlc_line) as line, TcpServer(server.wrapper_connection) as tcp:
        print(json.dumps([f"serial:{line.port}", tcp.url]), flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
'''


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
    def process(self, *command: str, given: str = "") -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            try:
                assert process.stdin is not None
                process.stdin.write(given.encode())
                process.stdin.flush()
                yield process
            finally:
                process.send_signal(signal.SIGKILL)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def issue_meter(site: Site, title: str, out: str) -> str:
    """Issue key and certificate of a meter; return the file."""
    words = ("--system-title", title, "--out", out, "--json")
    return str(site.here("authority", "issue-meter", *words).json["file"])


@contextmanager
def certified_meter(site: Site) -> Iterator[tuple[str, str]]:
    """`hil meter` with a certificate of the site's authority; yields its URLs, serial and TCP."""
    issued = issue_meter(site, TITLE, "meters")
    listen = ("--listen", "pty:", "--listen", "tcp://127.0.0.1:0")
    identity = ("--domain", "authority/Heat.domain.json", "--certificate", issued, "--key", issued)
    with site.process(sys.executable, "-m", "meterlink", "hil", "meter", *listen, *identity) as process:
        assert process.stdout is not None
        serial, tcp = (process.stdout.readline().decode().split()[-1] for _ in range(2))
        yield serial, tcp


def own(site: Site, url: str, out: str) -> x509.Certificate:
    """The meter's certificate, as it gives it out."""
    assert site.here("cosem", "security", "export", url, "--out", out, "--yes").status == 0
    return x509.load_pem_x509_certificate((site.folder / out).read_bytes())


def test_a_meter_gets_a_new_certificate_for_a_key_of_its_own(site: Site) -> None:
    site.certify("Commissioning")
    with certified_meter(site) as (serial, tcp):
        old = own(site, tcp, "old.pem")
        asked = site.here("cosem", "security", "generate-key-pair", serial)
        assert (asked.status, asked.code) == (2, "confirmation-needed")
        assert site("cosem", "security", "generate-key-pair", serial, "--yes").status == 0
        made = site("cosem", "security", "csr", serial, "--out", "meter.csr", "--json").json
        assert (made["system_title"], made["suite"], made["new_key"]) == (TITLE, 1, True)
        words = ("authority", "issue-meter", "--csr", "meter.csr", "--system-title", TITLE, "--out", "meters")
        issued = site(*words, "--fingerprint", made["fingerprint"], "--json").json
        assert site.here(*words, "--yes").code == "key-reuse"
        assert site("cosem", "security", "import", serial, issued["file"]).status == 0
        new = own(site, tcp, "new.pem")
        request = x509.load_pem_x509_csr((site.folder / "meter.csr").read_bytes())
        assert new.public_key() == request.public_key() != old.public_key()
        assert f"{new.serial_number:x}".zfill(len(issued["serial"])) == issued["serial"]
        trace = site.folder / "trace.jsonl"
        assert site("read", tcp, "--object", "energy", "--trace", trace).status == 0
        crossed = bytes.fromhex("".join(re.findall(r'"data": "([0-9a-f]*)"', trace.read_text())))
        assert new.public_bytes(Encoding.DER) in crossed
        assert old.public_bytes(Encoding.DER) not in crossed
        listed = site.here("cosem", "security", "show", serial, "--json").json["certificates"]
        assert [item["serial"] for item in listed if item["entity"] == "server"] == [f"{new.serial_number:x}"]


def test_what_must_not_get_into_a_meter_does_not(site: Site) -> None:
    site.certify("Commissioning")
    with certified_meter(site) as (serial, tcp):
        before = own(site, tcp, "before.pem")
        another, other_key = (issue_meter(site, title, "others") for title in ("00" * 8, TITLE))
        for file, status, code in (
            (another, 2, "system-title"),  # of another meter
            (next((site.folder / "answers").glob("*.jpg")), 4, "certificate-format"),
            ("authority/Heat.domain.json", 4, "certificate-format"),
            ("missing.pem", 4, "file"),
        ):
            done = site.here("cosem", "security", "import", serial, file)
            assert (done.status, done.code) == (status, code)
        done = site.here("cosem", "security", "import", tcp, other_key)
        assert (done.status, done.code) == (6, "other-reason")  # the meter does not hold its key
        done = site.here("cosem", "security", "activate", tcp, "authenticated", "--yes")
        assert (done.status, done.code) == (2, "policy-weaker")
        assert own(site, serial, "after.pem") == before


def test_who_may_not_commission_is_refused_before_a_byte_is_sent(site: Site) -> None:
    site.certify("Installation")
    trace = site.folder / "trace.jsonl"
    with certified_meter(site) as (_, tcp):
        for words in (
            ("generate-key-pair", tcp, "--yes"),
            ("csr", tcp, "--out", "meter.csr"),
            ("import", tcp, f"meters/meter-{TITLE}.pem"),
            ("activate", tcp, "signed", "--yes"),
            ("remove", tcp, "--yes"),
        ):
            done = site.here("cosem", "security", *words, "--trace", trace)
            assert (done.status, done.code) == (3, "not-permitted"), words
            assert "Commissioning" in done.err
            assert not trace.exists()
        assert not (site.folder / "meter.csr").exists()
        assert site.here("cosem", "security", "show", tcp).status == 0


def test_a_new_unicast_key_and_the_old_one_is_refused(site: Site) -> None:
    """With the keys as files, on a serial line, then over TCP."""
    site.certify("Commissioning")
    keys = {name: os.urandom(16).hex() for name in ("unicast", "authentication", "master")}
    with site.process(sys.executable, "-c", METER, given=json.dumps(keys) + "\n") as process:
        assert process.stdout is not None
        serial, tcp = (f"{url}?security=hls-gmac&client=19" for url in json.loads(process.stdout.readline()))
        old = key_file(site, "old", **keys)
        new, newest = (key_file(site, name, **keys | {"unicast": os.urandom(16).hex()}) for name in ("new", "newest"))
        said = []
        for url, before, after in ((serial, old, new), (tcp, new, newest)):
            words = ("cosem", "security", "transfer-key", url, "--kind", "unicast", "--keys", before)
            asked = site.here(*words, "--new-keys", after)
            assert (asked.status, asked.code) == (2, "confirmation-needed")
            done = site(*words, "--new-keys", after, "--yes", "--trace", "trace.jsonl", "--json")
            assert done.json["transferred"] == ["unicast"]
            assert site("read", url, "--object", "serial-number", "--keys", after).status == 0
            refused = site("read", url, "--object", "serial-number", "--keys", before)
            assert (refused.status, refused.code) == (6, "authentication-failure")
            shown = site.here("decode", "trace.jsonl", "--keys", before)
            assert "parameters: not shown" in shown.out
            said += [asked.out, asked.err, done.out, done.err, refused.err, shown.out]
            said.append((site.folder / "trace.jsonl").read_text())
        for path in (old, new, newest):
            for name in keys:
                key = tomllib.loads(path.read_text())[name]
                assert not [text for text in said if key in text.lower().replace(" ", "")]


def key_file(site: Site, name: str, **keys: str) -> Path:
    path = site.folder / f"{name}.toml"
    path.touch(mode=0o600)
    path.write_text("".join(f'{key} = "{value}"\n' for key, value in keys.items()))
    return path
