"""Properties: what goes in comes out, and junk raises nothing but our own errors."""

import contextlib
import dataclasses
import datetime as dt
import json
import secrets
import unicodedata
from typing import Any

import base45
import cbor2
import cwt
import pytest
from certs_support import NOW, TestAuthority, der
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from certs import cbor, cose, importing, names, payload, profile, request, token
from certs.domain import TrustDomain
from certs.errors import CertsError, PayloadError, ProfileError, RequestError, TokenError
from certs.levels import Level

AUTHORITY = TestAuthority.create()
BIG = TestAuthority.create("Big domain", suite=2)
KEY = ec.generate_private_key(ec.SECP256R1())
TOKEN = AUTHORITY.token()
REQUEST = request.build_request(TOKEN, token.peek(TOKEN), "Tablet 3", KEY).public_bytes(Encoding.DER)
LEAF = AUTHORITY.issue(request.read_request(REQUEST))
CODE = payload.certificate_text(LEAF, [AUTHORITY.domain.issuing_ca])
DOMAIN_CODE = payload.domain_text(AUTHORITY.domain)
DOMAIN_JSON = AUTHORITY.domain.to_json()

FILES = [der(LEAF), REQUEST, DOMAIN_JSON.encode(), CODE.encode(), LEAF.public_bytes(Encoding.PEM)]

NAMES = st.text(min_size=1, max_size=64).map(lambda text: unicodedata.normalize("NFC", text.strip())).filter(
    lambda text: names.is_plain(text, 64)
)  # fmt: skip


@st.composite
def tokens(draw: st.DrawFn) -> token.Token:
    issued = draw(st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)))
    return token.Token(
        id=draw(st.binary(min_size=16, max_size=16)),
        level=draw(st.sampled_from(Level)),
        organization=draw(NAMES),
        system_title=draw(st.binary(min_size=8, max_size=8)),
        suite=draw(st.sampled_from([1, 2])),
        issued=issued.replace(microsecond=0),
        expires=issued.replace(microsecond=0) + dt.timedelta(days=draw(st.integers(0, 3000))),
    )


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Flip bits, cut, double or insert in something that was right: this gets deeper than noise does."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "double", "set"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if data:
                data[at] = draw(st.sampled_from([0, 1, 0x30, 0x7F, 0x80, 0x84, 0xFF]))
            case "cut":
                del data[at : at + draw(st.integers(1, 40))]
            case "insert":
                data[at:at] = draw(st.binary(max_size=10))
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


# --- tokens ---


@given(tokens())
def test_a_token_comes_back_as_it_was(claims: token.Token) -> None:
    for authority in (AUTHORITY, BIG):
        text = token.issue(claims, authority.made.issuing_key, authority.domain.issuing_ca)
        assert set(text) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")
        assert not text.endswith(" ")  # pasting would lose it
        assert token.verify(text, authority.domain, claims.expires) == claims
        assert payload.parse(f" {text}\r\n") == payload.TokenPayload(text, claims)
        with pytest.raises(TokenError, match="token-signature"):
            token.verify(text, BIG.domain if authority is AUTHORITY else AUTHORITY.domain, NOW)


@given(tokens())
@settings(max_examples=25)
def test_another_implementation_of_cose_reads_our_tokens(claims: token.Token) -> None:
    for authority, algorithm in ((AUTHORITY, "ES256"), (BIG, "ES384")):
        text = token.issue(claims, authority.made.issuing_key, authority.domain.issuing_ca)
        public = authority.made.issuing_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        message = base45.b45decode(text[len(token.PREFIX) :])
        key_id = cose.parse_sign1(message).headers[cose.KEY_ID]
        body = cwt.COSE.new().decode(message, cwt.COSEKey.from_pem(public, alg=algorithm, kid=key_id))
        read = cbor2.loads(body)
        assert read[7] == claims.id
        assert read[4] == int(claims.expires.timestamp())
        assert read[-65538] == claims.organization


