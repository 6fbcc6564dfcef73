"""Security setup and Association LN as a client with a certificate sees them."""

import datetime as dt
from dataclasses import replace

import pytest
from cryptography import x509
from hil_hands import CLIENT_TITLE, METER_TITLE, OBJECT_LIST, SERIAL, START, Hands, World, der

from certs import profile
from certs.levels import METER_POLICY, Level
from hil.meter.clients import FIELD_CLIENTS
from hil.meter.credentials import FieldKeys
from meterlink.cosem.association import AssociationConfig, Ciphering, Mechanism
from meterlink.cosem.data import array, enum_, octet_string, structure
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.objects.security_setup import by_serial
from meterlink.errors import MeterlinkError, MeterRefused, UsageError
from meterlink.security.control import SecurityPolicy
from meterlink.security.counters import SendCounter
from meterlink.security.key_wrap import wrap_key
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite
from meterlink.values import Obis

SETUP = Obis.parse("0-0:43.0.0")
ASSOCIATION = OBJECT_LIST.instance


@pytest.fixture
def world():
    return World()


@pytest.fixture
def meter(world):
    return world.meter()


def connect(world, meter, level):
    return Hands(meter, world.person(level), level).connect()


def setup(hands, index):
    return hands.get(Attribute(64, SETUP, index))


def do(hands, index, argument):
    return hands.call(Method(64, SETUP, index), argument)


def test_the_setup_tells_policy_suite_titles_and_certificate(world, meter):
    hands = connect(world, meter, Level.CONSUMER)
    assert setup(hands, 2).value == 0x6C  # requests and responses authenticated and encrypted
    assert setup(hands, 3).value == 1
    assert setup(hands, 4).value == CLIENT_TITLE
    assert setup(hands, 5).value == METER_TITLE
    own = (0, meter.identity.certificate)
    authorities = [(2, ca) for ca in (world.domain.root, *world.domain.authorities)]
    for info, (whose, certificate) in zip(setup(hands, 6).as_items(), (own, *authorities), strict=True):
        entity, kind, serial, issuer, subject, _ = info.as_items()
        assert (entity.value, kind.value) == (whose, 0)
        assert int.from_bytes(serial.value, "big") == certificate.serial_number
        assert issuer.value == certificate.issuer.public_bytes()
        assert subject.value == certificate.subject.public_bytes()


def test_the_authorities_are_exported_and_stay(world, meter):
    hands = connect(world, meter, Level.COMMISSIONING)
    for certificate in (world.domain.root, *world.domain.authorities):
        named = by_serial(certificate.serial_number, certificate.issuer.public_bytes())
        assert do(hands, 7, named).value == der(certificate)
        with pytest.raises(MeterRefused):
            do(hands, 8, named)
    with pytest.raises(MeterRefused) as caught:  # which of them is meant?
        do(hands, 7, structure(enum_(0), structure(enum_(2), enum_(0), octet_string(b""))))
    assert caught.value.code == "object-unavailable"


@pytest.mark.parametrize("by", ["entity", "serial", "serial as DER"])
def test_the_certificate_is_exported_by_either_identification(world, meter, by):
    hands = connect(world, meter, Level.CONSUMER)
    certificate = meter.identity.certificate
    serial = certificate.serial_number.to_bytes(20, "big").lstrip(b"\0")
    wanted = {
        "entity": structure(enum_(0), structure(enum_(0), enum_(0), octet_string(METER_TITLE))),
        "serial": structure(enum_(1), structure(octet_string(serial), octet_string(certificate.issuer.public_bytes()))),
        "serial as DER": structure(
            enum_(1),
            structure(octet_string(bytes((2, len(serial))) + serial), octet_string(certificate.issuer.public_bytes())),
        ),
    }[by]
    assert do(hands, 7, wanted).value == der(certificate)
    with pytest.raises(MeterRefused) as caught:
        do(hands, 7, structure(enum_(0), structure(enum_(1), enum_(0), octet_string(METER_TITLE))))
    assert caught.value.code == "object-unavailable"


