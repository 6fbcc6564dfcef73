"""HDLC frames: octets, description, stream."""

from __future__ import annotations

import itertools

import pytest
from construct import ConstructError
from fastcrc.crc16 import ibm_sdlc
from hypothesis import given
from hypothesis import strategies as st

from meterlink.errors import LocalProtocolError, ProtocolError
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import CONTROLS, FrameKind, control
from meterlink.framing.hdlc.description import FRAME
from meterlink.framing.hdlc.frame import MAX_INFORMATION, HdlcFrame
from meterlink.framing.hdlc.parameters import HdlcParameters
from meterlink.framing.hdlc.reader import NOISE_LIMIT, FrameReader
from meterlink.framing.link import LinkNoise

short = st.integers(0, 0x7F)
long = st.integers(0, 0x3FFF)
addresses = st.one_of(
    st.builds(HdlcAddress, short),
    st.builds(HdlcAddress, short, short, st.just(2)),
    st.builds(HdlcAddress, long, long, st.just(4)),
)
frames = st.builds(HdlcFrame, addresses, addresses, st.sampled_from(CONTROLS), st.binary(max_size=300), st.booleans())
noise = st.binary(max_size=40).filter(lambda data: b"\x7e" not in data)


def read(data: bytes) -> list[HdlcFrame | LinkNoise]:
    return FrameReader().feed(data)


def chunked(data: bytes, cuts: list[int]) -> list[HdlcFrame | LinkNoise]:
    reader = FrameReader()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [item for start, end in itertools.pairwise(edges) for item in reader.feed(data[start:end])]


@given(frames)
def test_round_trip(frame: HdlcFrame) -> None:
    assert HdlcFrame.from_bytes(frame.to_bytes()) == frame


@given(frames)
def test_the_description_reads_what_the_fast_way_writes(frame: HdlcFrame) -> None:
    data = frame.to_bytes()
    content = FRAME.parse(data).content
    header = content.value.header.value
    assert bytes(header.destination) == frame.destination.to_bytes()
    assert bytes(header.source) == frame.source.to_bytes()
    assert header.control == frame.control.byte
    assert header.format.segmented == frame.segmented
    assert header.format.length == len(data) - 2
    assert (content.value.information or b"") == frame.information


@given(frames)
def test_the_description_writes_what_the_fast_way_writes(frame: HdlcFrame) -> None:
    data = frame.to_bytes()
    header = {
        "format": {"segmented": frame.segmented, "length": len(data) - 2},
        "destination": list(frame.destination.to_bytes()),
        "source": list(frame.source.to_bytes()),
        "control": frame.control.byte,
    }
    built = FRAME.build({"content": {"value": {"header": {"value": header}, "information": frame.information}}})
    assert built == data


@given(frames, st.data())
def test_fast_way_and_description_refuse_the_same_altered_frames(frame: HdlcFrame, data: st.DataObject) -> None:
    octets = bytearray(frame.to_bytes())
    bit = data.draw(st.integers(0, 8 * len(octets) - 1))
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProtocolError):
        HdlcFrame.from_bytes(bytes(octets))
    with pytest.raises(ConstructError):
        FRAME.parse(bytes(octets))


octets_of_addresses = st.lists(st.sampled_from([0x00, 0x02, 0x01, 0x21, 0xFE, 0xFF]), min_size=1, max_size=10).map(
    bytes
)


@given(octets_of_addresses, st.integers(0, 255), st.binary(max_size=4), st.integers(-2, 2), st.booleans())
def test_fast_way_and_description_accept_the_same_frames(
    addresses_: bytes, field: int, rest: bytes, off: int, with_header_check: bool
) -> None:
    # Sound check sequences around any addresses, lengths and fields, those that no frame has among them.
    length = len(addresses_) + len(rest) + 5 + 2 * with_header_check + off
    content = (0xA000 | max(0, length)).to_bytes(2, "big") + addresses_ + bytes((field,))
    if with_header_check:
        content += ibm_sdlc(content).to_bytes(2, "little")
    content += rest
    data = b"\x7e" + content + ibm_sdlc(content).to_bytes(2, "little") + b"\x7e"
    try:
        described = len(FRAME.build(FRAME.parse(data))) == len(data)
    except ConstructError:
        described = False
    try:
        read_fast = bool(HdlcFrame.from_bytes(data))
    except ProtocolError:
        read_fast = False
    assert read_fast == described


