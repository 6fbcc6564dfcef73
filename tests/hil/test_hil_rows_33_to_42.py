"""What the simulated meter refuses by itself, row by row: rights, certificates, proofs, keys, messages.

Every attack comes from a client without a gate, driven by hand.
"""

import datetime as dt
import itertools
from dataclasses import replace

import pytest
from hil_hands import (
    CLIENT_TITLE,
    CLOCK,
    ENERGY,
    LEVELS,
    METER_TITLE,
    OBJECT_LIST,
    PROPERTY_NUMBER,
    SERIAL,
    START,
    TEST_MODE,
    Hands,
    World,
    log,
)

from certs.levels import Level, Permission
from hil.faults.certificates import Untrusted, untrusted_meter
from hil.meter.eventlog import EventCode
from meterlink.cosem.acse import Aare, Aarq, Context
from meterlink.cosem.association import AssociationConfig
from meterlink.cosem.data import date_time_octets, u16, visible_string
from meterlink.cosem.dates import CosemDateTime
from meterlink.errors import AssociationRefused, MeterlinkError, MeterNotTrusted, MeterRefused, SecurityError
from meterlink.security.counters import SendCounter
from meterlink.security.hls import Mechanism
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite

OTHER_TITLE = bytes.fromhex("AABBCCDDEEFF0002")
NEW_TIME = dt.datetime(2026, 12, 24, 18, 30, tzinfo=dt.UTC)
KEYS = KeySet(bytes(range(16)), bytes(range(16, 32)))


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture
def meter(world):
    return world.meter()


def connect(world, meter, level, **options):
    return Hands(meter, world.person(level), level, **options).connect()


def refused(action, *args):
    """Run ``action``; return the error that says that the meter would not."""
    with pytest.raises(MeterlinkError) as caught:
        action(*args)
    return caught.value


def is_plain(apdu):
    """Whether an APDU that is no part of opening or releasing goes unprotected."""
    return apdu[0] in (0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7)


def serves(meter, world):
    """The meter goes on serving a rightful client."""
    return connect(world, meter, Level.CONSUMER).get(SERIAL).value == "00004711"


@pytest.mark.parametrize("suite", [1, 2])
def test_a_certificate_session_reads_and_writes_with_everything_protected(suite):
    world = World(suite)
    meter = world.meter()
    hands = connect(world, meter, Level.COMMISSIONING)
    agreed = len(hands.sent)
    assert hands.get(SERIAL).value == "00004711"
    assert hands.get(ENERGY).value == int(meter.meter.metrology.totals.energy)
    hands.set(CLOCK, date_time_octets(CosemDateTime.of(NEW_TIME)))
    assert hands.get(CLOCK).as_date_time().as_datetime() == NEW_TIME
    assert len(hands.get(OBJECT_LIST).as_items()) > 30
    assert not any(is_plain(apdu) for apdu in hands.sent[agreed:] + hands.got[agreed:])
    assert log(meter, EventCode.AUTHENTICATED) == 1


@pytest.mark.parametrize("level", LEVELS)
def test_row_33_a_command_above_the_certificates_level_is_denied_by_the_meter(world, meter, level):
    hands = connect(world, meter, level)
    denied = 0
    for permission, command in (
        (Permission.READ, lambda: hands.get(ENERGY)),
        (Permission.CONFIGURE, lambda: hands.set(PROPERTY_NUMBER, visible_string("12"))),
        (Permission.TEST, lambda: hands.call(TEST_MODE, u16(1))),
    ):
        if permission in level.permissions:
            command()
        else:
            error = refused(command)
            assert isinstance(error, MeterRefused)
            assert error.code == "read-write-denied"
            denied += 1
    changed = Permission.CONFIGURE in level.permissions
    assert meter.meter.settings.property_number == ("00000012" if changed else "00000000")
    assert meter.meter.settings.test_mode == (Permission.TEST in level.permissions)
    assert log(meter, EventCode.ACCESS_DENIED) == denied


def test_row_33_the_public_client_reads_the_clock_and_nothing_else(meter):
    hands = Hands(meter, AssociationConfig(), sap=16).associate()
    assert hands.get(CLOCK).as_date_time().as_datetime() == START
    assert refused(hands.get, ENERGY).code == "read-write-denied"
    assert refused(hands.set, CLOCK, date_time_octets(CosemDateTime.of(NEW_TIME))).code == "read-write-denied"
    assert meter.meter.clock.read(0.0) == START