def test_the_meters_certificate_is_renewed_over_the_association(world, meter):
    hands = connect(world, meter, Level.COMMISSIONING)
    old = meter.identity
    do(hands, 4, enum_(0))
    request = x509.load_der_x509_csr(do(hands, 5, enum_(0)).value)
    fresh = profile.build_leaf(
        request.public_key(),
        world.domain.issuing_ca,
        world.issuing_key,
        START,
        system_title=METER_TITLE,
        policy=METER_POLICY,
        organization="Heat & Co",
    )
    wrong = world.certificate(world.key(), METER_POLICY, METER_TITLE)
    with pytest.raises(MeterRefused):
        do(hands, 6, octet_string(der(wrong)))
    assert meter.identity is old
    do(hands, 6, octet_string(der(fresh)))
    assert meter.identity.certificate == fresh
    assert connect(world, meter, Level.CONSUMER).get(SERIAL).value == "00004711"


@pytest.mark.parametrize("index", [4, 5, 6])
def test_renewal_is_for_commissioning(world, meter, index):
    hands = connect(world, meter, Level.INSTALLATION)
    with pytest.raises(MeterRefused) as caught:
        do(hands, index, enum_(0))
    assert caught.value.code == "read-write-denied"


def test_a_policy_is_never_weakened_and_the_last_certificate_never_removed(world, meter):
    hands = connect(world, meter, Level.COMMISSIONING)
    do(hands, 1, enum_(0x6C))
    own = structure(enum_(0), structure(enum_(0), enum_(0), octet_string(METER_TITLE)))
    for index, argument in ((1, enum_(0)), (1, enum_(0x24)), (8, own), (2, array())):
        with pytest.raises(MeterRefused):
            do(hands, index, argument)
    assert setup(hands, 2).value == 0x6C
    assert do(hands, 7, own).value == meter.identity.certificate_der


MASTER = bytes(range(0x30, 0x40))


@pytest.fixture
def field_meter(world):
    keys = KeySet(bytes(16), bytes(range(16)), master=MASTER)
    return world.meter(
        clients=FIELD_CLIENTS, field_keys=FieldKeys(password=b"x", secret=b"y", keys={Suite.SUITE_0: keys})
    )


def with_gmac(meter, keys, counter=1):
    config = AssociationConfig(
        mechanism=Mechanism.GMAC,
        ciphering=Ciphering.GLOBAL,
        suite=Suite.SUITE_0,
        system_title=CLIENT_TITLE,
        keys=keys,
        send_counter=SendCounter(counter),
    )
    return Hands(meter, config, sap=19)


def test_shared_keys_are_transferred_and_hold_from_the_next_association_on(field_meter):
    old, new = KeySet(bytes(16), bytes(range(16))), KeySet(bytes(range(100, 116)), bytes(range(16)))
    hands = with_gmac(field_meter, old).associate()
    transfer = Method(64, SETUP, 2)
    for wrapped in (
        wrap_key(bytes(16), new.unicast),  # under another master key
        wrap_key(MASTER, bytes(32)),  # of another suite
        b"junk",
    ):
        with pytest.raises(MeterRefused):
            hands.call(transfer, array((structure(enum_(0), octet_string(wrapped)),)))
    hands.call(transfer, array((structure(enum_(0), octet_string(wrap_key(MASTER, new.unicast))),)))
    assert hands.get(SERIAL).value == "00004711"  # this association goes on as it was made
    with pytest.raises(MeterlinkError):
        with_gmac(field_meter, old, counter=1000).associate()
    assert with_gmac(field_meter, new).associate().get(SERIAL).value == "00004711"


def with_ecdsa(meter, key, keys, counter=1, **changes):
    config = AssociationConfig(
        mechanism=Mechanism.ECDSA,
        ciphering=Ciphering.GLOBAL,
        suite=Suite.SUITE_1,
        system_title=CLIENT_TITLE,
        signer=key,
        verify_peer=lambda title, certificate: meter.identity.private_key.public_key(),
        keys=keys,
        send_counter=SendCounter(counter),
    )
    return Hands(meter, replace(config, **changes), sap=21)


