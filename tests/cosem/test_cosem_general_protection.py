"""Services in general-ciphering, with every choice of key, and signed ones; each end against a weaker other end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cosem_pair import KEYS, SERVER_TITLE, Pair, certificate_configs, private_key, shared_configs

from meterlink.commands.meter_counter import MeterCounter
from meterlink.cosem import apdu
from meterlink.cosem import data as cosem
from meterlink.cosem.apdu.get import GetRequestNormal
from meterlink.cosem.association import (
    FULL_PROTECTION,
    Associated,
    AssociationConfig,
    Ciphering,
    ClientAssociation,
    GeneralProtection,
    KeyChoice,
    Mechanism,
    Notification,
    Refused,
    Released,
    Response,
    SecurityPolicy,
    ServerAssociation,
    State,
)
from meterlink.cosem.names import Attribute
from meterlink.errors import AssociationRefused, LocalProtocolError, ProtocolError, SecurityError, UsageError
from meterlink.security import general_signing
from meterlink.security.counters import MemoryCounterStore, ReceiveCounter, SendCounter
from meterlink.security.keys import KeySet
from meterlink.security.session import receive_counters
from meterlink.security.suites import Suite
from meterlink.values import Obis

VALUE = Attribute(1, Obis(0, 0, 96, 1, 0), 2)
SIGNED = FULL_PROTECTION | SecurityPolicy.SIGNED_REQUEST | SecurityPolicy.SIGNED_RESPONSE
MASTERED = {suite: KeySet(keys.unicast, keys.authentication, master=keys.unicast) for suite, keys in KEYS.items()}


def _general(choice: KeyChoice | None, own: str, peer: str, suite: Suite, **changes: Any) -> GeneralProtection:
    return GeneralProtection(
        **{"first_transaction": 1, "transactions": ReceiveCounter(), **changes},
        choice=choice,
        agreement_key=private_key(f"{own} agreement", suite),
        peer_agreement_key=private_key(f"{peer} agreement", suite).public_key(),
    )


def _configs(
    choice: KeyChoice | None, policy: SecurityPolicy = FULL_PROTECTION, suite: Suite = Suite.SUITE_1, **changes: Any
) -> tuple[AssociationConfig, AssociationConfig]:
    common: dict[str, Any] = {"ciphering": Ciphering.GLOBAL, "keys": MASTERED[suite], "policy": policy}
    client, _ = certificate_configs(suite, general=_general(choice, "client", "server", suite, **changes), **common)
    _, server = certificate_configs(suite, general=_general(choice, "server", "client", suite, **changes), **common)
    return client, server


def _works(pair: Pair) -> None:
    (written,) = pair.run(pair.client.set((VALUE, cosem.u16(7))))
    assert isinstance(written, Response)
    assert written.value() == cosem.null()
    (read,) = pair.run(pair.client.get(VALUE))
    assert isinstance(read, Response)
    assert read.value() == cosem.u16(7)


@pytest.mark.parametrize("suite", [Suite.SUITE_1, Suite.SUITE_2])
@pytest.mark.parametrize("policy", [FULL_PROTECTION, SIGNED])
@pytest.mark.parametrize("choice", [None, *(choice for choice in KeyChoice if choice is not KeyChoice.BROADCAST)])
def test_every_key_with_and_without_signatures(choice: KeyChoice | None, policy: SecurityPolicy, suite: Suite) -> None:
    pair = Pair(*_configs(choice, policy, suite))
    pair.open()
    _works(pair)
    front = 0xDF if policy is SIGNED else 0xDD if choice else None
    for message in pair.to_server[1:] + pair.to_client[1:]:
        assert message[0] == front or (front is None and message[0] in (0xC8, 0xC9, 0xCB, 0xCC, 0xCD, 0xCF))
    assert isinstance(pair.run(pair.client.release())[0], Released)


@pytest.mark.parametrize("changes", [{"header_authenticated": False}, {"signed_length": True}])
def test_both_readings_of_the_standard(changes: dict[str, bool]) -> None:
    pair = Pair(*_configs(KeyChoice.UNICAST, SIGNED, **changes))
    pair.open()
    _works(pair)
    client, _ = _configs(KeyChoice.UNICAST, SIGNED, **changes)
    _, server = _configs(KeyChoice.UNICAST, SIGNED)
    with pytest.raises((AssociationRefused, SecurityError)):
        Pair(client, server).open()


def test_signatures_with_agreed_keys() -> None:
    pair = Pair(*certificate_configs(policy=SIGNED))
    pair.open(agree=True)
    _works(pair)
    assert {message[0] for message in pair.to_server[3:] + pair.to_client[3:]} == {0xDF}
    assert isinstance(pair.run(pair.client.release())[0], Released)


def test_long_values_go_in_blocks_that_fit() -> None:
    client, server = _configs(KeyChoice.ONE_PASS, SIGNED, Suite.SUITE_2)
    value = cosem.octet_string(bytes(5000))
    changes = {"max_pdu": 1500}
    pair = Pair(*(_with(config, **changes) for config in (client, server)))
    pair.open()
    pair.run(pair.client.set((VALUE, value)))
    (read,) = pair.run(pair.client.get(VALUE))
    assert isinstance(read, Response)
    assert read.value() == value
    assert max(map(len, pair.to_server[1:] + pair.to_client[1:])) <= 1500


def _with(config: Any, **changes: Any) -> Any:
    return replace(config, **changes)


@pytest.mark.parametrize(
    ("client_choice", "server_choice"),
    [
        (KeyChoice.KNOWN, KeyChoice.WRAPPED),
        (KeyChoice.UNICAST, KeyChoice.ONE_PASS),
        (None, KeyChoice.UNICAST),
        (KeyChoice.UNICAST, None),
    ],
)
def test_another_key_or_form_than_configured_is_refused(
    client_choice: KeyChoice | None, server_choice: KeyChoice | None
) -> None:
    client, _ = _configs(client_choice)
    _, server = _configs(server_choice)
    pair = Pair(client, server)
    with pytest.raises((AssociationRefused, SecurityError)):
        pair.open()
    assert pair.server.state is State.CLOSED


def test_a_message_without_its_signature_is_refused_on_both_sides() -> None:
    unsigned, _ = _configs(KeyChoice.UNICAST)
    _, server = _configs(KeyChoice.UNICAST, SIGNED)
    pair = Pair(unsigned, server)
    with pytest.raises((AssociationRefused, SecurityError)):
        pair.open()
    assert any(isinstance(event, Refused) and event.code == "downgrade" for event in pair.server_events)
    client, _ = _configs(KeyChoice.UNICAST, FULL_PROTECTION | SecurityPolicy.SIGNED_RESPONSE)
    _, unsigned = _configs(KeyChoice.UNICAST)
    with pytest.raises(SecurityError) as caught:
        Pair(client, unsigned).open()
    assert caught.value.code == "downgrade"


@pytest.mark.parametrize("choice", [KeyChoice.UNICAST, KeyChoice.WRAPPED, KeyChoice.ONE_PASS, KeyChoice.STATIC])
@pytest.mark.parametrize("policy", [FULL_PROTECTION, SIGNED])
def test_40_a_recorded_message_is_refused_in_its_own_and_in_a_later_association(
    choice: KeyChoice, policy: SecurityPolicy
) -> None:
    seen, sent = ReceiveCounter(), SendCounter()
    client, server = (
        _with(config, send_counter=sent, receive_counters=receive_counters()) for config in _configs(choice, policy)
    )
    assert client.general is not None
    assert server.general is not None
    later = _with(client, general=_with(client.general, first_transaction=100))
    kept = _with(server, general=_with(server.general, transactions=seen))
    pair = Pair(client, kept)
    pair.open()
    _works(pair)
    recorded = pair.to_server[-1]
    served = len(pair.store.seen)
    pair.serve(recorded)
    assert pair.server.state is State.CLOSED
    again = Pair(later, kept)
    again.open()
    again.serve(recorded)
    assert again.server.state is State.CLOSED
    assert len(pair.store.seen) == served
    assert again.store.seen == []


def test_40_a_changed_bit_is_refused() -> None:
    first = Pair(*_configs(KeyChoice.UNICAST, SIGNED))
    first.open()
    for at in range(0, len(first.client.get(VALUE)), 3):
        pair = Pair(*_configs(KeyChoice.UNICAST, SIGNED))
        pair.open()
        changed = bytearray(pair.client.get(VALUE))
        changed[at] ^= 1 << at % 8
        pair.serve(bytes(changed))
        assert pair.store.seen == [], at
        assert pair.server.state is State.CLOSED, at


def test_an_answer_to_another_question_is_refused() -> None:
    pair = Pair(*_configs(KeyChoice.WRAPPED))
    pair.open()
    pair.run(pair.client.get(VALUE))
    pair.client.get(VALUE)
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(pair.to_client[-1])
    assert caught.value.code == "transaction"


@pytest.mark.parametrize("policy", [SIGNED, SecurityPolicy.SIGNED_REQUEST | SecurityPolicy.SIGNED_RESPONSE])
def test_a_signed_answer_that_names_no_transaction_needs_a_counter(
    policy: SecurityPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair(*_configs(None, policy))
    pair.open()
    pair.store.set(VALUE, cosem.u16(7))
    request = pair.client.get(VALUE)
    monkeypatch.setattr(general_signing, "transaction_id", lambda _: b"")
    (answer,) = pair.serve(request)
    if policy is SIGNED:
        (read,) = pair.client.receive(answer)
        assert isinstance(read, Response)
        assert read.value() == cosem.u16(7)
        return
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(answer)
    assert caught.value.code == "transaction"


def test_a_plain_request_is_refused() -> None:
    pair = Pair(*_configs(KeyChoice.UNICAST))
    pair.open()
    assert pair.serve(GetRequestNormal(0xC1, VALUE).to_bytes()) == [bytes((0xD8, 1, 5))]
    assert pair.store.seen == []


PUSHES = [apdu.DataNotification(1, None, cosem.u32(4711)), apdu.EventNotification(None, VALUE, cosem.u32(4711))]
CARRIED = [
    (choice, policy)
    for choice in (None, *(choice for choice in KeyChoice if choice is not KeyChoice.BROADCAST))
    for policy in (FULL_PROTECTION, SIGNED)
    if choice or policy is SIGNED
]


class History:
    """What came from the server, as long as this object lives."""

    def __init__(self) -> None:
        self._messages = receive_counters()
        self._transactions = ReceiveCounter()

    def messages(self, peer_title: bytes) -> tuple[ReceiveCounter, ...]:
        assert peer_title == SERVER_TITLE
        return self._messages

    def transactions(self, peer_title: bytes) -> ReceiveCounter:
        assert peer_title == SERVER_TITLE
        return self._transactions


def _pushing(choice: KeyChoice | None, policy: SecurityPolicy, **changes: Any) -> Pair:
    pair = Pair(*_configs(choice, policy, **{"pushes": SendCounter(), **changes}))
    pair.open()
    return pair


@pytest.mark.parametrize(("choice", "policy"), CARRIED)
def test_notifications_come_between_question_and_answer(choice: KeyChoice | None, policy: SecurityPolicy) -> None:
    pair = _pushing(choice, policy)
    pair.store.set(VALUE, cosem.u16(7))
    assert pair.client.receive(pair.server.notify(PUSHES[0])) == [Notification(PUSHES[0], protected=True)]
    request = pair.client.get(VALUE)
    assert pair.client.receive(pair.server.notify(PUSHES[1])) == [Notification(PUSHES[1], protected=True)]
    (answer,) = pair.serve(request)
    (read,) = pair.client.receive(answer)
    assert isinstance(read, Response)
    assert read.value() == cosem.u16(7)
    assert pair.client.receive(pair.server.notify(PUSHES[0])) == [Notification(PUSHES[0], protected=True)]
    _works(pair)


def test_notifications_after_key_agreement_are_signed_too() -> None:
    pair = Pair(*certificate_configs(policy=SIGNED))
    pair.open(agree=True)
    for push in PUSHES:
        sent = pair.server.notify(push)
        assert sent[0] == 0xDF
        assert pair.client.receive(sent) == [Notification(push, protected=True)]


@pytest.mark.parametrize(("choice", "policy"), CARRIED)
@pytest.mark.parametrize("push", PUSHES)
def test_40_a_notification_is_taken_once(choice: KeyChoice | None, policy: SecurityPolicy, push: Any) -> None:
    """Neither again in its own association, nor in a later one of the same keys."""
    history = History()
    client, _ = _configs(choice, policy, transactions=None)
    _, server = _configs(choice, policy, pushes=SendCounter())
    pair = Pair(_with(client, history=lambda _: history), server)
    pair.open()
    recorded = pair.server.notify(push)
    assert pair.client.receive(recorded) == [Notification(push, protected=True)]
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(recorded)
    assert caught.value.code == "replay"
    assert pair.client.state is State.CLOSED
    later = _with(client.general, first_transaction=100)
    again = Pair(_with(client, history=lambda _: history, general=later), server)
    again.open()
    with pytest.raises(SecurityError) as caught:
        again.client.receive(recorded)
    assert caught.value.code == "replay"


@pytest.mark.parametrize(("choice", "policy"), CARRIED)
def test_40_a_changed_bit_of_a_notification_is_refused(choice: KeyChoice | None, policy: SecurityPolicy) -> None:
    length = len(_pushing(choice, policy).server.notify(PUSHES[0]))
    for at in range(0, length, 3):
        pair = _pushing(choice, policy)
        changed = bytearray(pair.server.notify(PUSHES[0]))
        changed[at] ^= 1 << at % 8
        with pytest.raises(ProtocolError):
            pair.client.receive(bytes(changed))
        assert pair.client.state is State.CLOSED, at


def test_40_an_answer_is_not_taken_for_a_notification_nor_the_other_way_round() -> None:
    """What says which of the two a message is lies under the protection; neither moves the count of the other."""
    seen = ReceiveCounter()
    client, _ = _configs(KeyChoice.WRAPPED, transactions=seen)
    _, server = _configs(KeyChoice.WRAPPED, pushes=SendCounter())
    pair = Pair(client, server)
    pair.open()
    pair.store.set(VALUE, cosem.u16(7))
    pair.run(pair.client.get(VALUE))
    answer, push = pair.to_client[-1], pair.server.notify(PUSHES[0])
    later = Pair(_with(client, general=_with(client.general, first_transaction=100)), server)
    later.open()
    later.client.get(VALUE)
    with pytest.raises(SecurityError) as caught:
        later.client.receive(answer)
    assert caught.value.code == "transaction"
    assert seen.least == 0
    again = Pair(_with(client, general=_with(client.general, first_transaction=200)), server)
    again.open()
    again.client.get(VALUE)
    assert again.client.receive(push) == [Notification(PUSHES[0], protected=True)]
    assert again.client.state is State.BUSY
    assert seen.least == (1 << 63) + 1


@pytest.mark.parametrize(("choice", "policy"), [(KeyChoice.WRAPPED, FULL_PROTECTION), (None, SIGNED)])
def test_40_notifications_need_a_count_and_a_record_that_outlive_the_association(
    choice: KeyChoice | None, policy: SecurityPolicy
) -> None:
    pair = _pushing(choice, policy, pushes=None)
    with pytest.raises(LocalProtocolError):
        pair.server.notify(PUSHES[0])
    assert pair.server.state is State.ASSOCIATED
    client, _ = _configs(choice, policy, transactions=None)
    _, server = _configs(choice, policy, pushes=SendCounter())
    pair = Pair(client, server)
    pair.open()
    with pytest.raises(SecurityError) as caught:
        pair.client.receive(pair.server.notify(PUSHES[0]))
    assert caught.value.code == "replay"
    assert pair.client.state is State.CLOSED


@pytest.mark.parametrize(
    ("choice", "policy"),
    [
        (KeyChoice.WRAPPED, FULL_PROTECTION),
        (KeyChoice.ONE_PASS, FULL_PROTECTION),
        (KeyChoice.STATIC, FULL_PROTECTION),
        (None, SIGNED),
        (KeyChoice.UNICAST, SecurityPolicy.SIGNED_REQUEST),
    ],
)
def test_40_what_only_the_transaction_makes_fresh_needs_one_that_grows(
    choice: KeyChoice | None, policy: SecurityPolicy
) -> None:
    client, server = _configs(choice, policy, first_transaction=None)
    with pytest.raises(UsageError):
        ClientAssociation(client)
    ServerAssociation(server)
    client, server = _configs(choice, policy, transactions=None)
    with pytest.raises(UsageError):
        ServerAssociation(server)
    ClientAssociation(client)


def test_parts_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(UsageError):
        shared_configs(Mechanism.LOW, Ciphering.GLOBAL, policy=SIGNED)
    with pytest.raises(UsageError):
        shared_configs(Mechanism.LOW, general=GeneralProtection(choice=KeyChoice.KNOWN))


def test_what_another_session_gets_while_the_answer_is_on_its_way_does_not_refuse_it() -> None:
    """The meter has one counter for both, and its answers overtake each other between two processes."""
    store = MemoryCounterStore()
    client, server = shared_configs(Mechanism.LOW, Ciphering.GLOBAL)
    assert client.keys is not None
    kept = _with(client, history=lambda keys: MeterCounter().history(store, keys))
    one, other = Pair(kept, server), Pair(kept, server)
    (slow,) = one.serve(one.client.open())
    other.open()
    other.store.set(VALUE, cosem.u16(7))
    other.run(other.client.get(VALUE))
    assert isinstance(one.client.receive(slow)[0], Associated)
    one.store.set(VALUE, cosem.u16(7))
    one.run(one.client.get(VALUE))
    # What was recorded before the association was asked for is refused all the same.
    third = Pair(kept, server)
    third.client.open()
    with pytest.raises(SecurityError) as caught:
        third.client.receive(slow)
    assert caught.value.code == "replay"
