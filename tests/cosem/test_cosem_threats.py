"""What must be refused in an association, by client and server (THREATS, rows 34 to 41 and 45)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cosem_pair import (
    CLIENT_CERTIFICATE,
    CLIENT_TITLE,
    SERVER_CERTIFICATE,
    SERVER_TITLE,
    Pair,
    certificate_configs,
    private_key,
    shared_configs,
    trusting,
)
from cryptography.hazmat.primitives.asymmetric import ec

from meterlink.cosem import apdu
from meterlink.cosem import data as cosem
from meterlink.cosem.acse import Aare, Aarq, AssociationResult, Context, Diagnostic
from meterlink.cosem.apdu.action import ActionRequestNormal, ActionResponseNormal
from meterlink.cosem.apdu.get import GetRequestNormal, GetResponseNormal
from meterlink.cosem.association import (
    Associated,
    Ciphering,
    Closed,
    GetIndication,
    KeysAgreed,
    Mechanism,
    Refused,
    Send,
    State,
)
from meterlink.cosem.association.agreement import key_agreement, offers_to_data
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute
from meterlink.cosem.results import ActionResponse, ActionResult
from meterlink.errors import AssociationRefused, MeterNotTrusted, ProtocolError, SecurityError
from meterlink.security.control import SecurityControl
from meterlink.security.key_agreement import EphemeralAgreement
from meterlink.security.keys import KeyId, KeySet
from meterlink.security.session import SecureSession
from meterlink.security.suites import Suite
from meterlink.values import Obis

VALUE = Attribute(1, Obis(0, 0, 96, 1, 0), 2)
GET = GetRequestNormal(0xC1, VALUE).to_bytes()


def refusal(pair: Pair) -> str:
    """The code of the last refusal of the server."""
    return [event for event in pair.server_events if isinstance(event, Refused)][-1].code


def agreed() -> Pair:
    """A session with certificates, keys agreed on, with a value to read."""
    pair = Pair(*certificate_configs())
    pair.open(agree=True)
    pair.store.set(VALUE, cosem.u32(123456))
    return pair


# Rows 34 and 35: what the judge of the client's certificate refuses, and a certificate without its key.


def test_34_a_client_that_the_judge_refuses_gets_no_association() -> None:
    client, server = certificate_configs()
    somebody_else = trusting(b"somebody", b"else", private_key("x", Suite.SUITE_1).public_key())
    pair = Pair(client, replace(server, verify_peer=somebody_else))
    with pytest.raises(AssociationRefused) as caught:
        pair.open()
    assert caught.value.code == "authentication-failure"
    assert refusal(pair) == "meter-not-trusted"
    assert pair.server.state is State.IDLE


def test_35_a_certificate_without_its_key_is_refused() -> None:
    client, server = certificate_configs()
    pair = Pair(replace(client, signer=private_key("thief", Suite.SUITE_1)), server)
    with pytest.raises(AssociationRefused) as caught:
        pair.open()
    assert caught.value.code == "authentication-failure"
    assert refusal(pair) == "authentication-failed"
    assert not any(isinstance(event, Associated) for event in pair.server_events)


def test_35_a_title_that_is_not_the_certificates_is_refused() -> None:
    client, server = certificate_configs()
    pair = Pair(replace(client, system_title=b"MLKOTHER"), server)
    with pytest.raises(AssociationRefused):
        pair.open()


# Row 36: the meter.


@pytest.mark.parametrize("certificate", [b"of another domain", None])
def test_36_a_meter_that_the_judge_refuses_gets_no_command(certificate: bytes | None) -> None:
    client, server = certificate_configs()
    pair = Pair(client, replace(server, certificate=certificate))
    with pytest.raises(MeterNotTrusted):
        pair.open()
    assert len(pair.to_server) == 1
    assert pair.client.state is State.CLOSED


def test_36_a_meter_without_the_key_of_its_certificate_gets_no_command() -> None:
    client, server = certificate_configs()
    pair = Pair(client, replace(server, signer=private_key("thief", Suite.SUITE_1)))
    with pytest.raises(MeterNotTrusted) as caught:
        pair.open()
    assert caught.value.code == "authentication-failed"
    assert len(pair.to_server) == 2


def test_36_a_key_of_another_suite_is_refused() -> None:
    client, server = certificate_configs()
    other = private_key("server", Suite.SUITE_2).public_key()
    pair = Pair(replace(client, verify_peer=trusting(SERVER_TITLE, SERVER_CERTIFICATE, other)), server)
    with pytest.raises(SecurityError) as caught:
        pair.open()
    assert caught.value.code == "suite-mismatch"


# Row 37: answers of a recorded session.

MECHANISMS = [Mechanism.MD5, Mechanism.SHA1, Mechanism.GMAC, Mechanism.SHA256, Mechanism.ECDSA]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_37_a_recorded_answer_of_the_client_is_refused(mechanism: Mechanism) -> None:
    pair = Pair(*shared_configs(mechanism))
    pair.open()
    aarq, proof = pair.to_server[:2]
    pair.server.link_lost()
    pair.server_events.clear()
    pair.serve(aarq)
    pair.serve(proof)
    assert refusal(pair) == "authentication-failed"
    assert pair.server.state is State.IDLE
    assert not any(isinstance(event, Associated) for event in pair.server_events)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_37_a_recorded_answer_of_the_meter_is_refused(mechanism: Mechanism) -> None:
    pair = Pair(*shared_configs(mechanism))
    pair.open()
    aare, proof = pair.to_client[:2]
    pair.client.link_lost()
    pair.client.open()
    pair.client.receive(aare)
    # The invoke id is not protected here, so the attacker sets it right.
    request = pair.client._invoke | 0xC0
    with pytest.raises((SecurityError, MeterNotTrusted)) as caught:
        pair.client.receive(proof[:2] + bytes((request,)) + proof[3:])
    assert caught.value.code == "authentication-failed"


# Row 38: an ephemeral key exchanged on the way.


def _forged(pair: Pair, offers: Data, signer: ec.EllipticCurvePrivateKey) -> Data:
    """The offers of somebody who sits in the middle and signs with a key of his own."""
    mine = EphemeralAgreement(
        suite=Suite.SUITE_1, key_ids=(KeyId.UNICAST, KeyId.AUTHENTICATION), signing_key=signer
    ).offers
    return cosem.array(cosem.structure(cosem.enum_(offer.key_id), cosem.octet_string(offer.data)) for offer in mine)


def _swapped(pair: Pair, offers: Data, signer: ec.EllipticCurvePrivateKey) -> Data:
    """The forged public keys with the true signatures."""
    forged = _forged(pair, offers, signer)
    items = []
    for theirs, mine in zip(offers.as_items(), forged.as_items(), strict=True):
        key_id, data = theirs.as_items()
        items.append(
            cosem.structure(key_id, cosem.octet_string(mine.as_items()[1].as_bytes()[:64] + data.as_bytes()[64:]))
        )
    return cosem.array(items)


def _exchanged(pair: Pair, offers: Data, signer: ec.EllipticCurvePrivateKey) -> Data:
    """The key data of both keys exchanged with each other."""
    (first, unicast), (second, authentication) = (item.as_items() for item in offers.as_items())
    return cosem.array([cosem.structure(first, authentication), cosem.structure(second, unicast)])


def _one_missing(pair: Pair, offers: Data, signer: ec.EllipticCurvePrivateKey) -> Data:
    return cosem.array(offers.as_items()[:1])


def _nothing(pair: Pair, offers: Data, signer: ec.EllipticCurvePrivateKey) -> Data:
    return cosem.null()


FORGERIES = [_forged, _swapped, _exchanged, _one_missing, _nothing]
Forgery = Callable[[Pair, Data, ec.EllipticCurvePrivateKey], Data]


@pytest.mark.parametrize("forge", FORGERIES)
def test_38_an_exchanged_ephemeral_key_is_refused_by_the_server(forge: Forgery) -> None:
    pair = Pair(*certificate_configs())
    pair.open()
    request = apdu.decode(pair.client.agree_keys())
    assert isinstance(request, ActionRequestNormal)
    assert request.parameters is not None
    forged = replace(request, parameters=forge(pair, request.parameters, private_key("mitm", Suite.SUITE_1)))
    pair.serve(forged.to_bytes())
    assert refusal(pair) in ("authentication-failed", "key-agreement")
    assert isinstance(pair.server_events[-1], Closed)
    assert pair.server.state is State.CLOSED


@pytest.mark.parametrize("forge", FORGERIES)
def test_38_an_exchanged_ephemeral_key_is_refused_by_the_client(forge: Forgery) -> None:
    pair = Pair(*certificate_configs())
    pair.open()
    response = apdu.decode(pair.serve(pair.client.agree_keys())[0])
    assert isinstance(response, ActionResponseNormal)
    assert isinstance(response.response.data, Data)
    data = forge(pair, response.response.data, private_key("mitm", Suite.SUITE_1))
    forged = replace(response, response=ActionResponse(ActionResult.SUCCESS, data))
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(forged.to_bytes())
    assert caught.value.code in ("authentication-failed", "key-agreement")
    assert pair.client.state is State.CLOSED


def test_38_a_refused_key_agreement_ends_the_association() -> None:
    pair = Pair(*certificate_configs())
    for answer in (bytes((0xD8, 1, 1)), bytes.fromhex("C701C2FA00")):
        pair.client.link_lost()
        pair.server.link_lost()
        pair.open()
        pair.client.agree_keys()
        octets = bytearray(answer)
        if octets[0] == 0xC7:
            octets[2] = 0xC0 | pair.client._invoke
        with pytest.raises(AssociationRefused):
            pair.client.receive(bytes(octets))
        assert pair.client.state is State.CLOSED


# Row 39: plain after agreement, and downgrades.


def test_39_a_plain_request_after_key_agreement_is_refused_and_closes() -> None:
    pair = agreed()
    assert pair.serve(GET) == [bytes((0xD8, 1, 5))]
    assert refusal(pair) == "unprotected"
    assert pair.server.state is State.CLOSED
    assert pair.store.seen == []
    assert pair.serve(pair.client.get(VALUE)) == []


@pytest.mark.parametrize(
    "plain",
    [
        GetResponseNormal(0xC3, cosem.u32(1)).to_bytes(),
        bytes((0xD8, 1, 5)),
        bytes((0x0E, 5, 5, 1)),
        bytes((0x63, 0)),
        apdu.DataNotification(1, None, cosem.u8(1)).to_bytes(),
    ],
)
def test_39_a_plain_answer_after_key_agreement_is_refused_and_closes(plain: bytes) -> None:
    pair = agreed()
    pair.client.get(VALUE)
    with pytest.raises(ProtocolError):
        pair.client.receive(plain)
    assert pair.client.state is State.CLOSED
    assert not pair.client.is_protected


def test_39_a_plain_release_after_key_agreement_is_refused_on_both_sides() -> None:
    pair = agreed()
    pair.serve(bytes((0x62, 0)))
    assert refusal(pair) == "unprotected"
    pair = agreed()
    pair.client.release()
    with pytest.raises(SecurityError):
        pair.client.receive(bytes((0x63, 0)))


def test_39_a_new_aarq_does_not_reach_into_a_protected_association() -> None:
    pair = agreed()
    pair.serve(pair.to_server[0])
    assert refusal(pair) == "unprotected"
    assert pair.server.state is State.CLOSED


CHANGES: dict[str, Callable[[Aare], Aare]] = {
    "context": lambda aare: replace(aare, context=Context.LOGICAL_NAMES),
    "mechanism": lambda aare: replace(aare, mechanism=Mechanism.LOW),
    "no mechanism": lambda aare: replace(aare, mechanism=Mechanism.NONE),
    "no authentication": lambda aare: replace(aare, diagnostic=Diagnostic.NULL),
    "no title": lambda aare: replace(aare, system_title=None),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mechanism", [Mechanism.GMAC, Mechanism.SHA256, Mechanism.ECDSA])
def test_39_a_downgraded_aare_is_refused(change: str, mechanism: Mechanism) -> None:
    pair = Pair(*shared_configs(mechanism, Ciphering.GLOBAL))
    aare = Aare.from_bytes(pair.serve(pair.client.open())[0])
    with pytest.raises((SecurityError, MeterNotTrusted)):
        pair.client.receive(CHANGES[change](aare).to_bytes())
    assert pair.client.state is State.CLOSED


def test_39_a_mechanism_that_was_not_asked_for_is_refused() -> None:
    pair = Pair(*shared_configs(Mechanism.LOW))
    aare = Aare.from_bytes(pair.serve(pair.client.open())[0])
    for change in (
        replace(aare, diagnostic=Diagnostic.AUTHENTICATION_REQUIRED),
        replace(aare, mechanism=Mechanism.SHA256),
    ):
        pair.client.link_lost()
        pair.client.open()
        with pytest.raises(SecurityError) as caught:
            pair.client.receive(change.to_bytes())
        assert caught.value.code == "downgrade"


AARQ_CHANGES: dict[str, Callable[[Aarq], Aarq]] = {
    "context": lambda aarq: replace(aarq, context=Context.LOGICAL_NAMES),
    "short names": lambda aarq: replace(aarq, context=Context.SHORT_NAMES_CIPHERED),
    "mechanism": lambda aarq: replace(aarq, mechanism=Mechanism.LOW),
    "no mechanism": lambda aarq: replace(aarq, mechanism=Mechanism.NONE, secret=None),
    "no title": lambda aarq: replace(aarq, system_title=None),
    "short challenge": lambda aarq: replace(aarq, secret=b"1234567"),
}


@pytest.mark.parametrize("change", AARQ_CHANGES)
def test_39_a_downgraded_aarq_is_refused(change: str) -> None:
    pair = Pair(*certificate_configs())
    aarq = Aarq.from_bytes(pair.client.open())
    answer = Aare.from_bytes(pair.serve(AARQ_CHANGES[change](aarq).to_bytes())[0])
    assert answer.result is AssociationResult.REJECTED_PERMANENT
    assert pair.server.state is State.IDLE


def test_39_a_plain_initiate_request_is_refused_where_keys_are_shared() -> None:
    client, server = shared_configs(Mechanism.LOW, Ciphering.GLOBAL)
    plain = shared_configs(Mechanism.LOW)[0]
    pair = Pair(plain, server)
    aarq = replace(Aarq.from_bytes(pair.client.open()), context=client.context, system_title=CLIENT_TITLE)
    answer = Aare.from_bytes(pair.serve(aarq.to_bytes())[0])
    assert answer.result is AssociationResult.REJECTED_PERMANENT
    assert refusal(pair) == "unprotected"


def test_39_a_plain_initiate_response_is_refused_where_keys_are_shared() -> None:
    pair = Pair(*shared_configs(Mechanism.LOW, Ciphering.GLOBAL))
    aare = Aare.from_bytes(pair.serve(pair.client.open())[0])
    plain = apdu.InitiateResponse(pair.server.conformance, 0).to_bytes()
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(replace(aare, user_information=plain).to_bytes())
    assert caught.value.code == "unprotected"


@pytest.mark.parametrize(
    "control",
    [
        SecurityControl(Suite.SUITE_0),
        SecurityControl(Suite.SUITE_1, authenticated=False),
        SecurityControl(Suite.SUITE_1, encrypted=False),
    ],
)
def test_39_less_protection_or_another_suite_is_refused_after_key_agreement(control: SecurityControl) -> None:
    pair = agreed()
    session = pair.client._channel._session
    assert session is not None
    weaker = SecureSession(session.keys, CLIENT_TITLE, SERVER_TITLE, control=control)
    pair.serve(weaker.protect(GET))
    assert refusal(pair) in ("downgrade", "suite-mismatch", "tag")
    assert pair.server.state is State.CLOSED
    assert pair.store.seen == []


# Row 40: protected APDUs again, out of order, changed.


def test_40_a_protected_request_played_again_is_refused() -> None:
    pair = agreed()
    pair.run(pair.client.get(VALUE))
    seen = len(pair.store.seen)
    assert pair.serve(pair.to_server[-1]) == [bytes((0xD8, 1, 5))]
    assert refusal(pair) == "replay"
    assert len(pair.store.seen) == seen


def test_40_a_recorded_session_played_against_the_meter_gets_nothing() -> None:
    pair = agreed()
    pair.run(pair.client.get(VALUE))
    pair.run(pair.client.release())
    recorded = list(pair.to_server)
    pair.server_events.clear()
    seen = len(pair.store.seen)
    answers = [answer for message in recorded for answer in pair.serve(message)]
    assert len(pair.store.seen) == seen
    assert not any(isinstance(event, Associated | KeysAgreed | GetIndication) for event in pair.server_events)
    assert all(answer[0] in (0x61, 0xC7, 0xD8) for answer in answers)


def test_40_a_protected_answer_played_again_is_refused() -> None:
    pair = agreed()
    pair.run(pair.client.get(VALUE))
    pair.client.get(VALUE)
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(pair.to_client[-1])
    assert caught.value.code == "replay"
    assert pair.client.state is State.CLOSED


def test_40_counters_out_of_order_are_refused() -> None:
    pair = agreed()
    session = pair.client._channel._session
    assert session is not None
    first, second = session.protect(GET), session.protect(GET)
    assert pair.serve(second)[0][0] == 0xCC
    pair.serve(first)
    assert refusal(pair) == "replay"


def test_40_any_bit_changed_in_a_protected_request_is_refused() -> None:
    configs = shared_configs(Mechanism.LOW, Ciphering.GLOBAL)
    length = len(Pair(*configs).client.open())
    pair = Pair(*configs)
    pair.open()
    request = pair.client.get(VALUE)
    assert length > len(request)
    for bit in range(8 * len(request)):
        pair = Pair(*configs)
        pair.open()
        changed = bytearray(pair.client.get(VALUE))
        changed[bit // 8] ^= 1 << bit % 8
        pair.serve(bytes(changed))
        assert pair.store.seen == [], bit
        assert pair.server.state is State.CLOSED, bit


def test_40_any_bit_changed_in_a_protected_answer_gives_no_value() -> None:
    configs = shared_configs(Mechanism.LOW, Ciphering.GLOBAL)
    bits = 8 * 30
    for bit in range(bits):
        pair = Pair(*configs)
        pair.store.set(VALUE, cosem.u32(123456))
        pair.open()
        changed = bytearray(pair.serve(pair.client.get(VALUE))[0])
        if bit // 8 >= len(changed):
            break
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProtocolError):
            pair.client.receive(bytes(changed))
        assert pair.client.state is State.CLOSED, bit
    else:
        pytest.fail("the answer is longer than was tried")


class ChangingPair(Pair):
    """Certificates, and somebody who changes one bit of the client's message number ``message`` on the way."""

    def __init__(self, message: int, at: int) -> None:
        super().__init__(*certificate_configs())
        self.message, self.at = message, at

    def serve(self, apdu: bytes) -> list[bytes]:
        if len(self.to_server) == self.message:
            changed = bytearray(apdu)
            changed[self.at % len(apdu)] ^= 1 << self.at % 8
            apdu = bytes(changed)
        return super().serve(apdu)


