"""Certificates for keys that meters made: what a meter's request must be, and what the authority makes of it."""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from authority_support import NOW, PASSPHRASE, csr, found, issued, order
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from certs import keys, profile
from certs.authority import Authority
from certs.cli.authority import authority as group
from certs.cli.output import run
from certs.errors import CertsError, RequestError
from certs.meter_request import read_meter_request

TITLE = bytes.fromhex("4D4C4B0000004711")
KEY = keys.generate(1)


def name(*texts: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in texts])


def made(
    subject: x509.Name | None = None,
    key: Any = KEY,
    digest: Any = None,
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> bytes:
    """A meter's request (DER); what is not given is as it should be."""
    usual = name(profile.system_title_text(TITLE))
    builder = x509.CertificateSigningRequestBuilder().subject_name(usual if subject is None else subject)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with found(tmp_path / "home") as opened:
        yield opened


def code_of(call: Any, *arguments: Any, **more: Any) -> str:
    with pytest.raises(CertsError) as caught:
        call(*arguments, **more)
    return caught.value.code


def test_a_meters_request_is_read_and_its_key_certified(authority: Authority) -> None:
    review = authority.review_meter(made(), TITLE)
    assert (review.request.system_title, review.request.suite, review.present) == (TITLE, 1, ())
    credential = authority.issue_meter(TITLE, NOW, public_key=review.request.public_key)
    checked = authority.domain.check_meter(credential.issued.certificate, NOW, TITLE)
    assert checked.certificate.public_key() == KEY.public_key()
    assert credential.private_key is None
    renewal = authority.review_meter(made(key=keys.generate(1)), TITLE)
    assert [item.serial for item in renewal.present] == [credential.issued.serial]


def test_a_request_in_small_letters_and_with_more_names_is_the_meters_still() -> None:
    more = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.COMMON_NAME, TITLE.hex()),
        ]
    )
    assert read_meter_request(made(more)).system_title == TITLE


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "csr-format"),
        (b"-----BEGIN CERTIFICATE REQUEST-----", "csr-format"),
        (bytes(70_000), "csr-format"),
        (made(name("METER-1")), "csr-system-title"),
        (made(name("4D4C4B000000471")), "csr-system-title"),
        (made(name(TITLE.hex(), TITLE.hex())), "csr-system-title"),
        (made(x509.Name([])), "csr-system-title"),
        (made(key=ec.generate_private_key(ec.SECP256K1())), "csr-key-type"),
        (made(key=rsa.generate_private_key(65537, 2048)), "csr-key-type"),
        (made(digest=hashes.SHA384()), "csr-key-type"),
    ],
    ids=range(10),
)
def test_what_is_no_request_of_a_meter(data: bytes, code: str) -> None:
    assert code_of(read_meter_request, data) == code


REQUEST = made()


@given(st.integers(0, 8 * len(REQUEST) - 1))
def test_a_request_with_a_bit_changed_is_refused(bit: int) -> None:
    octets = bytearray(REQUEST)
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RequestError) as caught:
        read_meter_request(bytes(octets))
    assert caught.value.code.startswith("csr-")


