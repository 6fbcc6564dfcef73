"""What the simulated meter refuses by itself, row by row: rights and certificates.

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
    connect,
    is_plain,
    log,
    refused,
    serves,
)

from certs.levels import Level, Permission
from hil.faults.certificates import Untrusted, untrusted_meter
from hil.meter.eventlog import EventCode
from meterlink.cosem.acse import Aare
from meterlink.cosem.association import AssociationConfig
from meterlink.cosem.data import date_time_octets, u16, visible_string
from meterlink.cosem.dates import CosemDateTime
from meterlink.errors import AssociationRefused, MeterNotTrusted, MeterRefused, SecurityError

OTHER_TITLE = bytes.fromhex("AABBCCDDEEFF0002")
NEW_TIME = dt.datetime(2026, 12, 24, 18, 30, tzinfo=dt.UTC)


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
