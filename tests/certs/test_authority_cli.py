"""The operator's commands, as they are typed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from authority_support import MAIL, ORGANIZATION, PASSPHRASE, quick_sealing
from certs_support import cli
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from done import Done

from certs import clock, keys, payload, request, token
from certs.cli import operating
from certs.cli import output as cli_output
from certs.cli.authority import authority as group
from certs.cli.output import run
from certs.domain import TrustDomain
from certs.levels import Level
from certs.mail import Attachment, Draft
from certs.payload import CertificatePayload
from certs.qr import read_one
from certs.revocation import load_crl


def call(*arguments: object) -> Done:
    return cli(*arguments, group=group)


def error_code(result: Done) -> str:
    """Of the error, beside which nothing is told."""
    return str(json.loads(result.err)["error"]["code"])


def good(*arguments: object) -> Any:
    result = call(*arguments, "--json")
    assert result.status == 0, result.err
    assert result.err == ""
    return result.json


def refused(*arguments: object) -> str:
    result = call(*arguments, "--json")
    assert result.status != 0
    assert result.out == ""
    return error_code(result)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("METERLINK_AUTHORITY", str(tmp_path / "authority"))
    monkeypatch.setenv("METERLINK_PASSPHRASE", PASSPHRASE)
    monkeypatch.delenv("METERLINK_ROOT_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    with quick_sealing():
        yield tmp_path


@pytest.fixture
def founded(place: Path) -> Path:
    good("init", "--name", "Süd", "--mail", "certificates@example.org")
    return place


def domain_of(place: Path) -> TrustDomain:
    return TrustDomain.load(place / "authority" / "Süd.domain.json")


def order(count: int = 1, *more: str) -> list[dict[str, Any]]:
    arguments = ("order", "--organization", ORGANIZATION, "--level", "service", "--count", count, "--mail", MAIL)
    return list(good(*arguments, "--out", "tokens", *more))


def request_file(place: Path, ordered: dict[str, Any], name: str = "request.csr", tag: str = "Tablet 3") -> Path:
    """The technician's part, from the code that was written."""
    text = read_one(Path(ordered["code"]))
    claims = token.verify(text, domain_of(place), clock.now())
    made = request.build_request(text, claims, tag, keys.generate(claims.suite))
    path = place / name
    path.write_bytes(made.public_bytes(Encoding.PEM))
    return path


def test_from_founding_to_the_certificate(place: Path) -> None:
    made = good("init", "--name", "Süd", "--mail", "certificates@example.org", "--root-key", place / "root")
    assert Path(made["root_key"]) == place / "root"
    assert TrustDomain.load(Path(made["domain_file"])).mail == "certificates@example.org"
    assert payload.is_ours(read_one(Path(made["domain_code"])))
    (ordered,) = order()
    assert Path(ordered["draft"]).read_bytes().startswith(b"To: " + MAIL.encode())
    path = request_file(place, ordered)
    review = good("review", path)
    assert (review["level"], review["tag"], review["mail"]) == ("Service", "Tablet 3", MAIL)
    issued = good("issue", path, "--fingerprint", review["fingerprint"], "--out", "answers")
    assert Path(issued["code"]).name == "Stadtwerke Łódź_Service_Tablet 3.jpg"
    found = payload.parse(read_one(Path(issued["code"])))
    assert isinstance(found, CertificatePayload)
    assert domain_of(place).check_level(found.leaf, clock.now()).level is Level.SERVICE
    listed = good("list")
    assert [item["serial"] for item in listed["certificates"]] == [issued["serial"]]
    assert [item["status"] for item in listed["tokens"]] == ["spent"]
    audit = good("list", "--audit")
    assert [entry["act"] for entry in audit["entries"]] == ["init", "order", "issue", "answer"]
    assert audit["head"] == audit["entries"][-1]["digest"]


def test_a_question_that_guards_needs_yes_without_a_terminal(founded: Path) -> None:
    path = request_file(founded, order()[0])
    assert refused("issue", path) == "confirmation-needed"
    issued = good("issue", path, "--yes")
    assert refused("issue", path, "--yes") == "token-used"
    assert refused("revoke", issued["serial"]) == "confirmation-needed"
    assert good("revoke", issued["serial"][:10], "--yes", "--reason", "keyCompromise")["status"] == "revoked"


def test_a_wrong_fingerprint_leaves_the_token(founded: Path) -> None:
    path = request_file(founded, order()[0])
    assert refused("issue", path, "--fingerprint", "0000") == "fingerprint-mismatch"
    assert [item["status"] for item in good("list")["tokens"]] == ["open"]