def known_client(world, **more):
    key = world.key()
    keys = KeySet(bytes(16), bytes(range(16)), master=MASTER)
    shared = FieldKeys(
        password=b"x",
        secret=b"y",
        keys={Suite.SUITE_0: keys, Suite.SUITE_1: keys},
        client_keys={CLIENT_TITLE: key.public_key()},
        **more,
    )
    return world.meter(clients=FIELD_CLIENTS, field_keys=shared), key, keys


def counters_in(answers):
    """The invocation counters of protected get- and action-responses."""
    return [answer[3:7] if answer[1] < 0x80 else answer[4:8] for answer in answers if answer[0] in (0xCC, 0xCF)]


def test_agreed_keys_take_the_place_of_shared_ones_and_no_counter_is_used_twice(world):
    meter, key, old = known_client(world)
    hands = with_ecdsa(meter, key, old).associate()
    for _ in range(8):
        hands.get(SERIAL)
    (agreed,) = hands.exchange(hands.client.agree_keys())
    under_old = counters_in(hands.got)
    hands.get(SERIAL)
    under_new = counters_in(hands.got)[len(under_old) :]
    new = agreed.session.keys
    with pytest.raises(MeterlinkError):
        with_ecdsa(meter, key, old, counter=1000).associate()
    with pytest.raises(MeterlinkError):
        with_ecdsa(meter, key, new, counter=0).associate()  # used before, in the association that agreed
    later = with_ecdsa(meter, key, new, counter=100).associate()
    assert later.get(SERIAL).value == "00004711"
    wrapped = [octet_string(wrap_key(MASTER, back)) for back in (old.unicast, old.authentication)]
    do(later, 2, array((structure(enum_(0), wrapped[0]), structure(enum_(2), wrapped[1]))))
    under_new += counters_in(later.got)
    again = with_ecdsa(meter, key, old, counter=5000).associate()
    again.get(SERIAL)
    under_old += counters_in(again.got)
    for counters in (under_old, under_new):
        assert len(counters) == len(set(counters)) >= 4


def test_a_client_is_known_by_an_imported_certificate_until_it_is_removed(world):
    meter, key, keys = known_client(world)
    hands = with_ecdsa(meter, key, keys).associate()
    title, other = bytes.fromhex("AABBCCDDEEFF0002"), world.key()
    good = world.certificate(other, Level.SERVICE, title)
    for refused in (
        world.certificate(other, Level.CONSUMER, title),  # may do less than its SAP grants
        world.certificate(other, Level.SERVICE, title, lifetime=-dt.timedelta(minutes=5)),
        World().certificate(other, Level.SERVICE, title),
    ):
        with pytest.raises(MeterRefused):
            do(hands, 6, octet_string(der(refused)))
    with pytest.raises(MeterRefused):
        do(hands, 6, octet_string(b"junk"))
    do(hands, 6, octet_string(der(good)))
    entity, _, serial, *_ = setup(hands, 6).as_items()[-1].as_items()
    assert (entity.value, int.from_bytes(serial.value, "big")) == (1, good.serial_number)

    def newcomer(counter):
        return with_ecdsa(meter, other, keys, counter, system_title=title)

    assert newcomer(100).associate().get(SERIAL).value == "00004711"
    named = structure(enum_(0), structure(enum_(1), enum_(0), octet_string(title)))
    hands = with_ecdsa(meter, key, keys, counter=200).associate()
    assert do(hands, 7, named).value == der(good)
    do(hands, 8, named)
    assert len(setup(hands, 6).as_items()) == 1 + 1 + len(world.domain.authorities)
    with pytest.raises(MeterlinkError):
        newcomer(300).associate()
    with pytest.raises(MeterRefused):
        do(hands, 8, named)


def test_a_certificate_meter_keeps_no_certificates_of_clients(world, meter):
    hands = connect(world, meter, Level.COMMISSIONING)
    with pytest.raises(MeterRefused):
        do(hands, 6, octet_string(der(world.certificate(world.key(), Level.SERVICE))))


