"""High level security, key agreement, general-ciphering and general-signing: both parties, and an attacker."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_bytes

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from meterlink.errors import LocalProtocolError, ProtocolError, SecurityError
from meterlink.security import general_ciphering, general_signing, signing
from meterlink.security.control import SecurityControl
from meterlink.security.counters import SendCounter
from meterlink.security.general_ciphering import GeneralCipher, KeyChoice
from meterlink.security.general_signing import GeneralSigner
from meterlink.security.hls import CHALLENGE_LENGTH, EcdsaProof, Exchange, GmacProof, Mechanism, Proof, SecretProof
from meterlink.security.key_agreement import EphemeralAgreement, Offer, key_set_from
from meterlink.security.keys import KeyId, KeyRole, KeySet
from meterlink.security.suites import Suite

CLIENT, SERVER = b"MLTclien", b"MLTmeter"
PUBLIC_KEY_SUITES = (Suite.SUITE_1, Suite.SUITE_2)
IDS = (KeyId.UNICAST, KeyId.AUTHENTICATION)
PAIRS = {
    suite: {
        name: ec.generate_private_key(suite.curve) for name in ("client", "server", "client-ka", "server-ka", "thief")
    }
    for suite in PUBLIC_KEY_SUITES
}
APDU = bytes.fromhex("C001C100080000010000FF0200")


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(SecurityError) as caught:
        call()
    return caught.value.code


# HLS


def proofs(mechanism: Mechanism, suite: Suite) -> tuple[Proof, Proof]:
    """The client's and the server's way to prove themselves."""
    keys = KeySet(b"u" * suite.key_length, b"a" * suite.key_length)
    if mechanism is Mechanism.GMAC:
        return GmacProof(suite, keys, SendCounter()), GmacProof(suite, keys, SendCounter())
    if mechanism is Mechanism.ECDSA:
        pair = PAIRS[suite]
        return (
            EcdsaProof(suite, pair["client"], pair["server"].public_key()),
            EcdsaProof(suite, pair["server"], pair["client"].public_key()),
        )
    return SecretProof(mechanism, b"hls secret"), SecretProof(mechanism, b"hls secret")


def an_exchange(mechanism: Mechanism) -> Exchange:
    return Exchange(CLIENT, SERVER, token_bytes(CHALLENGE_LENGTH), token_bytes(CHALLENGE_LENGTH))


mechanisms = pytest.mark.parametrize(
    "mechanism, suite",
    [(mechanism, Suite.SUITE_0) for mechanism in (Mechanism.MD5, Mechanism.SHA1, Mechanism.GMAC, Mechanism.SHA256)]
    + [(Mechanism.GMAC, Suite.SUITE_2), (Mechanism.ECDSA, Suite.SUITE_1), (Mechanism.ECDSA, Suite.SUITE_2)],
)


@mechanisms
def test_both_prove_themselves(mechanism: Mechanism, suite: Suite) -> None:
    client, server = proofs(mechanism, suite)
    exchange = an_exchange(mechanism)
    server.check(exchange.reversed, client.answer(exchange))
    client.check(exchange, server.answer(exchange.reversed))


@mechanisms
def test_any_flipped_bit_fails(mechanism: Mechanism, suite: Suite) -> None:
    client, server = proofs(mechanism, suite)
    exchange = an_exchange(mechanism)
    answer = client.answer(exchange)
    for bit in range(0, 8 * len(answer), 5):
        bad = bytearray(answer)
        bad[bit // 8] ^= 1 << bit % 8
        assert code_of(lambda bad=bad: server.check(exchange.reversed, bytes(bad))) == "authentication-failed"
    for wrong in (b"", answer[:-1], answer + b"\0"):
        assert code_of(lambda wrong=wrong: server.check(exchange.reversed, wrong)) == "authentication-failed"


@mechanisms
def test_an_answer_of_a_recorded_session_fails(mechanism: Mechanism, suite: Suite) -> None:
    client, server = proofs(mechanism, suite)
    recorded = client.answer(an_exchange(mechanism)), server.answer(an_exchange(mechanism).reversed)
    exchange = an_exchange(mechanism)
    assert code_of(lambda: server.check(exchange.reversed, recorded[0])) == "authentication-failed"
    assert code_of(lambda: client.check(exchange, recorded[1])) == "authentication-failed"


@mechanisms
def test_a_reflected_answer_fails(mechanism: Mechanism, suite: Suite) -> None:
    client, _ = proofs(mechanism, suite)
    exchange = an_exchange(mechanism)
    assert code_of(lambda: client.check(exchange, client.answer(exchange))) == "authentication-failed"
    mirrored = Exchange(CLIENT, SERVER, exchange.own_challenge, exchange.own_challenge)
    assert code_of(lambda: client.answer(mirrored)) == "reflected"
    assert code_of(lambda: client.check(mirrored, b"")) == "reflected"
    same_title = Exchange(CLIENT, CLIENT, exchange.own_challenge, exchange.peer_challenge)
    assert code_of(lambda: client.answer(same_title)) == "reflected"


@mechanisms
@pytest.mark.parametrize("length", [0, 7, 65, 200])
def test_challenges_out_of_bounds(mechanism: Mechanism, suite: Suite, length: int) -> None:
    client, _ = proofs(mechanism, suite)
    exchange = Exchange(CLIENT, SERVER, token_bytes(CHALLENGE_LENGTH), bytes(length))
    assert code_of(lambda: client.answer(exchange)) == "challenge"


def test_challenges() -> None:
    # Some clients send 16 octets in mechanism 7, too.
    Exchange(CLIENT, SERVER, token_bytes(CHALLENGE_LENGTH), bytes(16)).check(Mechanism.ECDSA)
    untitled = Exchange(CLIENT, b"", token_bytes(CHALLENGE_LENGTH), token_bytes(CHALLENGE_LENGTH))
    assert code_of(lambda: untitled.check(Mechanism.GMAC)) == "system-title"
    untitled.check(Mechanism.MD5)
    assert [mechanism for mechanism in Mechanism if mechanism.is_high] == list(Mechanism)[2:]


def test_someone_without_the_key_fails() -> None:
    suite = Suite.SUITE_1
    _, server = proofs(Mechanism.ECDSA, suite)
    exchange = an_exchange(Mechanism.ECDSA)
    thief = EcdsaProof(suite, PAIRS[suite]["thief"], PAIRS[suite]["server"].public_key())
    assert code_of(lambda: server.check(exchange.reversed, thief.answer(exchange))) == "authentication-failed"
    with pytest.raises(LocalProtocolError):
        EcdsaProof(suite, PAIRS[Suite.SUITE_2]["client"], PAIRS[suite]["server"].public_key()).answer(exchange)


def test_mechanisms_without_a_secret_take_none() -> None:
    for mechanism in (Mechanism.NONE, Mechanism.LOW, Mechanism.HIGH, Mechanism.GMAC, Mechanism.ECDSA):
        with pytest.raises(LocalProtocolError):
            SecretProof(mechanism, b"secret")
    assert "hls secret" not in repr(SecretProof(Mechanism.MD5, b"hls secret"))


# C(2e,0s)


def parties(suite: Suite, ids: tuple[KeyId, ...] = IDS) -> tuple[EphemeralAgreement, EphemeralAgreement]:
    pair = PAIRS[suite]
    return (
        EphemeralAgreement(suite=suite, key_ids=ids, signing_key=pair["client"]),
        EphemeralAgreement(suite=suite, key_ids=ids, signing_key=pair["server"]),
    )


def agree(
    party: EphemeralAgreement, offers: tuple[Offer, ...], suite: Suite, peer: str = "server"
) -> dict[KeyId, bytes]:
    return dict(party.agree(offers, peer_public_key=PAIRS[suite][peer].public_key(), party_u=CLIENT, party_v=SERVER))


@pytest.mark.parametrize("suite", PUBLIC_KEY_SUITES)
def test_both_agree_on_fresh_keys(suite: Suite) -> None:
    seen: set[bytes] = set()
    for _ in range(2):
        client, server = parties(suite, (*IDS, KeyId.MASTER))
        ours = agree(client, server.offers, suite)
        assert ours == agree(server, client.offers, suite, "client")
        assert all(len(key) == suite.key_length for key in ours.values())
        seen.update(ours.values())
    assert len(seen) == 6
    keys = key_set_from(ours)
    assert (keys.unicast, keys.authentication, keys.master) == tuple(ours[key_id] for key_id in (*IDS, KeyId.MASTER))
    assert key_set_from({KeyId.BROADCAST: keys.unicast}, keys).broadcast == keys.unicast
    with pytest.raises(LocalProtocolError):
        key_set_from({KeyId.UNICAST: keys.unicast})


@pytest.mark.parametrize("suite", PUBLIC_KEY_SUITES)
def test_an_ephemeral_key_exchanged_on_the_way_is_found(suite: Suite) -> None:
    client, server = parties(suite)
    thief = EphemeralAgreement(suite=suite, key_ids=IDS, signing_key=PAIRS[suite]["thief"])
    size = suite.public_key_length
    spliced = tuple(
        Offer(mine.key_id, theirs.data[:size] + mine.data[size:])
        for mine, theirs in zip(server.offers, thief.offers, strict=True)
    )
    assert code_of(lambda: agree(client, spliced, suite)) == "authentication-failed"
    client, _ = parties(suite)
    assert code_of(lambda: agree(client, thief.offers, suite)) == "authentication-failed"


def test_an_offer_for_one_key_is_none_for_another() -> None:
    suite = Suite.SUITE_1
    client, server = parties(suite)
    crossed = tuple(Offer(key_id, offer.data) for key_id, offer in zip(IDS, server.offers[::-1], strict=True))
    assert code_of(lambda: agree(client, crossed, suite)) == "authentication-failed"


OFFER_CHANGES: dict[str, Callable[[tuple[Offer, ...]], tuple[Offer, ...]]] = {
    "one missing": lambda offers: offers[:1],
    "one twice": lambda offers: (offers[0], offers[0]),
    "one too many": lambda offers: (*offers, Offer(KeyId.MASTER, offers[0].data)),
    "none": lambda offers: (),
    "cut off": lambda offers: (offers[0], Offer(offers[1].key_id, offers[1].data[:-1])),
    "empty": lambda offers: (offers[0], Offer(offers[1].key_id, b"")),
}


@pytest.mark.parametrize("change", OFFER_CHANGES)
def test_offers_that_do_not_match(change: str) -> None:
    client, server = parties(Suite.SUITE_1)
    offers = OFFER_CHANGES[change](server.offers)
    assert code_of(lambda: agree(client, offers, Suite.SUITE_1)) == "key-agreement"


def test_own_offers_sent_back_are_refused() -> None:
    suite = Suite.SUITE_1
    client, _ = parties(suite)
    assert code_of(lambda: agree(client, client.offers, suite, "client")) == "reflected"


def test_a_point_off_the_curve_is_refused() -> None:
    suite = Suite.SUITE_1
    client, _ = parties(suite)
    offers = tuple(
        Offer(
            key_id,
            bytes(64) + signing.sign(bytes((key_id,)) + bytes(64), suite=suite, private_key=PAIRS[suite]["server"]),
        )
        for key_id in IDS
    )
    assert code_of(lambda: agree(client, offers, suite)) == "public-key"
    assert code_of(lambda: signing.public_key_from_bytes(bytes(63), suite)) == "public-key"


def test_an_agreement_serves_once() -> None:
    suite = Suite.SUITE_1
    client, server = parties(suite)
    agree(client, server.offers, suite)
    with pytest.raises(LocalProtocolError):
        agree(client, server.offers, suite)
    with pytest.raises(LocalProtocolError):
        EphemeralAgreement(suite=suite, key_ids=(), signing_key=PAIRS[suite]["client"])


# general-ciphering


def ciphers(suite: Suite, *, short: bool = False) -> tuple[GeneralCipher, GeneralCipher]:
    pair = PAIRS[Suite.SUITE_1 if suite is Suite.SUITE_0 else suite]
    keys = KeySet(*(bytes((index,)) * suite.key_length for index in range(5)))
    client = GeneralCipher(
        suite,
        keys,
        CLIENT,
        SERVER,
        pair["client"],
        pair["client-ka"],
        pair["server"].public_key(),
        pair["server-ka"].public_key(),
        header_authenticated=not short,
    )
    server = GeneralCipher(
        suite,
        keys,
        SERVER,
        CLIENT,
        pair["server"],
        pair["server-ka"],
        pair["client"].public_key(),
        pair["client-ka"].public_key(),
        header_authenticated=not short,
    )
    return client, server


choices = pytest.mark.parametrize("choice", KeyChoice, ids=lambda choice: choice.value)


@choices
@pytest.mark.parametrize("suite", PUBLIC_KEY_SUITES)
@pytest.mark.parametrize("short", [False, True])
def test_question_and_answer(choice: KeyChoice, suite: Suite, short: bool) -> None:
    client, server = ciphers(suite, short=short)
    for transaction in (1, 2):
        question = server.open(client.protect(APDU, choice=choice, transaction=transaction))
        assert (question.apdu, question.key_choice, question.header.transaction_number) == (APDU, choice, transaction)
        answer = client.open(
            server.protect(b"\xc4answer", choice=choice, transaction=transaction), answer_to=transaction
        )
        assert answer.apdu == b"\xc4answer"


@choices
def test_a_replayed_question_is_refused(choice: KeyChoice) -> None:
    client, server = ciphers(Suite.SUITE_1)
    question = client.protect(APDU, choice=choice, transaction=1)
    server.open(question)
    assert code_of(lambda: server.open(question)) == "replay"


def with_transaction(message: bytes, transaction: int) -> bytes:
    """The message under another transaction identifier, the octet string behind its tag."""
    return message[:2] + transaction.to_bytes(8, "big") + message[10:]


@choices
@pytest.mark.parametrize("short", [False, True])
def test_a_recorded_message_is_refused_under_a_new_transaction(choice: KeyChoice, short: bool) -> None:
    client, server = ciphers(Suite.SUITE_1, short=short)
    question = client.protect(APDU, choice=choice, transaction=1)
    server.open(question)
    answer = server.protect(b"\xc4answer", choice=choice, transaction=1)
    client.open(answer, answer_to=1)
    assert code_of(lambda: server.open(with_transaction(question, 2))) in ("replay", "tag")
    assert code_of(lambda: client.open(with_transaction(answer, 2), answer_to=2)) in ("replay", "tag")
    assert server.open(client.protect(APDU, choice=choice, transaction=2)).apdu == APDU


@choices
def test_an_answer_to_another_question_is_refused(choice: KeyChoice) -> None:
    client, server = ciphers(Suite.SUITE_1)
    answer = server.protect(b"\xc4answer", choice=choice, transaction=1)
    assert code_of(lambda: client.open(answer, answer_to=2)) == "transaction"


@choices
def test_an_answer_that_names_no_transaction_is_taken_where_it_is_counted(
    choice: KeyChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pydlms-client's meter answers. Under a key of its own nothing but the transaction makes an answer new."""
    client, server = ciphers(Suite.SUITE_1)
    with monkeypatch.context() as patched:
        patched.setattr(general_ciphering, "transaction_id", lambda _: b"")
        answer = server.protect(b"\xc4answer", choice=choice, transaction=1)
    if choice in (KeyChoice.WRAPPED, KeyChoice.ONE_PASS, KeyChoice.STATIC):
        assert code_of(lambda: client.open(answer, answer_to=1)) == "transaction"
        return
    assert client.open(answer, answer_to=1).apdu == b"\xc4answer"
    assert code_of(lambda: client.open(answer, answer_to=2)) == "replay"