@pytest.mark.parametrize(("level", "sap_level"), list(itertools.permutations(LEVELS, 2)))
def test_row_34_a_certificate_of_one_level_on_another_levels_sap_is_refused(world, meter, level, sap_level):
    hands = Hands(meter, world.person(level), sap_level)
    assert isinstance(refused(hands.associate), AssociationRefused)
    assert log(meter, EventCode.ASSOCIATION_REFUSED) == 1
    assert log(meter, EventCode.AUTHENTICATED) == 0


@pytest.mark.parametrize("sap", [1, 17, 20, 31, 37, 102])
def test_row_34_a_sap_that_the_meter_does_not_know_gets_no_answer(world, meter, sap):
    assert refused(Hands(meter, world.person(Level.SERVICE), sap=sap).associate).code == "silence"


def test_row_35_a_certificate_whose_name_is_not_the_system_title_is_refused(world, meter):
    key = world.key()
    mine = world.certificate(key, Level.SERVICE, CLIENT_TITLE)
    hands = Hands(meter, world.config(OTHER_TITLE, mine, key), Level.SERVICE)
    assert isinstance(refused(hands.associate), AssociationRefused)
    assert log(meter, EventCode.ASSOCIATION_REFUSED) == 1


def test_row_35_someone_elses_certificate_without_its_key_is_refused(world, meter):
    theirs = world.certificate(world.key(), Level.SERVICE, CLIENT_TITLE)
    hands = Hands(meter, world.config(CLIENT_TITLE, theirs, world.key()), Level.SERVICE)
    assert isinstance(refused(hands.associate), AssociationRefused)
    assert log(meter, EventCode.AUTHENTICATED) == 0
    assert serves(meter, world)


def test_row_35_no_certificate_at_all_is_refused(world, meter):
    key = world.key()
    config = replace(world.config(CLIENT_TITLE, world.certificate(key, Level.SERVICE), key), certificate=None)
    assert isinstance(refused(Hands(meter, config, Level.SERVICE).associate), AssociationRefused)


@pytest.mark.parametrize("level", [Level.CONSUMER, Level.COMMISSIONING])
@pytest.mark.parametrize("fault", Untrusted)
def test_row_35_a_certificate_with_any_fault_is_refused(world, meter, fault, level):
    if (fault, level) == (Untrusted.CONSUMER_CA, Level.CONSUMER):
        return  # no fault: this CA is there for consumers
    hands = Hands(meter, world.impostor(fault, level), level)
    assert isinstance(refused(hands.associate), AssociationRefused)
    wrong_proof = fault is Untrusted.OTHER_KEY
    assert log(meter, EventCode.AUTHENTICATION_FAILED if wrong_proof else EventCode.ASSOCIATION_REFUSED) == 1
    assert log(meter, EventCode.AUTHENTICATED) == 0


def test_a_consumer_under_the_consumer_ca_reads(world, meter):
    hands = Hands(meter, world.impostor(Untrusted.CONSUMER_CA, Level.CONSUMER), Level.CONSUMER).connect()
    assert hands.get(SERIAL).value == "00004711"


@pytest.mark.parametrize("fault", [*Untrusted, None])
def test_row_36_a_meter_that_is_not_trusted_gets_no_command(world, meter, fault):
    if fault is not None:
        meter.replace_identity(untrusted_meter(fault, world.made, START, METER_TITLE))
    hands = Hands(meter, world.person(Level.SERVICE), Level.SERVICE)
    if fault is None:  # no certificate at all
        hands.alter_answer = lambda apdu: replace(Aare.from_bytes(apdu), certificate=None).to_bytes()
    error = refused(hands.associate)
    assert isinstance(error, MeterNotTrusted | SecurityError)
    assert error.code == ("authentication-failed" if fault is Untrusted.OTHER_KEY else "meter-not-trusted")
    # The association request, and where the certificate is right and its key is not, the proof; never a command.
    assert len(hands.sent) == (2 if fault is Untrusted.OTHER_KEY else 1)
    assert not hands.client.is_associated


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
