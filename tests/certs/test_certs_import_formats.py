"""Every form in which a certificate may come, and every other thing that may be taken for one."""

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from certs_support import NOW, Device, TestAuthority, code, der, pem, unchanged
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7
from PIL import Image

from certs import importing, payload, revocation
from certs.domain import TrustDomain, find, make_domain
from certs.errors import CertsError, PayloadError, ProfileError, StoreError
from certs.levels import Level
from certs.qr import drawing


def picture(text: str, kind: str, folder: Path) -> bytes:
    image = drawing.draw(text)
    path = folder / f"picture.{kind}"
    (image.convert("RGB") if kind in {"jpeg", "pdf", "bmp"} else image).save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "form",
    ["DER", "PEM", "PEM chain", "PEM in a mail", "PKCS#7 DER", "PKCS#7 PEM", "text", "jpeg", "png", "webp", "pdf"],
)
def test_a_certificate_in_every_form(device: Device, tmp_path: Path, form: str) -> None:
    leaf = device.authority.issue(device.request())
    domain = device.authority.domain
    bag = [domain.root, domain.issuing_ca, leaf]  # in no particular order
    data = {
        "DER": lambda: der(leaf),
        "PEM": lambda: pem(leaf),
        "PEM chain": lambda: pem(domain.issuing_ca, leaf),
        "PEM in a mail": lambda: "Grüße, hier ist es:\r\n\r\n".encode("latin-1") + pem(leaf) + b"\r\n--\r\nM.",
        "PKCS#7 DER": lambda: pkcs7.serialize_certificates(bag, Encoding.DER),
        "PKCS#7 PEM": lambda: pkcs7.serialize_certificates(bag, Encoding.PEM),
        "text": lambda: b"\xef\xbb\xbf  " + code(leaf, domain.issuing_ca).encode() + b"\r\n",
    }.get(form, lambda: picture(code(leaf), form, tmp_path))()
    (result,) = importing.import_bytes(device.store(), data)
    assert (result.entry.level, result.entry.active, result.entry.tag) == (Level.COMMISSIONING, True, "Tablet 3")


def test_several_certificates_in_one_file(device: Device) -> None:
    one, two = (device.authority.issue(device.request(tag=tag)) for tag in ("One", "Two"))
    results = importing.import_bytes(device.store(), pem(one, two, device.authority.domain.issuing_ca))
    assert [result.entry.tag for result in results] == ["One", "Two"]
    assert device.store().active().tag == "Two"


