"""THREATS, rows 27, 29 and 32: codes that inflate, names of files, certificates outside the profile."""

import datetime as dt
import os
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

import base45
import cbor2
import pytest
from certs_forging import leaf_builder, policies, refused, usage
from certs_support import NOW, Device, TestAuthority, cli, der, unchanged
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from certs import importing, names, payload, profile
from certs.errors import PayloadError
from certs.levels import Level

# --- row 27 ---


@pytest.mark.parametrize("prefix", [payload.CERTIFICATE_PREFIX, payload.DOMAIN_PREFIX])
def test_row_27_a_code_that_inflates_to_megabytes(device: Device, prefix: str) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(cbor2.dumps([1, bytes(2_000_000), []])) + packer.flush()
    text = prefix + base45.b45encode(packed).decode()
    assert len(text) < payload.MAX_TEXT
    with pytest.raises(PayloadError) as caught:
        payload.parse(text)
    assert caught.value.code == "payload-too-large"
    store = device.store()
    with unchanged(device.home), pytest.raises(PayloadError, match="payload-too-large"):
        importing.import_bytes(store, text.encode())


def test_row_27_a_text_longer_than_any_code(device: Device) -> None:
    with pytest.raises(PayloadError, match="payload-too-large"):
        payload.parse(payload.CERTIFICATE_PREFIX + "A" * 100_000)


# --- row 29 ---


@pytest.mark.parametrize(
    "bad",
    ["../../etc/passwd", "..", ".", "CON", "con.txt", "a/b\\c", "a:b", "x\u202egnp.exe", "a\nb", "a\0b", " ", "-rf",
     "~", "%2e%2e", "*?<>|\"", "x" * 300, "Ü" * 64, "👩‍🔧"],
)  # fmt: skip
def test_row_29_names_of_files_are_sanitised(bad: str) -> None:
    for name in (names.file_name(bad, Level.SERVICE, "tag", "csr"), names.file_name("org", Level.SERVICE, bad, "jpg")):
        assert PurePosixPath(name).name == name
        assert PureWindowsPath(name).name == name
        assert not PureWindowsPath(name).drive
        assert not name.startswith((".", "-", "~", " "))
        assert name.count(".") == 1
        assert len(name.encode()) <= 255
        assert name.isprintable()
        assert name.split(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"}


def test_row_29_ordinary_names_stay_readable() -> None:
    assert names.file_name("Stadtwerke Süd", Level.COMMISSIONING, "Tablet 3", "csr") == (
        "Stadtwerke Süd_Commissioning_Tablet 3.csr"
    )
    assert names.file_name("Müller & Co. KG", Level.TEST, "a-b", "jpg") == "Müller-Co-KG_Test_a-b.jpg"


def test_row_29_a_files_name_is_never_data(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINK_HOME", str(device.home))
    leaf = device.authority.issue(device.request())
    place = tmp_path / "Evil GmbH_Service_Boss.pdf"  # level, organization and kind of file are all wrong
    place.write_bytes(der(leaf))
    (imported,) = cli("import", place, "--json").json
    assert (imported["level"], imported["organization"]) == ("Commissioning", "Stadtwerke Süd")


# --- row 32 ---


def other_key(device: Device, key: object) -> x509.CertificateBuilder:
    builder = leaf_builder(device)
    builder._public_key = key  # type: ignore[assignment]
    return builder.add_extension(policies(Level.COMMISSIONING.policy), critical=False).add_extension(
        usage(digital_signature=True), critical=True
    )


@pytest.mark.parametrize("kind", ["P-521", "P-224", "secp256k1", "RSA"])
def test_row_32_wrong_curve(device: Device, kind: str) -> None:
    curves = {"P-521": ec.SECP521R1(), "P-224": ec.SECP224R1(), "secp256k1": ec.SECP256K1()}
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(curves[kind])
    builder = other_key(device, key.public_key())
    signed = builder.sign(device.authority.made.issuing_key, hashes.SHA256())
    refused(device, "key-type", der(signed))


def test_row_32_p384_leaf_under_a_p256_ca(device: Device) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    builder = other_key(device, key.public_key())
    refused(device, "key-type", der(builder.sign(device.authority.made.issuing_key, hashes.SHA256())))


def test_row_32_p256_leaf_under_a_p384_ca_is_allowed(tmp_path: Path) -> None:
    device = Device(tmp_path / "home", authority=TestAuthority.create(suite=2))
    assert device.obtain(suite=1).entry.suite == 1
    assert device.obtain(suite=2, tag="Second").entry.suite == 2


def test_row_32_fifty_years_of_validity(device: Device) -> None:
    builder = (
        leaf_builder(device)
        .add_extension(policies(Level.COMMISSIONING.policy), critical=False)
        .add_extension(usage(digital_signature=True), critical=True)
    )
    builder._not_valid_after = (NOW + dt.timedelta(days=50 * 365)).replace(tzinfo=None)
    refused(device, "lifetime", der(builder.sign(device.authority.made.issuing_key, hashes.SHA256())))
    builder._not_valid_after = (NOW + profile.MAX_LEVEL_LIFETIME).replace(tzinfo=None)  # ten minutes too long
    refused(device, "lifetime", der(builder.sign(device.authority.made.issuing_key, hashes.SHA256())))


def test_row_32_serial_zero(device: Device) -> None:
    good = der(device.authority.issue(device.request()))
    # Certificate, TBSCertificate and version take 4, 4 and 5 bytes; then stands the serial number.
    after_serial = 13 + 2 + good[14]
    tbs = good[8:13] + b"\x02\x01\x00" + good[after_serial : 8 + int.from_bytes(good[6:8])]
    refused(device, "serial", resign(b"\x30\x82" + len(tbs).to_bytes(2) + tbs, device))
    negative = b"\x02\x01\xff".join(tbs.split(b"\x02\x01\x00", 1))
    refused(device, "serial", resign(b"\x30\x82" + len(negative).to_bytes(2) + negative, device))


def resign(tbs: bytes, device: Device) -> bytes:
    """Put the CA's signature under altered bytes: the builder refuses to make such a certificate itself."""
    ecdsa_with_sha256 = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
    signature = device.authority.made.issuing_key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    body = tbs + ecdsa_with_sha256 + b"\x03" + bytes([len(signature) + 1, 0]) + signature
    return b"\x30\x82" + len(body).to_bytes(2) + body


@pytest.mark.parametrize("common_name", ["Jane Doe", "00112233445566", "0011223344556677889", "aabbccddeeff0011"])
def test_row_32_common_name_that_is_no_system_title(device: Device, common_name: str) -> None:
    builder = (
        leaf_builder(device)
        .add_extension(policies(Level.COMMISSIONING.policy), critical=False)
        .add_extension(usage(digital_signature=True), critical=True)
    )
    builder._subject_name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Stadtwerke Süd"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    refused(device, "system-title", der(builder.sign(device.authority.made.issuing_key, hashes.SHA256())))


def test_row_32_critical_extension_that_is_not_of_the_profile(device: Device) -> None:
    builder = (
        leaf_builder(device)
        .add_extension(policies(Level.COMMISSIONING.policy), critical=False)
        .add_extension(usage(digital_signature=True), critical=True)
        .add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), os.urandom(4)), critical=True)
    )
    refused(device, "certificate-format", der(builder.sign(device.authority.made.issuing_key, hashes.SHA256())))
