"""THREATS, rows 4 to 8, 10 and 11, as far as a request and a token show it by themselves."""

import dataclasses
import datetime as dt
import os

import pytest
from certs_support import NOW, TestAuthority
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certs import names, profile, request, token
from certs.domain import TrustDomain
from certs.errors import RequestError, TokenError
from certs.levels import TOKEN_ATTRIBUTE, Level


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority.create()


@pytest.fixture
def text(authority: TestAuthority) -> str:
    return authority.token()


def subject(text: str, **changes: str) -> x509.Name:
    claims = token.peek(text)
    values = {
        NameOID.ORGANIZATION_NAME: changes.get("organization", claims.organization),
        NameOID.COMMON_NAME: changes.get("title", claims.system_title.hex().upper()),
        profile.DESCRIPTION: changes.get("tag", "Tablet 3"),
    }
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in values.items() if value])


def builder(text: str, **changes: str) -> x509.CertificateSigningRequestBuilder:
    made = x509.CertificateSigningRequestBuilder().subject_name(subject(text, **changes))
    return made.add_attribute(TOKEN_ATTRIBUTE, text.encode())


def read(made: x509.CertificateSigningRequestBuilder, key: object = None) -> request.Request:
    signed = made.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())  # type: ignore[arg-type]
    return request.read_request(signed.public_bytes(Encoding.DER))


def refused(code: str, made: x509.CertificateSigningRequestBuilder, key: object = None) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(made, key)
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value


def test_a_right_request_is_read(text: str) -> None:
    read_back = read(builder(text))
    read_back.check_against(token.peek(text))
    assert (read_back.tag, read_back.token_text, read_back.suite) == ("Tablet 3", text, 1)


# --- row 4 ---


def test_row_4_token_expired(authority: TestAuthority, text: str) -> None:
    assert token.verify(text, authority.domain, NOW + dt.timedelta(days=30)).level is Level.COMMISSIONING
    with pytest.raises(TokenError) as caught:
        token.verify(text, authority.domain, NOW + dt.timedelta(days=30, seconds=1))
    assert caught.value.code == "token-expired"


def test_row_4_token_signed_by_another_domain(authority: TestAuthority) -> None:
    stranger = TestAuthority.create(authority.domain.name)
    with pytest.raises(TokenError) as caught:
        token.verify(stranger.token(), authority.domain, NOW)
    assert caught.value.code == "token-signature"


def test_row_4_token_signed_by_the_public_consumer_key(authority: TestAuthority, text: str) -> None:
    domain = authority.domain
    forged = token.issue(token.peek(text), domain.consumer_ca_key, domain.consumer_ca)
    posing = token.issue(token.peek(text), domain.consumer_ca_key, domain.issuing_ca)
    for bad in (forged, posing):
        with pytest.raises(TokenError, match="token-signature"):
            token.verify(bad, domain, NOW)


def test_row_4_token_signed_by_a_ca_that_may_not_issue_its_level_or_was_revoked(authority: TestAuthority) -> None:
    made, domain = authority.made, authority.domain
    claims = token.peek(authority.token(Level.SERVICE))

    def with_ca(*levels: Level) -> tuple[str, TrustDomain]:
        key = ec.generate_private_key(ec.SECP256R1())
        policies = [level.policy for level in levels]
        ca = profile.build_ca("Test domain", "Other CA", key.public_key(), policies, domain.root, made.root_key, NOW)
        return token.issue(claims, key, ca), dataclasses.replace(domain, previous=(ca,))

    text, wide = with_ca(Level.SERVICE, Level.TEST)
    assert token.verify(text, wide, NOW) == claims
    revoked = wide.with_crl(authority.crl(wide.previous[0].serial_number, issuer=domain.root, key=made.root_key))
    for bad, trust in ((text, revoked), with_ca(Level.TEST), with_ca(Level.CONSUMER)):
        with pytest.raises(TokenError, match="token-signature"):
            token.verify(bad, trust, NOW)


def test_row_4_one_character_of_the_token_changed(authority: TestAuthority, text: str) -> None:
    for at in range(len(text)):
        altered = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(TokenError) as caught:
            token.verify(altered, authority.domain, NOW)
        assert caught.value.code in {"token-signature", "token-format"}


# --- row 5 ---


def test_row_5_token_exchanged_inside_the_request(authority: TestAuthority, text: str) -> None:
    other = authority.token(Level.SERVICE)
    signed = builder(text).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    assert len(other.encode()) <= len(text.encode()) + 8
    raw = signed.public_bytes(Encoding.DER)
    at = raw.index(text.encode())
    exchanged = raw[:at] + other.encode()[: len(text)].ljust(len(text)) + raw[at + len(text) :]
    with pytest.raises(RequestError) as caught:
        request.read_request(exchanged)
    assert caught.value.code == "csr-signature"


def test_row_5_every_flipped_bit_of_a_request_is_refused(text: str) -> None:
    signed = builder(text).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)
    for bit in range(len(signed) * 8):
        altered = bytearray(signed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RequestError):
            request.read_request(bytes(altered))


# --- row 6 ---


@pytest.mark.parametrize(
    "extension",
    [
        x509.CertificatePolicies([x509.PolicyInformation(Level.SERVICE.policy, None)]),
        x509.BasicConstraints(ca=True, path_length=None),
        x509.KeyUsage(True, False, False, False, True, False, False, False, False),
        x509.SubjectAlternativeName([x509.DNSName("example.org")]),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),
    ],
    ids=["level", "ca", "key-usage", "name", "own"],
)
def test_row_6_request_asks_for_an_extension(text: str, extension: x509.ExtensionType) -> None:
    refused("csr-extension", builder(text).add_extension(extension, critical=False))