def test_what_is_no_certificate_is_named_for_what_it_is(device: Device) -> None:
    record = device.request()
    authority = device.authority
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    crl = authority.crl()
    store = device.store()
    for data, code_, words in (
        (authority.token().encode(), "wrong-kind", "a CSR token"),
        (authority.domain.to_json().encode(), "wrong-kind", "a trust domain"),
        (payload.domain_text(authority.domain).encode(), "wrong-kind", "a trust domain"),
        (record.request.pem, "wrong-kind", "a certificate signing request"),
        (record.request.csr.public_bytes(Encoding.DER), "wrong-kind", "a certificate signing request"),
        (crl.public_bytes(Encoding.PEM), "wrong-kind", "a revocation list"),
        (crl.public_bytes(Encoding.DER), "wrong-kind", "a revocation list"),
        (private, "not-ours", "PRIVATE KEY"),
        (b"Hello", "not-ours", "a text"),
        (b"https://example.org", "not-ours", "a web address"),
        (b"{}", "domain-format", "not a domain file"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate-format", "no certificate"),
        (b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "certificate-format", "no certificate"),
        (b"\x30\x82\xff\xff\xff", "certificate-format", "no certificate"),
        (pkcs7_without_certificates(), "certificate-format", "no certificate"),
        (b"\xff\xfe\x00", "image-unreadable", ""),
        (b"%PDF-1.7 nothing", "image-unreadable", ""),
        (b"", "not-ours", "empty"),
    ):
        with unchanged(device.home), pytest.raises(CertsError) as caught:
            importing.import_bytes(store, data)
        assert (caught.value.code, words in caught.value.message) == (code_, True), (data[:20], caught.value)
        assert caught.value.hint


def pkcs7_without_certificates() -> bytes:
    # SignedData with no digests, no content, no certificates and no signers.
    return bytes.fromhex(
        "3021 06092a864886f70d010702 a014 3012 020101 3100 300b 06092a864886f70d010701 3100".replace(" ", "")
    )


def test_a_good_file_beside_a_bad_one_is_not_imported_in_part(device: Device, tmp_path: Path) -> None:
    leaf = device.authority.issue(device.request())
    store = device.store()
    items = [*importing.recognise(der(leaf)), importing.recognise_text(device.authority.token())]
    with unchanged(device.home), pytest.raises(PayloadError, match="wrong-kind"):
        importing.import_items(store, items)


def test_too_many_certificates_and_too_large_a_file(device: Device, tmp_path: Path) -> None:
    with pytest.raises(PayloadError, match="payload-too-large"):
        importing.recognise(pem(*[device.authority.domain.issuing_ca] * 17))
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(importing.MAX_FILE + 1)
    with pytest.raises(StoreError, match="file-too-large"):
        importing.recognise_file(big)
    with pytest.raises(StoreError, match="file"):
        importing.recognise_file(tmp_path / "absent")


def test_a_photo_without_a_code(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    Image.new("L", (300, 300), 255).save(path)
    with pytest.raises(CertsError, match="no-qr"):
        importing.recognise_file(path)


# --- domains ---


def test_a_domain_file_comes_back_as_it_was(tmp_path: Path) -> None:
    authority = TestAuthority.create("Größe & Co", suite=2)
    domain = dataclasses.replace(
        authority.domain, previous=(), crls=(authority.crl(1, 2),), crl_url="https://example.org/crl"
    )
    domain.save(tmp_path / "a.domain.json")
    back = TrustDomain.load(tmp_path / "a.domain.json")
    assert back.to_json() == domain.to_json()
    assert back.suite == 2
    assert "PRIVATE" not in repr(back)


def test_a_domain_whose_parts_do_not_belong_together() -> None:
    one, two = TestAuthority.create("One").domain, TestAuthority.create("Two").domain
    leaf = TestAuthority.create().meter(ec.generate_private_key(ec.SECP256R1()).public_key(), bytes(8))
    for changes in (
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 65},
        {"mail": "nobody"},
        {"root": two.root},
        {"root": one.issuing_ca},
        {"root": leaf},
        {"issuing_ca": two.issuing_ca},
        {"issuing_ca": leaf},
        {"consumer_ca": one.issuing_ca},
        {"consumer_ca_key": two.consumer_ca_key},
        {"previous": (two.issuing_ca,)},
    ):
        with pytest.raises(ProfileError) as caught:
            dataclasses.replace(one, **changes)
        assert caught.value.code == "domain-format", changes
    for name in ("", "a\u202eb"):
        with pytest.raises(ProfileError, match="domain-format"):
            make_domain(name, "a@example.org", NOW)


def test_a_domain_file_that_is_too_large_or_of_another_version() -> None:
    domain = TestAuthority.create().domain
    for text in (
        domain.to_json().replace('"version": 1', '"version": 2'),
        domain.to_json().replace('"crl_url": null', '"crl_url": 5'),
        domain.to_json().replace('"previous": []', '"previous": [5]'),
        domain.to_json().replace("PRIVATE KEY", "PUBLIC KEY"),
        " " * (9 * 1024 * 1024),
    ):
        with pytest.raises(ProfileError, match="domain-format"):
            TrustDomain.from_json(text)


def test_domains_are_searched_for_at_home_then_at_the_site_then_in_the_package(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))
    site = TestAuthority.create("Site").domain
    (tmp_path / "etc" / "meterlink").mkdir(parents=True)
    site.save(tmp_path / "etc" / "meterlink" / "site.domain.json")
    assert find(home=device.home).id == site.id
    store = device.store()
    assert store.active().domain.id == site.id  # a fresh device of this site is its Consumer
    store.join(device.authority.domain)
    assert find(home=device.home).name == "Test domain"
    assert [domain.name for domain in store.domains()] == ["Test domain", "Site", "meterlink default"]
    with pytest.raises(StoreError, match="no-such-domain"):
        find("Nowhere", home=device.home)
    (tmp_path / "etc" / "meterlink" / "site.domain.json").write_text("broken")
    with pytest.raises(StoreError, match="domain-damaged"):
        find("Test domain", home=device.home)


