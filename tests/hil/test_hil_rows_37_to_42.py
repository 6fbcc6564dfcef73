"""What the simulated meter refuses by itself, row by row: proofs, keys and messages.

Every attack comes from a client without a gate, driven by hand.
"""

from dataclasses import replace

import pytest
from hil_hands import (
    CLIENT_TITLE,
    ENERGY,
    METER_TITLE,
    PROPERTY_NUMBER,
    SERIAL,
    Hands,
    connect,
    log,
    refused,
    serves,
)

from certs.levels import Level
from hil.meter.eventlog import EventCode
from meterlink.cosem.acse import Aare, Aarq, Context
from meterlink.cosem.data import visible_string
from meterlink.errors import AssociationRefused, MeterlinkError, MeterNotTrusted, SecurityError
from meterlink.security.counters import SendCounter
from meterlink.security.hls import Mechanism
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite

KEYS = KeySet(bytes(range(16)), bytes(range(16, 32)))
PLAIN_GET = bytes.fromhex("c001c100030600010000ff0200")
"""GET of energy: class 3, 6-0:1.0.0*255, attribute 2."""

PASS_3 = 1  # the client's second APDU carries its proof, the meter's second answer the meter's


def test_row_37_a_clients_proof_from_a_recorded_session_is_refused(world, meter):
    config = world.person(Level.SERVICE)
    recorded = Hands(meter, config, Level.SERVICE).associate()
    thief = Hands(meter, replace(config, signer=world.key()), Level.SERVICE)
    thief.alter = lambda apdu: recorded.sent[PASS_3] if len(thief.sent) == PASS_3 else apdu
    assert isinstance(refused(thief.associate), AssociationRefused)
    assert log(meter, EventCode.AUTHENTICATED) == 1


def test_row_37_a_whole_recorded_session_played_again_gets_nothing(world, meter):
    recorded = connect(world, meter, Level.SERVICE)
    recorded.set(PROPERTY_NUMBER, visible_string("1"))
    meter.meter.settings.property_number = "00000000"
    thief = Hands(meter, world.person(Level.SERVICE), Level.SERVICE)
    answers = [answer for apdu in recorded.sent for answer in thief.raw(apdu)]
    assert meter.meter.settings.property_number == "00000000"
    assert log(meter, EventCode.AUTHENTICATED) == 1
    assert not set(answers[PASS_3:]) & set(recorded.got[PASS_3:])


def test_row_37_a_meters_proof_from_a_recorded_session_is_refused(world, meter):
    config = world.person(Level.SERVICE)
    recorded = Hands(meter, config, Level.SERVICE).associate()
    victim = Hands(meter, config, Level.SERVICE)
    victim.alter_answer = lambda apdu: recorded.got[PASS_3] if len(victim.got) == PASS_3 + 1 else apdu
    assert isinstance(refused(victim.associate), MeterNotTrusted | AssociationRefused | SecurityError)
    assert not victim.client.is_associated


def swap_key(apdu, world):
    """Put another ephemeral public key in the place of the first one in an offer; the signature stays."""
    numbers = world.key().public_key().public_numbers()
    width = 32
    point = numbers.x.to_bytes(width, "big") + numbers.y.to_bytes(width, "big")
    # An offer is an octet-string of public key and signature, 128 octets in suite 1: tag 09, length 81 80.
    at = apdu.index(bytes.fromhex("098180")) + 3
    return apdu[:at] + point + apdu[at + 2 * width :]


def test_row_38_an_ephemeral_key_of_the_client_exchanged_on_the_way_is_refused(world, meter):
    hands = Hands(meter, world.person(Level.SERVICE), Level.SERVICE).associate()
    hands.alter = lambda apdu: swap_key(apdu, world)
    assert isinstance(refused(hands.agree), MeterlinkError)
    assert not hands.client.is_protected
    hands.alter = lambda apdu: apdu
    assert log(meter, EventCode.MESSAGE_REFUSED) == 1


def test_row_38_an_ephemeral_key_of_the_meter_exchanged_on_the_way_is_refused(world, meter):
    hands = Hands(meter, world.person(Level.SERVICE), Level.SERVICE).associate()
    hands.alter_answer = lambda apdu: swap_key(apdu, world)
    assert isinstance(refused(hands.agree), SecurityError)
    assert not hands.client.is_protected


