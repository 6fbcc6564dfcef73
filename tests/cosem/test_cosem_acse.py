"""ACSE: the vectors, round trips, junk, and where certificates may stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cosem_strategies as strategies
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.cosem.acse import Aare, Aarq, AssociationResult, Context, Diagnostic, ReleaseReason, Rlre, Rlrq
from meterlink.errors import ProtocolError
from meterlink.security.hls import Mechanism

VECTORS: Any = json.loads((Path(__file__).parent.parent / "data/dlms/vectors.json").read_text())["acse"]
HEX = {entry["name"]: bytes.fromhex(entry["hex"]) for entry in VECTORS}
KINDS: dict[int, type[Aarq] | type[Aare] | type[Rlrq] | type[Rlre]] = {0x60: Aarq, 0x61: Aare, 0x62: Rlrq, 0x63: Rlre}


@pytest.mark.parametrize("name", HEX)
def test_the_vectors_are_read_and_written(name: str) -> None:
    assert KINDS[HEX[name][0]].from_bytes(HEX[name]).to_bytes() == HEX[name]


def test_an_aarq_is_understood() -> None:
    aarq = Aarq.from_bytes(HEX["AARQ LN ciphered + LLS"])
    assert aarq.context is Context.LOGICAL_NAMES_CIPHERED
    assert aarq.mechanism is Mechanism.LOW
    assert aarq.system_title == bytes.fromhex("4D4D4D0000BC614E")
    assert aarq.secret == b"12345678"
    assert aarq.user_information[0] == 0x21


def test_an_aare_is_understood() -> None:
    aare = Aare.from_bytes(HEX["AARE HLS authentication-required StoC P6wRJ21F"])
    assert aare.result is AssociationResult.ACCEPTED
    assert aare.diagnostic is Diagnostic.AUTHENTICATION_REQUIRED
    assert aare.mechanism is Mechanism.GMAC
    assert aare.challenge == b"P6wRJ21F"
    rejected = Aare.from_bytes(HEX["AARE rejected app-context"])
    assert rejected.result is AssociationResult.REJECTED_PERMANENT
    assert rejected.diagnostic.code == "application-context-name-not-supported"


@given(strategies.aarqs)
def test_an_aarq_comes_back(aarq: Aarq) -> None:
    assert Aarq.from_bytes(aarq.to_bytes()) == aarq


@given(strategies.aares)
def test_an_aare_comes_back(aare: Aare) -> None:
    assert Aare.from_bytes(aare.to_bytes()) == aare


@given(strategies.rlrqs | strategies.rlres)
def test_a_release_comes_back(release: Rlrq | Rlre) -> None:
    assert type(release).from_bytes(release.to_bytes()) == release


@given(st.sampled_from([0x60, 0x61, 0x62, 0x63]), st.binary(max_size=60))
def test_junk_raises_only_our_error(tag: int, octets: bytes) -> None:
    for data in (octets, bytes((tag,)) + octets, bytes((tag, len(octets))) + octets):
        try:
            message = KINDS[tag].from_bytes(data)
        except ProtocolError:
            continue
        assert KINDS[tag].from_bytes(message.to_bytes()) == message


@given(st.sampled_from(sorted(HEX)), st.data())
def test_a_changed_octet_raises_only_our_error(name: str, data: st.DataObject) -> None:
    octets = bytearray(HEX[name])
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        KINDS[HEX[name][0]].from_bytes(bytes(octets))
    except ProtocolError:
        return


def _aare_with(field: bytes) -> bytes:
    plain = HEX["AARE accepted"]
    return bytes((0x61, len(plain) - 2 + len(field))) + plain[2:25] + field + plain[25:]


def test_a_server_certificate_is_taken_from_a5_and_from_a7() -> None:
    assert Aare.from_bytes(_aare_with(b"\xa5\x05\x04\x03DER")).certificate == b"DER"
    assert Aare.from_bytes(_aare_with(b"\xa7\x05\x04\x03DER")).certificate == b"DER"


def test_an_invocation_id_in_a7_is_no_certificate() -> None:
    assert Aare.from_bytes(_aare_with(b"\xa7\x03\x02\x01\x07")).certificate is None


def test_our_server_certificate_goes_out_in_a5_and_a_clients_in_a7() -> None:
    aare = Aare(Context.LOGICAL_NAMES, AssociationResult.ACCEPTED, Diagnostic.NULL, certificate=b"DER")
    assert b"\xa5\x05\x04\x03DER" in aare.to_bytes()
    aarq = Aarq(Context.LOGICAL_NAMES, b"\x01", certificate=b"DER")
    assert b"\xa7\x05\x04\x03DER" in aarq.to_bytes()


@pytest.mark.parametrize(
    ("field", "code"),
    [
        (b"\xa1\x09\x06\x07\x60\x85\x74\x05\x08\x01\x09", "application-context-name-not-supported"),
        (b"\x8b\x07\x60\x85\x74\x05\x08\x02\x09", "authentication-mechanism-name-not-recognised"),
    ],
)
def test_unknown_names_have_codes_of_their_own(field: bytes, code: str) -> None:
    head = b"" if field[0] == 0xA1 else b"\xa1\x09\x06\x07\x60\x85\x74\x05\x08\x01\x01"
    body = head + field + b"\xbe\x03\x04\x01\x01"
    with pytest.raises(ProtocolError) as caught:
        Aarq.from_bytes(bytes((0x60, len(body))) + body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x60\x00",
        b"\x60\x84\xff\xff\xff\xff",
        HEX["AARQ LN no security"] + b"\x00",
        b"\x60\x2a" + HEX["AARQ LN no security"][2:13] * 2 + HEX["AARQ LN no security"][13:] + b"\x00\x00",
    ],
)
def test_a_broken_aarq_is_refused(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        Aarq.from_bytes(octets)


def test_an_unknown_diagnostic_is_no_reason_and_an_unknown_release_reason_is_the_users() -> None:
    octets = HEX["AARE rejected app-context"].replace(b"\xa3\x05\xa1\x03\x02\x01\x02", b"\xa3\x05\xa1\x03\x02\x01\x63")
    assert Aare.from_bytes(octets).diagnostic is Diagnostic.NO_REASON_GIVEN
    assert Rlrq.from_bytes(b"\x62\x03\x80\x01\x07").reason is ReleaseReason.USER_DEFINED
    assert Rlrq.from_bytes(b"\x62\x00").reason is ReleaseReason.NORMAL


def test_secrets_are_not_shown() -> None:
    aarq = Aarq(Context.LOGICAL_NAMES, b"sesame", Mechanism.LOW, secret=b"sesame")
    assert "sesame" not in repr(aarq)
