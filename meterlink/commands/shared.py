"""Sessions with meters that know no certificates: what the URL asks for and what was shared become an association."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from certs.entries import Credential
from meterlink.commands.secrets import PASSWORD_VARIABLE, MeterSecrets
from meterlink.cosem.association import AssociationConfig, Ciphering, Mechanism, PeerCheck
from meterlink.counter_file import counter_name
from meterlink.errors import UsageError
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
    {"none": None, **{ciphering.label: ciphering for ciphering in Ciphering}}
)
_T = TypeVar("_T")

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
    mechanism = _word("security", options.get("security", "none"), MECHANISMS)
    keys = secrets.keys
    ciphering = _ciphering(options, keys, mechanism)
    needs_keys = ciphering is not None or mechanism is Mechanism.GMAC
    if needs_keys and keys is None:
        raise _needed("the keys unicast and authentication", "give --keys FILE")
    is_ecdsa = mechanism is Mechanism.ECDSA
    signer = (secrets.signing_key or credential.private_key) if is_ecdsa else None
    title = secrets.system_title or credential.system_title
    return AssociationConfig(
        mechanism=mechanism,
        ciphering=ciphering,
        suite=_suite(options, signer, keys if needs_keys else None),
        # Who need not say who it is does not: the title is the same at every meter.
        system_title=title if ciphering is not None or mechanism >= Mechanism.GMAC else None,
        certificate=credential.certificate_der if is_ecdsa and secrets.signing_key is None else None,
        signer=signer,
        secret=_secret(mechanism, secrets),
        keys=keys if needs_keys else None,
        send_counter=_send_counter(keys, title, secrets, counters) if needs_keys and keys is not None else None,
        verify_peer=_judge(secrets, verify_peer) if is_ecdsa else None,
    )


def _ciphering(options: Mapping[str, str], keys: KeySet | None, mechanism: Mechanism) -> Ciphering | None:
    asked = options.get("ciphering")
    if asked is not None:
        return _word("ciphering", asked, _CIPHERINGS)
    if keys is None or mechanism is Mechanism.NONE:
        return None
    # Where no challenge makes the association fresh, a dedicated key does: without one, answers of an older session
    # could be played back, and nothing would tell.
    return Ciphering.GLOBAL if mechanism.is_high else Ciphering.DEDICATED


def is_replayable(options: Mapping[str, str]) -> bool:
    """Return whether answers of an older session could be played back in the one that the URL's ``options`` ask for:
    protected with keys that stay, and no challenge."""
    ciphering = _CIPHERINGS.get(options.get("ciphering", "none").lower())
    mechanism = MECHANISMS.get(options.get("security", "").lower())
    return ciphering in {Ciphering.GLOBAL, Ciphering.GENERAL_GLOBAL} and mechanism in {Mechanism.NONE, Mechanism.LOW}


def _suite(options: Mapping[str, str], signer: EllipticCurvePrivateKey | None, keys: KeySet | None) -> Suite:
    asked = options.get("suite")
    if asked is not None:
        return _word("suite", asked, {str(suite.value): suite for suite in Suite})
    if signer is not None:
        return suite_for_curve(signer.curve)
    return Suite.SUITE_2 if keys is not None and keys.fits(Suite.SUITE_2) else Suite.SUITE_0


def _secret(mechanism: Mechanism, secrets: MeterSecrets) -> Secret | None:
    if mechanism is Mechanism.LOW:
        if secrets.password is None:
            raise _needed("the meter's password", f"set {PASSWORD_VARIABLE}, or give --keys FILE")
        return secrets.password
    if mechanism in _HASHED:
        if secrets.secret is None:
            raise _needed("the secret shared with the meter", f"set {PASSWORD_VARIABLE}, or give --keys FILE")
        return secrets.secret
    return None


def _send_counter(keys: KeySet, title: bytes, secrets: MeterSecrets, counters: CounterStore) -> SendCounter:
    # There are meters that take a first counter of 0 for an old one.
    return SendCounter(max(secrets.counter, 1), store=counters, name=counter_name(keys.unicast, title))


def _judge(secrets: MeterSecrets, verify_peer: PeerCheck) -> PeerCheck:
    known = secrets.meter_key
    return verify_peer if known is None else lambda title, certificate: known


def _word(key: str, text: str, known: Mapping[str, _T]) -> _T:
    try:
        return known[text.lower()]
    except KeyError:
        raise UsageError(
            f"{key}={text} is not known", code="url-invalid", hint=f"{key} is one of {', '.join(known)}"
        ) from None


def _needed(what: str, hint: str) -> UsageError:
    return UsageError(f"{what} is needed for this kind of association", code="keys-needed", hint=hint)
