"""The commands of ``meterlink certs`` as scripts use them, and the rendering that every command shares."""

import datetime as dt
import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from certs_support import NOW, Device, TestAuthority, cli, code, der, pem, unchanged
from cryptography.hazmat.primitives.serialization import Encoding

from certs import importing, payload
from certs.entries import Status
from certs.levels import Level
from certs.qr import drawing

pytestmark = pytest.mark.usefixtures("in_a_script")

COMMAND = (
    sys.executable,
    "-c",
    "import sys; from certs.cli.output import run; from certs.cli.technician import certs; sys.exit(run(certs))",
)


# --- list and show ---


def test_list_has_the_fields_of_the_interface(device: Device) -> None:
    device.obtain()
    device.request(tag="Waiting")
    for entry in cli("list", "--json").json:
        assert list(entry) == [
            "id", "level", "organization", "tag", "system_title", "permissions", "active", "status",
            "not_before", "not_after",
        ]  # fmt: skip
    shown = cli("list")
    assert (shown.status, shown.err) == (0, "")
    assert "Waiting" in shown.out
    assert "pending" in shown.out


def test_list_reminds_of_renewal_and_warns_of_a_revoked_certificate(device: Device) -> None:
    leaf = device.authority.issue(device.request(), lifetime=dt.timedelta(days=30))
    importing.import_bytes(device.store(), der(leaf))
    warned = cli("list")
    assert "warning: renewal-due" in warned.err
    assert "certs renew" in warned.err
    assert "valid, renew" in warned.out
    (line,) = cli("list", "--json").err.splitlines()
    assert json.loads(line)["warning"]["code"] == "renewal-due"
    device.store().add_crl(device.authority.crl(leaf.serial_number))
    assert [entry["level"] for entry in cli("list", "--json").json if entry["active"]] == ["Consumer"]


def test_show(device: Device) -> None:
    entry = device.obtain().entry
    shown = cli("show", entry.id[:8], "--json").json
    assert (shown["id"], shown["suite"], shown["key_protection"], shown["domain"]) == (
        entry.id, 1, "plain", "Test domain",
    )  # fmt: skip
    human = cli("show", entry.id[:8]).out
    for word in ("Commissioning", "read, configure, commission", "Stadtwerke Süd", "Tablet 3", "Issuing CA", "active"):
        assert word in human
    pending = device.request(tag="Waiting")
    assert "Expires" in cli("show", pending.id).out


@pytest.mark.parametrize("name", ["zz", "0", "ffffffff", "", "../../x"])
def test_an_id_that_fits_nothing(device: Device, name: str) -> None:
    for command in ("show", "activate", "renew"):
        ran = cli(command, name, "--json")
        assert (ran.status, ran.error["code"]) == (4, "no-such-certificate")
    ran = cli("remove", name, "--yes", "--json")
    assert ran.error["code"] == "no-such-certificate"