def test_we_read_what_another_implementation_of_cose_signed() -> None:
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signer = cwt.COSEKey.from_pem(private, alg="ES256")
    message = cwt.COSE.new(alg_auto_inclusion=True).encode_and_sign(b"payload", signer)
    parsed = cose.parse_sign1(message)
    assert parsed.payload == b"payload"
    assert parsed.is_signed_by(KEY.public_key())
    assert not parsed.is_signed_by(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert not parsed.is_signed_by(ec.generate_private_key(ec.SECP384R1()).public_key())
    assert not parsed.is_signed_by(ec.generate_private_key(ec.SECP521R1()).public_key())


@given(damaged(base45.b45decode(TOKEN[5:])))
def test_a_damaged_token_is_never_another_token(data: bytes) -> None:
    text = token.PREFIX + base45.b45encode(data).decode()
    try:
        assert token.verify(text, AUTHORITY.domain, NOW) == token.peek(TOKEN)
        assert data == base45.b45decode(TOKEN[5:])
    except TokenError:
        pass


CLAIMS = cbor2.loads(cose.parse_sign1(base45.b45decode(TOKEN[5:])).payload)
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=80), st.binary(max_size=20),
    st.floats(), st.lists(st.integers(0, 3), max_size=3), st.just({}),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(CLAIMS)), ODD, min_size=1))
def test_signed_claims_that_say_something_odd_are_our_error(changes: dict[int, Any]) -> None:
    message = cose.sign1(cbor2.dumps(CLAIMS | changes), AUTHORITY.made.issuing_key, {cose.KEY_ID: b"12345678"})
    with contextlib.suppress(TokenError):
        read = token.peek(token.PREFIX + base45.b45encode(message).decode())
        assert isinstance(read.level, Level)
        assert names.is_plain(read.organization, 64)


@pytest.mark.parametrize("claims", [[], 1, "text", {}, {1: 2}, None])
def test_signed_claims_that_are_no_claims_are_our_error(claims: Any) -> None:
    message = cose.sign1(cbor2.dumps(claims), AUTHORITY.made.issuing_key, {})
    with pytest.raises(TokenError, match="token-format"):
        token.peek(token.PREFIX + base45.b45encode(message).decode())


# --- CBOR ---