@pytest.mark.parametrize("message", [0, 1, 2])
def test_40_a_bit_changed_while_the_association_is_made_never_makes_another_one(message: int) -> None:
    """AARQ, proof and key agreement, with one bit of every octet changed on the way."""
    clean = Pair(*certificate_configs())
    clean.open(agree=True)
    for at in range(len(clean.to_server[message])):
        pair = ChangingPair(message, at)
        try:
            pair.open(agree=True)
        except (ProtocolError, AssociationRefused, MeterNotTrusted):
            assert not pair.client.is_associated
            continue
        # What is not signed is the proposal: conformance, sizes and the invoke id. It made the same keys, or none.
        pair.store.set(VALUE, cosem.u32(5))
        assert pair.client.is_protected
        assert pair.server.is_protected


@pytest.mark.parametrize("to_server", [True, False])
def test_40_the_broadcast_key_proves_nothing_of_the_peer(to_server: bool) -> None:
    keys = KeySet(bytes(range(16)), bytes(range(0xD0, 0xE0)), broadcast=bytes(16))
    pair = Pair(*shared_configs(Mechanism.LOW, Ciphering.GLOBAL, keys=keys))
    pair.open()
    own, peer = (CLIENT_TITLE, SERVER_TITLE) if to_server else (SERVER_TITLE, CLIENT_TITLE)
    of_the_group = SecureSession(keys, own, peer, control=SecurityControl(Suite.SUITE_0, broadcast=True))
    request = pair.client.get(VALUE)
    if to_server:
        pair.serve(of_the_group.protect(GET))
        assert refusal(pair) == "downgrade"
        assert pair.store.seen == []
    else:
        pair.serve(request)
        with pytest.raises(SecurityError) as caught:
            pair.client.receive(of_the_group.protect(GetResponseNormal(0xC1, cosem.u32(1)).to_bytes()))
        assert caught.value.code == "downgrade"


