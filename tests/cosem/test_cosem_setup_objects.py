"""Security setup and Image transfer: what is called with which parameters, and what is read from attributes."""

from __future__ import annotations

import tracemalloc
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.cosem import data as cosem
from meterlink.cosem.data import Data
from meterlink.cosem.objects import security_setup as setup
from meterlink.cosem.objects.image_transfer import ImageUpload, TransferStatus
from meterlink.cosem.objects.security_setup import CertificateEntity, CertificateInfo, CertificateType
from meterlink.errors import MeterRefused, ProtocolError, UsageError
from meterlink.security.control import SecurityPolicy
from meterlink.security.key_wrap import unwrap_key
from meterlink.security.keys import KeyId
from meterlink.values import Obis

SETUP = Obis(0, 0, 43, 0, 0)


@given(st.integers(1, 1 << 160))
def test_a_serial_number_comes_back_bare_and_as_der(serial: int) -> None:
    octets = setup.serial_to_octets(serial)
    assert setup.serials_of(octets)[-1] == serial
    assert setup.serial_from_octets(octets) == serial or octets[:2] == bytes((2, len(octets) - 2))
    assert setup.serial_from_octets(b"\x02" + bytes((len(octets),)) + octets) == serial


def test_octets_that_can_be_both_are_read_as_both() -> None:
    assert setup.serials_of(bytes.fromhex("020105")) == (5, 0x020105)
    for bare in ("020100", "020180", "02020005", "0202", "02"):  # no DER INTEGER of a serial number
        assert setup.serials_of(bytes.fromhex(bare)) == (int(bare, 16),)


def test_a_certificate_is_named_to_its_meter_as_the_meter_named_it() -> None:
    for octets in (b"\x05", b"\x00\x05", b"\x02\x01\x05"):
        texts = [cosem.octet_string(part) for part in (octets, b"issuer", b"subject", b"")]
        (info,) = setup.certificates(_info(cosem.enum_(1), cosem.enum_(0), *texts))
        assert (info.serial, info.is_of(5, b"issuer"), info.is_of(5, b"other")) == (5, True, False)
        assert info.identification.native() == (1, (octets, b"issuer"))
    made = CertificateInfo(CertificateEntity.CLIENT, CertificateType.TLS, 255, b"issuer", b"subject")
    assert made.identification == setup.by_serial(255, b"issuer")


def test_a_serial_number_is_positive() -> None:
    with pytest.raises(UsageError):
        setup.serial_to_octets(0)


def test_every_method_has_its_number_and_parameters() -> None:
    calls = {
        1: setup.activate_policy(SETUP, SecurityPolicy(0x6C)),
        4: setup.generate_key_pair(SETUP),
        5: setup.generate_certificate_request(SETUP, CertificateType.KEY_AGREEMENT),
        6: setup.import_certificate(SETUP, b"DER"),
        7: setup.export_certificate(
            SETUP, setup.by_entity(CertificateEntity.SERVER, CertificateType.DIGITAL_SIGNATURE)
        ),
        8: setup.remove_certificate(SETUP, setup.by_serial(255, b"CN")),
    }
    for index, (method, _) in calls.items():
        assert (method.class_id, method.instance, method.index) == (64, SETUP, index)
    assert calls[1][1] == cosem.enum_(0x6C)
    assert calls[5][1] == cosem.enum_(1)
    assert calls[6][1] == cosem.octet_string(b"DER")
    assert calls[7][1].native() == (0, (0, 0, b""))
    assert calls[8][1].native() == (1, (b"\x00\xff", b"CN"))
    assert setup.attribute(SETUP, 6).index == 6


def test_keys_go_wrapped_and_are_not_shown() -> None:
    master, key = bytes(range(16)), bytes(range(16, 32))
    method, parameters = setup.transfer_keys(SETUP, {KeyId.AUTHENTICATION: key}, master)
    ((key_id, wrapped),) = parameters.native()
    assert (method.index, key_id) == (2, KeyId.AUTHENTICATION)
    assert unwrap_key(master, wrapped) == key
    assert key not in wrapped
    for keys, kek in (({}, master), ({KeyId.UNICAST: b"short"}, master), ({KeyId.UNICAST: key}, b"short")):
        with pytest.raises(UsageError):
            setup.transfer_keys(SETUP, keys, kek)


def _info(*parts: Data) -> Data:
    return cosem.array([cosem.structure(*parts)])