PLAIN = st.recursive(
    st.one_of(st.integers(-(2**64), 2**64 - 1), st.text(max_size=30), st.binary(max_size=300)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-70000, 70000) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_the_strict_reader_agrees_with_the_library(item: Any) -> None:
    if depth(item) > cbor.MAX_DEPTH:
        with pytest.raises(cbor.CborError, match="deeply"):
            cbor.read(cbor2.dumps(item))
    else:
        assert cbor.read(cbor2.dumps(item)) == item


def depth(item: Any) -> int:
    inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(st.binary(max_size=200) | damaged(cbor2.dumps([1, b"x" * 30, {"a": [1, -5]}, "text"])))
def test_junk_cbor_raises_our_error_and_what_is_read_the_library_reads_too(data: bytes) -> None:
    try:
        item = cbor.read(data)
    except cbor.CborError:
        return
    assert cbor2.loads(data) == item


# --- payloads ---


@given(st.text(max_size=400) | st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", max_size=400))
def test_junk_text_is_our_error(text: str) -> None:
    for prefix in ("", "MLT1:", "MLC1:", "MLD1:", "ML", "http://"):
        with pytest.raises(PayloadError) as caught:
            payload.parse(prefix + text)
        assert caught.value.code in {"not-ours", "payload-damaged", "payload-too-large"}


@given(st.sampled_from([CODE, DOMAIN_CODE]), st.data())
def test_a_damaged_code_is_never_another_certificate_or_domain(good: str, data: st.DataObject) -> None:
    packed = data.draw(damaged(base45.b45decode(good[5:])))
    try:
        read = payload.parse(good[:5] + base45.b45encode(packed).decode())
    except CertsError:
        return
    # What still parses must still be refused or say the same.
    if isinstance(read, payload.CertificatePayload):
        try:
            checked = AUTHORITY.domain.check_level(read.leaf, NOW, intermediates=read.chain)
        except ProfileError:
            return
        assert checked.certificate == LEAF


def test_a_certificate_and_a_domain_come_back_as_they_were() -> None:
    read = payload.parse(CODE)
    assert read == payload.CertificatePayload(LEAF, (AUTHORITY.domain.issuing_ca,))
    for authority in (AUTHORITY, BIG):
        back = payload.parse(payload.domain_text(authority.domain))
        assert isinstance(back, payload.DomainPayload)
        assert back.domain.to_json() == authority.domain.to_json()


@pytest.mark.parametrize("width", [20, 64, 76])
def test_a_code_that_a_mail_program_wrapped_is_read(width: int) -> None:
    for text in (TOKEN, CODE, DOMAIN_CODE):
        wrapped = "\r\n".join(text[at : at + width] for at in range(0, len(text), width))
        assert type(payload.parse(wrapped)) is type(payload.parse(text))


@pytest.mark.parametrize(
    ("text", "what"),
    [("https://example.org", "web address"), ("WIFI:S:x;;", "Wi-Fi"), ("4006381333931", "barcode"),
     ("BEGIN:VCARD\nFN:x", "business card"), ("MLT9:ABC", "version"), ("hello", "a text"), ("", "a text")],
)  # fmt: skip
def test_other_codes_are_named_for_what_they_are(text: str, what: str) -> None:
    with pytest.raises(PayloadError, match="not-ours") as caught:
        payload.parse(text)
    assert what in caught.value.message


def test_what_does_not_fit_into_a_code_says_so() -> None:
    with pytest.raises(PayloadError, match="payload-too-large"):
        payload.certificate_text(LEAF, [AUTHORITY.domain.issuing_ca] * 4)
    distant = dataclasses.replace(AUTHORITY.domain, crl_url=f"https://example.org/{secrets.token_hex(3000)}")
    with pytest.raises(PayloadError, match="payload-too-large"):
        payload.domain_text(distant)


# --- requests, certificates, domains, files ---


@given(damaged(REQUEST) | st.binary(max_size=300))
def test_a_damaged_request_is_our_error(data: bytes) -> None:
    try:
        read = request.read_request(data)
    except RequestError:
        return
    assert read.csr.public_bytes(Encoding.DER) == REQUEST


@given(NAMES, st.binary(min_size=8, max_size=8))
@settings(max_examples=30)
def test_a_request_comes_back_as_it_was(tag: str, title: bytes) -> None:
    claims = token.Token(b"0" * 16, Level.TEST, "Org", title, 1, NOW, NOW)
    csr = request.build_request("MLT1:X", claims, tag, KEY)
    read = request.read_request(csr.public_bytes(Encoding.PEM))
    assert (read.tag, read.system_title, read.organization, read.token_text) == (tag, title, "Org", "MLT1:X")
    read.check_against(claims)


@given(damaged(der(LEAF)) | st.binary(max_size=300))
def test_a_damaged_certificate_is_refused_with_our_error(data: bytes) -> None:
    try:
        checked = AUTHORITY.domain.check_level(data, NOW)
    except ProfileError:
        return
    assert checked.certificate == LEAF


@given(st.binary(max_size=300) | damaged(DOMAIN_JSON.encode()))
def test_a_damaged_domain_file_is_our_error(data: bytes) -> None:
    try:
        read = TrustDomain.from_json(data)
    except ProfileError:
        return
    assert read.id == AUTHORITY.domain.id


@given(st.dictionaries(st.sampled_from(sorted(json.loads(DOMAIN_JSON))), ODD.filter(lambda item: item == item)))
def test_an_odd_domain_file_is_our_error(changes: dict[str, Any]) -> None:
    body = json.loads(DOMAIN_JSON) | {key: value for key, value in changes.items() if not isinstance(value, bytes)}
    try:
        read = TrustDomain.from_json(json.dumps(body))
    except ProfileError:
        return
    assert read.id == AUTHORITY.domain.id


@given(
    st.binary(min_size=1, max_size=300).filter(lambda data: data[:1] == b"\x30" or b"-----BEGIN" in data)
    | st.sampled_from(FILES).flatmap(damaged)
)
@settings(max_examples=30)  # what is nothing else goes to the reader of pictures, a child process
def test_importing_junk_raises_our_errors_alone(data: bytes) -> None:
    with contextlib.suppress(CertsError):
        importing.recognise(data)


@given(st.text(max_size=300))
def test_a_file_name_is_always_one_safe_name(text: str) -> None:
    name = names.file_name(text, Level.TEST, text[::-1], "jpg")
    assert "/" not in name
    assert "\\" not in name
    assert name.isprintable()
    assert len(name.encode()) <= 255
    assert name.count(".") == 1


@given(st.integers(-(10**12), 10**12))
def test_system_titles(number: int) -> None:
    title = (number % 2**64).to_bytes(8)
    assert profile.parse_system_title(profile.system_title_text(title)) == title
    for bad in (title[:7], title + b"x"):
        with pytest.raises(ValueError, match="system title"):
            profile.system_title_text(bad)
