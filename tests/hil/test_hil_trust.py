"""The meter's own certificate, its renewal in the field, and how it judges a client's."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certs import profile
from certs.domain import default_domain, make_domain
from certs.errors import ProfileError
from certs.levels import METER_POLICY, Level
from hil.meter.keystore import KeyStore
from hil.trust import check_client, issue_identity, shipped_identity

NOW = dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC)
TITLE = bytes.fromhex("4D4C4B0000000007")
CLIENT = bytes.fromhex("AABBCCDDEEFF0001")


@pytest.fixture(scope="module")
def made():
    return make_domain("Test domain", "ca@example.org", NOW)


def certificate_of(made, level, title=CLIENT, now=NOW):
    key = ec.generate_private_key(ec.SECP256R1())
    ca, ca_key = made.domain.issuing_ca, made.issuing_key
    leaf = profile.build_leaf(
        key.public_key(), ca, ca_key, now, system_title=title, policy=level, organization="Heat & Co"
    )
    return der(leaf)


def der(certificate):

    return certificate.public_bytes(Encoding.DER)


def test_a_new_meter_is_trusted_by_its_domain_under_its_own_title_alone(made):
    identity = issue_identity(made.domain, made.issuing_key, NOW, system_title=TITLE)
    assert made.domain.check_meter(identity.certificate_der, NOW, TITLE).is_meter
    with pytest.raises(ProfileError) as caught:
        made.domain.check_meter(identity.certificate_der, NOW, CLIENT)
    assert caught.value.code == "system-title"
    assert "private" not in repr(identity)


def test_a_client_of_the_right_level_and_title_is_accepted(made):
    checked = check_client(made.domain, certificate_of(made, Level.SERVICE), CLIENT, Level.SERVICE, NOW)
    assert checked.level is Level.SERVICE


@pytest.mark.parametrize(
    ("level", "title", "wanted", "when", "code"),
    [
        (Level.CONSUMER, CLIENT, Level.COMMISSIONING, NOW, "level-not-allowed"),
        (Level.SERVICE, CLIENT, Level.COMMISSIONING, NOW, "level-not-allowed"),
        (Level.SERVICE, TITLE, Level.SERVICE, NOW, "system-title"),
        (Level.SERVICE, CLIENT, Level.SERVICE, NOW + dt.timedelta(days=4000), "expired"),
        (METER_POLICY, CLIENT, Level.CONSUMER, NOW, "level-missing"),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused_with_its_reason(made, level, title, wanted, when, code):
    with pytest.raises(ProfileError) as caught:
        check_client(made.domain, certificate_of(made, level), title, wanted, when)
    assert caught.value.code == code


def test_a_meter_renews_its_key_by_request_and_import(made):
    identity = issue_identity(made.domain, made.issuing_key, NOW, system_title=TITLE)
    store = KeyStore(identity)
    store.generate_key_pair()
    request = x509.load_der_x509_csr(store.request())
    assert request.is_signature_valid
    assert request.public_key() != identity.certificate.public_key()
    assert store.identity is identity  # the old one stays in force until the new one is whole

    def issued(key, title=TITLE):
        return der(
            profile.build_leaf(
                key,
                made.domain.issuing_ca,
                made.issuing_key,
                NOW,
                system_title=title,
                policy=METER_POLICY,
                organization="x",
            )
        )

    for wrong in (issued(request.public_key(), CLIENT), issued(ec.generate_private_key(ec.SECP256R1()).public_key())):
        with pytest.raises(ProfileError):
            store.import_certificate(wrong, NOW)
        assert store.identity is identity
    store.import_certificate(issued(request.public_key()), NOW)
    assert store.identity.certificate.public_key() == request.public_key() == store.identity.private_key.public_key()


def test_the_shipped_meter_belongs_to_the_default_domain():
    identity = shipped_identity()
    checked = default_domain().check_meter(identity.certificate_der, NOW, identity.system_title)
    assert checked.certificate.public_key() == identity.private_key.public_key()
    assert "simulated" in checked.organization
