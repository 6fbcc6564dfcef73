"""What the authority must refuse at the order and at the request: rows 1 and 3 to 11."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os

import pytest
from authority_support import MAIL, NOW, ORGANIZATION, csr, forged, found, issued, order
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, NameOID

from certs import keys, token
from certs.authority import Authority, OrderedToken
from certs.errors import CertsError
from certs.levels import Level


def refused(authority: Authority, request: bytes, **more: str) -> str:
    """The code of the refusal, after checking that nothing was lost: ledger and audit log are as before."""
    before = (authority.tokens(), authority.certificates(), authority.audit())
    with pytest.raises(CertsError) as error:
        authority.issue(request, NOW, **more)
    assert (authority.tokens(), authority.certificates(), authority.audit()) == before
    assert error.value.exit_code == 4
    return error.value.code


def is_open(authority: Authority, ordered: OrderedToken) -> bool:
    return {item.id: item.status(NOW) for item in authority.tokens()}[ordered.token.serial] == "open"


def test_row_1_the_same_token_again_with_the_same_request(authority: Authority) -> None:
    request = csr(order(authority))
    authority.issue(request, NOW)
    assert refused(authority, request) == "token-used"


def test_row_1_the_same_token_again_with_another_key(authority: Authority) -> None:
    ordered = order(authority)
    authority.issue(csr(ordered), NOW)
    assert refused(authority, csr(ordered)) == "token-used"


def test_row_1_review_says_it_too(authority: Authority) -> None:
    ordered = order(authority)
    authority.issue(csr(ordered), NOW)
    with pytest.raises(CertsError) as error:
        authority.review(csr(ordered), NOW)
    assert error.value.code == "token-used"


def test_row_3_the_fingerprint_read_over_the_phone_differs(authority: Authority) -> None:
    ordered = order(authority)
    thief, owner = csr(ordered), csr(ordered)
    spoken = authority.review(owner, NOW).fingerprint
    assert refused(authority, thief, fingerprint=spoken) == "fingerprint-mismatch"
    assert refused(authority, owner, fingerprint=spoken[:9]) == "fingerprint-mismatch"
    assert is_open(authority, ordered)
    assert authority.issue(owner, NOW, fingerprint=spoken.lower().replace(" ", "")).tag == "Tablet 3"


def test_row_4_the_token_expired(authority: Authority) -> None:
    ordered = order(authority, lifetime=dt.timedelta(days=1))
    with pytest.raises(CertsError) as error:
        authority.issue(csr(ordered), NOW + dt.timedelta(days=1, seconds=1))
    assert error.value.code == "token-expired"
    assert authority.issue(csr(ordered), NOW + dt.timedelta(days=1)).level is Level.COMMISSIONING


def test_row_4_the_token_of_another_domain(authority: Authority, tmp_path: object) -> None:
    with found(tmp_path / "other") as other:  # type: ignore[operator]
        request = csr(order(other))
    assert refused(authority, request) == "token-signature"


def test_row_4_one_character_of_the_token_changed(authority: Authority) -> None:
    ordered = order(authority)
    for at in range(len(token.PREFIX), len(ordered.text), 17):
        changed = "A" if ordered.text[at] != "A" else "B"
        text = ordered.text[:at] + changed + ordered.text[at + 1 :]
        code = refused(authority, forged(ordered.token, text))
        assert code in {"token-signature", "token-format"}
    assert is_open(authority, ordered)


def test_row_4_a_token_that_the_consumer_ca_signed(authority: Authority) -> None:
    """The consumer CA's key is public; its tokens count for nothing."""
    domain = authority.domain
    claims = dataclasses.replace(order(authority).token, level=Level.SERVICE)
    text = token.issue(claims, domain.consumer_ca_key, domain.consumer_ca)
    assert refused(authority, forged(claims, text)) == "token-signature"


def test_row_4_a_signed_token_that_is_in_no_order(authority: Authority) -> None:
    """A ledger that was set back to a backup does not know it, and cannot tell whether it was used."""
    claims = dataclasses.replace(order(authority).token, id=os.urandom(16))
    text = token.issue(claims, authority._issuing_key(NOW), authority.domain.issuing_ca)
    assert refused(authority, forged(claims, text)) == "token-unknown"


def test_row_5_the_token_exchanged_inside_the_request(authority: Authority) -> None:
    first, second = order(authority), order(authority)
    der = x509.load_pem_x509_csr(csr(first)).public_bytes(Encoding.DER)
    assert len(first.text) == len(second.text)
    swapped = der.replace(first.text.encode(), second.text.encode())
    assert swapped != der
    assert refused(authority, swapped) == "csr-signature"


