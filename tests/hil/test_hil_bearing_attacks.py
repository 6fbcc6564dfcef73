"""What strangers must not get out of the meter: free certificate checks, free guesses, rights, old counters."""

import pytest
from hil_hands import CLIENT_TITLE, PROPERTY_NUMBER, SERIAL, START, Hands, log

from certs import profile
from certs.levels import Level
from hil.meter.clients import FIELD_CLIENTS
from hil.meter.credentials import FieldKeys
from hil.meter.eventlog import EventCode
from meterlink.cosem.association import AssociationConfig
from meterlink.cosem.data import array, enum_, octet_string, structure, visible_string
from meterlink.cosem.names import Method
from meterlink.errors import AssociationRefused
from meterlink.security.ciphered import Ciphering
from meterlink.security.counters import SendCounter
from meterlink.security.hls import Mechanism
from meterlink.security.key_wrap import wrap_key
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite
from meterlink.values import Obis

KEYS = {suite: KeySet(*(bytes((n,)) * suite.key_length for n in range(5))) for suite in Suite}
KEY_TRANSFER = Method(64, Obis.parse("0-0:43.0.0"), 2)


def field_meter(world, **options):
    keys = FieldKeys(password=b"99999999", secret=b"secret of both!!", keys=dict(KEYS), **options)
    return world.meter(clients=FIELD_CLIENTS, field_keys=keys)


def shared_client(meter, counter):
    config = AssociationConfig(
        mechanism=Mechanism.GMAC,
        ciphering=Ciphering.GLOBAL,
        suite=Suite.SUITE_0,
        system_title=CLIENT_TITLE,
        keys=KEYS[Suite.SUITE_0],
        send_counter=counter,
    )
    return Hands(meter, config, sap=19).associate()


def test_row_43_an_association_request_without_its_proof_counts_as_a_failure(world):
    meter = world.meter()
    recorded = Hands(meter, world.person(Level.SERVICE), Level.SERVICE).client.open()
    stranger = Hands(meter, world.person(Level.SERVICE), Level.SERVICE)
    for _ in range(20):
        stranger.raw(recorded)
    assert log(meter, EventCode.AUTHENTICATION_FAILED) == 4
    assert log(meter, EventCode.ATTEMPTS_SLOWED) == 16


def test_row_43_invented_titles_do_not_wash_out_the_count_of_wrong_passwords(world):
    meter = field_meter(world)

    def guess(number):
        config = AssociationConfig(mechanism=Mechanism.LOW, secret=b"%08d" % number)
        Hands(meter, config, sap=18).raw(Hands(meter, config, sap=18).client.open())

    for number in range(4):
        guess(number)
    key = world.key()
    for number in range(300):
        config = world.config(number.to_bytes(8, "big"), world.domain.issuing_ca, key)
        Hands(meter, config, sap=20).raw(Hands(meter, config, sap=20).client.open())
    before = log(meter, EventCode.ATTEMPTS_SLOWED)
    guess(5)
    assert log(meter, EventCode.ATTEMPTS_SLOWED) == before + 1


def test_row_33_a_consumers_certificate_opens_no_sap_for_shared_keys(world):
    key, domain = world.key(), world.domain
    anybodys = profile.build_leaf(
        key.public_key(),
        domain.consumer_ca,
        domain.consumer_ca_key,
        START,
        system_title=CLIENT_TITLE,
        policy=Level.CONSUMER,
        organization="anybody",
    )
    hands = Hands(field_meter(world), world.config(CLIENT_TITLE, anybodys, key, ciphering=None), sap=20)
    with pytest.raises(AssociationRefused):
        hands.associate()


def test_row_40_the_same_key_transferred_again_starts_no_counter_again(world):
    meter, counter = field_meter(world), SendCounter(1)
    first = shared_client(meter, counter)
    old = KEYS[Suite.SUITE_0]
    again = structure(enum_(0), octet_string(wrap_key(old.master, old.unicast)))
    first.call(KEY_TRANSFER, array((again,)))
    second = shared_client(meter, counter)
    second.set(PROPERTY_NUMBER, visible_string("22"))
    headers = [apdu[2:7] for hands in (first, second) for apdu in hands.got if apdu[0] in (0xCC, 0xCD, 0xCF)]
    assert len(set(headers)) == len(headers)


def test_a_counter_that_is_used_up_ends_the_association(world):
    meter = field_meter(world, send_counters={suite: SendCounter(0xFFFFFFFF - 2) for suite in Suite})
    hands = shared_client(meter, SendCounter(1))
    assert hands.raw(hands.client.get(SERIAL)) == []
    assert log(meter, EventCode.MESSAGE_REFUSED) == 1