def test_a_request_whose_key_was_exchanged_is_refused() -> None:
    def point(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    swapped = made().replace(point(KEY), point(keys.generate(1)))
    assert code_of(read_meter_request, swapped) == "csr-signature"


def test_a_request_that_asks_to_be_more_than_a_meter_is_refused(authority: Authority) -> None:
    asks = made(extensions=(x509.BasicConstraints(ca=True, path_length=None),))
    assert code_of(authority.review_meter, asks) == "csr-extension"


def test_the_authority_refuses_another_meter_another_suite_and_a_key_twice(authority: Authority) -> None:
    assert code_of(authority.review_meter, made(), os.urandom(8)) == "csr-system-title"
    strong = made(key=ec.generate_private_key(ec.SECP384R1()), digest=hashes.SHA384())
    assert code_of(authority.review_meter, strong) == "csr-key-type"
    authority.issue_meter(TITLE, NOW, public_key=KEY.public_key())
    assert code_of(authority.review_meter, made()) == "key-reuse"
    assert code_of(authority.review_meter, made(name("00" * 8))) == "key-reuse"


def test_a_meter_does_not_get_the_system_title_of_a_person(authority: Authority) -> None:
    person = issued(authority).system_title
    request = made(name(profile.system_title_text(person)))
    assert code_of(authority.review_meter, request) == "csr-system-title"
    assert code_of(authority.issue_meter, person, NOW) == "csr-system-title"


def test_a_persons_request_certifies_no_meter(authority: Authority) -> None:
    assert code_of(authority.review_meter, csr(order(authority))) == "csr-extension"


class Result:
    def __init__(self, *arguments: object) -> None:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            self.status = run(group, [str(argument) for argument in arguments])
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def code(self) -> str:
        return self.err.partition("error: ")[2].partition(":")[0]


@pytest.fixture
def founded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METERLINK_AUTHORITY", str(tmp_path / "authority"))
    monkeypatch.setenv("METERLINK_PASSPHRASE", PASSPHRASE)
    monkeypatch.chdir(tmp_path)
    found(tmp_path / "authority").close()
    return tmp_path


def test_a_request_is_certified_on_the_command_line(founded: Path) -> None:
    (founded / "meter.csr").write_bytes(made())
    fingerprint = read_meter_request(made()).fingerprint
    words = ("issue-meter", "--csr", "meter.csr")
    assert Result(*words).code == "confirmation-needed"
    assert Result(*words, "--fingerprint", "00" * 16).code == "fingerprint-mismatch"
    assert Result(*words, "--system-title", "00" * 8, "--yes").code == "csr-system-title"
    assert Result(*words, "--suite", "1").code == "usage"
    assert Result("issue-meter").code == "usage"
    assert Result("issue-meter", "--system-title", TITLE.hex(), "--fingerprint", fingerprint).code == "usage"
    assert Result("issue-meter", "--csr", "missing").code == "file"
    done = Result(*words, "--fingerprint", fingerprint.lower(), "--json")
    assert (done.status, done.err) == (0, "")
    written = Path(json.loads(done.out)["file"]).read_bytes()
    assert b"PRIVATE KEY" not in written
    leaf, ca = x509.load_pem_x509_certificates(written)
    assert leaf.public_key() == KEY.public_key()
    assert leaf.issuer == ca.subject
    assert Result(*words, "--yes").code == "key-reuse"


def test_the_operator_sees_what_the_meter_has(founded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (founded / "one.csr").write_bytes(made())
    (founded / "two.csr").write_bytes(made(key=keys.generate(1)))
    first = json.loads(Result("issue-meter", "--csr", "one.csr", "--yes", "--json").out)
    monkeypatch.setattr("certs.cli.output.interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    asked = Result("issue-meter", "--csr", "two.csr")
    assert asked.code == "declined"
    fingerprint = read_meter_request((founded / "two.csr").read_bytes()).fingerprint
    for told in ("4D4C4B0000004711", first["serial"], "valid", fingerprint):
        assert told in asked.err


def serials() -> list[str]:
    """The certificates in the ledger."""
    return [entry["serial"] for entry in json.loads(Result("list", "--json").out)["certificates"]]


@pytest.mark.parametrize("of_meter", [True, False])
def test_nothing_is_issued_where_it_could_not_be_written(founded: Path, of_meter: bool) -> None:
    (founded / "meter.csr").write_bytes(made())
    (founded / "taken").touch()
    words = ("--csr", "meter.csr", "--yes") if of_meter else ("--system-title", TITLE.hex())
    for out, code in (("taken", "usage"), ("taken/below", "file")):
        assert Result("issue-meter", *words, "--out", out).code == code
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, limits[1]))
    try:
        assert Result("issue-meter", *words, "--out", "full").code == "file"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((founded / "full").iterdir()) == []
    assert serials() == []
    assert Result("issue-meter", *words, "--out", "meters").status == 0
    assert len(serials()) == 1


def test_a_meters_certificate_is_written_again(founded: Path) -> None:
    (founded / "meter.csr").write_bytes(made())
    first = json.loads(Result("issue-meter", "--csr", "meter.csr", "--yes", "--json").out)
    again = json.loads(Result("answer", first["serial"], "--out", "again", "--json").out)
    assert [path.name for path in (founded / "again").iterdir()] == ["meter-4D4C4B0000004711.pem"]
    written = Path(again["file"]).read_bytes()
    assert written == Path(first["file"]).read_bytes()
    leaf, _ = x509.load_pem_x509_certificates(written)
    assert leaf.public_key() == KEY.public_key()


def test_a_certificate_that_could_not_be_written_says_how_it_is(founded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is gone when the certificate is there."""
    (founded / "meter.csr").write_bytes(made())
    issue, folders = Authority.issue_meter, [founded / "meters", founded / "others"]

    def issue_and_take_the_folder(self: Authority, *arguments: Any, **more: Any) -> Any:
        credential = issue(self, *arguments, **more)
        folders[0].rmdir()
        folders.pop(0).touch()
        return credential

    monkeypatch.setattr(Authority, "issue_meter", issue_and_take_the_folder)
    done = Result("issue-meter", "--csr", "meter.csr", "--yes", "--out", "meters")
    assert (done.status, done.code) == (4, "file")
    (serial,) = serials()
    assert f"meterlink authority answer {serial}" in done.err
    assert Result("answer", serial).status == 0
    lost = Result("issue-meter", "--system-title", "00" * 8, "--out", "others")
    assert (lost.status, lost.code) == (4, "file")
    assert "the key is lost" in lost.err