@pytest.mark.parametrize("is_counted", [False, True])
def test_a_signed_answer_that_names_no_transaction_is_taken_where_it_is_counted(
    is_counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = signers(Suite.SUITE_1)
    with monkeypatch.context() as patched:
        patched.setattr(general_signing, "transaction_id", lambda _: b"")
        answer = server.sign(b"\xccanswer", transaction=1)
    header, apdu = client.verify(answer)
    assert apdu == b"\xccanswer"
    if is_counted:
        client.take(header, 1, is_counted=True)
    else:
        assert code_of(lambda: client.take(header, 1)) == "transaction"


@choices
def test_own_message_sent_back_is_refused(choice: KeyChoice) -> None:
    client, _ = ciphers(Suite.SUITE_1)
    message = client.protect(APDU, choice=choice, transaction=1)
    assert code_of(lambda: client.open(message)) == "reflected"


@choices
@settings(max_examples=25)
@given(data=st.data())
def test_a_flipped_bit_never_yields_anything(choice: KeyChoice, data: st.DataObject) -> None:
    client, server = ciphers(Suite.SUITE_1)
    good = client.protect(APDU, choice=choice, transaction=1)
    bad = bytearray(good)
    bit = data.draw(st.integers(0, 8 * len(good) - 1))
    bad[bit // 8] ^= 1 << bit % 8
    try:
        opened = server.open(bytes(bad))
    except ProtocolError:
        assert server.open(good).apdu == APDU
        return
    # The one thing that is not protected is how the global unicast key is named.
    assert opened.apdu == APDU
    assert {choice, opened.key_choice} <= {KeyChoice.KNOWN, KeyChoice.UNICAST}


@given(st.binary(max_size=80))
def test_general_junk_raises_only_our_error(junk: bytes) -> None:
    _, server = ciphers(Suite.SUITE_1)
    for data in (junk, b"\xdd" + junk, b"\xdd\x08" + bytes(8) + b"\x08" + CLIENT + b"\x08" + SERVER + b"\0\0" + junk):
        with pytest.raises(ProtocolError):
            server.open(data)


def test_less_protection_is_a_downgrade() -> None:
    client, server = ciphers(Suite.SUITE_1)
    weak = SecurityControl(Suite.SUITE_1, encrypted=False)
    message = client.protect(APDU, choice=KeyChoice.UNICAST, transaction=1, control=weak)
    assert code_of(lambda: server.open(message)) == "downgrade"
    assert server.open(message, least=weak).apdu == APDU


def test_the_two_forms_do_not_mix() -> None:
    client, _ = ciphers(Suite.SUITE_1, short=True)
    _, server = ciphers(Suite.SUITE_1)
    assert code_of(lambda: server.open(client.protect(APDU, choice=KeyChoice.UNICAST, transaction=1))) == "tag"


def test_suite_0_has_no_agreed_keys() -> None:
    client, server = ciphers(Suite.SUITE_0)
    assert server.open(client.protect(APDU, choice=KeyChoice.WRAPPED, transaction=1)).apdu == APDU


def test_general_ciphering_without_the_keys() -> None:
    keys = KeySet(bytes(16), bytes(16))
    bare = GeneralCipher(Suite.SUITE_1, keys, SERVER, CLIENT)
    full, _ = ciphers(Suite.SUITE_1)
    for choice in (KeyChoice.WRAPPED, KeyChoice.ONE_PASS, KeyChoice.STATIC):
        message = full.protect(APDU, choice=choice, transaction=1)
        assert code_of(lambda message=message: bare.open(message)) == "no-key"
        with pytest.raises(LocalProtocolError):
            bare.protect(APDU, choice=choice, transaction=1)
    assert code_of(lambda: bare.open(APDU)) == "unprotected"
    pair = PAIRS[Suite.SUITE_1]
    half = GeneralCipher(Suite.SUITE_1, keys, SERVER, CLIENT, agreement_key=pair["server-ka"])
    for choice in (KeyChoice.ONE_PASS, KeyChoice.STATIC):
        message = full.protect(APDU, choice=choice, transaction=9)
        assert code_of(lambda message=message: half.open(message)) == "no-key"
    half.peer_agreement_key = pair["client-ka"].public_key()
    with pytest.raises(LocalProtocolError):
        half.protect(APDU, choice=KeyChoice.ONE_PASS, transaction=1)


def test_a_stolen_ephemeral_key_is_no_use() -> None:
    client, server = ciphers(Suite.SUITE_1)
    client.signing_key = PAIRS[Suite.SUITE_1]["thief"]
    message = client.protect(APDU, choice=KeyChoice.ONE_PASS, transaction=1)
    assert code_of(lambda: server.open(message)) == "authentication-failed"


def test_a_wrapped_key_of_another_length_is_refused() -> None:
    client, server = ciphers(Suite.SUITE_2)
    message = client.protect(APDU, choice=KeyChoice.WRAPPED, transaction=1)
    one, _ = ciphers(Suite.SUITE_1)
    server.keys = KeySet(*(bytes((index,)) * 32 for index in range(5)))
    server.suite = Suite.SUITE_1
    assert code_of(lambda: server.open(message)) == "key-wrap"
    assert one.receive[KeyRole.UNICAST].least == 0


# general-signing


def signers(suite: Suite, *, content_length: bool = False) -> tuple[GeneralSigner, GeneralSigner]:
    pair = PAIRS[suite]
    return (
        GeneralSigner(suite, CLIENT, SERVER, pair["client"], pair["server"].public_key(), content_length),
        GeneralSigner(suite, SERVER, CLIENT, pair["server"], pair["client"].public_key(), content_length),
    )


@pytest.mark.parametrize("suite", PUBLIC_KEY_SUITES)
@pytest.mark.parametrize("content_length", [False, True])
def test_signed_question_and_answer(suite: Suite, content_length: bool) -> None:
    client, server = signers(suite, content_length=content_length)
    question = client.sign(APDU, transaction=3)
    assert server.open(question) == APDU
    assert code_of(lambda: server.open(question)) == "replay"
    answer = server.sign(b"\xc4answer", transaction=3)
    assert client.open(answer, answer_to=3) == b"\xc4answer"
    assert code_of(lambda: client.open(answer, answer_to=4)) == "transaction"
    assert code_of(lambda: client.open(question)) == "reflected"


def test_every_flipped_bit_breaks_a_signed_message() -> None:
    client, server = signers(Suite.SUITE_1)
    good = client.sign(APDU, transaction=3)
    for bit in range(0, 8 * len(good), 3):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProtocolError):
            server.open(bytes(bad))
    with pytest.raises(ProtocolError):
        server.open(good + b"\0")
    assert code_of(lambda: server.open(APDU)) == "unprotected"
    assert server.open(good) == APDU
