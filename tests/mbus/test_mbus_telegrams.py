"""Telegrams: headers, encryption, the fixed structure, compact telegrams."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from meterlink.errors import DataError
from meterlink.framing.mbus.frame import LongFrame
from meterlink.mbus import FormatStore, Identity, Telegram, decode_telegram
from meterlink.mbus.compact import crc_en13757
from meterlink.mbus.identity import manufacturer_code, manufacturer_letters, status_words
from meterlink.mbus.protection import unprotect

LONG_HEADER = "78563412 9315 33 03 2A 00"


def decode(octets: str, **options: object) -> Telegram:
    data = bytes.fromhex(octets)
    return decode_telegram(LongFrame(0x08, 1, data[0], data[1:]), **options)  # type: ignore[arg-type]


def test_long_short_and_no_header() -> None:
    # OMS volume 2, annex N.2.2: a gas meter on a wired bus.
    telegram = decode(f"72 {LONG_HEADER} 0000 0C14 27048502 046D 32371F15 02FD17 0000")
    assert telegram.identity == Identity("12345678", "ELS", 0x33, 3)
    assert telegram.identity.medium_name == "gas"
    assert [record.value for record in telegram.records] == [
        Decimal("28504.27"),
        dt.datetime(2008, 5, 31, 23, 50),
        Decimal(0),
    ]
    short = decode("7A 2A 04 0000 01 06 05")
    assert (short.identity, short.access, short.status_words) == (None, 0x2A, ("battery low",))
    assert decode("78 01 06 05").records[0].value == 5


def test_security_mode_5() -> None:
    # OMS volume 2, annex N.2.1, key and cipher text; its address stands in a long header here.
    key = bytes.fromhex("0102030405060708090A0B0C0D0E0F11")
    cipher = "5923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3"
    telegram = decode(f"72 {LONG_HEADER} 2025 {cipher}", key=key)
    assert telegram.records[0].value == Decimal("28504.27")
    without = decode(f"72 {LONG_HEADER} 2025 {cipher}")
    assert not without.records
    assert "mode 5" in without.notes[0]
    with pytest.raises(DataError) as raised:
        decode(f"72 {LONG_HEADER} 2025 {cipher}", key=bytes(16))
    assert raised.value.code == "wrong-key"


MODE_7 = (
    "90 0F 002C 25 B30A0000 AF5D74DF73A600D9 72 78563412 9315 33 03 75 00 2007 10"
    "9058475F4BC91DF878B80A1B0F98B629 024AAC727942BFC549233C0140829B93"
)


def test_security_mode_7_with_key_derivation_and_authentication() -> None:
    # CEN/TR 17167:2018, F.3.
    telegram = decode(MODE_7, key=bytes(range(16)))
    assert telegram.identity == Identity("12345678", "ELS", 0x33, 3)
    assert telegram.records[0].value == Decimal("28504.27")
    assert telegram.records[1].value == dt.datetime(2008, 5, 31, 23, 50)


@given(place=st.integers(4, 61), bit=st.integers(0, 7))
def test_one_changed_bit_of_an_authenticated_telegram_is_refused(place: int, bit: int) -> None:
    data = bytearray(bytes.fromhex(MODE_7))
    data[place] ^= 1 << bit
    try:
        telegram = decode(data.hex(), key=bytes(range(16)))
    except DataError:
        return
    # What is left: the layer no longer says that the telegram is encrypted, so there is nothing of it to read.
    assert not telegram.records or telegram.notes


@pytest.mark.parametrize("mode", [2, 8, 13])
def test_other_modes_are_named(mode: int) -> None:
    telegram = decode(f"72 {LONG_HEADER} 10{mode:02X} 00112233")
    assert not telegram.records
    assert f"security mode {mode}" in telegram.notes[0]


def test_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(DataError) as raised:
        unprotect(5, bytes(12), 0x0510, bytes(16), b"short", None)
    assert raised.value.code == "wrong-key"


def test_fixed_structure() -> None:
    telegram = decode("73 93929190 10 00 05 69 31650000 69000000")
    assert telegram.identity is not None
    assert telegram.identity.number == "90919293"
    first, second = telegram.records
    assert (first.value, first.header.unit, first.header.quantity) == (Decimal(6531), "kWh", "energy")
    assert (second.value, second.header.unit) == (Decimal("0.069"), "m³")


def test_fixed_structure_in_binary_and_of_a_set_day() -> None:
    telegram = decode("73 93929190 10 03 05 3E 10000000 08000000")
    first, second = telegram.records
    assert (first.value, first.header.storage) == (Decimal(16), 1)
    assert (second.value, second.header.unit, second.header.storage) == (Decimal(8), "kWh", 1)


def test_a_compact_telegram_needs_the_full_one_before_it() -> None:
    headers = "02FF20 0413 4413 615B 6167"
    assert crc_en13757(bytes.fromhex(headers)) == 0xA8ED
    values = ("7100", "E5000000", "4E000000", "0C", "13")
    full = "".join(header + value for header, value in zip(headers.split(), values, strict=True))
    check = crc_en13757(bytes.fromhex(full)).to_bytes(2, "little").hex()
    compact = f"79 EDA8 {check} {''.join(values)}"
    formats = FormatStore()
    with pytest.raises(DataError) as raised:
        decode(compact, formats=formats)
    assert raised.value.code == "compact-format"
    expected = decode(f"78 {full}", formats=formats)
    assert decode(compact, formats=formats).records == expected.records
    with pytest.raises(DataError):
        decode(compact.replace("E5", "E6"), formats=formats)


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        ("72 1234", "mbus-header"),
        ("7A 12", "mbus-header"),
        ("73 1234", "mbus-header"),
        ("76" + "00" * 12, "mbus-ci"),
        ("44 00", "mbus-ci"),
        ("90", "mbus-authentication"),
        ("90 05 0140 00 00 00 72", "mbus-authentication"),
        ("79 00", "mbus-header"),
    ],
)
def test_what_cannot_be_decoded_is_refused_with_a_code(octets: str, code: str) -> None:
    with pytest.raises(DataError) as raised:
        decode(octets)
    assert raised.value.code == code


def test_application_error() -> None:
    assert decode("70 08").error == "the application is too busy to answer"
    assert decode("70").error == "unspecified error"
    assert decode("70 7F").error == "error 0x7F"


def test_an_old_signature_is_no_security_mode() -> None:
    telegram = decode(f"72 {LONG_HEADER} 27B6 01 06 05")
    assert telegram.records[0].value == 5
    assert "signature" in telegram.notes[0]


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3))
def test_manufacturer_codes(letters: str) -> None:
    assert manufacturer_letters(manufacturer_code(letters)) == letters


def test_manufacturer_codes_that_are_none() -> None:
    assert manufacturer_letters(0) == "???"
    with pytest.raises(ValueError, match="three letters"):
        manufacturer_code("lug")


def test_status_words() -> None:
    assert status_words(0x10) == ("temporary error",)
    assert status_words(0x2D) == ("application busy", "battery low", "permanent error", "manufacturer status 0x20")


@given(st.binary(min_size=1, max_size=255), st.booleans())
def test_junk_raises_nothing_but_our_error(data: bytes, with_key: bool) -> None:
    try:
        decode(data.hex(), key=bytes(16) if with_key else None, formats=FormatStore())
    except DataError:
        return


def test_mode_7_with_a_lasting_key_and_with_the_counter_in_the_header() -> None:
    key = bytes(range(16))
    plain = bytes.fromhex("2F2F 0C06 43010000 2F2F2F2F2F2F2F2F")

    def sealed(message_key: bytes) -> str:
        encryptor = Cipher(algorithms.AES128(message_key), modes.CBC(bytes(16))).encryptor()
        return (encryptor.update(plain) + encryptor.finalize()).hex()

    lasting = decode(f"72 {LONG_HEADER} 1007 00 {sealed(key)}", key=key)
    assert lasting.records[0].value == 143
    number = bytes.fromhex(LONG_HEADER)[:4]
    code = CMAC(algorithms.AES128(key))
    code.update(b"\x00" + (5).to_bytes(4, "little") + number + b"\x07" * 7)
    counted = decode(f"72 {LONG_HEADER} 1027 50 05000000 01 {sealed(code.finalize())}", key=key)
    assert counted.records[0].value == 143


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (f"72 {LONG_HEADER} 1007 10 " + "00" * 16, "mbus-authentication"),
        (f"72 {LONG_HEADER} 1007", "mbus-authentication"),
        (f"72 {LONG_HEADER} 2005 " + "00" * 16, "mbus-header"),
        ("7A 2A 00 1005 " + "00" * 16, "mbus-authentication"),
        ("90 03 00 20 0F 72", "mbus-authentication"),
        ("90 04 00 00 00 00 72", "mbus-authentication"),
    ],
)
def test_protection_that_is_not_whole_is_refused(octets: str, code: str) -> None:
    with pytest.raises(DataError) as raised:
        decode(octets, key=bytes(16))
    assert raised.value.code == code


def test_an_encrypted_telegram_without_blocks_is_plain() -> None:
    assert decode(f"72 {LONG_HEADER} 0005 01 06 05", key=bytes(16)).records[0].value == 5