def test_joining_again_updates_the_domain(device: Device) -> None:
    entry = device.obtain().entry
    store = device.store()
    assert store.active().id == entry.id
    updated = device.authority.domain.with_crl(device.authority.crl(77))
    store.join(updated)
    assert store.domains()[0].to_json() == updated.to_json()
    assert store.active().id == entry.id
    assert len(list((device.home / "domains").iterdir())) == 1


def test_an_older_list_does_not_replace_a_newer_one() -> None:
    authority = TestAuthority.create()
    new, old = authority.crl(1), authority.crl(now=NOW - dt.timedelta(days=3))
    domain = authority.domain.with_crl(new)
    assert domain.with_crl(old) is domain
    assert domain.with_crl(newest := authority.crl(1, 2, now=NOW + dt.timedelta(days=1))).crls == (newest,)
    root_list = authority.crl(5, issuer=domain.root, key=authority.made.root_key)
    assert domain.with_crl(root_list).crls == (new, root_list)
    with pytest.raises(ProfileError, match="crl-signature"):
        domain.with_crl(TestAuthority.create().crl(1))


def test_a_ca_that_the_root_revoked_takes_its_certificates_with_it(device: Device) -> None:
    entry = device.obtain().entry
    authority = device.authority
    root_list = authority.crl(
        authority.domain.issuing_ca.serial_number, issuer=authority.domain.root, key=authority.made.root_key
    )
    device.store().add_crl(root_list)
    assert device.store().find(entry.id).status.value == "revoked"
    assert device.store().active().level is Level.CONSUMER


def test_what_is_no_revocation_list(tmp_path: Path) -> None:
    for data in (b"", b"\x30\x03", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", bytes(5 * 1024 * 1024)):
        with pytest.raises(ProfileError, match="crl-format"):
            revocation.load_crl(data)


# --- meters ---


def test_a_meters_certificate() -> None:
    authority = TestAuthority.create()
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    title = bytes.fromhex("4D4C4B5300000001")
    leaf = authority.meter(key, title)
    checked = authority.domain.check_meter(der(leaf), NOW, title)
    assert checked.is_meter
    assert checked.permissions == frozenset()
    assert (checked.system_title, checked.organization, checked.chain[-1]) == (
        title,
        "Meter maker",
        authority.domain.root,
    )
    with pytest.raises(ProfileError, match="system-title"):
        authority.domain.check_meter(leaf, NOW, bytes(8))
    with pytest.raises(ProfileError, match="certificate-format"):
        authority.domain.check_meter(b"nonsense", NOW, title)
    with pytest.raises(ProfileError, match="chain"):
        TestAuthority.create("Other").domain.check_meter(leaf, NOW, title)


def test_a_technicians_certificate_is_no_meters(device: Device) -> None:
    entry = device.obtain().entry
    certificate = device.store().get(entry.id).certificate
    with pytest.raises(ProfileError, match="not-a-meter"):
        device.authority.domain.check_meter(certificate, NOW, entry.system_title)


def test_the_shipped_domain_can_issue_nothing_but_consumers() -> None:
    domain = find(home=Path("nowhere"))
    assert domain.name == "meterlink default"
    assert isinstance(domain.root, x509.Certificate)
    assert domain.previous == ()