@pytest.mark.parametrize("alone", [KeyId.UNICAST, KeyId.AUTHENTICATION])
@pytest.mark.parametrize("ciphering", [Ciphering.GLOBAL, Ciphering.DEDICATED])
def test_40_no_key_is_agreed_on_alone(alone: KeyId, ciphering: Ciphering) -> None:
    """Counters begin again with new keys; one that stayed would see its nonces twice."""
    pair = Pair(*shared_configs(Mechanism.ECDSA, ciphering))
    pair.open()
    offers = EphemeralAgreement(
        suite=Suite.SUITE_1, key_ids=(alone,), signing_key=private_key("client", Suite.SUITE_1)
    ).offers
    pair.serve(pair.client.action((key_agreement(Obis(0, 0, 43, 0, 0)), offers_to_data(offers))))
    assert refusal(pair) == "key-agreement"
    assert pair.server.state is State.CLOSED


def test_40_no_dedicated_key_outlives_a_key_agreement() -> None:
    pair = Pair(*shared_configs(Mechanism.ECDSA, Ciphering.DEDICATED))
    pair.open()
    pair.run(pair.client.set((VALUE, cosem.u8(1))))
    recorded = pair.to_server[-1]
    assert recorded[0] == 0xD1
    pair.run(pair.client.agree_keys())
    pair.store.set(VALUE, cosem.u8(2))
    pair.serve(recorded)
    assert pair.server.state is State.CLOSED
    assert pair.store.get(VALUE) == cosem.u8(2)


