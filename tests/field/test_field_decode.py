"""`meterlink decode` of encrypted telegrams: the same key opens the recording that opened the reading."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from field_lines import bus, on_a_line

from meterlink.framing.mbus.frame import LongFrame

# OMS volume 2, annex N.2.1: key and cipher text of security mode 5, in a telegram with a long header.
KEY = "0102030405060708090A0B0C0D0E0F11"
SEALED = LongFrame(
    0x08, 5, 0x72,
    bytes.fromhex("78563412 9315 33 03 2A 00 2025 5923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3"),
).to_bytes()  # fmt: skip


@pytest.fixture
def sealed(tmp_path):
    file = tmp_path / "sealed.hex"
    file.write_text(SEALED.hex(" "))
    return file


def test_a_reading_and_its_recording_are_opened_alike(meterlink, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("METERLINK_MBUS_KEY", KEY)
    trace = tmp_path / "trace"
    with on_a_line(bus((5, "11111111"))) as line:
        line.on_request = lambda data: SEALED if data[1] & 0x0F == 0x0B else None
        at = f"serial:{line.port}?profile=generic-mbus&address=5"
        read = meterlink("read", at, "--trace", trace, "--json")
    decoded = meterlink("decode", trace, "--json")
    assert (read.status, decoded.status) == (0, 0)
    assert read.json["readings"] == decoded.json["readings"]
    assert decoded.json["readings"][0]["value"] == "28504.27"
    assert KEY not in trace.read_text().upper()


def sealed_telegram(access: int, plain: bytes) -> bytes:
    """Encrypt records in security mode 5 (EN 13757-7, A.2.4): the address and the access number make the vector."""
    number, maker, rest = bytes.fromhex("78563412"), bytes.fromhex("9315"), bytes.fromhex("3303")
    plain = b"\x2f\x2f" + plain
    plain += bytes(-len(plain) % 16)
    vector = maker + number + rest + bytes((access,)) * 8
    sealer = Cipher(algorithms.AES128(bytes.fromhex(KEY)), modes.CBC(vector)).encryptor()
    header = number + maker + rest + bytes((access, 0, len(plain) // 16 << 4, 0x05))
    return LongFrame(0x08, 5, 0x72, header + sealer.update(plain) + sealer.finalize()).to_bytes()


@pytest.mark.parametrize("key", [KEY, None])
def test_whether_another_telegram_follows_is_read_with_the_key(key, meterlink, monkeypatch) -> None:
    if key is not None:
        monkeypatch.setenv("METERLINK_MBUS_KEY", key)
    first = sealed_telegram(1, bytes.fromhex("0C 06 01 00 00 00 1F"))
    second = sealed_telegram(2, bytes.fromhex("0C 14 02 00 00 00 0F"))
    asked = []

    def answer(data: bytes) -> bytes | None:
        if data[1] & 0x0F != 0x0B:
            return None
        asked.append(data)
        return (first, second)[len(asked) - 1]

    with on_a_line(bus((5, "11111111"))) as line:
        line.on_request = answer
        done = meterlink("read", f"serial:{line.port}?profile=generic-mbus&address=5", "--json")
    names = [reading["name"] for reading in done.json["readings"]]
    assert {"energy", "volume"} <= set(names) if key else names == ["encrypted"]


def test_without_a_key_the_report_says_what_is_missing(meterlink, sealed) -> None:
    done = meterlink("decode", sealed)
    assert done.status == 0
    assert "its key is needed" in done.out


@pytest.mark.parametrize(("key", "code"), [("00" * 16, "wrong-key"), ("4711", "mbus-key"), ("x" * 32, "mbus-key")])
def test_a_key_that_does_not_fit_is_refused_and_not_shown(key, code, meterlink, sealed, monkeypatch) -> None:
    monkeypatch.setenv("METERLINK_MBUS_KEY", key)
    done = meterlink("decode", sealed)
    assert (done.status, done.code, done.out) == (2, code, "")
    assert key not in done.err
