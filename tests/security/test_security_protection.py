"""Protection of APDUs: what comes out is what went in, and nothing else comes out."""

from __future__ import annotations

import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.errors import LocalProtocolError, ProtocolError, SecurityError
from meterlink.security.ciphered import Ciphering, can_be_specific, is_ciphered, unwrap, wrap
from meterlink.security.control import SecurityControl, SecurityPolicy
from meterlink.security.counters import MAX_COUNTER, MemoryCounterStore, ReceiveCounter, SendCounter
from meterlink.security.hls import Exchange, GmacProof, Mechanism, SecretProof
from meterlink.security.key_wrap import unwrap_key, wrap_key
from meterlink.security.keys import KeyRole, KeySet, Secret
from meterlink.security.octets import length_to_bytes, octet_string, read_length, read_octet_string
from meterlink.security.protection import seal, unseal
from meterlink.security.session import SecureSession
from meterlink.security.suites import Suite, suite_for_curve

CLIENT, SERVER = b"MLTclien", b"MLTmeter"
GET = bytes.fromhex("C001C100080000010000FF0200")

suites = st.sampled_from(Suite)
controls = st.builds(SecurityControl, suites, st.booleans(), st.booleans(), st.booleans())
apdus = st.builds(
    lambda tag, rest: bytes((tag,)) + rest,
    st.sampled_from([0xC0, 0xC1, 0xC3, 0xC4, 0xC7, 0x01, 0x08]),
    st.binary(max_size=200),
)


def keys_for(suite: Suite, seed: int = 0) -> KeySet:
    size = suite.key_length
    return KeySet(*(bytes((seed + index,)) * size for index in range(5)))


def sessions(
    suite: Suite = Suite.SUITE_0, ciphering: Ciphering = Ciphering.GLOBAL
) -> tuple[SecureSession, SecureSession]:
    control = SecurityControl(suite)
    return (
        SecureSession(keys_for(suite), CLIENT, SERVER, control, ciphering),
        SecureSession(keys_for(suite), SERVER, CLIENT, control, ciphering),
    )


@given(apdus, controls, st.sampled_from(Ciphering), st.integers(0, MAX_COUNTER))
def test_round_trip(apdu: bytes, control: SecurityControl, ciphering: Ciphering, counter: int) -> None:
    keys = keys_for(control.suite)
    data = wrap(apdu, ciphering=ciphering, control=control, system_title=CLIENT, counter=counter, keys=keys)
    assert is_ciphered(data)
    opened = unwrap(data, system_title=CLIENT, keys=keys)
    assert (opened.apdu, opened.control, opened.counter, opened.ciphering) == (apdu, control, counter, ciphering)
    assert opened.system_title == CLIENT
    if control.encrypted and len(apdu) > 8:
        assert apdu not in data


