"""Sessions with meters that know no certificates: what the URL asks for and what was shared become an association."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from certs.entries import Credential
from meterlink.commands.general_words import AGREED_KEYS, GENERAL_CIPHERING, GeneralWords, general_words
from meterlink.commands.meter_counter import meter_counter
from meterlink.commands.policy_word import policy_word, unprotected
from meterlink.commands.secrets import PASSWORD_VARIABLE, MeterSecrets
from meterlink.commands.words import needed, word
from meterlink.cosem.association import (
    FIRST_PUSH,
    AssociationConfig,
    Ciphering,
    GeneralProtection,
    Mechanism,
    PeerCheck,
    PeerHistory,
)
from meterlink.counter_file import counter_name, transaction_name
from meterlink.errors import SecurityError, UsageError
from meterlink.security.counters import CounterStore, SendCounter
from meterlink.security.keys import KeySet, Secret
from meterlink.security.suites import Suite, suite_for_curve

MECHANISMS: Final[Mapping[str, Mechanism]] = MappingProxyType(
    {
        "none": Mechanism.NONE,
        "lls": Mechanism.LOW,
        "hls-md5": Mechanism.MD5,
        "hls-sha1": Mechanism.SHA1,
        "hls-gmac": Mechanism.GMAC,
        "hls-sha256": Mechanism.SHA256,
        "hls-ecdsa": Mechanism.ECDSA,
    }
)
"""Words of the URL's key ``security`` beside ``certificate``."""

PUBLIC_CLIENT: Final = 16
"""The client SAP that every meter has, without security (IEC 62056-5-3, table of reserved client SAPs)."""

_CIPHERINGS: Final[Mapping[str, Ciphering | None]] = MappingProxyType(
    {
        "none": None,
        **{ciphering.label: ciphering for ciphering in Ciphering},
        # The association itself is made with the global key; what follows goes in general-ciphering.
        GENERAL_CIPHERING: Ciphering.GLOBAL,
    }
)

_TRANSACTIONS: Final = 1 << 32
"""Transaction identifiers set aside for one association: more than it can use."""

_HASHED: Final = frozenset({Mechanism.MD5, Mechanism.SHA1, Mechanism.SHA256})


def shared_config(
    options: Mapping[str, str],
    credential: Credential,
    secrets: MeterSecrets,
    counters: CounterStore,
    verify_peer: PeerCheck,
) -> AssociationConfig:
    """Return the association that the URL's ``options`` ask for.

    ``secrets`` is what was shared; the system title, and for ECDSA the key, are those of ``credential`` where nothing
    else was. ``verify_peer`` judges the meter in ECDSA unless its key is known. Counters of the keys are kept in
    ``counters``. Raises UsageError: ``url-invalid`` for a word that is not known, ``keys-needed`` when something was
    not shared.
    """
    mechanism = _mechanism(options)
    ciphering = _ciphering(options, secrets.keys, mechanism)
    words = general_words(options, mechanism)
    _check_sense(options, ciphering)
    keys = secrets.keys if ciphering is not None or mechanism is Mechanism.GMAC else None
    if keys is None and (ciphering is not None or mechanism is Mechanism.GMAC):
        raise needed("the keys unicast and authentication", "give --keys FILE")
    signer = (secrets.signing_key or credential.private_key) if mechanism is Mechanism.ECDSA else None
    title = secrets.system_title or credential.system_title
    suite = _suite(options, signer or (secrets.agreement_key if words.choice in AGREED_KEYS else None), keys)
    return AssociationConfig(
        mechanism=mechanism,
        ciphering=ciphering,
        suite=suite,
        # Who need not say who it is does not: the title is the same at every meter.
        system_title=title if ciphering is not None or mechanism >= Mechanism.GMAC else None,
        certificate=credential.certificate_der if signer is not None and secrets.signing_key is None else None,
        signer=signer,
        secret=_secret(mechanism, secrets),
        policy=words.policy,
        verify_peer=None if signer is None else _judge(secrets, verify_peer),
        keys=keys,
        send_counter=None if keys is None else _send_counter(keys, title, secrets, counters),
        history=None if keys is None else _history(options, keys, counters),
        general=None if keys is None else _general(words, secrets, keys, suite, title, counters),
    )


def _check_sense(options: Mapping[str, str], ciphering: Ciphering | None) -> None:
    """Refuse what has nothing to say of messages that nothing protects."""
    for key in ("policy", "signing", "meter-counter"):
        if key in options and ciphering is None:
            raise UsageError(
                f"{key} says nothing without ciphering", code="url-invalid", hint="give --keys FILE, and ciphering=glo"
            )


