"""What an operator does, from founding a domain to revoking and renewing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from authority_support import MAIL, NOW, ORGANIZATION, PASSPHRASE, csr, forged, found, issued, order
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certs import keys, profile, request, revocation, token
from certs.authority import Authority, IssuedCertificate, home, schema
from certs.authority.ledger import check_url
from certs.errors import AuthorityError, CertsError, KeyStoreError, ProfileError, RequestError
from certs.levels import METER_POLICY, Level
from certs.mail import MailError

LATER = NOW + dt.timedelta(days=300)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with found(tmp_path_factory.mktemp("authority") / "home") as authority:
        yield authority


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "home"
    found(path).close()
    return path


@pytest.fixture
def own(template: Path, tmp_path: Path) -> Iterator[Authority]:
    """An authority that a test may change for good: a copy, because sealing keys takes its time."""
    shutil.copytree(template, tmp_path / "home")
    with Authority.open(tmp_path / "home", PASSPHRASE, actor="operator") as authority:
        yield authority


# Founding and opening


def test_the_folder_is_private_and_holds_no_plain_key(own: Authority, tmp_path: Path) -> None:
    for path in (tmp_path / "home").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    key = own._issuing_key(NOW).private_numbers().private_value.to_bytes(32)
    for path in (tmp_path / "home").rglob("*"):
        assert path.is_dir() or key not in path.read_bytes()


def test_opens_again_with_the_passphrase_alone(own: Authority, tmp_path: Path) -> None:
    own.close()
    with Authority.open(tmp_path / "home", PASSPHRASE) as again:
        assert again.domain.id == own.domain.id
        issued(again)
    with Authority.open(tmp_path / "home", "wrong") as wrong:
        assert wrong.tokens() != ()
        with pytest.raises(KeyStoreError) as error:
            order(wrong)
        assert error.value.code == "passphrase-wrong"


def test_the_passphrase_is_asked_for_once_and_only_when_needed(own: Authority, tmp_path: Path) -> None:
    own.close()
    asked: list[bool] = []

    def ask(new: bool) -> str:
        asked.append(new)
        return PASSPHRASE

    with Authority.open(tmp_path / "home", ask) as again:
        assert again.certificates() == ()
        assert asked == []
        issued(again)
        issued(again)
    assert asked == [False]


def test_without_a_passphrase_nothing_is_signed(
    own: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.close()
    monkeypatch.delenv("METERLINK_PASSPHRASE", raising=False)
    with Authority.open(tmp_path / "home") as locked:
        with pytest.raises(KeyStoreError) as error:
            order(locked)
        assert error.value.code == "passphrase-needed"
    monkeypatch.setenv("METERLINK_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("METERLINK_AUTHORITY", str(tmp_path / "home"))
    with Authority.open() as opened:
        issued(opened)


def test_a_folder_in_use_is_left_alone(own: Authority, tmp_path: Path) -> None:
    before = own.domain_file.read_bytes()
    with pytest.raises(AuthorityError) as error:
        found(tmp_path / "home")
    assert error.value.code == "authority-exists"
    assert own.domain_file.read_bytes() == before


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    found(tmp_path / "home").close()


def test_the_root_key_goes_where_it_is_told(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    arguments = {"name": "Domain", "mail": "a@example.org", "now": NOW, "passphrase": PASSPHRASE}
    root_key = stick / "root"
    with Authority.init(tmp_path / "home", root_key=root_key, root_passphrase="other", **arguments) as authority:  # type: ignore[arg-type]
        root = authority.domain.root
    assert not list((tmp_path / "home").glob("*.root-key"))
    assert home.read_root_key(root_key, "other", root).public_key() == root.public_key()
    with pytest.raises(AuthorityError) as error:
        Authority.init(tmp_path / "second", root_key=root_key, **arguments)  # type: ignore[arg-type]
    assert error.value.code == "authority-exists"
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"mail": "a@example.org,b@example.org"}, "mail-address"),
        ({"name": ""}, "domain-format"),
        ({"name": "a\u202eb"}, "domain-format"),
        ({"ledger_url": "mysql://host/x"}, "ledger-url"),
        ({"ledger_url": "nonsense"}, "ledger-url"),
        ({"ledger_url": "sqlite://"}, "ledger-url"),
    ],
)
def test_what_cannot_be_founded_leaves_nothing(tmp_path: Path, change: dict[str, str], code: str) -> None:
    arguments = {"name": "Domain", "mail": "a@example.org", "now": NOW, "passphrase": PASSPHRASE} | change
    with pytest.raises(CertsError) as error:
        Authority.init(tmp_path / "home", **arguments)  # type: ignore[arg-type]
    assert error.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_elsewhere(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with found(tmp_path / "home", ledger_url=url) as authority:
        issued(authority)
    assert not (tmp_path / "home" / "ledger.sqlite").exists()
    assert stat.S_IMODE((tmp_path / "ledger.db").stat().st_mode) == 0o600
    assert check_url("postgres://host/db").drivername == "postgresql+psycopg"


def test_a_ledger_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError) as error:
        found(tmp_path / "home", ledger_url=f"sqlite:///{tmp_path / 'missing' / 'ledger.db'}")
    assert error.value.code == "ledger"


def test_a_ledger_that_is_no_database(own: Authority, tmp_path: Path) -> None:
    own.close()
    for path in (tmp_path / "home").glob("ledger*"):
        path.unlink()
    (tmp_path / "home" / "ledger.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(AuthorityError) as error:
        Authority.open(tmp_path / "home", PASSPHRASE)
    assert error.value.code == "ledger"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other", "version": 1}'])
def test_damaged_settings(own: Authority, tmp_path: Path, text: str) -> None:
    own.close()
    (tmp_path / "home" / "settings.json").write_text(text)
    with pytest.raises(AuthorityError) as error:
        Authority.open(tmp_path / "home", PASSPHRASE)
    assert error.value.code == "authority-settings"


def test_no_authority_there(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError) as error:
        Authority.open(tmp_path)
    assert error.value.code == "no-authority"


def test_a_missing_or_foreign_key(own: Authority, tmp_path: Path) -> None:
    own.close()
    (key_file,) = (tmp_path / "home" / "keys").iterdir()
    key_file.unlink()
    with Authority.open(tmp_path / "home", PASSPHRASE) as opened, pytest.raises(KeyStoreError) as error:
        order(opened)
    assert error.value.code == "key-missing"


def test_the_default_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("METERLINK_AUTHORITY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home.default_home() == tmp_path / "meterlink-authority"


@pytest.mark.parametrize(
    ("name", "safe"), [("Süd & Nord", "Süd-Nord"), ("../../etc", "etc"), ("...", "domain"), ("a.b", "a-b")]
)
def test_a_domain_name_in_a_file_name(name: str, safe: str) -> None:
    assert home.safe_name(name) == safe


# Orders


def test_an_order_of_many_has_titles_and_ids_of_their_own(authority: Authority) -> None:
    seen: list[tuple[int, int]] = []
    ordered = authority.order(
        organization="  Stadtwerke Łódź ",
        level=Level.SERVICE,
        now=NOW,
        count=20,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert len({item.token.id for item in ordered}) == len({item.token.system_title for item in ordered}) == 20
    assert {item.order_id for item in ordered} == {ordered[0].order_id}
    assert seen == [(number, 20) for number in range(1, 21)]
    for item in ordered:
        assert token.verify(item.text, authority.domain, NOW) == item.token
        assert item.token.organization == ORGANIZATION
        assert item.token.expires == NOW + dt.timedelta(days=30)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"count": 0}, AuthorityError),
        ({"count": 10_001}, AuthorityError),
        ({"lifetime": dt.timedelta(0)}, AuthorityError),
        ({"lifetime": dt.timedelta(days=400)}, AuthorityError),
        ({"suite": 2}, AuthorityError),
        ({"suite": 7}, AuthorityError),
        ({"mail": "a@example.org, b@example.org"}, MailError),
    ],
)
def test_orders_that_cannot_be_meant(authority: Authority, change: dict[str, object], error: type[CertsError]) -> None:
    before = authority.tokens()
    with pytest.raises(error):
        authority.order(**({"organization": ORGANIZATION, "level": Level.TEST, "now": NOW} | change))  # type: ignore[arg-type]
    assert authority.tokens() == before


def test_the_codes_of_an_order_can_be_made_again(authority: Authority) -> None:
    ordered = authority.order(organization=ORGANIZATION, level=Level.TEST, count=3, mail=MAIL, now=NOW)
    authority.issue(csr(ordered[1]), NOW)
    again = authority.order_again(ordered[0].order_id, NOW)
    assert {item.token for item in again} == {ordered[0].token, ordered[2].token}
    assert {item.mail for item in again} == {MAIL}
    lost = next(item for item in again if item.token == ordered[0].token)
    authority.issue(csr(lost), NOW)
    with pytest.raises(CertsError) as error:
        authority.issue(csr(ordered[0]), NOW)
    assert error.value.code == "token-used", "the same token, whichever of its texts is used"
    with pytest.raises(AuthorityError):
        authority.order_again("00", NOW)


def test_the_ledger_holds_no_token_text(own: Authority, tmp_path: Path) -> None:
    ordered = order(own)
    own.close()
    content = b"".join(path.read_bytes() for path in (tmp_path / "home").glob("ledger*"))
    assert ordered.token.serial.encode() in content
    assert ordered.text[10:60].encode() not in content


# Certificates


@pytest.mark.parametrize("level", list(Level))
def test_every_level_is_issued_as_the_token_says(authority: Authority, level: Level) -> None:
    ordered = order(authority, level)
    review = authority.review(csr(ordered), NOW)
    assert (review.level, review.token, review.mail) == (level, ordered.token, MAIL)
    certificate = authority.issue(csr(ordered), NOW)
    checked = authority.domain.check_level(certificate.certificate, NOW)
    assert (checked.level, checked.system_title) == (level, ordered.token.system_title)
    assert authority.certificate(certificate.serial) == certificate
    assert authority.certificate(certificate.serial[:12].upper()) == certificate


def test_review_as_json(authority: Authority) -> None:
    ordered = order(authority)
    body = authority.review(csr(ordered), NOW).as_json()
    assert json.loads(json.dumps(body)) == body
    assert (body["level"], body["organization"], body["tag"]) == ("Commissioning", ORGANIZATION, "Tablet 3")
    assert body["token"] == ordered.token.serial
    assert ordered.text not in json.dumps(body)


def test_suite_2(tmp_path: Path) -> None:
    with found(tmp_path / "home", suite=2) as authority:
        for suite in (1, 2):
            ordered = order(authority, suite=suite)
            certificate = authority.issue(csr(ordered), NOW)
            assert authority.domain.check_level(certificate.certificate, NOW).suite == suite
        assert authority.issue_meter(os.urandom(8), NOW).issued.certificate.public_key().curve.name == "secp384r1"  # type: ignore[union-attr]


def test_a_meter(authority: Authority) -> None:
    title = os.urandom(8)
    credential = authority.issue_meter(title, NOW)
    checked = authority.domain.check_meter(credential.issued.certificate, NOW, title)
    assert checked.is_meter
    assert checked.policy == METER_POLICY
    assert credential.private_key is not None
    assert credential.private_key.public_key() == credential.issued.certificate.public_key()
    assert credential.issued.level_name == "Meter"
    assert authority.certificate(credential.issued.serial) == credential.issued


def test_a_meter_that_made_its_own_key(authority: Authority) -> None:
    key = keys.generate(1)
    credential = authority.issue_meter(os.urandom(8), NOW, public_key=key.public_key(), organization="Maker")
    assert credential.private_key is None
    assert credential.issued.organization == "Maker"
    with pytest.raises(RequestError) as error:
        authority.issue_meter(os.urandom(8), NOW, public_key=ec.generate_private_key(ec.SECP384R1()).public_key())
    assert error.value.code == "csr-key-type"


def test_the_ca_has_to_be_valid(authority: Authority) -> None:
    for moment in (NOW - dt.timedelta(days=1), NOW + profile.CA_LIFETIME + dt.timedelta(days=1)):
        with pytest.raises(AuthorityError) as error:
            authority.order(organization=ORGANIZATION, level=Level.TEST, now=moment)
        assert error.value.code == "ca-expired"


@pytest.mark.parametrize("serial", ["", "xyz", "%", "_", "00" * 20])
def test_serials_that_name_nothing(authority: Authority, serial: str) -> None:
    issued(authority)
    with pytest.raises(AuthorityError) as error:
        authority.certificate(serial)
    assert error.value.code == "no-such-certificate"


def test_a_serial_too_short_to_name_one(own: Authority) -> None:
    serials = [issued(own).serial for _ in range(17)]
    first = next(digit for digit in "0123456789abcdef" if sum(serial.startswith(digit) for serial in serials) > 1)
    with pytest.raises(AuthorityError) as error:
        own.certificate(first)
    assert error.value.code == "several-certificates"


def test_answered_is_remembered(authority: Authority) -> None:
    certificate = issued(authority)
    assert certificate.answered is None
    authority.mark_answered([certificate.serial], NOW)
    assert authority.certificate(certificate.serial).answered == NOW


def test_status(authority: Authority) -> None:
    certificate = issued(authority)
    assert certificate.status(NOW) == "valid"
    assert certificate.status(NOW - dt.timedelta(days=1)) == "not-yet-valid"
    assert certificate.status(NOW + dt.timedelta(days=4000)) == "expired"
    ordered = order(authority)
    open_token = next(item for item in authority.tokens() if item.id == ordered.token.serial)
    assert open_token.status(NOW + dt.timedelta(days=31)) == "expired"
    assert open_token.as_json(NOW)["status"] == "open"


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


# The audit log


def test_every_act_is_logged(own: Authority) -> None:
    certificate = issued(own)
    own.revoke(certificate.serial, NOW)
    own.crl(NOW)
    assert [entry.act for entry in own.audit()] == ["init", "order", "issue", "revoke", "crl"]
    assert {entry.actor for entry in own.audit()} == {"operator"}
    assert own.audit()[2].details["serial"] == certificate.serial


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit SET details = '{}' WHERE sequence = 2",
        "UPDATE audit SET actor = 'nobody' WHERE sequence = 3",
        "UPDATE audit SET time = time + 1 WHERE sequence = 3",
        "UPDATE audit SET act = 'order' WHERE sequence = 3",
        "DELETE FROM audit WHERE sequence = 2",
        "DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)",
        "UPDATE audit SET sequence = 99 WHERE sequence = 2",
        "INSERT INTO audit SELECT 4, time, actor, act, details, digest FROM audit WHERE sequence = 3",
        "UPDATE audit_head SET digest = 'x'",
        "DELETE FROM audit",
    ],
)
def test_an_altered_log_is_noticed(own: Authority, damage: str) -> None:
    issued(own)
    with own._ledger._engine.begin() as connection:
        connection.execute(sa.text(damage))
    with pytest.raises(AuthorityError) as error:
        own.audit()
    assert error.value.code == "audit-broken"


def test_the_schema_is_pinned() -> None:
    """A change of the tables needs a migration; this reminds of it."""
    columns = {name: [column.name for column in table.columns] for name, table in schema.metadata.tables.items()}
    assert {name: len(names) for name, names in columns.items()} == {
        "schema_version": 1,
        "audit_head": 3,
        "audit": 6,
        "orders": 6,
        "tokens": 9,
        "certificates": 17,
        "crls": 2,
    }
    assert len(schema.MIGRATIONS) == 1


def test_an_unnamed_user_is_logged_as_unknown(own: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.close()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    with Authority.open(tmp_path / "home", PASSPHRASE) as opened:
        order(opened)
        assert opened.audit()[-1].actor == "unknown"


def test_a_request_without_a_tag(authority: Authority) -> None:
    ordered = order(authority)
    with pytest.raises(RequestError) as error:
        authority.issue(forged(ordered.token, ordered.text, tag=""), NOW)
    assert error.value.code == "csr-tag"