def test_row_39_a_plain_apdu_after_key_agreement_is_refused_and_the_session_closed(world, meter):
    hands = connect(world, meter, Level.SERVICE)
    answers = hands.raw(PLAIN_GET)
    assert not any(answer[:1] == b"\xc4" for answer in answers)
    assert log(meter, EventCode.MESSAGE_REFUSED) == 1
    assert hands.raw(hands.client.get(ENERGY)) == []  # the keys are gone, the right ones do not help any more


def test_row_39_a_plain_apdu_between_proof_and_key_agreement_is_refused(world, meter):
    hands = Hands(meter, world.person(Level.SERVICE), Level.SERVICE).associate()
    answers = hands.raw(PLAIN_GET)
    assert not any(answer[:1] == b"\xc4" for answer in answers)
    assert log(meter, EventCode.MESSAGE_REFUSED) == 1


DOWNGRADES = {
    "context without ciphering": {"ciphering": None},
    "no mechanism": {"mechanism": Mechanism.NONE, "keys": KEYS},
    "password": {"mechanism": Mechanism.LOW, "secret": b"12345678", "keys": KEYS},
    "GMAC": {"mechanism": Mechanism.GMAC, "keys": KEYS},
    "SHA-256": {"mechanism": Mechanism.SHA256, "secret": b"12345678", "keys": KEYS},
    "keys of its own": {"keys": KEYS},
    "suite 2": {"suite": Suite.SUITE_2, "keys": KeySet(bytes(32), bytes(32))},
}


@pytest.mark.parametrize("downgrade", DOWNGRADES)
def test_row_39_a_downgrade_of_context_mechanism_or_suite_is_refused(world, meter, downgrade):
    config = replace(world.person(Level.SERVICE), send_counter=SendCounter(), **DOWNGRADES[downgrade])
    hands = Hands(meter, config, Level.SERVICE)
    refused(lambda: hands.connect().get(ENERGY))
    assert not any(apdu[:1] == b"\xc4" for apdu in hands.got)
    assert serves(meter, world)


def test_row_39_a_request_that_was_downgraded_on_the_way_is_refused(world, meter):
    hands = Hands(meter, world.person(Level.SERVICE), Level.SERVICE)

    def downgrade(apdu):
        if apdu[:1] != b"\x60":
            return apdu
        return replace(Aarq.from_bytes(apdu), context=Context.LOGICAL_NAMES, mechanism=Mechanism.NONE).to_bytes()

    hands.alter = downgrade
    assert isinstance(refused(hands.associate), MeterlinkError)
    assert log(meter, EventCode.AUTHENTICATED) == 0


def test_row_39_an_answer_that_was_downgraded_on_the_way_is_refused_by_the_client(world, meter):
    for changes in ({"mechanism": Mechanism.NONE}, {"context": Context.LOGICAL_NAMES}, {"mechanism": Mechanism.GMAC}):
        hands = Hands(meter, world.person(Level.SERVICE), Level.SERVICE)
        hands.alter_answer = lambda apdu, changes=changes: replace(Aare.from_bytes(apdu), **changes).to_bytes()
        refused(hands.associate)
        assert len(hands.sent) == 1
        assert not hands.client.is_associated


def test_row_39_a_plain_answer_after_key_agreement_is_refused_by_the_client(world, meter):
    hands = connect(world, meter, Level.SERVICE)
    hands.alter_answer = lambda apdu: bytes.fromhex("c401c1000600000001")
    assert isinstance(refused(hands.get, ENERGY), SecurityError)


def test_row_40_a_recorded_protected_apdu_played_again_is_refused(world, meter):
    hands = connect(world, meter, Level.SERVICE)
    hands.set(PROPERTY_NUMBER, visible_string("1"))
    write = hands.sent[-1]
    hands.set(PROPERTY_NUMBER, visible_string("2"))
    answers = hands.raw(write)
    assert meter.meter.settings.property_number == "00000002"
    assert not any(answer[:1] == b"\xcd" for answer in answers)  # no glo-set-response
    assert log(meter, EventCode.MESSAGE_REFUSED) == 1
    assert hands.raw(hands.client.get(SERIAL)) == []  # and the session is over


