"""The outside judge: OpenSSL agrees with what the authority issued, revoked and renewed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from authority_support import NOW, csr, found, order
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs import keys
from certs.authority import Authority, IssuedCertificate
from certs.levels import METER_POLICY, Level


@pytest.fixture(scope="module", params=[1, 2])
def authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with found(tmp_path_factory.mktemp("authority") / "home", suite=request.param) as authority:
        yield authority


def openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def lay_out(folder: Path, authority: Authority, certificate: IssuedCertificate) -> None:
    (folder / "root.pem").write_bytes(authority.domain.root.public_bytes(Encoding.PEM))
    (folder / "ca.pem").write_bytes(b"".join(ca.public_bytes(Encoding.PEM) for ca in certificate.chain))
    (folder / "leaf.pem").write_bytes(certificate.certificate.public_bytes(Encoding.PEM))


def verify(folder: Path, policy: x509.ObjectIdentifier, *more: str) -> subprocess.CompletedProcess[str]:
    return openssl(
        folder, "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-policy", policy.dotted_string, *more,
        "-CAfile", "root.pem", "-untrusted", "ca.pem", "leaf.pem",
    )  # fmt: skip


def test_openssl_reads_the_request(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "request.csr").write_bytes(csr(order(authority)))
    judged = openssl(tmp_path, "req", "-verify", "-noout", "-in", "request.csr")
    assert judged.returncode == 0
    assert "verify OK" in judged.stderr


@pytest.mark.parametrize("level", list(Level))
def test_openssl_accepts_the_level_and_no_other(authority: Authority, tmp_path: Path, level: Level) -> None:
    lay_out(tmp_path, authority, authority.issue(csr(order(authority, level)), NOW))
    for other in Level:
        assert (verify(tmp_path, other.policy).returncode == 0) is (other is level)
    assert verify(tmp_path, METER_POLICY).returncode != 0


def test_openssl_accepts_a_meter(authority: Authority, tmp_path: Path) -> None:
    lay_out(tmp_path, authority, authority.issue_meter(bytes(8), NOW).issued)
    assert verify(tmp_path, METER_POLICY).returncode == 0
    assert verify(tmp_path, Level.SERVICE.policy).returncode != 0


def test_openssl_reads_the_revocation_list(authority: Authority, tmp_path: Path) -> None:
    revoked, kept = (authority.issue(csr(order(authority)), NOW) for _ in range(2))
    authority.revoke(revoked.serial, NOW, reason=x509.ReasonFlags.key_compromise)
    (crl,) = authority.crl(NOW)
    (tmp_path / "list.crl").write_bytes(crl.public_bytes(Encoding.PEM))
    lay_out(tmp_path, authority, revoked)
    judged = openssl(tmp_path, "crl", "-in", "list.crl", "-CAfile", "ca.pem", "-noout", "-text")
    assert "verify OK" in judged.stderr
    assert revoked.serial.upper() in judged.stdout
    assert "Key Compromise" in judged.stdout
    checking = ("-crl_check", "-CRLfile", "list.crl")
    refused = verify(tmp_path, Level.COMMISSIONING.policy, *checking)
    assert refused.returncode != 0
    assert "certificate revoked" in refused.stderr
    lay_out(tmp_path, authority, kept)
    assert verify(tmp_path, Level.COMMISSIONING.policy, *checking).returncode == 0


def test_openssl_signs_and_verifies_cms_with_an_issued_certificate(authority: Authority, tmp_path: Path) -> None:
    ordered = order(authority)
    key = keys.generate(ordered.token.suite)
    lay_out(tmp_path, authority, authority.issue(csr(ordered, key=key), NOW))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "record.txt").write_text("Commissioned.\n")
    signed = openssl(
        tmp_path, "cms", "-sign", "-in", "record.txt", "-signer", "leaf.pem", "-inkey", "key.pem",
        "-certfile", "ca.pem", "-nodetach", "-outform", "PEM", "-out", "record.p7",
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    judged = openssl(
        tmp_path, "cms", "-verify", "-in", "record.p7", "-inform", "PEM", "-CAfile", "root.pem", "-purpose", "any"
    )
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout.strip() == "Commissioned."