# Row 41: reflections.


def test_41_our_own_challenge_sent_back_is_refused_by_the_client() -> None:
    pair = Pair(*certificate_configs())
    aarq = Aarq.from_bytes(pair.client.open())
    aare = Aare.from_bytes(pair.serve(aarq.to_bytes())[0])
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(replace(aare, challenge=aarq.secret).to_bytes())
    assert caught.value.code == "reflected"


def test_41_our_own_title_sent_back_is_refused_by_the_client() -> None:
    pair = Pair(*certificate_configs())
    aare = Aare.from_bytes(pair.serve(pair.client.open())[0])
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(replace(aare, system_title=CLIENT_TITLE).to_bytes())
    assert caught.value.code == "reflected"


def test_41_our_own_certificate_sent_back_is_refused_by_the_client() -> None:
    pair = Pair(*certificate_configs())
    aare = Aare.from_bytes(pair.serve(pair.client.open())[0])
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(replace(aare, certificate=CLIENT_CERTIFICATE).to_bytes())
    assert caught.value.code == "reflected"


@pytest.mark.parametrize("part", ["system_title", "certificate"])
def test_41_our_own_title_or_certificate_sent_back_is_refused_by_the_server(part: str) -> None:
    pair = Pair(*certificate_configs())
    own = {"system_title": SERVER_TITLE, "certificate": SERVER_CERTIFICATE}[part]
    aarq = replace(Aarq.from_bytes(pair.client.open()), **{part: own})
    answer = Aare.from_bytes(pair.serve(aarq.to_bytes())[0])
    assert answer.result is AssociationResult.REJECTED_PERMANENT
    assert refusal(pair) == "reflected"


