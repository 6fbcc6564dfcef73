"""Whatever bytes reach the meter: it never raises, and it goes on serving."""

import pytest
from hil_hands import CLOCK, PROPERTY_NUMBER, SERIAL, Hands, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certs.levels import Level
from meterlink.cosem.apdu import decode
from meterlink.cosem.association import AssociationConfig

WORLD = World()
METER = WORLD.meter()
SERVICE = WORLD.person(Level.SERVICE)
ONCE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def serves():
    return Hands(METER, SERVICE, Level.SERVICE).connect().get(SERIAL).value == "00004711"


@pytest.mark.parametrize("end", ["hdlc_line", "wrapper_connection"])
@given(pieces=st.lists(st.binary(max_size=300), max_size=8))
@ONCE
def test_any_bytes_on_a_line(end, pieces):
    line = getattr(METER, end)()
    for number, piece in enumerate(pieces):
        line.receive(piece, float(number))
    line.handle_timer(1_000.0)
    line.closed(1_001.0)


@given(apdus=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=6), sap=st.sampled_from([16, 32, 36]))
@ONCE
def test_any_messages_before_an_association(apdus, sap):
    hands = Hands(METER, AssociationConfig(), sap=sap)
    for apdu in apdus:
        assert all(answer[:1] != b"\xc4" for answer in hands.raw(apdu))


# The beginning of a service request makes it past the first octet of the decoder.
REQUESTS = st.tuples(
    st.sampled_from(
        [b"\xc0\x01\xc1", b"\xc0\x03\xc1", b"\xc1\x01\xc1", b"\xc1\x02\xc1", b"\xc3\x01\xc1", b"\xc3\x03\xc1", b""]
    ),
    st.binary(min_size=1, max_size=120),
).map(b"".join)


@given(requests=st.lists(REQUESTS, min_size=1, max_size=5))
@ONCE
def test_any_protected_messages_in_an_association(requests):
    hands = Hands(METER, SERVICE, Level.SERVICE).connect()
    for request in requests:
        for answer in hands.raw(hands.client._channel.seal(request)):
            # A whole APDU under the keys, or an exception response, which may go without.
            decode(answer if answer[:1] == b"\xd8" else hands.client._channel.open(answer))
    assert serves()


@given(position=st.integers(0, 2000), octet=st.integers(0, 255))
@ONCE
def test_an_association_request_with_one_octet_changed(position, octet):
    hands = Hands(WORLD.meter(), SERVICE, Level.SERVICE)
    request = bytearray(hands.client.open())
    request[position % len(request)] = octet
    for answer in hands.raw(bytes(request)):
        assert answer[:1] in {b"\x61", b"\xd8"}  # an association response or an exception


def test_attributes_of_every_number_are_answered():
    hands = Hands(METER, SERVICE, Level.SERVICE).connect()
    for index in range(-128, 128):
        request = b"\xc0\x01\xc1" + CLOCK.class_id.to_bytes(2, "big") + CLOCK.instance.to_bytes()
        (answer,) = hands.raw(hands.client._channel.seal(request + bytes((index & 0xFF, 0))))
        decode(hands.client._channel.open(answer))
    assert hands.get(PROPERTY_NUMBER).value == "00000000"
