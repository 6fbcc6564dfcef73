"""The outside judge: OpenSSL agrees about chains, policies, requests and revocation lists."""

import datetime as dt
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certs import clock, domain, profile, request, token
from certs.levels import METER_POLICY, Level


def openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def verify(folder: Path, policy: str, ca: str, leaf: str) -> bool:
    judged = openssl(
        folder, "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-policy", policy,
        "-CAfile", "root.pem", "-untrusted", f"{ca}.pem", f"{leaf}.pem",
    )  # fmt: skip
    return judged.returncode == 0


@pytest.mark.parametrize("suite", [1, 2])
def test_openssl_verifies_policies_as_we_do(tmp_path: Path, suite: int) -> None:
    now = clock.now()
    made = domain.make_domain("Judge", "a@example.org", now, suite=suite)
    trust = made.domain
    for name, certificate in (
        ("root", trust.root),
        ("issuing", trust.issuing_ca),
        ("consumer", trust.consumer_ca),
    ):
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    issuers = {"issuing": (trust.issuing_ca, made.issuing_key), "consumer": (trust.consumer_ca, trust.consumer_ca_key)}
    policies = [*(level.policy for level in Level), METER_POLICY]
    for ca, (certificate, key) in issuers.items():
        for policy in policies:
            leaf_key = ec.generate_private_key(profile.SUITE_CURVES[suite].curve)
            leaf = profile.build_leaf(
                leaf_key.public_key(), certificate, key, now,
                system_title=os.urandom(8), policy=policy, organization="Stadtwerke Süd", tag="3",
            )  # fmt: skip
            (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
            allowed = ca == "issuing" or policy == Level.CONSUMER.policy
            assert verify(tmp_path, policy.dotted_string, ca, "leaf") is allowed
            other = policies[policies.index(policy) - 1].dotted_string
            assert not verify(tmp_path, other, ca, "leaf")


@pytest.mark.parametrize("suite", [1, 2])
def test_openssl_verifies_requests_and_sees_the_token(tmp_path: Path, suite: int) -> None:
    now = clock.now()
    made = domain.make_domain("Judge", "a@example.org", now, suite=suite)
    claims = token.Token(
        os.urandom(16), Level.SERVICE, "Wärme GmbH", os.urandom(8), suite, now, now + dt.timedelta(days=30)
    )
    text = token.issue(claims, made.issuing_key, made.domain.issuing_ca)
    key = ec.generate_private_key(profile.SUITE_CURVES[suite].curve)
    csr = request.build_request(text, claims, "Prüfstand 3", key)
    (tmp_path / "request.csr").write_bytes(csr.public_bytes(Encoding.PEM))
    judged = openssl(tmp_path, "req", "-verify", "-noout", "-text", "-nameopt", "utf8", "-in", "request.csr")
    assert judged.returncode == 0
    assert "verify OK" in judged.stderr
    assert text in judged.stdout
    assert claims.system_title.hex().upper() in judged.stdout
