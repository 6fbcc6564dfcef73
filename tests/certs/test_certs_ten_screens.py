"""The ten screens of the manual that users know, as commands, with files alone: nothing passes between both sides but
what is mailed. And what comes later: renewal, revocation, and the same on a second device."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from certs_support import cli
from done import Done

from certs.cli.authority import authority as authority_group


def operator(*arguments: str | Path) -> Any:
    ran = cli(*arguments, "--json", group=authority_group)
    assert ran.status == 0, ran.err
    return ran.json


def technician(*arguments: str | Path) -> Any:
    ran = cli(*arguments, "--json")
    assert ran.status == 0, ran.err
    return ran.json


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "METERLINK_SMTP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "tablet"))
    monkeypatch.setenv("METERLINK_AUTHORITY", str(tmp_path / "authority"))
    monkeypatch.setenv("METERLINK_PASSPHRASE", "of both sides")
    monkeypatch.setenv("METERLINK_ROOT_PASSPHRASE", "of the root")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_ten_screens(place: Path) -> None:
    founded = operator("init", "--name", "Waterworks", "--mail", "certificates@example.org")
    technician("join", founded["domain_file"])
    (mailed,) = operator(
        "order", "--organization", "Stadtwerke Süd", "--level", "Commissioning", "--mail", "a@example.org"
    )

    commands = 0

    def screen(*arguments: str | Path) -> Any:
        nonlocal commands
        commands += 1
        return technician(*arguments)

    (before,) = [entry for entry in screen("list") if entry["active"]]  # open the app, menu, certificates
    assert before["level"] == "Consumer"
    scanned = screen("scan", mailed["code"])  # scan the QR code
    assert (scanned["level"], scanned["organization"]) == ("Commissioning", "Stadtwerke Süd")
    sent = screen("request", "--token", mailed["code"], "--tag", "Tablet 3")  # tag; create and send
    assert Path(sent["file"]).name == "Stadtwerke Süd_Commissioning_Tablet 3.csr"

    reviewed = operator("review", sent["file"])
    assert reviewed["tag"] == "Tablet 3"
    answer = operator("issue", sent["draft"], "--fingerprint", sent["fingerprint"], "--out", "answers")
    answers = sorted(path.name for path in Path("answers").iterdir())
    assert "Stadtwerke Süd_Commissioning_Tablet 3.jpg" in answers

    (imported,) = screen("import", "answers/Stadtwerke Süd_Commissioning_Tablet 3.jpg")  # scan or import the answer
    assert imported["active"]
    (after,) = [entry for entry in screen("list") if entry["active"]]  # it is shown, and active
    assert (after["level"], after["permissions"]) == ("Commissioning", ["read", "configure", "commission"])
    assert commands <= 10
    assert answer


def obtained(folder: Path) -> dict[str, Any]:
    founded = operator("init", "--name", "Waterworks", "--mail", "certificates@example.org")
    technician("join", founded["domain_file"])
    (mailed,) = operator("order", "--organization", "Stadtwerke Süd", "--level", "Service")
    sent = technician("request", "--token", mailed["code"], "--tag", "Tablet 3", "--send", "none")
    operator("issue", sent["file"], "--yes", "--out", folder)
    (imported,) = technician("import", *folder.glob("*.jpg"))
    return dict(imported)


def test_renewal_through_the_authority(place: Path) -> None:
    old = obtained(place / "first")
    sent = technician("renew", old["id"], "--send", "none", "--out", "renewal")
    operator("issue", sent["file"], "--yes", "--out", "second")
    (new,) = technician("import", *Path("second").glob("*.jpg"))
    assert (new["level"], new["organization"], new["system_title"], new["active"]) == (
        old["level"], old["organization"], old["system_title"], True,
    )  # fmt: skip
    assert new["id"] != old["id"]


def test_revocation_through_the_authority(place: Path) -> None:
    old = obtained(place / "first")
    (serial,) = [
        entry["serial"] for entry in operator("list")["certificates"] if entry["system_title"] == old["system_title"]
    ]
    operator("revoke", serial, "--yes")
    lists = operator("crl", "--out", "all.crl")
    for path in lists["files"]:
        subprocess.run(["openssl", "crl", "-in", path, "-noout"], check=True, capture_output=True)
        technician("revoked", path)
    (active,) = [entry for entry in technician("list") if entry["active"]]
    assert active["level"] == "Consumer"
    again: Done = cli("import", *(place / "first").glob("*.jpg"), "--json")
    assert json.loads(again.err.splitlines()[-1])["error"]["code"] == "revoked"
