"""Vectors of other implementations: tests/data/dlms/vectors.json, whose entries name their sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from meterlink.errors import SecurityError
from meterlink.security import signing
from meterlink.security.ciphered import Ciphering, unwrap, wrap
from meterlink.security.control import SecurityControl
from meterlink.security.counters import SendCounter
from meterlink.security.hls import Exchange, GmacProof
from meterlink.security.key_agreement import Offer, derive, read_offer, shared_secret
from meterlink.security.key_wrap import unwrap_key, wrap_key
from meterlink.security.keys import KeyId, KeySet
from meterlink.security.protection import gmac, seal
from meterlink.security.suites import Suite

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "dlms" / "vectors.json").read_text(encoding="utf-8")
)
KEYS = KeySet(
    bytes.fromhex(VECTORS["keys_common"]["EK"]),
    bytes.fromhex(VECTORS["keys_common"]["AK"]),
    dedicated=bytes.fromhex("00112233445566778899AABBCCDDEEFF"),
)


def _hex(entry: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(entry[name])


def _named(section: str, part: str) -> dict[str, Any]:
    (found,) = [entry for entry in VECTORS[section] if part in entry["name"]]
    return dict(found)


def _private(entry: dict[str, Any], name: str, suite: Suite) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int(entry[name], 16), suite.curve)


@pytest.mark.parametrize("part", ["SC 30", "SC 20", "ciphered InitiateRequest"])
def test_global_ciphering(part: str) -> None:
    entry = _named("gcm_glo", part)
    apdu, title = _hex(entry, "glo_apdu"), _hex(entry, "title")
    opened = unwrap(apdu, system_title=title, keys=KEYS)
    assert opened.apdu == _hex(entry, "plain")
    assert opened.counter == int(entry["ic"], 16)
    again = wrap(
        opened.apdu,
        ciphering=Ciphering.GLOBAL,
        control=opened.control,
        system_title=title,
        counter=opened.counter,
        keys=KEYS,
    )
    assert again == apdu


def test_authentication_only() -> None:
    entry = _named("gcm_glo", "SC 10")
    control = SecurityControl.from_byte(0x10)
    counter, title = int(entry["ic"], 16), _hex(entry, "title")
    sealed = seal(_hex(entry, "plain"), control=control, system_title=title, counter=counter, keys=KEYS)
    assert sealed == bytes.fromhex("10" + entry["ic"] + entry["plain"] + entry["tag"])
    assert gmac(_hex(entry, "plain"), control=control, system_title=title, counter=counter, keys=KEYS) == _hex(
        entry, "tag"
    )


def test_general_global_ciphering() -> None:
    entry = _named("gcm_glo", "general-glo")
    key = b"MYDUMMYGLOBALKEY"
    keys = KeySet(key, key)
    opened = unwrap(_hex(entry, "apdu"), system_title=b"", keys=keys)
    assert opened.apdu == _hex(entry, "plain")
    assert opened.ciphering is Ciphering.GENERAL_GLOBAL
    again = wrap(
        opened.apdu,
        ciphering=opened.ciphering,
        control=opened.control,
        system_title=opened.system_title,
        counter=opened.counter,
        keys=keys,
    )
    assert again == _hex(entry, "apdu")


def test_hls_gmac() -> None:
    (entry,) = VECTORS["hls_gmac_mech5"]
    client = Exchange(
        own_title=_hex(entry, "title_client"),
        peer_title=_hex(entry, "title_server"),
        own_challenge=_hex(entry, "CtoS"),
        peer_challenge=_hex(entry, "StoC"),
    )
    ours = GmacProof(Suite.SUITE_0, KEYS, SendCounter(int(entry["ic_client"], 16)))
    theirs = GmacProof(Suite.SUITE_0, KEYS, SendCounter(int(entry["ic_server"], 16)))
    assert ours.answer(client) == _hex(entry, "f_StoC")
    assert theirs.answer(client.reversed) == _hex(entry, "f_CtoS")
    ours.check(client, _hex(entry, "f_CtoS"))
    theirs.check(client.reversed, _hex(entry, "f_StoC"))


def test_key_wrap() -> None:
    (entry,) = VECTORS["key_wrap_rfc3394"]
    assert wrap_key(_hex(entry, "kek"), _hex(entry, "key")) == _hex(entry, "wrapped")
    assert unwrap_key(_hex(entry, "kek"), _hex(entry, "wrapped")) == _hex(entry, "key")


@pytest.mark.parametrize("part", ["client signing key", "server signing key"])
def test_public_key_of_private_key(part: str) -> None:
    entry = _named("ecdsa_suite1", part)
    public = _private(entry, "priv", Suite.SUITE_1).public_key()
    assert signing.public_key_to_bytes(public) == _hex(entry, "pub_xy")
    assert signing.public_key_from_bytes(_hex(entry, "pub_xy"), Suite.SUITE_1) == public


@pytest.mark.parametrize(
    "part, signer",
    [
        ("Epub-K-Sig-C", "client signing key"),
        ("key signature client", "client signing key"),
        ("key signature server", "server signing key"),
    ],
)
def test_signatures_of_suite_1(part: str, signer: str) -> None:
    entry = _named("ecdsa_suite1", part)
    public = signing.public_key_from_bytes(_hex(_named("ecdsa_suite1", signer), "pub_xy"), Suite.SUITE_1)
    signing.verify(_hex(entry, "message"), _hex(entry, "sig"), suite=Suite.SUITE_1, public_key=public)
    with pytest.raises(SecurityError, match="signature"):
        signing.verify(_hex(entry, "message") + b"\0", _hex(entry, "sig"), suite=Suite.SUITE_1, public_key=public)


def test_signature_of_suite_2() -> None:
    (entry,) = VECTORS["ecdsa_p384_suiteB"]
    public = signing.public_key_from_bytes(_hex(entry, "pub_xy"), Suite.SUITE_2)
    assert signing.public_key_to_bytes(_private(entry, "priv", Suite.SUITE_2).public_key()) == _hex(entry, "pub_xy")
    signing.verify(_hex(entry, "message"), _hex(entry, "sig"), suite=Suite.SUITE_2, public_key=public)


def test_signed_offer_of_the_ephemeral_model() -> None:
    entry = _named("ecdsa_suite1", "Epub-K-Sig-C")
    signer = signing.public_key_from_bytes(_hex(_named("ecdsa_suite1", "client signing key"), "pub_xy"), Suite.SUITE_1)
    offer = Offer(KeyId.UNICAST, _hex(entry, "message")[1:] + _hex(entry, "sig"))
    ephemeral = read_offer(offer, suite=Suite.SUITE_1, public_key=signer)
    agreed = _named("key_agreement", "C(2e,0s)")
    assert signing.public_key_to_bytes(ephemeral) == _hex(agreed, "epub_client")


@pytest.mark.parametrize(
    "part, private, public, party_u, party_v",
    [
        ("C(2e,0s)", "epriv_server", "epub_client", "4D4D4D0000BC614E", "4D4D4D0000000001"),
        ("client->server", "epriv_client", "spub_server", "4D4D4D0000BC614E", "4D4D4D0000000001"),
        ("client->server", "spriv_server", "epub_client", "4D4D4D0000BC614E", "4D4D4D0000000001"),
        ("server->client", "spriv_client", "epub_server", "4D4D4D0000000001", "4D4D4D0000BC614E"),
    ],
)
@pytest.mark.parametrize(
    "algorithm, name", [("60857405080300", "K_algid_60857405080300"), ("60857406080300", "K_algid_60857406080300_gb8")]
)
def test_key_agreement(
    part: str, private: str, public: str, party_u: str, party_v: str, algorithm: str, name: str
) -> None:
    entry = _named("key_agreement", part)
    shared = shared_secret(
        _private(entry, private, Suite.SUITE_1), signing.public_key_from_bytes(_hex(entry, public), Suite.SUITE_1)
    )
    assert shared == _hex(entry, "Z")
    key = derive(
        shared,
        suite=Suite.SUITE_1,
        algorithm=bytes.fromhex(algorithm),
        party_u=bytes.fromhex(party_u),
        party_v=bytes.fromhex(party_v),
    )
    assert key == _hex(entry, name)