def test_an_id_that_fits_two(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [device.obtain(tag=f"T{number}").entry for number in range(2)]
    folder = device.home / "certificates"
    for number, entry in enumerate(entries):
        (folder / entry.id).rename(folder / f"abcd{number}{entry.id[5:]}")
    ran = cli("remove", "abcd", "--yes", "--json")
    assert ran.error["code"] == "ambiguous-id"


# --- scan ---


def test_scan_recognises_each_of_our_codes(device: Device, tmp_path: Path) -> None:
    device.joined()
    text = device.authority.token(Level.TEST)
    scanned = cli("scan", "--text", text, "--json").json
    assert (scanned["kind"], scanned["permissions"], scanned["text"]) == ("token", ["read", "test"], text)
    assert "signature checked" in cli("scan", "--text", text).out
    domain = cli("scan", "--text", payload.domain_text(device.authority.domain), "--json").json
    assert (domain["kind"], domain["name"]) == ("domain", "Test domain")
    leaf = device.authority.issue(device.request())
    picture = tmp_path / "certificate.jpg"
    picture.write_bytes(drawing.jpeg(code(leaf)))
    several = tmp_path / "token.jpg"
    several.write_bytes(drawing.jpeg(text))
    scanned = cli("scan", picture, several, "--json").json
    assert [item["kind"] for item in scanned] == ["certificate", "token"]
    assert scanned[0]["active"] is True
    assert "Already here" in cli("scan", picture).out


def test_scan_refuses(device: Device, tmp_path: Path) -> None:
    device.joined()
    stranger = TestAuthority.create("Stranger").token()
    assert cli("scan", "--text", stranger, "--json").error["code"] == "token-signature"
    old = device.authority.token(now=NOW - dt.timedelta(days=31))
    assert cli("scan", "--text", old, "--json").error["code"] == "token-expired"
    assert cli("scan", "--text", "https://example.org", "--json").error["code"] == "not-ours"
    crl = tmp_path / "a.crl"
    crl.write_bytes(device.authority.crl().public_bytes(Encoding.PEM))
    assert cli("scan", crl, "--json").error["code"] == "wrong-kind"
    ran = cli("scan", "--json")
    assert (ran.status, ran.error["code"]) == (2, "usage")
    ran = cli("scan", tmp_path / "absent.jpg", "--json")
    assert (ran.status, ran.error["code"]) == (4, "file")


def test_scan_from_standard_input(device: Device) -> None:
    device.joined()
    ran = subprocess.run(
        [*COMMAND, "scan", "-", "--json"],
        input=drawing.jpeg(device.authority.token()), capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout)["kind"] == "token"


# --- join and revoked ---


def test_join_by_file_picture_and_text(device: Device, tmp_path: Path) -> None:
    for number, how in enumerate(("file", "picture", "text")):
        domain = TestAuthority.create(f"Domain {number}").domain
        path = tmp_path / f"any-name-{number}"
        if how == "file":
            domain.save(path)
        elif how == "picture":
            path.write_bytes(drawing.jpeg(payload.domain_text(domain)))
        arguments = ("--text", payload.domain_text(domain)) if how == "text" else (path,)
        assert cli("join", *arguments, "--json").json["id"] == domain.id
        active = device.store().active()
        assert (active.level, active.domain.id) == (Level.CONSUMER, domain.id)
    assert "Joined" in cli("join", tmp_path / "any-name-0").out


def test_join_of_another_domain_of_the_same_name_asks(device: Device, tmp_path: Path) -> None:
    device.joined()
    twin = TestAuthority.create("Test domain").domain
    twin.save(tmp_path / "twin")
    with unchanged(device.home):
        assert cli("join", "twin", "--json").error["code"] == "confirmation-needed"
    assert cli("join", "twin", "--yes").status == 0


def test_join_and_revoked_refuse_other_things(device: Device, tmp_path: Path) -> None:
    device.joined()
    assert cli("join", "--text", device.authority.token(), "--json").error["code"] == "wrong-kind"
    assert cli("join", "--json").error["code"] == "usage"
    (tmp_path / "token").write_text(device.authority.token())
    assert cli("revoked", "token", "--json").error["code"] == "wrong-kind"


def test_revoked(device: Device, tmp_path: Path) -> None:
    entry = device.obtain().entry
    serial = device.store().get(entry.id).certificate.serial_number
    (tmp_path / "empty.crl").write_bytes(device.authority.crl().public_bytes(Encoding.DER))
    assert cli("revoked", "empty.crl", "--json").json["revoked"] == []
    assert "None of the certificates here is revoked." in cli("revoked", "empty.crl").out
    later = device.authority.crl(serial, now=NOW + dt.timedelta(seconds=5))
    (tmp_path / "hit.crl").write_bytes(later.public_bytes(Encoding.PEM))
    ran = cli("revoked", "hit.crl")
    assert "Revoked: Commissioning" in ran.out
    assert "Active now: Consumer" in ran.out
    body = cli("revoked", "hit.crl", "--json").json
    assert body["revoked"] == [entry.id]
    assert body["active"] == device.store().active().id
    (tmp_path / "strange.crl").write_bytes(TestAuthority.create().crl(serial).public_bytes(Encoding.PEM))
    assert cli("revoked", "strange.crl", "--json").error["code"] == "crl-signature"


# --- in a pipe and in a terminal ---


def test_a_closed_pipe_ends_quietly(device: Device) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run([*COMMAND, "list"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (141, b"")  # no fault of ours (1): as other programs end by SIGPIPE


def test_in_a_terminal_questions_are_asked(device: Device) -> None:
    entry = device.obtain().entry
    question = "Remove Commissioning Tablet 3 (valid)?"
    in_terminal([(question, "n")], "remove", entry.id)
    assert device.store().active().id == entry.id
    assert "Removed" in in_terminal([(question, "y")], "remove", entry.id)
    device.obtain(Level.SERVICE)
    lower = Path("lower.pem")
    lower.write_bytes(pem(device.authority.issue(device.request(Level.INSTALLATION, tag="Lower"))))
    question = "Installation is below the active Service"
    in_terminal([(question, "n")], "import", str(lower))
    assert device.store().active().level is Level.SERVICE
    in_terminal([(question, "y")], "import", str(lower))
    assert device.store().active().level is Level.INSTALLATION
    token = device.authority.token()
    in_terminal([("Descriptive tag", "Asked for")], "request", "--token", token, "--plain-key", "--send", "none")
    assert [entry.tag for entry in device.store().entries() if entry.status is Status.PENDING] == ["Asked for"]


def test_in_a_terminal_the_passphrase_is_asked_for(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METERLINK_PASSPHRASE")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    device.joined()
    asked = [("New passphrase for the keys on this device", "secret 1"), ("Repeat for confirmation", "secret 1")]
    token = device.authority.token()
    shown = in_terminal(asked, "request", "--token", token, "--tag", "T", "--send", "none")
    assert "secret 1" not in shown
    (record,) = device.store().look().requests
    assert device.store(ask=lambda _: "secret 1").open_key(record.key, public=record.request.public_key)
    asked = [
        ("New passphrase for the backup", "of backup"),
        ("Repeat for confirmation", "of backup"),
        ("Passphrase of the keys on this device", "secret 1"),
    ]
    assert "Backup with 1 keys" in in_terminal(asked, "backup", "my.backup")


def in_terminal(answers: list[tuple[str, str]], *arguments: str) -> str:
    """Run a command on a pseudo-terminal and answer each question when it is asked; return everything it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, seen = "", 0
    waiting = list(answers)
    while data := read_terminal(ours):
        shown += data
        if waiting and waiting[0][0] in shown[seen:]:
            seen = len(shown)
            os.write(ours, waiting.pop(0)[1].encode() + b"\n")
    process.wait()
    os.close(ours)
    assert not waiting, shown
    return shown


def read_terminal(descriptor: int) -> str:
    """Return what a terminal shows next, nothing at its end or when it stays silent for too long."""
    ready, _, _ = select.select([descriptor], [], [], 30)
    if not ready:
        return ""
    try:
        return os.read(descriptor, 4096).decode(errors="replace")
    except OSError:  # Linux reports the end of a terminal like this
        return ""