def test_the_list_of_certificates_is_read() -> None:
    octets = [cosem.octet_string(part) for part in (b"\x05", b"issuer", b"subject", b"")]
    (info,) = setup.certificates(_info(cosem.enum_(0), cosem.enum_(1), *octets))
    assert info == CertificateInfo(CertificateEntity.SERVER, CertificateType.KEY_AGREEMENT, 5, b"issuer", b"subject")
    for broken in (
        _info(cosem.enum_(9), cosem.enum_(1), *octets),
        _info(cosem.enum_(0), cosem.enum_(1), *octets[:3]),
        _info(cosem.enum_(0), cosem.enum_(1), cosem.octet_string(b""), *octets[1:]),
    ):
        (entry,) = broken.as_items()
        with pytest.raises(ProtocolError):
            CertificateInfo.from_data(entry)
        # It hides no other.
        assert setup.certificates(broken) == (None,)
    with pytest.raises(ProtocolError):
        setup.certificates(cosem.u8(1))


def _state(bits: str, status: TransferStatus, size: int = 4) -> tuple[Data, Data, Data, Data]:
    return cosem.u32(size), cosem.bit_string(bits), cosem.boolean(True), cosem.enum_(status)


class Meter:
    """The blocks that an image transfer object holds."""

    def __init__(self) -> None:
        self.blocks: dict[int, bytes] = {}
        self.size = 0

    def state(self) -> tuple[Data, Data, Data, Data]:
        count = -(-self.size // 4)
        status = TransferStatus.INITIATED if self.size else TransferStatus.NOT_INITIATED
        return _state("".join("01"[number in self.blocks] for number in range(count)), status)


@given(st.binary(min_size=1, max_size=60), st.lists(st.integers(0, 6), max_size=8))
def test_an_image_arrives_however_often_the_link_breaks(image: bytes, breaks: list[int]) -> None:
    meter = Meter()
    sent = 0
    for most in [*breaks, 100]:
        upload = ImageUpload(b"fw", image)
        if not upload.begin(*meter.state()):
            identification, size = upload.initiate()[1].native()
            assert identification == b"fw"
            meter.size, meter.blocks = size, {}
        for number, (method, parameters) in upload.blocks():
            if most == 0:
                break
            most -= 1
            assert method.index == 2
            assert number not in meter.blocks
            meter.blocks[number] = parameters.native()[1]
            sent += 1
    assert b"".join(meter.blocks[number] for number in sorted(meter.blocks)) == image
    assert sent == upload.block_count
    assert upload.left == 0
    assert (upload.verify()[0].index, upload.activate()[0].index) == (3, 4)


def _numbers(upload: ImageUpload) -> list[int]:
    return [number for number, _ in upload.blocks()]


def test_a_transfer_of_another_length_or_in_another_state_begins_anew() -> None:
    upload = ImageUpload(b"fw", bytes(8))
    assert not upload.begin(*_state("111", TransferStatus.INITIATED))
    assert not upload.begin(*_state("11", TransferStatus.VERIFICATION_FAILED))
    assert (upload.left, upload.block_count) == (2, 2)
    assert _numbers(upload) == [0, 1]
    upload = ImageUpload(b"fw", bytes(8))
    assert upload.begin(*_state("10", TransferStatus.INITIATED))
    assert upload.left == 1
    assert _numbers(upload) == [1]
    assert upload.left == 0
    assert [attribute.index for attribute in (*upload.to_read, upload.status)] == [2, 3, 5, 6, 6]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError):
        ImageUpload(b"fw", b"")
    upload = ImageUpload(b"fw", b"1")
    assert upload.block_count == 0
    with pytest.raises(MeterRefused) as caught:
        upload.begin(cosem.u32(4), cosem.bit_string(""), cosem.boolean(False), cosem.enum_(0))
    assert caught.value.code == "image-transfer-disabled"
    for state in (
        _state("", TransferStatus.NOT_INITIATED, 0),
        (*_state("", TransferStatus.INITIATED)[:3], cosem.enum_(9)),
    ):
        with pytest.raises(ProtocolError):
            upload.begin(*state)


def test_the_meter_does_not_choose_how_much_memory_an_image_takes() -> None:
    image = bytes(4 << 20)
    for size in (0, 1, 15):
        upload = ImageUpload(b"fw", image)
        with pytest.raises(ProtocolError) as caught:
            upload.begin(*_state("", TransferStatus.NOT_INITIATED, size))
        assert caught.value.code == "image-block-size"
        assert "16 at least" in caught.value.message
        assert (upload.block_count, upload.left) == (0, 0)
    tracemalloc.start()
    upload = ImageUpload(b"fw", image)
    upload.begin(*_state("", TransferStatus.NOT_INITIATED, 16))
    assert upload.left == upload.block_count == 1 << 18
    for _ in islice(upload.blocks(), 1000):
        assert upload.left <= 1 << 18
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000