def _general(
    words: GeneralWords,
    secrets: MeterSecrets,
    keys: KeySet,
    suite: Suite,
    title: bytes,
    counters: CounterStore,
) -> GeneralProtection | None:
    protection = words.protection(secrets, keys, suite)
    if protection is None or not words.needs_transactions:
        return protection
    # Not now: the session may wait for its turn, and what others begin meanwhile must stand below.
    first = partial(_first_transaction, counters, transaction_name(title), max(secrets.transaction, 1))
    return replace(protection, first_transaction=first)


def _first_transaction(counters: CounterStore, name: str, at_least: int) -> int:
    first = counters.reserve(name, _TRANSACTIONS, at_least)
    if first + _TRANSACTIONS > FIRST_PUSH:
        raise SecurityError(
            "the transaction identifiers of this system title are used up, or their record is damaged",
            code="counter-store",
            hint="take another system title, or write the least unused identifier into counters/…-transactions",
        )
    return first


def _ciphering(options: Mapping[str, str], keys: KeySet | None, mechanism: Mechanism) -> Ciphering | None:
    asked = options.get("ciphering")
    if asked is not None:
        return word("ciphering", asked, _CIPHERINGS)
    if keys is None or mechanism is Mechanism.NONE:
        return None
    return _by_default(mechanism)


def is_replayable(options: Mapping[str, str]) -> bool:
    """Return whether recorded answers that this computer has not seen before, to another program or computer with the
    same keys, could be played back in the session that the URL's ``options`` ask for: no challenge makes it fresh, and
    its messages are protected with keys that stay."""
    return _mechanism(options) in {Mechanism.NONE, Mechanism.LOW} and _stays(options)


def forgets_counters(options: Mapping[str, str]) -> bool:
    """Return whether the URL's ``options`` ask for a session that does not compare the meter's counters with those of
    earlier ones, though its messages are protected with keys that stay."""
    return "meter-counter" in options and _stays(options)


def unprotected_parts(options: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the policy in the URL's ``options`` leaves unprotected, in sentences for the user."""
    return unprotected(policy_word(options))


def _stays(options: Mapping[str, str]) -> bool:
    """Return whether nothing but a counter tells the messages of a session from those of an older one."""
    mechanism = _mechanism(options)
    asked = options.get("ciphering")
    ciphering = _by_default(mechanism) if asked is None else _CIPHERINGS.get(asked.lower())
    if ciphering not in {Ciphering.GLOBAL, Ciphering.GENERAL_GLOBAL}:
        return False
    return not general_words(options, mechanism).tells_answers_apart


def _mechanism(options: Mapping[str, str]) -> Mechanism:
    return word("security", options.get("security", "none"), MECHANISMS)


def _by_default(mechanism: Mechanism) -> Ciphering:
    # Where no challenge makes the association fresh, a dedicated key does: without one, answers that somebody else got
    # with these keys could be played back, and nothing would tell.
    return Ciphering.GLOBAL if mechanism.is_high else Ciphering.DEDICATED


def _suite(options: Mapping[str, str], signer: EllipticCurvePrivateKey | None, keys: KeySet | None) -> Suite:
    asked = options.get("suite")
    if asked is not None:
        return word("suite", asked, {str(suite.value): suite for suite in Suite})
    if signer is not None:
        return suite_for_curve(signer.curve)
    return Suite.SUITE_2 if keys is not None and keys.fits(Suite.SUITE_2) else Suite.SUITE_0


def _secret(mechanism: Mechanism, secrets: MeterSecrets) -> Secret | None:
    if mechanism is Mechanism.LOW:
        if secrets.password is None:
            raise needed("the meter's password", f"set {PASSWORD_VARIABLE}, or give --keys FILE")
        return secrets.password
    if mechanism in _HASHED:
        if secrets.secret is None:
            raise needed("the secret shared with the meter", f"set {PASSWORD_VARIABLE}, or give --keys FILE")
        return secrets.secret
    return None


def _send_counter(keys: KeySet, title: bytes, secrets: MeterSecrets, counters: CounterStore) -> SendCounter:
    # There are meters that take a first counter of 0 for an old one.
    return SendCounter(max(secrets.counter, 1), store=counters, name=counter_name(keys.unicast, title))


def _history(options: Mapping[str, str], keys: KeySet, counters: CounterStore) -> Callable[[KeySet], PeerHistory]:
    told = meter_counter(options)
    # Where the meter's counter begins is said of the present keys, not of those that they are exchanged for.
    agreed = replace(told, begins=None)
    return lambda used: (told if used is keys else agreed).history(counters, used)


def _judge(secrets: MeterSecrets, verify_peer: PeerCheck) -> PeerCheck:
    known = secrets.meter_key
    return verify_peer if known is None else lambda title, certificate: known
