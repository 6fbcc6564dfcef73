"""What a meter counts of its clients under shared keys: each by system title, and never forgotten."""

import pytest
from hil_hands import CLIENT_TITLE, SERIAL, Hands
from hypothesis import given
from hypothesis import strategies as st

from hil.meter.clients import FIELD_CLIENTS
from hil.meter.counting import ClientCounters
from hil.meter.credentials import FieldKeys
from meterlink.cosem.association import AssociationConfig
from meterlink.cosem.data import array, enum_, octet_string, structure
from meterlink.cosem.names import Method
from meterlink.errors import AssociationRefused, MeterlinkError, SecurityError
from meterlink.security.ciphered import Ciphering
from meterlink.security.counters import SendCounter
from meterlink.security.hls import Mechanism
from meterlink.security.key_wrap import wrap_key
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite
from meterlink.values import Obis

OTHER_TITLE = bytes.fromhex("AABBCCDDEEFF0002")
MASTER = bytes(range(0x30, 0x40))
OLD = KeySet(bytes(range(16)), bytes(range(0x50, 0x60)), master=MASTER)
NEW = KeySet(bytes(range(0x80, 0x90)), bytes(range(0x50, 0x60)), master=MASTER)
KEY_TRANSFER = Method(64, Obis.parse("0-0:43.0.0"), 2)


@pytest.fixture
def shared():
    return FieldKeys(password=b"x", secret=b"y", keys={Suite.SUITE_0: OLD})


@pytest.fixture
def meter(world, shared):
    return world.meter(clients=FIELD_CLIENTS, field_keys=shared)


def client(meter, title=CLIENT_TITLE, keys=OLD, counter=1, port="tcp"):
    config = AssociationConfig(
        mechanism=Mechanism.GMAC,
        ciphering=Ciphering.GLOBAL,
        suite=Suite.SUITE_0,
        system_title=title,
        keys=keys,
        send_counter=SendCounter(counter),
    )
    return Hands(meter, config, sap=19, port=port)


def put(hands, key):
    wrapped = octet_string(wrap_key(MASTER, key))
    hands.call(KEY_TRANSFER, array((structure(enum_(0), wrapped),)))


def test_two_titles_on_one_sap_do_not_push_each_other_out(meter):
    far, near = client(meter, counter=1_000_000).associate(), client(meter, OTHER_TITLE).associate()
    for _ in range(3):
        for hands in (far, near):
            assert hands.get(SERIAL).value == "00004711"
    again = client(meter, OTHER_TITLE, counter=100).associate()
    assert again.get(SERIAL).value == far.get(SERIAL).value == "00004711"


@pytest.mark.parametrize("title", [CLIENT_TITLE, OTHER_TITLE])
def test_what_one_title_sent_is_refused_whatever_others_sent_meanwhile(meter, title):
    recorded = client(meter, title)
    recorded.associate()
    for other in (CLIENT_TITLE, OTHER_TITLE):
        client(meter, other, counter=100).associate().get(SERIAL)
    with pytest.raises(AssociationRefused):
        client(meter, title).associate()  # the very counters of the recorded one


def test_strangers_with_ever_new_titles_cost_no_memory(meter, shared):
    client(meter).associate()
    stranger = KeySet(bytes(16), bytes(16))
    for number in range(300):
        title = number.to_bytes(8, "big")
        with pytest.raises(AssociationRefused):
            client(meter, title, stranger, port=f"port {number}").associate()
    assert len(shared.receive_counters) == 1


def test_a_client_too_many_is_refused_and_nobody_is_forgotten(world):
    shared = FieldKeys(password=b"x", secret=b"y", keys={Suite.SUITE_0: OLD}, receive_counters=ClientCounters(most=2))
    meter = world.meter(clients=FIELD_CLIENTS, field_keys=shared)
    titles = [CLIENT_TITLE, OTHER_TITLE, bytes.fromhex("AABBCCDDEEFF0003")]
    for title in titles[:2]:
        client(meter, title).associate()
    with pytest.raises(AssociationRefused):
        client(meter, titles[2], port="b").associate()
    for port, title in zip("cd", titles, strict=False):
        with pytest.raises(AssociationRefused):
            client(meter, title, port=port).associate()
        assert client(meter, title, counter=100, port=port).associate().get(SERIAL).value == "00004711"


def test_a_key_that_comes_back_does_not_make_recorded_messages_new(meter):
    first = client(meter)
    put(first.associate(), NEW.unicast)
    put(client(meter, keys=NEW).associate(), OLD.unicast)
    with pytest.raises(MeterlinkError):
        client(meter).associate()
    assert client(meter, counter=100, port="b").associate().get(SERIAL).value == "00004711"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20))))
def test_counters_of_a_client_always_grow_and_are_its_own(messages):
    counters, least, kept = ClientCounters(1, most=3), {}, set()
    for who, number in messages:
        (counter,) = counters.of(who)
        replayed, full = number < least.get(who, 0), who not in kept and len(kept) == 3
        if replayed or full:
            with pytest.raises(SecurityError) as caught:
                counter.accept(number)
            assert caught.value.code == ("replay" if replayed else "clients")
        else:
            counter.accept(number)
            kept.add(who)
            least[who] = number + 1
        assert len(counters) == len(kept)