def test_a_policy_becomes_stronger_and_holds_from_the_next_association_on(world):
    weak = SecurityPolicy.AUTHENTICATED_RESPONSE | SecurityPolicy.ENCRYPTED_RESPONSE
    meter, key, keys = known_client(world, policies={Suite.SUITE_1: weak})

    def client(policy, counter):
        return with_ecdsa(meter, key, keys, counter, policy=policy).associate()

    hands = client(weak, 1)
    assert hands.get(SERIAL).value == "00004711"
    assert hands.sent[-1][0] == 0xC0  # a plain request is good enough
    for refused in (0x20, 0x6D, 0x70, 0x100):  # weaker, unknown, signed: what these keys cannot give
        with pytest.raises((MeterRefused, UsageError)):
            do(hands, 1, enum_(refused))
    assert setup(hands, 2).value == weak
    do(hands, 1, enum_(0x6C))
    assert setup(hands, 2).value == 0x6C
    with pytest.raises(MeterlinkError):
        client(weak, 100).get(SERIAL)
    assert client(SecurityPolicy(0x6C), 200).get(SERIAL).value == "00004711"


def test_a_recorded_association_with_shared_keys_played_again_gets_nothing(field_meter):
    recorded = with_gmac(field_meter, KeySet(bytes(16), bytes(range(16)))).associate()
    recorded.get(SERIAL)
    thief = with_gmac(field_meter, KeySet(bytes(16), bytes(range(16))))
    answers = [answer for apdu in recorded.sent for answer in thief.raw(apdu)]
    assert not any(answer[:1] == b"\xcc" for answer in answers)  # no glo-get-response


def test_the_association_object_tells_what_was_agreed(world, meter):
    hands = connect(world, meter, Level.SERVICE)

    def attribute(index):
        return hands.get(Attribute(15, ASSOCIATION, index))

    assert attribute(3).native() == (35, 1)
    assert attribute(4).value == bytes.fromhex("60857405080103")
    assert attribute(6).value == bytes.fromhex("60857405080207")
    assert attribute(8).value == 2
    assert attribute(9).value == SETUP.to_bytes()
    assert int(attribute(5).as_items()[0].value, 2) == int(hands.client.conformance)
    with pytest.raises(MeterRefused):
        attribute(7)


def rights_in(hands):
    """Return (name, attribute) -> access from the object list, as bits read 1 and write 2."""
    rights = {}
    for item in hands.get(OBJECT_LIST).as_items():
        _, _, name, access = item.as_items()
        for attribute in access.as_items()[0].as_items():
            index, mode = (entry.value for entry in attribute.as_items()[:2])
            rights[Obis.from_bytes(name.value), index] = mode
    return rights


def test_the_object_list_tells_each_level_its_own_rights_and_is_right(world, meter):
    clock, test_value = (Obis.parse("0-0:1.0.0"), 2), (Obis.parse("6-0:1.6.0"), 2)
    for level in Level:
        rights = rights_in(connect(world, meter, level))
        may_write = "CONFIGURE" in {permission.name for permission in level.permissions}
        assert rights[clock] == (0x6F if may_write else 0x6D)  # read, write, protected both ways
        assert (test_value in rights) == (level in {Level.SERVICE, Level.TEST})


def test_what_the_object_list_promises_the_meter_keeps(world, meter):
    hands = connect(world, meter, Level.TEST)
    for (name, index), mode in rights_in(hands).items():
        (entry,) = [item for item in hands.get(OBJECT_LIST).as_items() if item.as_items()[2].value == name.to_bytes()]
        attribute = Attribute(entry.as_items()[0].value, name, index)
        if mode & 1:
            hands.get(attribute)
        else:
            with pytest.raises(MeterRefused):
                hands.get(attribute)


def test_a_field_meter_shows_the_older_object_list(world):
    meter = world.meter(clients=FIELD_CLIENTS)
    hands = Hands(meter, AssociationConfig(), sap=17).associate()
    rights = rights_in(hands)
    assert rights[Obis.parse("0-0:1.0.0"), 2] == 1
    assert (Obis.parse("6-0:1.6.0"), 2) not in rights