@given(apdus, suites, st.booleans(), st.sampled_from(Ciphering), st.data())
def test_a_flipped_bit_never_yields_an_apdu(
    apdu: bytes, suite: Suite, encrypted: bool, ciphering: Ciphering, data: st.DataObject
) -> None:
    keys = keys_for(suite)
    control = SecurityControl(suite, authenticated=True, encrypted=encrypted)
    good = wrap(apdu, ciphering=ciphering, control=control, system_title=CLIENT, counter=7, keys=keys)
    bit = data.draw(st.integers(0, 8 * len(good) - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    theirs = SecureSession(keys, SERVER, CLIENT, control, ciphering)
    with pytest.raises(ProtocolError):
        theirs.open(bytes(bad))
    assert theirs.open(good).apdu == apdu  # and nothing was changed by the refusal


@given(st.binary(max_size=60))
def test_junk_raises_only_our_error(data: bytes) -> None:
    _, theirs = sessions()
    for junk in (data, bytes((0xC8,)) + octet_string(data), bytes((0xDB, 8)) + CLIENT + octet_string(data)):
        with pytest.raises(ProtocolError):
            theirs.open(junk)


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("ciphering", Ciphering)
def test_both_ways(suite: Suite, ciphering: Ciphering) -> None:
    ours, theirs = sessions(suite, ciphering)
    for _ in range(3):
        assert theirs.open(ours.protect(GET)).apdu == GET
        assert ours.open(theirs.protect(b"\xc4answer")).apdu == b"\xc4answer"


def test_a_replayed_message_is_refused() -> None:
    ours, theirs = sessions()
    first, second = ours.protect(GET), ours.protect(GET)
    theirs.open(second)
    for old in (first, second):
        with pytest.raises(SecurityError) as caught:
            theirs.open(old)
        assert caught.value.code == "replay"
    assert theirs.open(ours.protect(GET)).counter == 2


def test_a_reflected_message_is_refused() -> None:
    ours, _ = sessions()
    with pytest.raises(SecurityError) as caught:
        ours.open(ours.protect(GET))
    assert caught.value.code == "tag"
    ours, _ = sessions(ciphering=Ciphering.GENERAL_GLOBAL)
    with pytest.raises(SecurityError) as caught:
        ours.open(ours.protect(GET))
    assert caught.value.code == "system-title"
    mirror = SecureSession(keys_for(Suite.SUITE_0), CLIENT, CLIENT)
    with pytest.raises(SecurityError) as caught:
        mirror.open(mirror.protect(GET))
    assert caught.value.code == "reflected"


@pytest.mark.parametrize(
    "plain", [GET, b"\xc4\x01\x81\x00\x00", b"\x0f\x00", b"\xd8\x01\x01", b"", b"\xdd\x00", b"\xdf"]
)
def test_a_plain_message_is_refused(plain: bytes) -> None:
    _, theirs = sessions()
    with pytest.raises(SecurityError) as caught:
        theirs.open(plain)
    assert caught.value.code == "unprotected"


@pytest.mark.parametrize(
    "weaker",
    [
        SecurityControl(Suite.SUITE_1, authenticated=False, encrypted=True),
        SecurityControl(Suite.SUITE_1, authenticated=True, encrypted=False),
        SecurityControl(Suite.SUITE_1, authenticated=False, encrypted=False),
        SecurityControl(Suite.SUITE_0),
    ],
    ids=str,
)
def test_a_weaker_protection_is_refused(weaker: SecurityControl) -> None:
    ours, theirs = sessions(Suite.SUITE_1)
    with pytest.raises(SecurityError) as caught:
        theirs.open(ours.protect(GET, weaker))
    assert caught.value.code == "downgrade"
    assert theirs.receive[KeyRole.UNICAST].least == 0


def test_a_message_without_protection_moves_no_counter() -> None:
    nothing = SecurityControl(Suite.SUITE_1, authenticated=False, encrypted=False)
    ours, theirs = sessions(Suite.SUITE_1)
    theirs.least = nothing
    forged = wrap(
        GET,
        ciphering=Ciphering.GLOBAL,
        control=nothing,
        system_title=CLIENT,
        counter=0xFFFFFFFF,
        keys=keys_for(Suite.SUITE_1),
    )
    assert theirs.open(forged).apdu == GET
    assert theirs.open(ours.protect(GET)).apdu == GET


def test_another_suite_is_refused_before_its_key_is_used() -> None:
    _, theirs = sessions(Suite.SUITE_1)
    message = wrap(
        GET,
        ciphering=Ciphering.GLOBAL,
        control=SecurityControl(Suite.SUITE_2),
        system_title=CLIENT,
        counter=0,
        keys=keys_for(Suite.SUITE_2),
    )
    with pytest.raises(SecurityError) as caught:
        theirs.open(message)
    assert caught.value.code == "no-key"


def test_the_service_inside_must_be_the_one_outside() -> None:
    ours, theirs = sessions()
    message = bytearray(ours.protect(GET))
    message[0] = 0xC9
    with pytest.raises(SecurityError) as caught:
        theirs.open(bytes(message))
    assert caught.value.code == "service-mismatch"


def test_a_service_without_its_own_form_travels_in_the_general_one() -> None:
    ours, theirs = sessions()
    notification = b"\x0f\x00\x00\x00\x01"
    assert not can_be_specific(notification)
    message = ours.protect(notification)
    assert message[0] == 0xDB
    assert theirs.open(message).apdu == notification
    with pytest.raises(LocalProtocolError):
        wrap(
            notification,
            ciphering=Ciphering.GLOBAL,
            control=SecurityControl(),
            system_title=CLIENT,
            counter=0,
            keys=ours.keys,
        )


def test_keys_count_separately() -> None:
    ours, theirs = sessions()
    broadcast = SecurityControl(Suite.SUITE_0, broadcast=True)
    ours.send.advance(50)
    assert theirs.open(ours.protect(GET)).counter == 50
    low = wrap(GET, ciphering=Ciphering.GLOBAL, control=broadcast, system_title=CLIENT, counter=3, keys=ours.keys)
    assert theirs.open(low).counter == 3
    with pytest.raises(SecurityError, match="replay"):
        theirs.open(low)


def test_missing_keys() -> None:
    keys = KeySet(bytes(16), bytes(16))
    ours = SecureSession(keys, CLIENT, SERVER, ciphering=Ciphering.DEDICATED)
    with pytest.raises(LocalProtocolError):
        ours.protect(GET)
    full = SecureSession(keys_for(Suite.SUITE_0), SERVER, CLIENT, ciphering=Ciphering.DEDICATED)
    with pytest.raises(SecurityError) as caught:
        ours.open(full.protect(GET))
    assert caught.value.code == "no-key"
    assert keys.with_dedicated(bytes(16)).dedicated == bytes(16)
    with pytest.raises(LocalProtocolError):
        SecureSession(keys, CLIENT, SERVER, SecurityControl(Suite.SUITE_2)).protect(GET)
    with pytest.raises(LocalProtocolError):
        SecureSession(keys, b"short", SERVER).protect(GET)
    with pytest.raises(LocalProtocolError):
        ours.protect(GET, SecurityControl(compressed=True))


def test_compression_is_refused() -> None:
    ours, theirs = sessions()
    message = bytearray(ours.protect(GET))
    message[2] |= 0x80
    with pytest.raises(SecurityError) as caught:
        theirs.open(bytes(message))
    assert caught.value.code == "no-key"


@pytest.mark.parametrize("lengths", [(16, 32), (15, 15), (24, 24), (0, 0), (16, 16, 32)])
def test_keys_of_wrong_lengths(lengths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        KeySet(*(bytes(length) for length in lengths))


def test_no_key_is_shown_anywhere() -> None:
    an_exchange = Exchange(CLIENT, SERVER, bytes(8), bytes(range(8)))
    secret = Secret(b"TopSecretTopSecr")
    keys = KeySet(secret, secret, secret, secret, secret)
    session = SecureSession(keys, CLIENT, SERVER)
    session.protect(GET)
    shown = [repr(keys), str(keys), f"{keys}", f"{keys.unicast!r} {keys.unicast!s} {keys.unicast}", repr(session)]
    for call in (
        lambda: session.open(session.protect(GET)),
        lambda: unseal(bytes(40), system_title=CLIENT, keys=keys),
        lambda: unseal(b"\x30" + bytes(40), system_title=CLIENT, keys=keys, header=b"header"),
        lambda: unwrap_key(keys.unicast, bytes(24)),
        lambda: SecretProof(Mechanism.SHA256, secret).check(an_exchange, b"wrong"),
        lambda: GmacProof(Suite.SUITE_0, keys, SendCounter()).check(an_exchange, bytes(17)),
        lambda: SendCounter(MAX_COUNTER + 1).next(),
    ):
        try:
            call()
        except SecurityError as error:
            # with the local variables of every frame, as a crash report would print them
            shown.append("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
    assert len(shown) > 10
    for text in shown:
        assert "TopSecret" not in text
        assert bytes(secret).hex() not in text
    with pytest.raises(TypeError):
        pickle.dumps(keys.unicast)
    assert Secret(b"abc") == b"abc"


@given(st.integers(0, 255))
def test_security_control_byte(byte: int) -> None:
    if byte & 0x0F > 2:
        with pytest.raises(SecurityError, match="suite-unknown"):
            SecurityControl.from_byte(byte)
    else:
        assert SecurityControl.from_byte(byte).to_byte() == byte


def test_security_policy() -> None:
    policy = (
        SecurityPolicy.AUTHENTICATED_REQUEST | SecurityPolicy.ENCRYPTED_REQUEST | SecurityPolicy.AUTHENTICATED_RESPONSE
    )
    assert policy == 0x2C
    assert policy.least_request(Suite.SUITE_1) == SecurityControl(Suite.SUITE_1)
    assert policy.least_response(Suite.SUITE_1) == SecurityControl(Suite.SUITE_1, encrypted=False)


def test_a_counter_never_repeats_across_kills() -> None:
    store = MemoryCounterStore()
    seen: set[int] = set()
    for run in range(20):
        counter = SendCounter(store=store, name="meter 1", block=8)
        for _ in range(run):  # the process dies here, without a word
            value = counter.next()
            assert value not in seen
            assert not seen or value > max(seen)
            seen.add(value)
    assert SendCounter(store=store, name="meter 2").next() == 0


def test_two_clients_of_one_store_get_different_counters() -> None:
    store = MemoryCounterStore()
    one, two = (SendCounter(store=store, name="meter", block=4) for _ in range(2))
    values = [counter.next() for _ in range(10) for counter in (one, two)]
    assert len(set(values)) == 20


def test_a_counter_goes_on_where_the_meter_says() -> None:
    store = MemoryCounterStore()
    counter = SendCounter(store=store, name="meter", block=4)
    assert counter.next() == 0
    counter.advance(1000)
    assert [counter.next() for _ in range(6)] == [1000, 1001, 1002, 1003, 1004, 1005]
    counter.advance(5)
    assert counter.next() == 1006
    assert SendCounter(store=store, name="meter").next() == 1008


def test_a_counter_ends() -> None:
    for counter in (SendCounter(MAX_COUNTER), SendCounter(MAX_COUNTER, store=MemoryCounterStore())):
        assert counter.next() == MAX_COUNTER
        with pytest.raises(SecurityError) as caught:
            counter.next()
        assert caught.value.code == "counter-exhausted"


def test_a_received_counter_must_grow() -> None:
    counter = ReceiveCounter(5)
    for value in (5, 6, 100):
        counter.accept(value)
    for old in (0, 6, 100):
        with pytest.raises(SecurityError):
            counter.accept(old)
    assert counter.least == 101


@given(st.binary(min_size=5, max_size=300))
def test_unseal_never_raises_anything_else(data: bytes) -> None:
    for suite in Suite:
        try:
            unseal(data, system_title=CLIENT, keys=keys_for(suite))
        except SecurityError:
            continue
        assert not data[0] & 0x10, "nothing authenticated verifies by chance"


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_the_header_is_authenticated(plain: bytes, header: bytes) -> None:
    keys = keys_for(Suite.SUITE_1)
    control = SecurityControl(Suite.SUITE_1)
    sealed = seal(plain, control=control, system_title=CLIENT, counter=1, keys=keys, header=header)
    assert unseal(sealed, system_title=CLIENT, keys=keys, header=header)[0] == plain
    with pytest.raises(SecurityError):
        unseal(sealed, system_title=CLIENT, keys=keys, header=header + b"\0")


@given(st.integers(0, 2**32 - 1))
def test_lengths(length: int) -> None:
    data = length_to_bytes(length)
    assert read_length(data, 0) == (length, len(data))


@given(st.binary(max_size=10))
def test_lengths_from_junk(data: bytes) -> None:
    try:
        content, end = read_octet_string(data, 0)
    except ProtocolError:
        return
    assert end <= len(data)
    assert data[end - len(content) : end] == content


def test_wrapped_keys() -> None:
    for size in (16, 32):
        wrapped = wrap_key(bytes(size), b"k" * size)
        assert unwrap_key(bytes(size), wrapped) == b"k" * size
        for bad in (wrapped[:-1], wrapped[:-1] + bytes((wrapped[-1] ^ 1,)), b"", b"x"):
            with pytest.raises(SecurityError) as caught:
                unwrap_key(bytes(size), bad)
            assert caught.value.code == "key-wrap"


def test_suites() -> None:
    assert [suite.key_length for suite in Suite] == [16, 16, 32]
    assert (Suite.SUITE_1.signature_length, Suite.SUITE_2.signature_length) == (64, 96)
    for suite in (Suite.SUITE_1, Suite.SUITE_2):
        assert suite_for_curve(suite.curve) is suite
    with pytest.raises(ValueError):
        _ = Suite.SUITE_0.curve
