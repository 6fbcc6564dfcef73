"""Drafts, links, and opening them in the default program."""

from __future__ import annotations

import email
import email.policy
import os
import stat
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs import mail
from certs.errors import StoreError
from certs.mail import Attachment, Draft, MailError, Opened

CSR = b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"MIIB" * 180 + b"\n-----END CERTIFICATE REQUEST-----\n"
REQUEST = Attachment("Stadtwerke Łódź_Commissioning_Tag.csr", "application/pkcs10", CSR, is_text=True)
DRAFT = Draft("certificates@example.org", "Request: Łódź", "Please issue.\nFingerprint: 00 11", (REQUEST,))


def parsed(data: bytes) -> email.message.EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def test_eml_is_an_unsent_draft_with_the_file_in_it() -> None:
    message = parsed(DRAFT.to_eml())
    assert message["X-Unsent"] == "1"
    assert message["To"] == "certificates@example.org"
    assert message["Subject"] == "Request: Łódź"
    assert message["From"] is None
    body = message.get_body()
    assert body is not None
    assert "Fingerprint: 00 11" in body.get_content()
    (attachment,) = message.iter_attachments()
    assert attachment.get_filename() == REQUEST.name
    assert attachment.get_content_type() == "application/pkcs10"
    assert attachment.get_content() == CSR


def test_eml_ends_its_lines_as_mail_does() -> None:
    assert b"\n" not in DRAFT.to_eml().replace(b"\r\n", b"")


def test_mailto_carries_the_request_in_its_body() -> None:
    link = DRAFT.to_mailto()
    assert link is not None
    assert "+" not in link.replace("%2B", "")
    parts = urllib.parse.urlsplit(link)
    assert (parts.scheme, parts.path) == ("mailto", "certificates@example.org")
    keys = urllib.parse.parse_qs(parts.query)
    assert keys["subject"] == ["Request: Łódź"]
    assert CSR.decode().strip() in keys["body"][0].replace("\r\n", "\n")
    assert len(link) <= mail.MAX_MAILTO


def test_mailto_leaves_out_what_is_no_text_and_gives_up_when_too_long() -> None:
    picture = Attachment("a.jpg", "image/jpeg", b"\xff\xd8" * 5000)
    assert Draft("a@example.org", "s", "b", (picture,)).to_mailto() == "mailto:a@example.org?subject=s&body=b"
    assert Draft("a@example.org", "s", "b" * 3000).to_mailto() is None


@pytest.mark.parametrize(
    "address",
    [
        "a@example.org,b@example.org",
        "a@example.org;b@example.org",
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org\n",
        "a@example.org\x00",
        "=?utf-8?q?a=40evil.example=2C?=@example.org",
        "Ada <a@example.org>",
        "<a@example.org>",
        '"a b"@example.org',
        "a(comment)@example.org",
        "a@[127.0.0.1]",
        "a b@example.org",
        "a@example..org",
        ".a@example.org",
        "a@-example.org",
        "a@b@example.org",
        "ä@example.org",
        "a@exämple.org",
        "a@example.org?cc=b@example.org",
        "a@example.org%0abcc:b",
        "a" * 65 + "@example.org",
        "a@" + "b" * 64 + ".org",
        "a@" + "b." * 130 + "org",
        "@example.org",
        "a@",
        "",
    ],
)
def test_row_30_a_recipient_that_is_not_one_plain_address(address: str) -> None:
    with pytest.raises(MailError) as error:
        Draft(address, "subject", "body")
    assert error.value.code == "mail-address"
    assert error.value.hint
    assert "\n" not in error.value.message


@pytest.mark.parametrize("address", ["a@localhost", "first.last+tag@sub.example.org", "certificates.de@example.com"])
def test_plain_addresses_are_accepted(address: str) -> None:
    assert mail.check_address(address) == address


@given(subject=st.text(max_size=300), body=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_subject_and_body_leave_one_recipient_and_no_new_header(subject: str, body: str) -> None:
    message = parsed(Draft("a@example.org", subject, body, (REQUEST,)).to_eml())
    assert {name.lower() for name in message} == {"to", "subject", "x-unsent", "mime-version", "content-type"}
    assert message["To"] == "a@example.org"
    assert len(list(message.iter_attachments())) == 1


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that is the whole PATH; a screen to show them on."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("DISPLAY", ":0")
    return folder


def install(folder: Path, name: str, script: str) -> Path:
    """Install a program that writes its argument into a file, then does what ``script`` says."""
    log = folder / f"{name}.log"
    program = folder / name
    program.write_text(f'#!/bin/sh\necho "$1" >> "{log}"\n{script}\n')
    program.chmod(0o700)
    return log


@pytest.mark.parametrize("platform, opener", [("linux", "xdg-open"), ("darwin", "open")])
def test_draft_opens_in_the_default_program(programs: Path, tmp_path: Path, platform: str, opener: str) -> None:
    log = install(programs, opener, "exit 0")
    path = tmp_path / "request.eml"
    assert mail.open_draft(DRAFT, path, platform=platform) is Opened.DRAFT
    assert log.read_text().strip() == str(path)
    assert parsed(path.read_bytes())["X-Unsent"] == "1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_link_is_opened_when_no_program_takes_the_file(programs: Path, tmp_path: Path) -> None:
    log = install(programs, "xdg-open", 'case "$1" in mailto:*) exit 0;; esac; exit 3')
    assert mail.open_draft(DRAFT, tmp_path / "request.eml", platform="linux") is Opened.LINK
    assert log.read_text().splitlines()[1].startswith("mailto:certificates@example.org?")


def test_nothing_opens_but_the_file_is_there(programs: Path, tmp_path: Path) -> None:
    install(programs, "xdg-open", "exit 3")
    assert mail.open_draft(DRAFT, tmp_path / "request.eml", platform="linux") is Opened.NOTHING
    assert (tmp_path / "request.eml").exists()


def test_no_opener_is_installed(programs: Path) -> None:
    assert not mail.open_with_default("mailto:a@example.org", platform="linux")


def test_no_opener_is_tried_without_a_screen(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = install(programs, "xdg-open", "exit 0")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not mail.open_with_default("mailto:a@example.org", platform="linux")
    assert not log.exists()


def test_an_opener_that_stays_has_opened(programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program waits on a pipe that this test holds, so it cannot end before the test lets it."""
    os.mkfifo(tmp_path / "hold")
    install(programs, "xdg-open", f'read line < "{tmp_path / "hold"}"')
    monkeypatch.setattr(mail, "_OPEN_TIMEOUT", 0.2)
    assert mail.open_with_default("mailto:a@example.org", platform="linux")
    (tmp_path / "hold").write_text("go\n")
    os.wait()


def test_windows_starts_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call exists on Windows alone, so here something stands in its place."""
    started: list[str] = []
    monkeypatch.setattr(os, "startfile", started.append, raising=False)
    assert mail.open_with_default("C:\\request.eml", platform="win32")
    assert started == ["C:\\request.eml"]

    def refuse(_path: str) -> None:
        raise OSError("no program is associated")

    monkeypatch.setattr(os, "startfile", refuse, raising=False)
    assert not mail.open_with_default("C:\\request.eml", platform="win32")


def test_a_draft_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as error:
        mail.open_draft(DRAFT, tmp_path / "missing" / "request.eml")
    assert error.value.code == "file"
