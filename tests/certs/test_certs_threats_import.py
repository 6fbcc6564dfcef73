"""THREATS, import: what the technician's side refuses. Each test is named after its row."""

import datetime as dt
from pathlib import Path

import pytest
from certs_forging import YEAR, leaf_builder, policies, refused, sign, usage
from certs_support import NOW, Device, TestAuthority, der, pem
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certs import importing, profile
from certs.clock import show
from certs.entries import Status
from certs.errors import KeyStoreError, ProfileError
from certs.levels import METER_POLICY, Level

# --- row 13 ---


def test_row_13_another_ca_with_the_same_name(device: Device) -> None:
    record = device.request()
    twin = TestAuthority.create(device.authority.domain.name)
    error = refused(device, "chain", der(twin.issue(record)))
    assert "signature" in error.message


def test_row_13_another_ca_with_the_same_name_brings_its_chain(device: Device) -> None:
    record = device.request()
    twin = TestAuthority.create(device.authority.domain.name)
    chain = pem(twin.issue(record), twin.domain.issuing_ca, twin.domain.root)
    assert importing.recognise(chain)
    refused(device, "chain", chain)


def test_row_13_altered_certificate(device: Device) -> None:
    altered = bytearray(der(device.authority.issue(device.request())))
    altered[-3] ^= 1
    refused(device, "chain", bytes(altered))


def test_row_13_every_flipped_bit_of_a_certificate_is_refused() -> None:
    authority = TestAuthority.create()
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    meter, title = der(authority.meter(key, bytes(8))), bytes(8)
    assert authority.domain.check_meter(meter, NOW, title)
    for bit in range(len(meter) * 8):
        altered = bytearray(meter)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProfileError):
            authority.domain.check_meter(bytes(altered), NOW, title)


def test_row_13_missing_issuing_ca(device: Device) -> None:
    record = device.request()
    other = TestAuthority.create("Somebody else")
    error = refused(device, "chain", der(other.issue(record)))
    assert "Somebody else" in error.message
    assert "join" in (error.hint or "")


# --- rows 14 to 16 ---


def test_row_14_expired(device: Device) -> None:
    data = der(device.authority.issue(device.request(), lifetime=dt.timedelta(days=30)))
    later = NOW + dt.timedelta(days=31)
    error = refused(device, "expired", data, now=later)
    assert show(later) in error.message


def test_row_14_not_yet_valid(device: Device) -> None:
    data = der(device.authority.issue(device.request(), now=NOW + YEAR / 2))
    error = refused(device, "not-yet-valid", data)
    assert show(NOW) in error.message


def test_row_14_expired_issuer_is_not_accepted(tmp_path: Path) -> None:
    authority = TestAuthority.create()
    domain, made = authority.domain, authority.made
    short = profile.build_ca(
        domain.name, "Issuing CA", made.issuing_key.public_key(), [level.policy for level in Level],
        domain.root, made.root_key, NOW, lifetime=dt.timedelta(days=10),
    )  # fmt: skip
    leaf = profile.build_leaf(
        ec.generate_private_key(ec.SECP256R1()).public_key(), short, made.issuing_key, NOW,
        system_title=bytes(8), policy=Level.SERVICE, organization="X",
    )  # fmt: skip
    assert leaf.not_valid_after_utc == short.not_valid_after_utc
    with pytest.raises(ProfileError, match="expired"):
        domain.check_level(leaf, NOW + dt.timedelta(days=11), intermediates=[short])


def test_row_15_clock_nine_minutes_slow_is_accepted(device: Device) -> None:
    leaf = device.authority.issue(device.request())
    slow = device.store(now=NOW - dt.timedelta(minutes=9))
    (result,) = importing.import_bytes(slow, der(leaf))
    assert result.entry.active
    with pytest.raises(ProfileError, match="not-yet-valid"):
        device.authority.domain.check_level(leaf, NOW - dt.timedelta(minutes=11))


