"""A folder of requests as they were mailed."""

from __future__ import annotations

import base64
import contextlib
import email.policy
import os
from email.message import EmailMessage
from pathlib import Path

import pytest
from authority_support import NOW, csr, order
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.authority import Authority, inbox
from certs.errors import RequestError, StoreError
from certs.mail import Attachment, Draft

TO = "certificates@example.org"


def mailed(*requests: bytes, media_type: str = "application/pkcs10", name: str = "request.csr") -> bytes:
    attachments = tuple(Attachment(name, media_type, request) for request in requests)
    return Draft(TO, "Request", "Please issue.", attachments).to_eml()


def test_every_file_gets_its_verdict(authority: Authority, tmp_path: Path) -> None:
    good, used = csr(order(authority), "Tablet 1"), csr(order(authority))
    authority.issue(used, NOW)
    (tmp_path / "1 good.csr").write_bytes(good)
    (tmp_path / "2 mailed.EML").write_bytes(
        mailed(csr(order(authority), "Tablet 2"), csr(order(authority), "Tablet 3"))
    )
    (tmp_path / "3 used.csr").write_bytes(used)
    (tmp_path / "4 noise.csr").write_bytes(os.urandom(1000))
    (tmp_path / "5 large.csr").write_bytes(bytes(100_000))
    (tmp_path / "6 no request.eml").write_bytes(mailed())
    (tmp_path / "7 other.txt").write_bytes(good)
    (tmp_path / "8 folder.csr").mkdir()
    before = authority.audit()
    arrivals = inbox.look(authority, tmp_path, NOW)
    assert authority.audit() == before
    verdicts = [(body["file"], body["verdict"], body.get("tag")) for body in (item.as_json() for item in arrivals)]
    assert verdicts == [
        ("1 good.csr", "ok", "Tablet 1"),
        ("2 mailed.EML", "ok", "Tablet 2"),
        ("2 mailed.EML", "ok", "Tablet 3"),
        ("3 used.csr", "token-used", None),
        ("4 noise.csr", "csr-format", None),
        ("5 large.csr", "file-too-large", None),
        ("6 no request.eml", "csr-format", None),
    ]
    assert all(authority.issue(item.data, NOW) for item in arrivals if item.review is not None)


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("application/pkcs10", "no ending"),
        ("application/x-pkcs10", "x.bin"),
        ("application/octet-stream", "Ada_Service_Tag.CSR"),
        ("text/plain", "x.csr"),
    ],
)
def test_a_request_is_known_by_its_type_or_its_name(tmp_path: Path, media_type: str, name: str) -> None:
    (tmp_path / "mail.eml").write_bytes(mailed(b"the request", media_type=media_type, name=name))
    assert inbox.read_requests(tmp_path / "mail.eml") == (b"the request",)


def test_a_request_pasted_into_the_text(authority: Authority, tmp_path: Path) -> None:
    """As the mailto link does it: the mail program may end its lines as it likes."""
    request = csr(order(authority), "Pasted")
    message = EmailMessage(policy=email.policy.SMTP)
    message.set_content("Dear authority,\n\n" + request.decode() + "\nRegards\n")
    (tmp_path / "mail.eml").write_bytes(message.as_bytes())
    (found_request,) = inbox.read_requests(tmp_path / "mail.eml")
    assert authority.review(found_request, NOW).tag == "Pasted"


def test_a_mail_inside_a_mail(authority: Authority, tmp_path: Path) -> None:
    inner = EmailMessage(policy=email.policy.default)
    inner.set_content("see attachment")
    inner.add_attachment(csr(order(authority), "Forwarded"), maintype="application", subtype="pkcs10", filename="a.csr")
    outer = EmailMessage(policy=email.policy.default)
    outer.set_content("forwarded")
    outer.add_attachment(inner)
    (tmp_path / "mail.eml").write_bytes(outer.as_bytes())
    (arrival,) = inbox.look(authority, tmp_path, NOW)
    assert arrival.review is not None
    assert arrival.review.tag == "Forwarded"


def test_the_same_request_twice_in_one_mail_counts_once(tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(mailed(b"one", b"one", b"two"))
    assert inbox.read_requests(tmp_path / "mail.eml") == (b"one", b"two")


def test_a_folder_that_is_not_there(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as error:
        inbox.look(authority, tmp_path / "missing", NOW)
    assert error.value.code == "file"


def test_a_folder_of_too_many_files(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}.csr").touch()
    with pytest.raises(StoreError):
        inbox.look(authority, tmp_path, NOW)


MAIL = mailed(b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(bytes(300)) + b"-----END")


@settings(max_examples=200, deadline=None)
@given(data=st.one_of(st.binary(max_size=2000), st.tuples(st.integers(0, len(MAIL)), st.binary(max_size=40))))
def test_damaged_mails_raise_nothing_but_our_errors(
    tmp_path_factory: pytest.TempPathFactory, data: bytes | tuple[int, bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.eml"
    path.write_bytes(data if isinstance(data, bytes) else MAIL[: data[0]] + data[1] + MAIL[data[0] + len(data[1]) :])
    with contextlib.suppress(RequestError):
        assert inbox.read_requests(path)


def test_a_mail_whose_headers_the_parser_stumbles_over(tmp_path: Path) -> None:
    """The standard library raises IndexError on this one."""
    (tmp_path / "mail.eml").write_bytes(b"Content-Disposition: attachment; filename*\r\n\r\nx")
    with pytest.raises(RequestError) as error:
        inbox.read_requests(tmp_path / "mail.eml")
    assert error.value.code == "csr-format"
    assert "damaged" in error.value.message
