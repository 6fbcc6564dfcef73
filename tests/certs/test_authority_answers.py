"""What leaves the authority: codes, files and mail drafts."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import os
import resource
import stat
from email.message import EmailMessage
from pathlib import Path

import pytest
from authority_support import MAIL, NOW, ORGANIZATION, csr, found, issued, order
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from certs import keys, payload
from certs.authority import Authority, answers
from certs.errors import StoreError
from certs.levels import Level
from certs.payload import CertificatePayload, DomainPayload
from certs.qr import read_one


def mail_in(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_tokens_are_written_as_codes_and_drafts(authority: Authority, tmp_path: Path) -> None:
    ordered = authority.order(organization=ORGANIZATION, level=Level.TEST, count=3, mail=MAIL, now=NOW)
    seen: list[tuple[int, int]] = []
    written = answers.write_tokens(
        ordered, authority.domain, tmp_path / "out", progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len({item.code for item in written}) == 3
    for item, of_it in zip(ordered, written, strict=True):
        assert read_one(of_it.code) == item.text
        assert of_it.code.name.startswith("Stadtwerke Łódź_Test_")
        assert of_it.draft is not None
        message = mail_in(of_it.draft)
        assert (message["To"], message["X-Unsent"]) == (MAIL, "1")
        (attachment,) = message.iter_attachments()
        assert attachment.get_content() == of_it.code.read_bytes()
        assert stat.S_IMODE(of_it.code.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def test_without_an_address_there_is_no_draft(authority: Authority, tmp_path: Path) -> None:
    ordered = authority.order(organization=ORGANIZATION, level=Level.TEST, now=NOW)
    (written,) = answers.write_tokens(ordered, authority.domain, tmp_path)
    assert written.draft is None
    certificate = authority.issue(csr(ordered[0]), NOW)
    assert answers.write_answer(certificate, authority.domain, tmp_path).draft is None


def test_the_answer_is_a_code_with_the_chain_and_a_draft_with_both_files(authority: Authority, tmp_path: Path) -> None:
    certificate = issued(authority, "Tablet 3")
    written = answers.write_answer(certificate, authority.domain, tmp_path)
    assert written.code.name == "Stadtwerke Łódź_Commissioning_Tablet 3.jpg"
    found_payload = payload.parse(read_one(written.code))
    assert found_payload == CertificatePayload(certificate.certificate, certificate.chain)
    assert written.draft is not None
    message = mail_in(written.draft)
    assert message["To"] == MAIL
    picture, pem = message.iter_attachments()
    assert picture.get_content() == written.code.read_bytes()
    assert pem.get_filename() == "Stadtwerke Łódź_Commissioning_Tablet 3.pem"
    assert x509.load_pem_x509_certificates(pem.get_content()) == [certificate.certificate, *certificate.chain]


def test_a_file_that_is_there_is_kept(authority: Authority, tmp_path: Path) -> None:
    certificates = [issued(authority, "Same tag") for _ in range(3)]
    written = [answers.write_answer(certificate, authority.domain, tmp_path) for certificate in certificates]
    assert [item.code.stem for item in written] == [
        "Stadtwerke Łódź_Commissioning_Same tag",
        "Stadtwerke Łódź_Commissioning_Same tag-2",
        "Stadtwerke Łódź_Commissioning_Same tag-3",
    ]
    again = answers.write_answer(certificates[1], authority.domain, tmp_path)
    assert again.code == written[1].code, "the same content needs no second file"


def test_a_chain_of_p_384_fits_into_one_code(tmp_path: Path) -> None:
    with found(tmp_path / "home", suite=2) as authority:
        certificate = authority.issue(csr(order(authority)), NOW)
        code = answers.write_answer(certificate, authority.domain, tmp_path).code
        assert payload.parse(read_one(code)) == CertificatePayload(certificate.certificate, certificate.chain)


def test_the_longest_names_are_written_and_read(authority: Authority, tmp_path: Path) -> None:
    name = "Ł" * 64
    (ordered,) = authority.order(organization=name, level=Level.COMMISSIONING, mail=MAIL, now=NOW)
    (written,) = answers.write_tokens([ordered], authority.domain, tmp_path)
    assert read_one(written.code) == ordered.text
    certificate = authority.issue(csr(ordered, tag=name), NOW)
    code = answers.write_answer(certificate, authority.domain, tmp_path).code
    assert payload.parse(read_one(code)) == CertificatePayload(certificate.certificate, certificate.chain)
    assert len(os.fsencode(code.name)) < 256


def test_a_meter_file_holds_key_certificate_and_ca(authority: Authority, tmp_path: Path) -> None:
    title = bytes.fromhex("4D4C4B0000000001")
    credential = authority.issue_meter(title, NOW)
    path = answers.write_meter(credential, tmp_path)
    assert path.name == "meter-4D4C4B0000000001.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    leaf, ca = x509.load_pem_x509_certificates(path.read_bytes())
    assert key.public_key() == leaf.public_key()
    assert (leaf, ca) == (credential.issued.certificate, authority.domain.issuing_ca)


@pytest.mark.parametrize("suite", [1, 2])
def test_the_domain_as_a_code(tmp_path: Path, suite: int) -> None:
    with found(tmp_path / "home", suite=suite) as authority:
        assert answers.write_domain_code(authority.domain, tmp_path / "domain.jpg")
        read = payload.parse(read_one(tmp_path / "domain.jpg"))
        assert isinstance(read, DomainPayload)
        assert read.domain.id == authority.domain.id


def test_a_chain_too_long_for_a_code_is_left_out(authority: Authority) -> None:
    certificate = issued(authority)
    others = tuple(issued(authority, f"Tablet {number}").certificate for number in range(8))
    code = answers.certificate_code(dataclasses.replace(certificate, chain=others))
    assert payload.parse(read_one(code)) == CertificatePayload(certificate.certificate, ())


def test_a_domain_too_large_for_a_code(authority: Authority, tmp_path: Path) -> None:
    large = dataclasses.replace(authority.domain, crl_url=f"https://example.org/{os.urandom(1500).hex()}")
    assert not answers.write_domain_code(large, tmp_path / "domain.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_leaves_no_half_file(authority: Authority, tmp_path: Path) -> None:
    """The system is told to let no file grow beyond a kilobyte."""
    certificate = issued(authority)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(StoreError) as error:
            answers.write_answer(certificate, authority.domain, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.code == "file"
    assert list(tmp_path.iterdir()) == []


def test_a_meter_that_keeps_its_key(authority: Authority, tmp_path: Path) -> None:
    credential = authority.issue_meter(os.urandom(8), NOW, public_key=keys.generate(1).public_key())
    data = answers.write_meter(credential, tmp_path).read_bytes()
    assert b"PRIVATE KEY" not in data
    assert len(x509.load_pem_x509_certificates(data)) == 2