@pytest.mark.parametrize(
    "extension",
    [
        x509.BasicConstraints(ca=True, path_length=0),
        x509.CertificatePolicies([x509.PolicyInformation(Level.SERVICE.policy, None)]),
        x509.KeyUsage(True, False, False, False, True, True, True, False, False),
        x509.SubjectAlternativeName([x509.DNSName("example.org")]),
        x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1")]),
    ],
    ids=lambda extension: type(extension).__name__,
)
def test_row_6_extensions_of_its_own(authority: Authority, extension: x509.ExtensionType) -> None:
    ordered = order(authority)
    assert refused(authority, forged(ordered.token, ordered.text, extensions=[extension])) == "csr-extension"
    assert is_open(authority, ordered)


def test_row_6_a_challenge_password_or_an_unknown_attribute(authority: Authority) -> None:
    ordered = order(authority)
    for oid in (AttributeOID.CHALLENGE_PASSWORD, x509.ObjectIdentifier("1.2.3.4")):
        request = forged(ordered.token, ordered.text, attributes=[(oid, b"secret")])
        assert refused(authority, request) == "csr-extension"


def test_row_6_more_in_the_subject_than_there_should_be(authority: Authority) -> None:
    ordered = order(authority)
    more = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Service")]
    assert refused(authority, forged(ordered.token, ordered.text, names=more)) == "csr-extension"


def test_row_7_the_organization_differs(authority: Authority) -> None:
    ordered = order(authority)
    assert refused(authority, forged(ordered.token, ordered.text, organization="Other")) == "csr-organization"


def test_row_7_the_system_title_differs(authority: Authority) -> None:
    ordered = order(authority)
    assert refused(authority, forged(ordered.token, ordered.text, title="00" * 8)) == "csr-system-title"
    assert refused(authority, forged(ordered.token, ordered.text, title="no title")) == "csr-system-title"


@pytest.mark.parametrize("kind", ["RSA", "P-224", "P-521", "P-384 for suite 1", "brainpool"])
def test_row_8_a_key_of_another_kind(authority: Authority, kind: str) -> None:
    made = {
        "RSA": lambda: rsa.generate_private_key(65537, 2048),
        "P-224": lambda: ec.generate_private_key(ec.SECP224R1()),
        "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "P-384 for suite 1": lambda: ec.generate_private_key(ec.SECP384R1()),
        "brainpool": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    }[kind]()
    ordered = order(authority)
    assert refused(authority, forged(ordered.token, ordered.text, key=made)) == "csr-key-type"


def test_row_9_a_key_that_was_certified_before(authority: Authority) -> None:
    key = keys.generate(1)
    authority.issue(csr(order(authority), key=key), NOW)
    fresh = order(authority)
    assert refused(authority, csr(fresh, key=key)) == "key-reuse"
    assert is_open(authority, fresh)


def test_row_9_a_meters_key_counts_too(authority: Authority) -> None:
    meter = authority.issue_meter(os.urandom(8), NOW)
    assert refused(authority, csr(order(authority), key=meter.private_key)) == "key-reuse"
    with pytest.raises(CertsError) as error:
        authority.issue_meter(os.urandom(8), NOW, public_key=meter.issued.certificate.public_key())  # type: ignore[arg-type]
    assert error.value.code == "key-reuse"


def test_row_10_no_token(authority: Authority) -> None:
    assert refused(authority, forged(order(authority).token, None)) == "csr-no-token"


def test_row_10_not_a_request(authority: Authority) -> None:
    pem = issued(authority).certificate.public_bytes(Encoding.PEM)
    noise = (b"", b"\x30", os.urandom(10_000_000), pem, b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n")
    assert {refused(authority, data) for data in noise} == {"csr-format"}


BAD_NAMES = ["a\r\nb", "a\x00b", "a\u202eb", "a\u200bb", "x" * 300, "\ufeffa", "a\x1b[31m"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_row_11_a_tag_that_nobody_can_read(authority: Authority, name: str) -> None:
    ordered = order(authority)
    assert refused(authority, forged(ordered.token, ordered.text, tag=name)) == "csr-tag"


@pytest.mark.parametrize("name", [*BAD_NAMES, "", "   "], ids=ascii)
def test_row_11_an_organization_that_nobody_can_read(authority: Authority, name: str) -> None:
    before = authority.audit()
    with pytest.raises(CertsError) as error:
        authority.order(organization=name, level=Level.TEST, now=NOW)
    assert error.value.code == "organization-name"
    assert authority.audit() == before


def test_row_11_an_organization_in_the_request_that_nobody_can_read(authority: Authority) -> None:
    ordered = order(authority)
    bad = forged(ordered.token, ordered.text, organization="a\u202eb")
    assert refused(authority, bad) == "organization-name"


def test_level_and_organization_come_from_the_token(authority: Authority) -> None:
    certificate = issued(authority)
    checked = authority.domain.check_level(certificate.certificate, NOW)
    assert (checked.level, checked.organization, checked.tag) == (Level.COMMISSIONING, ORGANIZATION, "Tablet 3")
    assert certificate.mail == MAIL
