"""Renewal and revocation of certificates, and a new CA."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from pathlib import Path

import pytest
from authority_support import MAIL, NOW, PASSPHRASE, csr, found, issued, order
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certs import keys, profile, request, revocation
from certs.authority import Authority, IssuedCertificate
from certs.errors import AuthorityError, KeyStoreError, ProfileError, RequestError
from certs.levels import Level

LATER = NOW + dt.timedelta(days=300)


# Renewal


def renewal(
    certificate: IssuedCertificate, old_key: ec.EllipticCurvePrivateKey, tag: str = "Tablet 4", **more: str
) -> bytes:
    made = request.build_renewal(
        certificate.certificate,
        old_key,
        more.get("organization", certificate.organization),
        bytes.fromhex(more.get("system_title", certificate.system_title.hex())),
        tag,
        keys.generate(1),
    )
    return made.public_bytes(Encoding.PEM)


@pytest.fixture
def renewable(authority: Authority) -> tuple[IssuedCertificate, ec.EllipticCurvePrivateKey]:
    key = keys.generate(1)
    return authority.issue(csr(order(authority, Level.SERVICE), key=key), NOW), key


def test_a_renewal_keeps_level_organization_and_title(
    authority: Authority, renewable: tuple[IssuedCertificate, ec.EllipticCurvePrivateKey]
) -> None:
    old, key = renewable
    review = authority.review(renewal(old, key), LATER)
    assert (review.renewal_of, review.token, review.mail) == (old.serial, None, MAIL)
    new = authority.issue(renewal(old, key), LATER)
    assert (new.level, new.organization, new.system_title) == (old.level, old.organization, old.system_title)
    assert (new.tag, new.renewal_of) == ("Tablet 4", old.serial)
    assert authority.domain.check_level(new.certificate, LATER).level is Level.SERVICE
    with pytest.raises(RequestError) as error:
        authority.issue(renewal(old, key), LATER)
    assert error.value.code == "renewal-used"


def test_what_is_no_renewal(
    authority: Authority, renewable: tuple[IssuedCertificate, ec.EllipticCurvePrivateKey], tmp_path: Path
) -> None:
    old, key = renewable
    cases = {
        "csr-signature": renewal(old, keys.generate(1)),
        "csr-organization": renewal(old, key, organization="Other"),
        "csr-system-title": renewal(old, key, system_title="00" * 8),
    }
    for code, data in cases.items():
        with pytest.raises(RequestError) as error:
            authority.issue(data, LATER)
        assert error.value.code == code
    with pytest.raises(ProfileError) as expired:
        authority.issue(renewal(old, key), NOW + dt.timedelta(days=4000))
    assert expired.value.code == "expired"
    with found(tmp_path / "other") as other, pytest.raises(ProfileError) as foreign:
        other.issue(renewal(old, key), LATER)
    assert foreign.value.code == "chain"


def test_a_revoked_certificate_is_not_renewed(
    authority: Authority, renewable: tuple[IssuedCertificate, ec.EllipticCurvePrivateKey]
) -> None:
    """Also before the revocation list is published."""
    old, key = renewable
    authority.revoke(old.serial, LATER)
    with pytest.raises(RequestError) as error:
        authority.issue(renewal(old, key), LATER)
    assert error.value.code == "revoked"


def test_a_consumer_or_a_meter_is_not_renewed(authority: Authority) -> None:
    """Anyone can sign a Consumer certificate with the published key; only what is in the ledger is renewed."""
    domain, key, meter = authority.domain, keys.generate(1), authority.issue_meter(os.urandom(8), NOW)
    leaf = profile.build_leaf(
        key.public_key(),
        domain.consumer_ca,
        domain.consumer_ca_key,
        NOW,
        system_title=os.urandom(8),
        policy=Level.CONSUMER,
        organization="Consumer",
    )
    consumer = dataclasses.replace(meter.issued, certificate=leaf, organization="Consumer")
    with pytest.raises(AuthorityError) as unknown:
        authority.issue(renewal(consumer, key), NOW)
    assert unknown.value.code == "no-such-certificate"
    assert meter.private_key is not None
    with pytest.raises(ProfileError) as no_level:
        authority.issue(renewal(meter.issued, meter.private_key), NOW)
    assert no_level.value.code == "level-missing"


def test_the_same_serial_from_another_ca_is_not_renewed(authority: Authority) -> None:
    """A Consumer certificate that anyone can make, with the serial of a Service certificate."""
    genuine = issued(authority)
    domain, key = authority.domain, keys.generate(1)
    leaf = profile.build_leaf(
        key.public_key(),
        domain.consumer_ca,
        domain.consumer_ca_key,
        NOW,
        system_title=genuine.system_title,
        policy=Level.CONSUMER,
        organization=genuine.organization,
    )
    builder = x509.CertificateBuilder(
        issuer_name=leaf.issuer,
        subject_name=leaf.subject,
        public_key=key.public_key(),
        serial_number=genuine.certificate.serial_number,
        not_valid_before=leaf.not_valid_before_utc,
        not_valid_after=leaf.not_valid_after_utc,
        extensions=list(leaf.extensions),
    )
    suite = profile.suite_of(domain.consumer_ca_key)
    assert suite is not None
    twin = dataclasses.replace(genuine, certificate=builder.sign(domain.consumer_ca_key, suite.hash))
    with pytest.raises(RequestError) as error:
        authority.issue(renewal(twin, key), NOW)
    assert error.value.code == "renewal-unknown"


# Revocation


def test_revocation_lists_count_up_and_hold_what_was_revoked(own: Authority) -> None:
    first, second, kept = (issued(own, f"Tablet {number}") for number in range(3))
    (empty,) = own.crl(NOW)
    assert len(empty) == 0
    revoked = own.revoke(first.serial, NOW, reason=x509.ReasonFlags.key_compromise)
    assert (revoked.status(NOW), revoked.reason) == ("revoked", "keyCompromise")
    own.revoke(second.serial, LATER)
    (crl,) = own.crl(LATER)
    assert {f"{entry.serial_number:040x}" for entry in crl} == {first.serial.zfill(40), second.serial.zfill(40)}
    numbers = [item.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for item in (empty, crl)]
    assert numbers == [1, 2]
    for certificate, reason in ((first, x509.ReasonFlags.key_compromise), (second, None)):
        entry = crl.get_revoked_certificate_by_serial_number(certificate.certificate.serial_number)
        assert entry is not None
        given = [extension.value.reason for extension in entry.extensions]  # type: ignore[attr-defined]
        assert given == ([reason] if reason is not None else [])
    assert own.domain.crls == (crl,)
    assert revocation.load_crl(crl.public_bytes(Encoding.PEM)) == crl
    with pytest.raises(ProfileError) as error:
        own.domain.check_level(first.certificate, LATER)
    assert error.value.code == "revoked"
    assert own.domain.check_level(kept.certificate, LATER).tag == "Tablet 2"
    with pytest.raises(AuthorityError) as twice:
        own.revoke(first.serial, LATER)
    assert twice.value.code == "revoked-already"


# A new CA


def root_key_of(home_folder: Path) -> Path:
    return next(home_folder.glob("*.root-key"))


def test_a_new_ca_and_the_certificates_of_the_old_one(own: Authority, tmp_path: Path) -> None:
    old_certificate, waiting = issued(own, "old"), order(own)
    old_ca = own.domain.issuing_ca
    new_ca = own.renew_ca(NOW, root_key=root_key_of(tmp_path / "home"))
    assert own.domain.issuing_ca == new_ca != old_ca
    assert own.domain.previous == (old_ca,)
    new_certificate = own.issue(csr(waiting, "new"), NOW)  # the token was signed by the old CA
    assert new_certificate.chain == (new_ca,)
    for tag, certificate in (("old", old_certificate), ("new", new_certificate)):
        assert own.domain.check_level(certificate.certificate, NOW).tag == tag
    assert own.audit()[-2].act == "renew-ca"


def test_one_operator_does_not_undo_what_another_published(own: Authority, tmp_path: Path) -> None:
    with Authority.open(tmp_path / "home", PASSPHRASE) as other:
        issued(other)
        new_ca = own.renew_ca(NOW, root_key=root_key_of(tmp_path / "home"))
        assert len(other.crl(NOW)) == 2
        assert other.domain.issuing_ca == own.domain.issuing_ca == new_ca


def test_after_a_new_ca_each_ca_has_its_list(own: Authority, tmp_path: Path) -> None:
    old_certificate, waiting = issued(own, "old"), order(own)
    own.renew_ca(NOW, root_key=root_key_of(tmp_path / "home"))
    moment = NOW + dt.timedelta(minutes=1)
    new_certificate = own.issue(csr(waiting, "new"), moment)
    assert new_certificate.chain == (own.domain.issuing_ca,)
    own.close()
    with Authority.open(tmp_path / "home", PASSPHRASE) as again:
        again.revoke(old_certificate.serial, moment)
        again.revoke(new_certificate.serial, moment)
        lists = again.crl(moment)
        assert [len(crl) for crl in lists] == [1, 1]
        for certificate in (old_certificate, new_certificate):
            with pytest.raises(ProfileError) as error:
                again.domain.check_level(certificate.certificate, moment)
            assert error.value.code == "revoked"


def test_a_new_ca_needs_the_root_key_of_this_domain(own: Authority, tmp_path: Path) -> None:
    with found(tmp_path / "other") as other:
        foreign = root_key_of(tmp_path / "other")
        before = (own.domain, other.domain)
        with pytest.raises(KeyStoreError) as error:
            own.renew_ca(NOW, root_key=foreign)
        assert error.value.code == "key-damaged"
        with pytest.raises(KeyStoreError) as wrong:
            own.renew_ca(NOW, root_key=root_key_of(tmp_path / "home"), root_passphrase="wrong")
        assert wrong.value.code == "passphrase-wrong"
        assert (own.domain, other.domain) == before