def test_41_our_own_challenge_sent_back_is_refused_by_the_server() -> None:
    challenge = bytes(range(32))
    client, server = shared_configs(Mechanism.SHA256, random=lambda count: challenge)
    with pytest.raises(AssociationRefused):
        Pair(client, server).open()


def test_41_an_own_message_sent_back_is_refused_by_the_client() -> None:
    pair = agreed()
    request = pair.client.get(VALUE)
    with pytest.raises(SecurityError):
        pair.client.receive(request)


def test_41_an_own_message_sent_back_is_refused_by_the_server() -> None:
    pair = agreed()
    answer = pair.serve(pair.client.get(VALUE))[0]
    pair.serve(answer)
    assert pair.server.state is State.CLOSED


def test_41_own_offers_sent_back_are_refused_by_the_client() -> None:
    pair = Pair(*certificate_configs())
    pair.open()
    request = apdu.decode(pair.client.agree_keys())
    assert isinstance(request, ActionRequestNormal)
    answer = ActionResponse(ActionResult.SUCCESS, request.parameters)
    with pytest.raises(SecurityError):
        pair.client.receive(ActionResponseNormal(request.invoke, answer).to_bytes())


# Row 43: wrong associations in a row cost nothing that stays.


def test_43_wrong_associations_leave_nothing_behind() -> None:
    pair = Pair(*shared_configs(Mechanism.LOW))
    wrong = replace(Aarq.from_bytes(pair.client.open()), secret=b"wrong").to_bytes()
    pair.client.link_lost()
    for _ in range(1000):
        assert isinstance(pair.server.receive(wrong)[0], Send)
    assert pair.server.state is State.IDLE
    assert isinstance(pair.open()[0], Associated)
