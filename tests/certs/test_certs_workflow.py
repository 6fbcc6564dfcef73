"""The technician's way, screen by screen, with files alone."""

from pathlib import Path

import pytest
from certs_support import PASSPHRASE, TestAuthority, cli

from certs import payload, request
from certs.qr import drawing


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("METERLINK_PASSPHRASE", PASSPHRASE)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return tmp_path / "home"


def test_a_fresh_install_is_an_active_consumer(home: Path) -> None:
    ran = cli("list", "--json")
    assert ran.status == 0
    (entry,) = ran.json
    assert (entry["level"], entry["active"], entry["status"], entry["permissions"]) == (
        "Consumer", True, "valid", ["read"],
    )  # fmt: skip
    assert cli("list", "--json").json == [entry]  # and it stays the same one


def test_token_to_active_certificate(home: Path, tmp_path: Path) -> None:
    authority = TestAuthority.create()
    authority.domain.save(tmp_path / "test.domain.json")
    assert cli("join", tmp_path / "test.domain.json").status == 0
    token_text = authority.token()
    token_jpeg = tmp_path / "token.jpg"
    token_jpeg.write_bytes(drawing.jpeg(token_text, ("CSR token",)))

    scanned = cli("scan", token_jpeg, "--json").json
    assert (scanned["kind"], scanned["level"], scanned["organization"]) == ("token", "Commissioning", "Stadtwerke Süd")

    out = tmp_path / "out"
    sent = cli("request", "--token", token_jpeg, "--tag", "Tablet 3", "--out", out, "--json").json
    assert Path(sent["file"]).name == "Stadtwerke Süd_Commissioning_Tablet 3.csr"
    assert Path(sent["draft"]).read_bytes().startswith(b"To: authority@example.org")
    asked = request.read_request(Path(sent["file"]).read_bytes())
    assert asked.token_text == token_text
    assert asked.fingerprint == sent["fingerprint"]
    pending = [entry for entry in cli("list", "--json").json if entry["status"] == "pending"]
    assert [entry["id"] for entry in pending] == [sent["id"]]

    leaf = authority.issue(asked)
    answer = tmp_path / "whatever.jpg"
    answer.write_bytes(drawing.jpeg(payload.certificate_text(leaf, [authority.domain.issuing_ca])))
    (imported,) = cli("import", answer, "--json").json
    assert (imported["level"], imported["active"], imported["new"]) == ("Commissioning", True, True)
    listed = cli("list", "--json").json
    assert [entry["level"] for entry in listed if entry["active"]] == ["Commissioning"]
    assert not [entry for entry in listed if entry["status"] == "pending"]
    human = cli("list")
    assert "Tablet 3" in human.out
    assert "read, configure, commission" in human.out
