"""What an operator does every day: orders, certificates, and the log of it."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest
import sqlalchemy as sa
from authority_support import MAIL, NOW, ORGANIZATION, PASSPHRASE, csr, forged, found, issued, order
from cryptography.hazmat.primitives.asymmetric import ec

from certs import keys, profile, token
from certs.authority import Authority, schema
from certs.errors import AuthorityError, CertsError, RequestError
from certs.levels import METER_POLICY, Level
from certs.mail import MailError

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