def test_row_6_request_carries_other_attributes_or_names(text: str) -> None:
    refused("csr-extension", builder(text).add_attribute(x509.ObjectIdentifier("1.2.840.113549.1.9.7"), b"secret"))
    refused("csr-extension", builder(text).add_attribute(request.RENEWAL_ATTRIBUTE, b"MLR1:"))
    more = x509.Name([*subject(text), x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Service")])
    made = x509.CertificateSigningRequestBuilder().subject_name(more).add_attribute(TOKEN_ATTRIBUTE, text.encode())
    refused("csr-extension", made)
    twice = x509.Name([*subject(text), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Other")])
    made = x509.CertificateSigningRequestBuilder().subject_name(twice).add_attribute(TOKEN_ATTRIBUTE, text.encode())
    refused("csr-extension", made)


# --- row 7 ---


def test_row_7_organization_or_system_title_differ_from_the_token(text: str) -> None:
    claims = token.peek(text)
    with pytest.raises(RequestError, match="csr-organization"):
        read(builder(text, organization="Somebody else")).check_against(claims)
    with pytest.raises(RequestError, match="csr-system-title"):
        read(builder(text, title="00" * 8)).check_against(claims)
    refused("csr-organization", builder(text, organization=""))
    refused("csr-system-title", builder(text, title="Jane"))


# --- row 8 ---


@pytest.mark.parametrize("kind", ["RSA", "P-224", "P-521", "secp256k1"])
def test_row_8_key_of_another_kind(text: str, kind: str) -> None:
    curves = {"P-224": ec.SECP224R1(), "P-521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(curves[kind])
    refused("csr-key-type", builder(text), key)


def test_row_8_wrong_curve_for_the_tokens_suite(text: str) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    signed = builder(text).sign(key, hashes.SHA384())
    read_back = request.read_request(signed.public_bytes(Encoding.PEM))
    with pytest.raises(RequestError, match="csr-key-type"):
        read_back.check_against(token.peek(text))
    refused("csr-key-type", builder(text), key)  # and P-384 goes with SHA-384 alone
    with pytest.raises(RequestError, match="csr-key-type"):
        request.build_request(text, token.peek(text), "Tag", key)


# --- row 10 ---


def test_row_10_no_token(text: str) -> None:
    refused("csr-no-token", x509.CertificateSigningRequestBuilder().subject_name(subject(text)))


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", os.urandom(10 * 1024 * 1024), b"\x30\x82\xff\xff", b"-----BEGIN CERTIFICATE REQUEST-----\n!!!\n"],
    ids=["empty", "text", "10 MB of noise", "truncated", "broken PEM"],
)
def test_row_10_not_a_request(data: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        request.read_request(data)
    assert caught.value.code == "csr-format"


def test_row_10_token_attribute_that_is_no_text(text: str) -> None:
    made = x509.CertificateSigningRequestBuilder().subject_name(subject(text))
    refused("csr-format", made.add_attribute(TOKEN_ATTRIBUTE, "Größe".encode()))
    refused("csr-format", made.add_attribute(TOKEN_ATTRIBUTE, b"A" * 20_000))


# --- row 11 ---

BAD_NAMES = ["a\r\nb", "a\0b", "a\u202eb", "a\u200bb", "x" * 300, "x" * 65, "\u2028", "\ue000", "a\tb", "\x1b[31m"]


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_row_11_tag_or_organization_that_cannot_be_seen_as_it_is(text: str, bad: str) -> None:
    refused("csr-tag", builder(text, tag=bad))
    refused("organization-name", builder(text, organization=bad))
    with pytest.raises(RequestError, match="csr-tag"):
        names.check_tag(bad)
    with pytest.raises(RequestError, match="organization-name"):
        names.check_organization(bad)


def test_row_11_blanks_and_composed_letters_are_put_right_before_and_refused_after(text: str) -> None:
    assert names.check_tag("  Gerät 3 ") == "Gerät 3"
    assert names.check_tag("Gera\u0308t") == "Gerät"
    for bad in (" Tag", "Gera\u0308t"):
        refused("csr-tag", builder(text, tag=bad))
    with pytest.raises(RequestError, match="csr-tag"):
        names.check_tag("   ")


@pytest.mark.parametrize(
    "good", ["Stadtwerke Süd", "東京ガス", "Δήμος", "شركة المياه", "O'Brien & Söhne (3)", "é" * 64]
)
def test_row_11_names_of_every_script_are_taken(text: str, good: str) -> None:
    assert read(builder(text, tag=good)).tag == good
    assert names.check_organization(good) == good


# --- fingerprints ---


def test_a_fingerprint_is_compared_whole_whatever_its_grouping() -> None:
    print_ = request.fingerprint(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert len(print_.split()) == 8
    assert request.same_fingerprint(print_, print_.lower().replace(" ", ":"))
    assert request.same_fingerprint(print_, print_.replace(" ", ""))
    assert not request.same_fingerprint(print_, print_[:-1])
    assert not request.same_fingerprint(print_[:4], print_[:4])
    assert not request.same_fingerprint("", "")
    other = request.fingerprint(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert not request.same_fingerprint(print_, other)
