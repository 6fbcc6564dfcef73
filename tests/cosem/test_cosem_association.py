"""Associations end to end: every mechanism with every ciphering, services, policies, negotiation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cosem_pair import (
    CLIENT_CERTIFICATE,
    CLIENT_TITLE,
    KEYS,
    SECRET,
    SERVER_CERTIFICATE,
    SERVER_TITLE,
    Pair,
    certificate_configs,
    private_key,
    shared_configs,
)

from meterlink.cosem import apdu
from meterlink.cosem import data as cosem
from meterlink.cosem.acse import Aare, Aarq, AssociationResult, Diagnostic, Rlrq
from meterlink.cosem.apdu import ExceptionResponse, InitiateRequest
from meterlink.cosem.apdu.action import ActionResponseNormal
from meterlink.cosem.apdu.errors import ServiceError, StateError
from meterlink.cosem.apdu.get import GetRequestNormal
from meterlink.cosem.apdu.set import SetRequestNormal
from meterlink.cosem.association import (
    Associated,
    AssociationConfig,
    Ciphering,
    ClientAssociation,
    KeysAgreed,
    Mechanism,
    Notification,
    Refused,
    Released,
    Response,
    SecurityPolicy,
    Send,
    ServerAssociation,
    State,
)
from meterlink.cosem.conformance import SUPPORTED, Conformance
from meterlink.cosem.names import Attribute, EntrySelection, Method
from meterlink.cosem.results import ActionResponse, ActionResult
from meterlink.errors import (
    AssociationRefused,
    LocalProtocolError,
    MeterRefused,
    ProtocolError,
    SecurityError,
    UsageError,
)
from meterlink.security.counters import SendCounter
from meterlink.security.keys import KeySet
from meterlink.security.session import receive_counters
from meterlink.security.suites import Suite
from meterlink.values import Obis

VALUE = Attribute(1, Obis(0, 0, 96, 1, 0), 2)
OTHER = Attribute(1, Obis(0, 0, 96, 1, 1), 2)
NAME = Attribute(1, Obis(0, 0, 96, 1, 0), 1)
RUN = Method(9, Obis(0, 0, 10, 0, 1), 1)
FORBIDDEN = Method(9, Obis(0, 0, 10, 0, 1), 99)

MECHANISMS = [mechanism for mechanism in Mechanism if mechanism is not Mechanism.HIGH]
VECTORS: Any = json.loads((Path(__file__).parent.parent / "data/dlms/vectors.json").read_text())

GLO = {0x21, 0x28, 0xC8, 0xC9, 0xCB, 0xCC, 0xCD, 0xCF}
DED = {0xD0, 0xD1, 0xD3, 0xD4, 0xD5, 0xD7}
FORMS = {
    Ciphering.GLOBAL: GLO,
    Ciphering.DEDICATED: DED,
    Ciphering.GENERAL_GLOBAL: {0xDB},
    Ciphering.GENERAL_DEDICATED: {0xDC},
}


def one(events: list[Any]) -> Response:
    (event,) = events
    assert isinstance(event, Response)
    return event


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("ciphering", [None, *Ciphering])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_with_every_ciphering(mechanism: Mechanism, ciphering: Ciphering | None, suite: Suite) -> None:
    pair = Pair(*shared_configs(mechanism, ciphering, suite))
    (associated,) = pair.open()
    assert isinstance(associated, Associated)
    assert associated.mechanism is mechanism
    assert associated.peer_title == SERVER_TITLE
    assert one(pair.run(pair.client.set((VALUE, cosem.u16(7))))).value() == cosem.null()
    assert one(pair.run(pair.client.get(VALUE))).value() == cosem.u16(7)
    assert one(pair.run(pair.client.action((RUN, cosem.i8(0))))).value() == cosem.i8(0)
    if ciphering is not None:
        # Behind AARQ and AARE everything is, the proofs included.
        assert {message[0] for message in pair.to_server[1:]} <= FORMS[ciphering]
        assert {message[0] for message in pair.to_client[1:]} <= FORMS[ciphering]
    assert isinstance(pair.run(pair.client.release())[0], Released)
    assert pair.client.state is pair.server.state is State.IDLE


@pytest.mark.parametrize("suite", [Suite.SUITE_1, Suite.SUITE_2])
def test_a_session_with_certificates(suite: Suite) -> None:
    pair = Pair(*certificate_configs(suite))
    associated, agreed = pair.open(agree=True)
    assert isinstance(associated, Associated)
    assert associated.peer_certificate == SERVER_CERTIFICATE
    assert isinstance(agreed, KeysAgreed)
    assert agreed.suite is suite
    (at_server,) = (event for event in pair.server_events if isinstance(event, KeysAgreed))
    for name in ("unicast", "authentication"):
        key = getattr(agreed.session.keys, name)
        assert key == getattr(at_server.session.keys, name)
        assert key.hex() not in repr(agreed) + repr(at_server)
    assert Associated(Mechanism.ECDSA, CLIENT_TITLE, CLIENT_CERTIFICATE, SUPPORTED) in pair.server_events
    pair.run(pair.client.set((VALUE, cosem.octet_string(b"secret value"))))
    assert one(pair.run(pair.client.get(VALUE))).value() == cosem.octet_string(b"secret value")
    pair.run(pair.client.release())
    # After AARQ, proof and agreement everything is protected; a release carries its protection inside.
    assert [message[0] for message in pair.to_server] == [0x60, 0xC3, 0xC3, 0xC9, 0xC8, 0x62]
    assert [message[0] for message in pair.to_client] == [0x61, 0xC7, 0xC7, 0xCD, 0xCC, 0x63]
    for messages in (pair.to_server, pair.to_client):
        assert all(b"secret value" not in message for message in messages)
        # Security control (authenticated, encrypted, this suite) and a counter from 0 behind tag and length.
        assert messages[3][2:7] == bytes((0x30 | suite,)) + (0).to_bytes(4, "big")
        assert messages[4][2:7] == bytes((0x30 | suite,)) + (1).to_bytes(4, "big")
        assert bytes((0x30 | suite, 0, 0, 0, 2)) in messages[5]


def test_agreed_keys_are_new_in_every_association() -> None:
    pair = Pair(*certificate_configs())
    seen = []
    for _ in range(2):
        pair.open(agree=True)
        seen.append(pair.client.get(VALUE))
        pair.client.link_lost()
        pair.server.link_lost()
    assert seen[0] != seen[1]


def test_keys_can_be_agreed_on_again_within_a_protected_association() -> None:
    client, server = shared_configs(Mechanism.ECDSA, Ciphering.GLOBAL)
    pair = Pair(client, server)
    pair.open()
    (agreed,) = pair.run(pair.client.agree_keys())
    assert isinstance(agreed, KeysAgreed)
    assert client.keys is not None
    assert agreed.session.keys.unicast != client.keys.unicast
    assert pair.to_server[-1][0] == 0xCB
    pair.run(pair.client.set((VALUE, cosem.u8(1))))
    # Counters start again with the new keys.
    assert pair.to_server[-1][2:7] == bytes((0x31, 0, 0, 0, 0))


def test_refusals_carry_their_names() -> None:
    pair = Pair(*shared_configs(Mechanism.NONE))
    pair.open()
    with pytest.raises(MeterRefused) as caught:
        one(pair.run(pair.client.get(VALUE))).value()
    assert caught.value.code == "object-undefined"
    with pytest.raises(MeterRefused) as caught:
        one(pair.run(pair.client.set((NAME, cosem.u8(1))))).value()
    assert caught.value.code == "read-write-denied"
    with pytest.raises(MeterRefused) as caught:
        one(pair.run(pair.client.action((FORBIDDEN, None)))).value()
    assert caught.value.code == "read-write-denied"
    assert pair.client.is_associated


def test_lists_give_one_outcome_each() -> None:
    pair = Pair(*shared_configs(Mechanism.NONE))
    pair.open()
    written = one(pair.run(pair.client.set((VALUE, cosem.u8(1)), (NAME, cosem.u8(2)), (OTHER, cosem.u8(3)))))
    codes = [getattr(outcome, "code", None) for outcome in written.outcomes()]
    assert codes == [None, "read-write-denied", None]
    read = one(pair.run(pair.client.get(VALUE, NAME, OTHER)))
    assert read.outcomes()[0] == cosem.u8(1)
    assert isinstance(read.outcomes()[1], MeterRefused)
    assert read.outcomes()[2] == cosem.u8(3)
    with pytest.raises(MeterRefused):
        read.values()
    called = one(pair.run(pair.client.action((RUN, cosem.u8(1)), (FORBIDDEN, None))))
    assert called.outcomes()[0] == cosem.u8(1)
    assert isinstance(called.outcomes()[1], MeterRefused)
    assert pair.store.calls[1] == (FORBIDDEN, cosem.null())


def test_selective_access_reaches_the_server() -> None:
    pair = Pair(*shared_configs(Mechanism.NONE))
    pair.open()
    profile = Attribute(7, Obis(6, 0, 99, 1, 0), 2, EntrySelection(1, 10))
    pair.run(pair.client.get(profile))
    assert pair.store.seen == [profile]


def test_conformance_is_what_both_speak() -> None:
    client, _ = shared_configs(Mechanism.NONE, conformance=SUPPORTED & ~Conformance.SET)
    _, server = shared_configs(Mechanism.NONE, conformance=SUPPORTED & ~Conformance.MULTIPLE_REFERENCES)
    pair = Pair(client, server)
    pair.open()
    common = SUPPORTED & ~Conformance.SET & ~Conformance.MULTIPLE_REFERENCES
    assert pair.client.conformance == pair.server.conformance == common
    for ask in (
        lambda: pair.client.set((VALUE, cosem.u8(1))),
        lambda: pair.client.get(VALUE, OTHER),
    ):
        with pytest.raises(MeterRefused) as caught:
            ask()
        assert caught.value.code == "service-not-supported"
    assert pair.client.state is State.ASSOCIATED


def test_a_service_that_was_not_agreed_on_is_refused_by_the_server() -> None:
    client, _ = shared_configs(Mechanism.NONE)
    _, server = shared_configs(Mechanism.NONE, conformance=SUPPORTED & ~Conformance.SET)
    pair = Pair(client, server)
    pair.open()
    request = SetRequestNormal(0xC1, VALUE, cosem.u8(1)).to_bytes()
    assert pair.serve(request) == [bytes((0xD8, 1, 2))]
    assert pair.store.values == {}


def test_a_client_without_a_common_service_is_refused() -> None:
    client, _ = shared_configs(Mechanism.NONE, conformance=Conformance.GET)
    _, server = shared_configs(Mechanism.NONE, conformance=Conformance.ACTION)
    with pytest.raises(AssociationRefused) as caught:
        Pair(client, server).open()
    assert caught.value.code == "incompatible-conformance"


@pytest.mark.parametrize(
    ("initiate", "code"),
    [
        (InitiateRequest(SUPPORTED, 1200, version=5), "dlms-version-too-low"),
        (InitiateRequest(SUPPORTED, 20), "pdu-size-too-short"),
    ],
)
def test_a_proposal_that_cannot_be_granted_is_refused(initiate: InitiateRequest, code: str) -> None:
    client, server = shared_configs(Mechanism.NONE)
    aarq = Aarq(client.context, initiate.to_bytes())
    association = ClientAssociation(client)
    association.open()
    event = ServerAssociation(server).receive(aarq.to_bytes())[0]
    assert isinstance(event, Send)
    with pytest.raises(AssociationRefused) as caught:
        association.receive(event.apdu)
    assert caught.value.code == code


@pytest.mark.parametrize("mechanism", [Mechanism.LOW, Mechanism.MD5, Mechanism.SHA1, Mechanism.SHA256])
def test_a_wrong_secret_is_refused(mechanism: Mechanism) -> None:
    client, _ = shared_configs(mechanism, secret=b"another secret")
    _, server = shared_configs(mechanism)
    pair = Pair(client, server)
    with pytest.raises(AssociationRefused) as caught:
        pair.open()
    assert caught.value.code == "authentication-failure"
    assert pair.server.state is State.IDLE
    assert any(isinstance(event, Refused) and event.code == "authentication-failed" for event in pair.server_events)


def test_a_wrong_key_is_refused_with_gmac() -> None:
    client, _ = shared_configs(Mechanism.GMAC, keys=KeySet(bytes(16), bytes(16)))
    _, server = shared_configs(Mechanism.GMAC)
    with pytest.raises(AssociationRefused) as caught:
        Pair(client, server).open()
    assert caught.value.code == "authentication-failure"


def test_a_server_that_does_not_know_the_secret_is_refused() -> None:
    client, server = shared_configs(Mechanism.SHA256)
    pair = Pair(client, server)
    proof = pair.client.receive(pair.serve(pair.client.open())[0])[0]
    assert isinstance(proof, Send)
    answer = apdu.decode(pair.serve(proof.apdu)[0])
    forged = ActionResponseNormal(
        answer.invoke,  # type: ignore[union-attr]
        ActionResponse(ActionResult.SUCCESS, cosem.octet_string(bytes(32))),
    )
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(forged.to_bytes())
    assert caught.value.code == "authentication-failed"
    assert pair.client.state is State.CLOSED


def test_a_server_that_proves_nothing_is_refused() -> None:
    pair = Pair(*shared_configs(Mechanism.SHA256))
    pair.client.receive(pair.serve(pair.client.open())[0])
    with pytest.raises(SecurityError):
        pair.client.receive(bytes.fromhex("C701C10000"))


def test_nothing_but_the_proof_is_served_before_the_client_has_proved_itself() -> None:
    pair = Pair(*shared_configs(Mechanism.SHA256))
    pair.store.set(VALUE, cosem.u8(1))
    pair.serve(pair.client.open())
    assert pair.serve(GetRequestNormal(0xC1, VALUE).to_bytes()) == [bytes((0xD8, 1, 1))]
    assert pair.store.seen == []


def test_the_dedicated_key_is_new_in_every_association_and_is_sent_protected() -> None:
    client, server = shared_configs(Mechanism.LOW, Ciphering.DEDICATED, random=lambda count: b"K" * count)
    pair = Pair(client, server)
    pair.open()
    assert b"K" * 16 not in pair.to_server[0]
    pair.run(pair.client.get(VALUE))
    assert pair.to_server[-1][0] == 0xD0


def test_a_dedicated_key_of_a_wrong_length_is_refused() -> None:
    client, server = shared_configs(Mechanism.LOW, Ciphering.GLOBAL)
    association = ClientAssociation(client)
    initiate = InitiateRequest(SUPPORTED, 0, bytes(15)).to_bytes()
    sealed = association._channel.seal_first(initiate)
    aarq = Aarq(client.context, sealed, Mechanism.LOW, CLIENT_TITLE, secret=SECRET)
    events = ServerAssociation(server).receive(aarq.to_bytes())
    assert any(isinstance(event, Refused) and event.code == "key-length" for event in events)


POLICIES = [
    SecurityPolicy.AUTHENTICATED_REQUEST | SecurityPolicy.AUTHENTICATED_RESPONSE,
    SecurityPolicy.ENCRYPTED_REQUEST | SecurityPolicy.ENCRYPTED_RESPONSE,
    SecurityPolicy.AUTHENTICATED_REQUEST,
    SecurityPolicy.AUTHENTICATED_RESPONSE | SecurityPolicy.ENCRYPTED_RESPONSE,
    SecurityPolicy.NONE,
]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_policy_says_what_is_sent_each_way(policy: SecurityPolicy) -> None:
    pair = Pair(*shared_configs(Mechanism.LOW, Ciphering.GLOBAL, policy=policy))
    pair.open()
    pair.run(pair.client.get(VALUE))
    for message, protected, encrypted in (
        (pair.to_server[-1], SecurityPolicy.AUTHENTICATED_REQUEST, SecurityPolicy.ENCRYPTED_REQUEST),
        (pair.to_client[-1], SecurityPolicy.AUTHENTICATED_RESPONSE, SecurityPolicy.ENCRYPTED_RESPONSE),
    ):
        if not policy & (protected | encrypted):
            assert message[0] in (0xC0, 0xC4)
        else:
            assert message[2] & 0x10 == 0x10 * bool(policy & protected)
            assert message[2] & 0x20 == 0x20 * bool(policy & encrypted)


@pytest.mark.parametrize("policy", POLICIES)
def test_less_than_the_policy_is_refused_by_the_server(policy: SecurityPolicy) -> None:
    client, _ = shared_configs(Mechanism.LOW, Ciphering.GLOBAL, policy=policy)
    _, server = shared_configs(Mechanism.LOW, Ciphering.GLOBAL)
    pair = Pair(client, server)
    try:
        pair.open()
        answers = pair.serve(pair.client.get(VALUE))
    except (AssociationRefused, SecurityError):
        assert not pair.client.is_associated
        return
    if SecurityPolicy.AUTHENTICATED_REQUEST | SecurityPolicy.ENCRYPTED_REQUEST in policy:
        return
    assert answers == [bytes((0xD8, 1, 5))]
    assert pair.server.state is State.CLOSED


@pytest.mark.parametrize("policy", POLICIES)
def test_less_than_the_policy_is_refused_by_the_client(policy: SecurityPolicy) -> None:
    client, _ = shared_configs(Mechanism.LOW, Ciphering.GLOBAL)
    _, server = shared_configs(Mechanism.LOW, Ciphering.GLOBAL, policy=policy)
    if SecurityPolicy.AUTHENTICATED_RESPONSE | SecurityPolicy.ENCRYPTED_RESPONSE in policy:
        Pair(client, server).open()
        return
    pair = Pair(client, server)

    def session() -> None:
        pair.open()
        pair.run(pair.client.get(VALUE))

    with pytest.raises(SecurityError):
        session()
    assert pair.client.state is State.CLOSED


def test_counters_go_on_from_one_association_to_the_next() -> None:
    sent = SendCounter(41)
    received = receive_counters()
    client, _ = shared_configs(Mechanism.LOW, Ciphering.GLOBAL, send_counter=sent)
    _, server = shared_configs(Mechanism.LOW, Ciphering.GLOBAL, receive_counters=received)
    pair = Pair(client, server)
    pair.open()
    first = pair.to_server[0]
    pair.run(pair.client.release())
    pair.open()
    assert sent.next() == 41 + 3
    # The AARQ of the first association, played again in a third.
    pair.run(pair.client.release())
    events = pair.server.receive(first)
    assert isinstance(events[0], Send)
    assert Aare.from_bytes(events[0].apdu).result is AssociationResult.REJECTED_PERMANENT
    assert any(isinstance(event, Refused) and event.code == "replay" for event in events)


def test_a_replayed_request_is_answered_with_the_counter_that_is_expected() -> None:
    pair = Pair(*shared_configs(Mechanism.LOW, Ciphering.GLOBAL))
    pair.open()
    pair.run(pair.client.get(VALUE))
    counter = int.from_bytes(pair.to_server[-1][3:7], "big")
    (answer,) = pair.serve(pair.to_server[-1])
    assert apdu.decode(answer) == ExceptionResponse(
        StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR, counter + 1
    )


def test_with_shared_keys_a_plain_exception_is_a_refusal() -> None:
    pair = Pair(*shared_configs(Mechanism.LOW, Ciphering.GLOBAL))
    pair.open()
    pair.client.get(VALUE)
    with pytest.raises(MeterRefused) as caught:
        one(pair.client.receive(bytes((0xD8, 1, 2)))).value()
    assert caught.value.code == "service-not-supported"


@pytest.mark.parametrize(("answer", "code"), [("D80105", "deciphering-error"), ("D80106", "invocation-counter-error")])
def test_a_meter_that_cannot_open_a_request_ends_the_association(answer: str, code: str) -> None:
    pair = Pair(*shared_configs(Mechanism.LOW, Ciphering.GLOBAL))
    pair.open()
    pair.client.get(VALUE)
    with pytest.raises(AssociationRefused) as caught:
        pair.client.receive(bytes.fromhex(answer))
    assert caught.value.code == code
    assert pair.client.state is State.CLOSED


def test_an_exception_refuses_every_item_of_a_list() -> None:
    pair = Pair(*shared_configs(Mechanism.NONE))
    pair.open()
    pair.client.get(VALUE, OTHER)
    outcomes = one(pair.client.receive(bytes((0xD8, 1, 2)))).outcomes()
    assert [getattr(outcome, "code", None) for outcome in outcomes] == ["service-not-supported"] * 2
    assert pair.client.state is State.ASSOCIATED


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (bytes((0xD8, 1, 6, 0, 0, 0, 9)), "invocation-counter-error"),
        (bytes((0x0E, 1, 6, 1)), "dlms-version-too-low"),
    ],
)
def test_an_aarq_can_be_answered_with_an_exception(answer: bytes, code: str) -> None:
    client = ClientAssociation(shared_configs(Mechanism.LOW)[0])
    client.open()
    with pytest.raises(AssociationRefused) as caught:
        client.receive(answer)
    assert caught.value.code == code


def test_a_rejected_aare_names_its_reason() -> None:
    for entry in VECTORS["acse"]:
        if "rejected" not in entry["name"]:
            continue
        client = ClientAssociation(shared_configs(Mechanism.NONE)[0])
        client.open()
        with pytest.raises(AssociationRefused) as caught:
            client.receive(bytes.fromhex(entry["hex"]))
        assert caught.value.code in ("application-context-name-not-supported", "dlms-version-too-low")
        assert client.state is State.CLOSED


def test_notifications_are_received_in_between() -> None:
    push = apdu.DataNotification(1, None, cosem.u8(9))
    event = apdu.EventNotification(None, VALUE, cosem.u8(9))
    for configs, protected in (
        (shared_configs(Mechanism.NONE), False),
        (shared_configs(Mechanism.LOW, Ciphering.GLOBAL), True),
    ):
        pair = Pair(*configs)
        pair.open()
        assert pair.client.receive(pair.server.notify(push)) == [Notification(push, protected)]
        request = pair.client.get(VALUE)
        assert pair.client.receive(pair.server.notify(event)) == [Notification(event, protected)]
        assert isinstance(pair.run(request)[0], Response)


def test_a_plain_notification_is_not_called_protected() -> None:
    pair = Pair(*shared_configs(Mechanism.LOW, Ciphering.GLOBAL, policy=SecurityPolicy.NONE))
    pair.open()
    push = apdu.DataNotification(1, None, cosem.u8(9))
    assert pair.client.receive(push.to_bytes()) == [Notification(push, False)]


def test_a_plain_notification_into_a_protected_association_is_refused() -> None:
    pair = Pair(*shared_configs(Mechanism.LOW, Ciphering.GLOBAL))
    pair.open()
    with pytest.raises(SecurityError):
        pair.client.receive(apdu.DataNotification(1, None, cosem.u8(9)).to_bytes())


def test_a_notification_into_no_association_is_taken_where_nothing_is_ciphered() -> None:
    push = apdu.DataNotification(1, None, cosem.u8(9))
    client = ClientAssociation(shared_configs(Mechanism.NONE)[0])
    assert client.receive(push.to_bytes()) == [Notification(push, False)]
    assert ClientAssociation(certificate_configs()[0]).receive(push.to_bytes()) == []


def test_a_response_to_another_request_is_refused() -> None:
    pair = Pair(*shared_configs(Mechanism.NONE))
    pair.open()
    first = pair.client.get(VALUE)
    late = pair.serve(first)[0]
    pair.client.receive(late)
    pair.client.get(VALUE)
    with pytest.raises(ProtocolError) as caught:
        pair.client.receive(late)
    assert caught.value.code == "response-unexpected"


def test_a_plain_rlrq_releases_only_without_agreed_keys() -> None:
    pair = Pair(*shared_configs(Mechanism.LOW, Ciphering.GLOBAL))
    pair.open()
    assert any(isinstance(event, Released) for event in pair.server.receive(Rlrq().to_bytes()))
    pair = Pair(*certificate_configs())
    pair.open(agree=True)
    assert not any(isinstance(event, Released) for event in pair.server.receive(Rlrq().to_bytes()))


@pytest.mark.parametrize(
    "parts",
    [
        {"mechanism": Mechanism.HIGH},
        {"mechanism": Mechanism.LOW},
        {"mechanism": Mechanism.GMAC, "system_title": CLIENT_TITLE},
        {"mechanism": Mechanism.SHA256, "secret": SECRET},
        {"mechanism": Mechanism.SHA256, "secret": SECRET, "system_title": b"short"},
        {"mechanism": Mechanism.ECDSA, "system_title": CLIENT_TITLE},
        {"mechanism": Mechanism.ECDSA, "system_title": CLIENT_TITLE, "signer": private_key("c", Suite.SUITE_1)},
        {"ciphering": Ciphering.GLOBAL, "system_title": CLIENT_TITLE},
        {"ciphering": Ciphering.GLOBAL, "system_title": CLIENT_TITLE, "keys": KEYS[Suite.SUITE_1]},
        {
            "ciphering": Ciphering.GLOBAL,
            "system_title": CLIENT_TITLE,
            "keys": KEYS[Suite.SUITE_2],
            "send_counter": SendCounter(),
        },
        {"max_pdu": 65536},
    ],
)
def test_parts_that_do_not_fit_together_are_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        AssociationConfig(**parts)


def test_keys_are_agreed_on_after_ecdsa_alone() -> None:
    for configs in (shared_configs(Mechanism.LOW, Ciphering.GLOBAL), shared_configs(Mechanism.ECDSA)):
        pair = Pair(*configs)
        pair.open()
        with pytest.raises(LocalProtocolError):
            pair.client.agree_keys()


def test_nothing_is_asked_and_nothing_served_before_keys_are_agreed_on() -> None:
    pair = Pair(*certificate_configs())
    pair.store.set(VALUE, cosem.u8(1))
    pair.open()
    with pytest.raises(LocalProtocolError):
        pair.client.get(VALUE)
    with pytest.raises(LocalProtocolError):
        pair.server.notify(apdu.DataNotification(1, None, cosem.u8(1)))
    assert pair.serve(GetRequestNormal(0xC1, VALUE).to_bytes()) == [bytes((0xD8, 1, 5))]
    assert pair.store.seen == []
    assert pair.server.state is State.CLOSED


def test_neither_keys_nor_secrets_are_shown() -> None:
    client, _ = shared_configs(Mechanism.SHA256, Ciphering.GLOBAL)
    assert client.keys is not None
    for secret in (SECRET, bytes(client.keys.unicast), bytes(client.keys.authentication)):
        assert repr(secret)[2:-1] not in repr(client)
        assert secret.hex() not in repr(client)


def test_the_server_says_what_was_negotiated() -> None:
    client, server = shared_configs(Mechanism.LOW, Ciphering.GLOBAL, max_pdu=500)
    pair = Pair(client, server)
    pair.open()
    assert pair.server.max_receive == pair.server.max_send == 500
    assert pair.server.context == 3
    assert pair.server.peer_title == CLIENT_TITLE
    assert pair.server.is_associated
    assert pair.server.is_protected


def test_the_diagnostics_of_the_standard_go_out() -> None:
    none, low = shared_configs(Mechanism.NONE), shared_configs(Mechanism.LOW)
    ciphered = shared_configs(Mechanism.LOW, Ciphering.GLOBAL)
    for client, server, diagnostic in (
        (none[0], low[1], Diagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED),
        (low[0], none[1], Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED),
        (low[0], ciphered[1], Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED),
        (ciphered[0], low[1], Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED),
    ):
        event = ServerAssociation(server).receive(ClientAssociation(client).open())[0]
        assert isinstance(event, Send)
        assert Aare.from_bytes(event.apdu).diagnostic is diagnostic
