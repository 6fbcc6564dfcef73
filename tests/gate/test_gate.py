"""The gate: every level against every permission, and validity."""

import datetime as dt
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from certs.levels import Level, Permission
from meterlink.errors import NotPermitted
from meterlink.gate import decide

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)

# The table of the project's design, written out: what a level may do.
GRANTED = {
    "Consumer": "read",
    "Installation": "read configure",
    "Commissioning": "read configure commission",
    "Service": "read configure commission test",
    "Test": "read test",
}


KEY = ec.generate_private_key(ec.SECP256R1())


def validity(not_before: dt.datetime, not_after: dt.datetime) -> x509.Certificate:
    """A certificate of which nothing matters but its dates."""
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, not_before, not_after)
    return builder.sign(KEY, hashes.SHA256())


ALWAYS = validity(NOW - DAY, NOW + DAY)


@dataclass(frozen=True)
class Certificate:
    level: Level | None
    certificate: x509.Certificate = ALWAYS
    is_revoked: bool = False

    @property
    def permissions(self) -> frozenset[Permission]:
        return frozenset() if self.level is None or self.is_revoked else self.level.permissions


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("permission", Permission)
def test_level_and_permission(level: Level, permission: Permission) -> None:
    decision = decide("command", permission, Certificate(level), NOW)
    assert decision.allowed is (permission.value in GRANTED[level.value].split())


@pytest.mark.parametrize("permission", Permission)
def test_unknown_level_permits_nothing(permission: Permission) -> None:
    assert not decide("command", permission, Certificate(None), NOW).allowed


def test_refusal_names_the_levels_that_would_do() -> None:
    decision = decide("configure", Permission.CONFIGURE, Certificate(Level.CONSUMER), NOW)
    assert [level.value for level in decision.would_do] == ["Installation", "Commissioning", "Service"]
    with pytest.raises(NotPermitted) as caught:
        decision.enforce()
    assert caught.value.code == "not-permitted"
    assert caught.value.exit_code == 3
    assert "Consumer" in caught.value.message
    assert caught.value.hint is not None
    assert "Installation or Commissioning or Service" in caught.value.hint


@pytest.mark.parametrize(
    ("not_before", "not_after", "word"),
    [(NOW - 2 * DAY, NOW - DAY, "expired"), (NOW + DAY, NOW + 2 * DAY, "valid from")],
)
def test_outside_its_validity_a_certificate_permits_nothing(
    not_before: dt.datetime, not_after: dt.datetime, word: str
) -> None:
    decision = decide("read", Permission.READ, Certificate(Level.SERVICE, validity(not_before, not_after)), NOW)
    assert not decision.allowed
    assert word in decision.reason
    assert "2026-11-22 12:00 UTC" in decision.reason


def test_a_revoked_certificate_permits_nothing() -> None:
    decision = decide("read", Permission.READ, Certificate(Level.SERVICE, is_revoked=True), NOW)
    assert not decision.allowed
    assert "not valid any more" in decision.reason


def test_allowed_decision_does_not_raise() -> None:
    decide("read", Permission.READ, Certificate(Level.CONSUMER), NOW).enforce()