def test_row_16_clock_set_back_is_warned_of(device: Device) -> None:
    device.store(now=NOW + YEAR / 2)
    back = device.store(now=NOW)
    (notice,) = [notice for notice in back.notices() if notice.code == "clock-set-back"]
    assert show(NOW) in notice.message
    assert back.active().status is Status.VALID or back.active().level is Level.CONSUMER
    forward = device.store(now=NOW + YEAR / 2)
    assert not [notice for notice in forward.notices() if notice.code == "clock-set-back"]


# --- row 17 ---


def test_row_17_certificate_for_a_key_not_here_lists_the_pending_requests(device: Device, tmp_path: Path) -> None:
    device.request(tag="Here 1")
    elsewhere = Device(tmp_path / "other", authority=device.authority).request(tag="There")
    error = refused(device, "no-private-key", der(device.authority.issue(elsewhere)))
    assert "Here 1 (Commissioning)" in error.message
    assert isinstance(error, KeyStoreError)


# --- row 19 ---


def test_row_19_key_agreement_certificate(device: Device) -> None:
    builder = leaf_builder(device).add_extension(policies(Level.COMMISSIONING.policy), critical=False)
    refused(device, "key-usage", sign(device, builder.add_extension(usage(key_agreement=True), critical=True)))


@pytest.mark.parametrize("other", ["key_agreement", "content_commitment", "key_cert_sign", "crl_sign"])
def test_row_19_a_second_use_beside_signing(device: Device, other: str) -> None:
    builder = leaf_builder(device).add_extension(policies(Level.COMMISSIONING.policy), critical=False)
    both = usage(**{"digital_signature": True, other: True})
    refused(device, "key-usage", sign(device, builder.add_extension(both, critical=True)))


def test_row_19_no_key_usage_or_not_critical(device: Device) -> None:
    builder = leaf_builder(device).add_extension(policies(Level.COMMISSIONING.policy), critical=False)
    refused(device, "key-usage", sign(device, builder))
    loose = builder.add_extension(usage(digital_signature=True), critical=False)
    refused(device, "key-usage", sign(device, loose))