def test_row_40_counters_out_of_order_are_refused(world, meter):
    hands = connect(world, meter, Level.CONSUMER)
    sealed = [hands.client._channel.seal(PLAIN_GET) for _ in range(2)]
    (answer,) = hands.raw(sealed[1])
    assert answer[:1] == b"\xcc"  # glo-get-response
    answers = hands.raw(sealed[0])
    assert not any(answer[:1] == b"\xcc" for answer in answers)
    assert log(meter, EventCode.MESSAGE_REFUSED) == 1


def test_row_40_one_bit_changed_anywhere_is_refused(world, meter):
    template = connect(world, meter, Level.SERVICE)
    length = len(template.client.set((PROPERTY_NUMBER, visible_string("9"))))
    for bit in range(length * 8):
        hands = connect(world, meter, Level.SERVICE)
        apdu = bytearray(hands.client.set((PROPERTY_NUMBER, visible_string("9"))))
        apdu[bit // 8] ^= 1 << bit % 8
        answers = hands.raw(bytes(apdu))
        assert meter.meter.settings.property_number == "00000000", f"bit {bit}"
        assert not any(answer[:1] == b"\xcd" for answer in answers), f"bit {bit}"


def test_row_40_one_bit_changed_in_an_answer_never_yields_a_value(world, meter):
    hands = connect(world, meter, Level.CONSUMER)
    hands.get(ENERGY)
    for bit in range(len(hands.got[-1]) * 8):
        victim = connect(world, meter, Level.CONSUMER)

        def flip(apdu, bit=bit):
            altered = bytearray(apdu)
            altered[bit // 8] ^= 1 << bit % 8
            return bytes(altered)

        victim.alter_answer = flip
        assert isinstance(refused(victim.get, ENERGY), SecurityError | MeterlinkError), f"bit {bit}"


def test_row_41_the_meters_own_title_and_certificate_sent_back_to_it_are_refused(world, meter):
    key = world.key()
    config = world.config(METER_TITLE, meter.identity.certificate, key)
    assert isinstance(refused(Hands(meter, config, Level.SERVICE).associate), AssociationRefused)


def test_row_41_the_meters_own_challenge_sent_back_to_it_is_refused(world, meter):
    """The attacker has no key: it lets the meter sign its own challenge in a second association."""
    config = world.person(Level.SERVICE)
    first = Hands(meter, replace(config, signer=world.key()), Level.SERVICE)
    answer = Aare.from_bytes(first.raw(first.client.open())[0])
    second = Hands(meter, config, Level.SERVICE)
    reflected = replace(Aarq.from_bytes(second.client.open()), secret=answer.challenge)
    second.raw(reflected.to_bytes())
    assert log(meter, EventCode.AUTHENTICATED) == 0


def test_row_41_the_clients_own_messages_sent_back_to_it_are_refused(world, meter):
    config = world.person(Level.SERVICE)
    hands = Hands(meter, config, Level.SERVICE)
    request = Aarq.from_bytes(hands.client.open())
    hands = Hands(meter, config, Level.SERVICE)

    def reflect(apdu):
        own = Aarq.from_bytes(hands.sent[0])
        return replace(
            Aare.from_bytes(apdu), system_title=own.system_title, certificate=own.certificate, challenge=own.secret
        ).to_bytes()

    hands.alter_answer = reflect
    refused(hands.associate)
    assert request.system_title == CLIENT_TITLE
    assert len(hands.sent) == 1
    assert not hands.client.is_associated


def test_row_41_a_protected_request_sent_back_as_its_answer_is_refused(world, meter):
    hands = connect(world, meter, Level.SERVICE)
    hands.alter_answer = lambda apdu: hands.sent[-1]
    assert isinstance(refused(hands.get, ENERGY), SecurityError | MeterlinkError)


def test_row_42_a_revoked_certificate_is_refused_by_a_meter_that_has_the_list(world, meter):
    config = world.person(Level.SERVICE)
    Hands(meter, config, Level.SERVICE).connect()
    identity = meter.identity
    revoked = world.revoke(config.certificate)
    meter.replace_identity(replace(identity, domain=identity.domain.with_crl(revoked)))
    assert isinstance(refused(Hands(meter, config, Level.SERVICE).associate), AssociationRefused)
    assert serves(meter, world)