def test_inbox_shows_and_issues(founded: Path) -> None:
    first, second = order(2)
    folder = founded / "inbox"
    folder.mkdir()
    data = request_file(founded, first, tag="Tablet 1").read_bytes()
    mail = Draft("a@example.org", "s", "b", (Attachment("request.csr", "application/pkcs10", data),))
    (folder / "1.eml").write_bytes(mail.to_eml())
    request_file(founded, second, "inbox/2.csr", "Tablet 2")
    request_file(founded, second, "inbox/3.csr", "The same token again")
    shown = good("inbox", folder)
    assert [(item["verdict"], "serial" in item) for item in shown] == [("ok", False)] * 3
    done = good("inbox", folder, "--yes", "--out", "answers")
    assert [(item["verdict"], item.get("tag")) for item in done] == [
        ("ok", "Tablet 1"),
        ("ok", "Tablet 2"),
        ("token-used", None),
    ]
    assert sorted(path.suffix for path in (founded / "answers").iterdir()) == [".eml", ".eml", ".jpg", ".jpg"]
    assert len(good("inbox", folder, "--yes", "--out", "nothing new")) == 3
    human = call("inbox", folder)
    assert human.out.count("refused, token-used") == 3
    assert "0 of 3 issued" in human.out


def test_codes_and_answers_can_be_written_again(founded: Path) -> None:
    first, second = order(2)
    issued = good("issue", request_file(founded, first), "--yes", "--out", "answers")
    again = good("codes", second["order"], "--out", "again")
    assert [item["id"] for item in again] == [second["id"]]
    answer = good("answer", issued["serial"], "--out", "again")
    assert Path(answer["code"]).read_bytes() == Path(issued["code"]).read_bytes()
    good("issue", request_file(founded, second), "--yes")
    assert "is spent" in call("codes", second["order"]).out
    assert refused("codes", "00") == "no-such-order"


def test_a_meter(founded: Path) -> None:
    issued = good("issue-meter", "--system-title", "4d4c4b0000000001", "--out", "meters")
    data = Path(issued["file"]).read_bytes()
    leaf = x509.load_pem_x509_certificate(data)
    assert load_pem_private_key(data, None).public_key() == leaf.public_key()
    title = bytes.fromhex("4d4c4b0000000001")
    assert domain_of(founded).check_meter(leaf, clock.now(), title).is_meter
    assert refused("issue-meter", "--system-title", "short") == "system-title"


def test_revocation_list_and_new_ca(founded: Path) -> None:
    issued = good("issue", request_file(founded, order()[0]), "--yes")
    good("revoke", issued["serial"], "--yes")
    result = good("crl")
    assert [Path(name).name for name in result["files"]] == ["Süd.crl"]
    assert len(load_crl((founded / "Süd.crl").read_bytes())) == 1
    assert len(domain_of(founded).crls) == 1
    assert refused("renew-ca", "--root-key", founded / "missing") == "file"
    good("renew-ca", "--root-key", founded / "authority" / "Süd.root-key")
    result = good("crl", "--out", "lists/all.crl")
    assert [Path(name).name for name in result["files"]] == ["all.crl", "all-1.crl"]
    assert [len(load_crl((founded / name).read_bytes())) for name in result["files"]] == [0, 1]
    order()


def test_the_root_may_have_a_passphrase_of_its_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINK_ROOT_PASSPHRASE", "kept in the safe")
    root_key = good("init", "--name", "Süd", "--mail", "a@example.org")["root_key"]
    monkeypatch.delenv("METERLINK_ROOT_PASSPHRASE")
    assert refused("renew-ca", "--root-key", root_key) == "passphrase-wrong"
    monkeypatch.setenv("METERLINK_ROOT_PASSPHRASE", "kept in the safe")
    good("renew-ca", "--root-key", root_key)


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (("order", "--organization", "O", "--level", "boss"), "usage", 2),
        (("order", "--organization", "a\u202eb", "--level", "test"), "organization-name", 4),
        (("order", "--organization", "O", "--level", "test", "--mail", "a,b@example.org"), "mail-address", 4),
        (("order", "--organization", "O", "--level", "test", "--suite", "2"), "order", 4),
        (("order", "--organization", "O", "--level", "test", "--count", "10001"), "order", 4),
        (("review", "missing.csr"), "file", 4),
        (("revoke", "zz", "--yes"), "no-such-certificate", 4),
        (("init", "--name", "Süd", "--mail", "a@example.org"), "authority-exists", 4),
        (("inbox", "missing"), "file", 4),
        (("colour",), "usage", 2),
    ],
)
def test_what_cannot_be_done(founded: Path, arguments: tuple[str, ...], code: str, status: int) -> None:
    result = call(*arguments, "--json")
    assert (error_code(result), result.status, result.out) == (code, status, "")


def test_no_authority(place: Path) -> None:
    assert refused("list") == "no-authority"