def test_row_19_ca_certificate_as_leaf(device: Device) -> None:
    device.request()
    refused(device, "key-usage", der(device.authority.domain.issuing_ca))
    builder = (
        leaf_builder(device)
        .add_extension(policies(Level.COMMISSIONING.policy), critical=False)
        .add_extension(usage(digital_signature=True), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    refused(device, "key-usage", sign(device, builder))


def test_row_19_leaf_as_ca(device: Device) -> None:
    leaf_id = device.obtain(Level.SERVICE).entry.id
    credential = device.store().get(leaf_id)
    record = device.request(tag="Second")
    forged = device.authority.issue(record, issuer=credential.certificate, issuer_key=credential.private_key)
    refused(device, "chain", pem(forged, credential.certificate))


# --- row 20 ---


def test_row_20_no_level(device: Device) -> None:
    builder = leaf_builder(device).add_extension(usage(digital_signature=True), critical=True)
    refused(device, "level-missing", sign(device, builder))


def test_row_20_a_meters_certificate_has_no_level(device: Device) -> None:
    record = device.request()
    refused(device, "level-missing", der(device.authority.issue(record, policy=METER_POLICY)))


@pytest.mark.parametrize(
    "oids",
    [
        (x509.ObjectIdentifier("1.2.3.4"),),
        (x509.ObjectIdentifier("2.5.29.32.0"),),  # anyPolicy
        (Level.SERVICE.policy, Level.COMMISSIONING.policy),
        (Level.SERVICE.policy, x509.ObjectIdentifier("1.2.3.4")),
    ],
    ids=["unknown", "any-policy", "two-levels", "a-level-and-more"],
)
def test_row_20_unknown_level_or_two(device: Device, oids: tuple[x509.ObjectIdentifier, ...]) -> None:
    builder = leaf_builder(device).add_extension(usage(digital_signature=True), critical=True)
    refused(device, "level-unknown", sign(device, builder.add_extension(policies(*oids), critical=False)))


@pytest.mark.parametrize("organization", ["a\u202eb", "a\nb", " a", "x" * 200])
def test_row_20_names_that_cannot_be_seen_as_they_are(device: Device, organization: str) -> None:
    record = device.request()
    refused(device, "organization-name", der(device.authority.issue(record, organization=organization)))
    refused(device, "organization-name", der(device.authority.issue(record, tag=organization)))


# --- row 21 ---


def test_row_21_the_consumer_ca_signs_a_commissioning_certificate(device: Device) -> None:
    domain = device.authority.domain
    forged = device.authority.issue(device.request(), issuer=domain.consumer_ca, issuer_key=domain.consumer_ca_key)
    refused(device, "level-not-allowed", der(forged))


def test_row_21_a_ca_without_the_levels_policy(device: Device) -> None:
    made = device.authority.made
    key = ec.generate_private_key(ec.SECP256R1())
    limited = profile.build_ca(
        "Test domain", "Installers CA", key.public_key(), [Level.INSTALLATION.policy],
        made.domain.root, made.root_key, NOW,
    )  # fmt: skip
    record = device.request()
    refused(device, "level-not-allowed", pem(device.authority.issue(record, issuer=limited, issuer_key=key), limited))
    allowed = device.authority.issue(record, issuer=limited, issuer_key=key, policy=Level.INSTALLATION)
    (result,) = importing.import_bytes(device.store(), pem(allowed, limited))
    assert result.entry.active
    assert device.store().active().level is Level.INSTALLATION  # the chain that came along was kept


def test_row_21_any_policy_in_a_ca_does_not_count(device: Device) -> None:
    made = device.authority.made
    key = ec.generate_private_key(ec.SECP256R1())
    wide = profile.build_ca(
        "Test domain", "Any CA", key.public_key(), [x509.ObjectIdentifier("2.5.29.32.0")],
        made.domain.root, made.root_key, NOW,
    )  # fmt: skip
    forged = device.authority.issue(device.request(), issuer=wide, issuer_key=key)
    refused(device, "level-not-allowed", pem(forged, wide))


# --- rows 22 and 23 ---


@pytest.mark.parametrize(("answer", "active"), [(None, False), (True, True), (False, False)])
def test_row_22_a_level_below_the_active_one(device: Device, answer: bool | None, active: bool) -> None:
    device.obtain(Level.SERVICE)
    leaf = device.authority.issue(device.request(Level.INSTALLATION, tag="Lower"))
    (result,) = importing.import_bytes(device.store(), der(leaf), activate=answer)
    assert result.is_new
    assert result.asks is (answer is None)
    assert result.entry.active is active
    assert device.store().active().level is (Level.INSTALLATION if active else Level.SERVICE)


def test_row_22_a_level_of_the_same_or_higher_rank_is_active_at_once(device: Device) -> None:
    device.obtain(Level.INSTALLATION)
    for level in (Level.TEST, Level.COMMISSIONING):
        leaf = device.authority.issue(device.request(level, tag=level.value))
        (result,) = importing.import_bytes(device.store(), der(leaf))
        assert (result.entry.active, result.asks) == (True, False)


def test_row_23_imported_twice_is_one_copy_active_and_says_so(device: Device) -> None:
    leaf = device.authority.issue(device.request())
    (first,) = importing.import_bytes(device.store(), der(leaf))
    device.store().activate(device.store().look().consumer_of(device.authority.domain).id)
    (second,) = importing.import_bytes(device.store(), pem(leaf, device.authority.domain.issuing_ca))
    assert (first.is_new, second.is_new) == (True, False)
    assert second.entry.active
    assert [entry.level for entry in device.store().entries()].count(Level.COMMISSIONING) == 1