@given(frames, st.data())
def test_a_flipped_bit_never_yields_a_frame(frame: HdlcFrame, data: st.DataObject) -> None:
    octets = bytearray(frame.to_bytes())
    bit = data.draw(st.integers(8, 8 * (len(octets) - 1) - 1))  # the flags may be shared with other frames
    octets[bit // 8] ^= 1 << bit % 8
    reader = FrameReader()
    found = reader.feed(bytes(octets)) + reader.give_up()
    assert found
    assert all(isinstance(item, LinkNoise) for item in found)


@given(st.binary(max_size=200))
def test_junk_raises_only_our_error(data: bytes) -> None:
    try:
        frame = HdlcFrame.from_bytes(data)
    except ProtocolError:
        return
    assert frame.to_bytes() == data


@given(
    st.lists(st.one_of(frames.map(HdlcFrame.to_bytes), st.binary(max_size=60)), max_size=6), st.lists(st.integers(0))
)
def test_any_chunking_gives_the_same(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    assert chunked(data, cuts) == read(data) == chunked(data, list(range(len(data))))


@given(st.binary(min_size=NOISE_LIMIT, max_size=3 * NOISE_LIMIT), st.lists(st.integers(0), max_size=5))
def test_any_chunking_of_long_noise_gives_the_same(data: bytes, cuts: list[int]) -> None:
    assert chunked(data, cuts) == read(data)


@given(st.lists(frames, min_size=1, max_size=5), st.lists(noise, min_size=6, max_size=6))
def test_every_frame_is_found_in_noise(sent: list[HdlcFrame], dirt: list[bytes]) -> None:
    data = dirt[0] + b"".join(frame.to_bytes() + dirt[index] for index, frame in enumerate(sent, start=1))
    reader = FrameReader()
    found = reader.feed(data) + reader.give_up()
    assert [item for item in found if isinstance(item, HdlcFrame)] == sent
    told = b"".join(item.data for item in found if isinstance(item, LinkNoise))
    assert len(told) >= len(b"".join(dirt[: len(sent)]))


@given(st.lists(frames, min_size=1, max_size=5), st.integers(1, 4))
def test_one_flag_closes_a_frame_and_opens_the_next(sent: list[HdlcFrame], fill: int) -> None:
    shared = b"".join(frame.to_bytes()[:-1] for frame in sent) + b"\x7e"
    filled = b"\x7e" * fill + b"".join(frame.to_bytes() + b"\x7e" * fill for frame in sent)
    assert read(shared) == read(filled) == sent


@given(frames, frames, st.integers(1))
def test_a_truncated_frame_does_not_cost_the_next(cut: HdlcFrame, whole: HdlcFrame, at: int) -> None:
    octets = cut.to_bytes()
    reader = FrameReader()
    found = reader.feed(octets[: at % (len(octets) - 1)] + whole.to_bytes()) + reader.give_up()
    assert found[-1] == whole or (isinstance(found[-1], LinkNoise) and whole in found)


def test_the_reader_holds_one_frame_at_most_whatever_comes() -> None:
    reader = FrameReader()
    hostile = b"\x7e\xa7\xff" + b"\x02" * 5
    for chunk in (
        b"\x7e\xa7\xff\x03\x03\x10",
        b"\x00" * 100_000,
        b"\xa0" * 100_000,
        hostile * 20_000,
        b"\x7e" * 100_000,
    ):
        for item in reader.feed(chunk):
            assert isinstance(item, LinkNoise)
            assert len(item.data) <= NOISE_LIMIT
        assert len(reader._buffer) + len(reader._noise) <= 2 * NOISE_LIMIT + 4


@given(addresses)
def test_address_round_trip(address: HdlcAddress) -> None:
    assert HdlcAddress.from_bytes(address.to_bytes()) == address


@given(st.binary(max_size=5))
def test_an_address_is_read_or_refused(data: bytes) -> None:
    try:
        address = HdlcAddress.from_bytes(data)
    except ProtocolError:
        return
    assert address.to_bytes() == data


@pytest.mark.parametrize(
    "address, octets",
    [
        (HdlcAddress.of(16), "21"),
        (HdlcAddress.of(1, 17), "0223"),
        (HdlcAddress.of(1, 17, 4), "00020023"),
        (HdlcAddress.of(1, None, 4), "00020001"),
        (HdlcAddress.of(0x1234, 0x3FFF), "4868feff"),  # IEC 62056-46, 6.4.2.2: parts of 14 bits, 7 in each octet
    ],
)
def test_addresses(address: HdlcAddress, octets: str) -> None:
    assert address.to_bytes().hex() == octets


@pytest.mark.parametrize("parts", [(128, None, 1), (1, 128, 2), (1, None, 2), (1, 2, 1), (0x4000, 0, 4), (1, 2, 3)])
def test_addresses_that_do_not_exist(parts: tuple[int, int | None, int]) -> None:
    with pytest.raises(ValueError):
        HdlcAddress(*parts)


@pytest.mark.parametrize(
    "byte, kind, poll, receive, send",
    [
        (0x93, FrameKind.SNRM, True, 0, 0),
        (0x73, FrameKind.UA, True, 0, 0),
        (0x53, FrameKind.DISC, True, 0, 0),
        (0x1F, FrameKind.DM, True, 0, 0),
        (0x97, FrameKind.FRMR, True, 0, 0),
        (0x13, FrameKind.UI, True, 0, 0),
        (0x03, FrameKind.UI, False, 0, 0),
        (0x10, FrameKind.I, True, 0, 0),
        (0xBA, FrameKind.I, True, 5, 5),
        (0xAC, FrameKind.I, False, 5, 6),
        (0x71, FrameKind.RR, True, 3, 0),
        (0x75, FrameKind.RNR, True, 3, 0),
        (0x69, FrameKind.REJ, False, 3, 0),
        (0x7D, FrameKind.OTHER, True, 0, 0),  # SREJ
    ],
)
def test_control_fields(byte: int, kind: FrameKind, poll: bool, receive: int, send: int) -> None:
    field = CONTROLS[byte]
    assert (field.kind, field.poll, field.receive, field.send) == (kind, poll, receive, send)
    if kind is not FrameKind.OTHER:
        assert control(kind, poll=poll, receive=receive, send=send) is field


def test_every_control_field_is_itself() -> None:
    assert [field.byte for field in CONTROLS] == list(range(256))


def test_longest_information_field() -> None:
    most = HdlcAddress(1, 2, 4)
    field = control(FrameKind.I, poll=True)
    assert len(HdlcFrame(most, most, field, bytes(MAX_INFORMATION)).to_bytes()) <= 2049
    with pytest.raises(LocalProtocolError):
        HdlcFrame(most, most, field, bytes(MAX_INFORMATION + 100)).to_bytes()


def test_parameters_of_the_standard() -> None:
    # The Green Book's SNRM with the default values.
    assert HdlcParameters().to_bytes().hex() == "818012050180060180070400000001080400000001"
    assert HdlcParameters.from_bytes(b"") == HdlcParameters()
    with_user_data = HdlcParameters(1024, 2030, 7, 3).to_bytes() + b"\xff\x01\x02"
    assert HdlcParameters.from_bytes(with_user_data) == HdlcParameters(1024, 2030, 7, 3)
    assert HdlcParameters(1024, 2030, 7, 3).to_bytes().hex() == "81801405020400060207ee070400000007080400000003"


parameters = st.builds(HdlcParameters, st.integers(1, 2030), st.integers(1, 2030), st.integers(1, 7), st.integers(1, 7))


@given(parameters, parameters)
def test_parameters_agree_on_both_sides(ours: HdlcParameters, theirs: HdlcParameters) -> None:
    assert HdlcParameters.from_bytes(ours.to_bytes()) == ours
    answer = theirs.agreed_with(ours)  # what the server puts into UA
    agreed = ours.agreed_with(answer)
    assert agreed.max_information_transmit == answer.max_information_receive
    assert agreed.max_information_receive == answer.max_information_transmit
    assert agreed.window_transmit == answer.window_receive
    assert agreed.window_receive == answer.window_transmit


@given(st.binary(max_size=40))
def test_parameters_are_read_or_refused(data: bytes) -> None:
    for octets in (data, b"\x81\x80" + bytes((len(data),)) + data):
        try:
            read_back = HdlcParameters.from_bytes(octets)
        except ProtocolError:
            continue
        assert HdlcParameters.from_bytes(read_back.to_bytes()) == read_back


@pytest.mark.parametrize("wrong", [(0, 128, 1, 1), (128, 2031, 1, 1), (128, 128, 0, 1), (128, 128, 1, 8)])
def test_parameters_out_of_range(wrong: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError):
        HdlcParameters(*wrong)


def test_what_is_no_address_frame_or_control_field() -> None:
    assert (str(HdlcAddress.of(1)), str(HdlcAddress.of(1, 17))) == ("1", "1/17")
    assert HdlcAddress.of(0x7F).is_broadcast
    assert HdlcAddress.of(0x3FFF, 0).is_broadcast
    with pytest.raises(ValueError):
        control(FrameKind.SNRM, poll=True, send=1)
    whole = HdlcFrame(HdlcAddress(1), HdlcAddress(16), control(FrameKind.RR, poll=True)).to_bytes()
    for cut in range(len(whole)):
        with pytest.raises(ProtocolError):
            HdlcFrame.from_bytes(whole[:cut])