def test_no_passphrase(founded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METERLINK_PASSPHRASE")
    assert refused("order", "--organization", "O", "--level", "test") == "passphrase-needed"


def test_a_mail_with_several_requests_is_for_the_inbox(founded: Path) -> None:
    attachments = tuple(Attachment(f"{number}.csr", "application/pkcs10", bytes([number])) for number in range(2))
    (founded / "mail.eml").write_bytes(Draft("a@example.org", "s", "b", attachments).to_eml())
    assert refused("review", "mail.eml") == "several-requests"


def test_what_people_see(place: Path) -> None:
    founded = call("init", "--name", "Süd", "--mail", "a@example.org")
    assert "Move the root key" in founded.out
    ordered = call("order", "--organization", ORGANIZATION, "--level", "test", "--out", "tokens")
    assert "1 x Test for Stadtwerke Łódź" in ordered.out
    (code,) = (place / "tokens").glob("*.jpg")
    path = request_file(place, {"code": str(code)})
    assert "Fingerprint:" in call("review", path).out
    assert "Issued" in call("issue", path, "--yes").out
    listed = call("list").out
    assert "Tablet 3" in listed
    assert "spent" in listed
    assert "unbroken" in call("list", "--audit").out
    serial = good("list")["certificates"][0]["serial"]
    assert "Revoked" in call("revoke", serial, "--yes").out
    assert "1 certificates are revoked" in call("crl").out
    assert "Key, certificate and CA" in call("issue-meter", "--system-title", "00" * 8).out
    assert "new issuing CA" in call("renew-ca", "--root-key", place / "authority" / "Süd.root-key").out
    assert "Code:" in call("answer", serial).out


def test_the_group_loads_without_the_extra(tmp_path: Path) -> None:
    """A package that cannot be imported stands where SQLAlchemy would be found first."""
    (tmp_path / "sqlalchemy.py").write_text("raise ModuleNotFoundError('gone', name='sqlalchemy')")
    program = "import sys; from certs.cli import authority, output; sys.exit(output.run(authority.authority))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(Path.cwd())))}
    shown = subprocess.run([sys.executable, "-c", program, "--help"], env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    failed = subprocess.run([sys.executable, "-c", program, "list"], env=environment, capture_output=True, text=True)
    assert failed.returncode == 2
    assert "error: extra-missing:" in failed.stderr
    assert "pip install 'meterlink[authority]'" in failed.stderr


# In a terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What is typed comes from here; the streams say that they are a terminal."""
    typed = Terminal()
    monkeypatch.setattr(sys, "stdin", typed)
    return typed


def typing(terminal: Terminal, text: str, *arguments: object) -> Done:
    terminal.seek(0)
    terminal.truncate()
    terminal.write(text)
    terminal.seek(0)
    out, err = io.StringIO(), Terminal()
    with redirect_stdout(out), redirect_stderr(err):
        status = run(group, [str(argument) for argument in arguments])
    return Done(status, out.getvalue(), err.getvalue())


def test_the_operator_is_asked_in_a_terminal(founded: Path, terminal: Terminal) -> None:
    first, second = order(2)
    path = request_file(founded, first)
    declined = typing(terminal, "n\n", "issue", path)
    assert declined.status == 2
    assert "Fingerprint:" in declined.err
    assert "declined" in declined.err
    assert typing(terminal, "y\n", "issue", path).status == 0
    (founded / "inbox").mkdir()
    request_file(founded, second, "inbox/request.csr")
    assert "0 of 1 issued" in typing(terminal, "n\n", "inbox", "inbox").out
    assert "1 of 1 issued" in typing(terminal, "y\n", "inbox", "inbox", "--out", "answers").out


def test_progress_is_shown_in_a_terminal(founded: Path, terminal: Terminal) -> None:
    arguments = ("order", "--organization", ORGANIZATION, "--level", "test", "--count", "12", "--out", "many")
    result = typing(terminal, "", *arguments)
    assert result.status == 0
    assert "12 tokens" in result.err
    assert len(list((founded / "many").iterdir())) == 12


def test_the_passphrases_are_asked_for_in_a_terminal(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """click reads passwords from the terminal device itself, so here its question is answered in its place."""
    monkeypatch.delenv("METERLINK_PASSPHRASE")
    monkeypatch.setattr(cli_output, "interactive", lambda: True)
    asked: list[tuple[str, bool]] = []

    def prompt(text: str, *, hide_input: bool, confirmation_prompt: bool, err: bool) -> str:
        assert hide_input
        assert err
        asked.append((text, confirmation_prompt))
        return "root secret" if "root" in text else "secret"

    monkeypatch.setattr(operating.click, "prompt", prompt)
    assert call("init", "--name", "Süd", "--mail", "a@example.org").status == 0
    assert sorted(asked) == [("Passphrase for the CA's key", True), ("Passphrase of the root's key", True)]
    asked.clear()
    assert call("order", "--organization", "O", "--level", "test", "--out", "tokens").status == 0
    assert asked == [("Passphrase of the CA's key", False)]
