"""THREATS, row 18: revoked certificates, and lists of them."""

import datetime as dt

import pytest
from certs_forging import refused
from certs_support import NOW, Device, TestAuthority, der, unchanged
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certs import revocation
from certs.entries import Status
from certs.errors import ProfileError
from certs.levels import Level


def test_row_18_revoked_is_not_imported(device: Device) -> None:
    leaf = device.authority.issue(device.request())
    device.store().add_crl(device.authority.crl(leaf.serial_number))
    refused(device, "revoked", der(leaf))


def test_row_18_revoked_active_certificate_falls_back_to_consumer(device: Device) -> None:
    leaf_id = device.obtain().entry.id
    store = device.store()
    serial = store.get(leaf_id).certificate.serial_number
    (hit,) = store.add_crl(device.authority.crl(serial))
    assert (hit.id, hit.status, hit.permissions) == (leaf_id, Status.REVOKED, ())
    active = store.active()
    assert (active.level, active.domain.id) == (Level.CONSUMER, device.authority.domain.id)
    with pytest.raises(ProfileError, match="revoked"):
        store.activate(leaf_id)
    # An older list, put in again, does not bring it back.
    store.add_crl(device.authority.crl(now=NOW - dt.timedelta(days=1)))
    assert store.find(leaf_id).status is Status.REVOKED


def test_row_18_revoked_by_the_joined_domain_file_tells_the_user(device: Device) -> None:
    leaf_id = device.obtain().entry.id
    store = device.store()
    serial = store.get(leaf_id).certificate.serial_number
    store.join(device.authority.domain.with_crl(device.authority.crl(serial)))
    assert store.active().level is Level.CONSUMER
    (notice,) = store.notices()
    assert notice.code == "revoked"
    assert "Consumer is in force" in notice.message


def test_row_18_a_list_that_was_taken_over_counts_for_meters_too(device: Device) -> None:
    store = device.joined()
    key, title = ec.generate_private_key(ec.SECP256R1()).public_key(), bytes.fromhex("4D4C4B5300000001")
    meter = device.authority.meter(key, title)
    assert store.active().domain.check_meter(meter, NOW, title)
    store.add_crl(device.authority.crl(meter.serial_number))
    for domain in (store.active().domain, store.domains()[0]):
        with pytest.raises(ProfileError, match="revoked"):
            domain.check_meter(meter, NOW, title)


def test_row_18_nothing_takes_a_revocation_back(device: Device) -> None:
    leaf_id = device.obtain().entry.id
    store = device.store()
    authority = device.authority
    serial = store.get(leaf_id).certificate.serial_number
    store.add_crl(authority.crl(serial, number=7))
    partial = [
        x509.DeltaCRLIndicator(7),
        x509.IssuingDistributionPoint(None, None, True, False, None, False, False),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b""),
    ]
    for extension in partial:
        later = authority.crl(now=NOW + dt.timedelta(hours=1), critical=extension)
        with unchanged(device.home), pytest.raises(ProfileError, match="crl-format"):
            revocation.load_crl(later.public_bytes(Encoding.DER))
    for other in (authority.crl(number=7), authority.crl(number=6), authority.crl()):  # all of the same second
        with unchanged(device.home):
            store.add_crl(other)
    store.join(authority.domain)  # a file from before
    assert store.find(leaf_id).status is Status.REVOKED
    store.add_crl(authority.crl(number=8))  # this one really is newer
    assert store.find(leaf_id).status is Status.VALID


def test_row_18_somebody_elses_list_revokes_nothing(device: Device) -> None:
    leaf_id = device.obtain().entry.id
    store = device.store()
    serial = store.get(leaf_id).certificate.serial_number
    with unchanged(device.home), pytest.raises(ProfileError, match="crl-signature"):
        store.add_crl(TestAuthority.create(device.authority.domain.name).crl(serial))
    assert store.active().id == leaf_id


def test_row_18_every_flipped_bit_of_a_revocation_list_is_refused() -> None:
    authority = TestAuthority.create()
    crl = authority.crl(1, 2).public_bytes(Encoding.DER)
    for bit in range(len(crl) * 8):
        altered = bytearray(crl)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProfileError):
            authority.domain.with_crl(revocation.load_crl(bytes(altered)))
