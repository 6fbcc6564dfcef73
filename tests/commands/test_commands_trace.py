"""What --trace writes, what decode makes of it, and what is left of it when it is redacted."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from commands_field import AUTHENTICATION, CLIENT_TITLE, METER_TITLE, PASSWORD, SERIAL, UNICAST, FieldMeter, served
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterlink.cli.trace_file import trace_file
from meterlink.cosem import axdr
from meterlink.cosem import data as cosem
from meterlink.cosem.acse import Aarq, Context
from meterlink.cosem.apdu.action import ActionRequestFirstBlock, ActionRequestNormal, ActionRequestWithList
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.apdu.set import SetRequestNormal, SetRequestWithList
from meterlink.cosem.names import Attribute, Method
from meterlink.errors import DataError
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.wrapper import WrapperPdu
from meterlink.security.general_ciphering import KeyChoice, KeyInfo
from meterlink.security.general_header import GeneralHeader
from meterlink.security.hls import Mechanism
from meterlink.security.key_wrap import wrap_key
from meterlink.tracing import Capture, explain, read_capture, redact
from meterlink.tracing.capture import Framing
from meterlink.tracing.frames import frames_of
from meterlink.transport.replay import Entry, read_recording
from meterlink.values import Obis

CLOCK = Attribute(8, Obis.parse("0-0:1.0.0"), 2)
NAMES = ("energy", "serial-number", "device-name")


@pytest.fixture
def traced(meterlink, field_meter: FieldMeter, tmp_path: Path):
    """Read a meter of the field with a trace; return the trace and what was read."""

    def run(security: str, framing: str, *words: str, client: int = 0) -> tuple[Path, dict]:
        trace = tmp_path / "trace.jsonl"
        sap = client or {"none": 17, "lls": 18, "hls-gmac": 19}[security.partition("&")[0]]
        keys = ("--keys", field_meter.key_file(tmp_path))
        asked = words or tuple(word for name in NAMES for word in ("--object", name))
        with served(field_meter.server, framing) as url:
            done = meterlink(
                "read", f"{url}&security={security}&client={sap}", *asked, *keys, "--trace", trace, "--json"
            )
        assert (done.status, done.err) == (0, "")
        return trace, done.json

    return run


def octets_of(trace: Path) -> bytes:
    _, entries = read_recording(trace.read_text().splitlines())
    return b"".join(entry.data for entry in entries)


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_a_trace_is_explained_layer_by_layer(meterlink, traced, framing) -> None:
    trace, _ = traced("none", framing)
    steps = meterlink("decode", trace, "--json").json["steps"]
    names = [step["name"] for step in steps if step["layer"] == "apdu"]
    assert names[:4] == ["aarq", "initiate-request", "aare", "initiate-response"]
    assert "get-request-with-list" in names
    (answer,) = [step for step in steps if step["name"] == "get-response-with-list"]
    assert f"text:{SERIAL}" in answer["fields"]["results"]
    assert {step["layer"] for step in steps} >= {framing, "apdu"}
    if framing == "hdlc":
        assert [step["name"] for step in steps if step["layer"] == "hdlc"][:2] == ["SNRM", "UA"]
    shown = meterlink("decode", trace).out
    assert "Register 6-0:1.0.0*255 value" in shown


@pytest.mark.parametrize("ciphering", ["glo", "ded", "general-glo", "general-ded"])
def test_keys_open_a_trace(meterlink, field_meter, traced, tmp_path, ciphering) -> None:
    trace, _ = traced(f"hls-gmac&ciphering={ciphering}", "hdlc")
    closed = meterlink("decode", trace).out
    assert f"text:{SERIAL}" not in closed
    assert "no keys are given" in closed
    opened = meterlink("decode", trace, "--keys", field_meter.key_file(tmp_path)).out
    assert f"text:{SERIAL}" in opened
    assert "invocation counter: 1" in opened
    for hidden in (UNICAST.hex(), AUTHENTICATION.hex(), UNICAST.hex(" ")):
        assert hidden not in opened
    assert "dedicated key: not shown" in opened or not ciphering.endswith("ded")


def test_a_password_is_never_shown(meterlink, traced) -> None:
    trace, _ = traced("lls&ciphering=none", "hdlc")
    assert trace.stat().st_mode & 0o077 == 0
    out = meterlink("decode", trace).out
    assert PASSWORD not in out
    assert PASSWORD.encode().hex(" ") not in out
    assert "secret: not shown" in out


@pytest.mark.parametrize(
    "security", ["none", "lls&ciphering=none", "hls-gmac&ciphering=general-glo", "hls-gmac&ciphering=ded"]
)
@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_a_redacted_trace_names_nobody_and_still_decodes(meterlink, traced, tmp_path, security, framing) -> None:
    trace, _ = traced(security, framing)
    before = octets_of(trace)
    clean = tmp_path / "clean.jsonl"
    assert meterlink("decode", trace, "--redact", clean).status == 0
    after = octets_of(clean)
    assert len(after) == len(before)
    for secret in (SERIAL.encode(), METER_TITLE, CLIENT_TITLE, PASSWORD.encode()):
        assert secret not in after
    text = clean.read_text()
    assert "127.0.0.1" not in text
    steps = meterlink("decode", clean, "--json").json["steps"]
    assert [step["name"] for step in steps] == [
        step["name"] for step in meterlink("decode", trace, "--json").json["steps"]
    ]
    assert not [step for step in steps if step["name"] in ("noise", "not readable")]


@pytest.mark.parametrize("what", [("--all",), ("--object", "serial-number", "--object", "device-name")])
def test_redacting_holds_for_whole_inventories(meterlink, traced, tmp_path, what) -> None:
    trace, _ = traced("none", "hdlc", *what)
    assert SERIAL.encode() in octets_of(trace)
    clean = tmp_path / "clean.jsonl"
    meterlink("decode", trace, "--redact", clean)
    assert SERIAL.encode() not in octets_of(clean)
    assert METER_TITLE not in octets_of(clean)


def test_a_trace_as_others_write_it_is_explained(meterlink, traced, tmp_path) -> None:
    trace, _ = traced("none", "hdlc")
    raw = octets_of(trace)
    for name, content in (("binary", raw), ("hex", raw.hex().encode()), ("spaced", raw.hex(" ").upper().encode())):
        path = tmp_path / name
        path.write_bytes(content)
        steps = meterlink("decode", path, "--json").json["steps"]
        assert steps[0]["name"] == "SNRM"
        requests = [step for step in steps if step["name"] == "get-request-with-list"]
        answers = [step for step in steps if step["name"] == "get-response-with-list"]
        assert {step["direction"] for step in requests} == {"sent"}
        assert {step["direction"] for step in answers} == {"received"}
        assert meterlink("decode", path, "--redact", tmp_path / "clean", "--yes").status == 0
        assert SERIAL.encode() not in bytes.fromhex((tmp_path / "clean").read_text())


def test_a_redacted_copy_takes_no_place_unasked(meterlink, traced, tmp_path) -> None:
    trace, _ = traced("none", "hdlc")
    whole, other, link = trace.read_bytes(), tmp_path / "other", tmp_path / "link"
    other.write_text("what was there before")
    link.symlink_to(trace)
    for out in (trace, link):
        done = meterlink("decode", trace, "--redact", out, "--yes")
        assert (done.status, done.code) == (2, "usage")
        assert trace.read_bytes() == whole
    assert meterlink("decode", trace, "--redact", other).code == "confirmation-needed"
    assert other.read_text() == "what was there before"
    assert meterlink("decode", trace, "--redact", other, "--yes").status == 0
    assert meterlink("decode", other, "--json").json["trace"]["framing"] == "hdlc"
    (tmp_path / "other-link").symlink_to(other)
    other.write_text("what was there before")
    assert meterlink("decode", trace, "--redact", tmp_path / "other-link", "--yes").status == 0
    assert (tmp_path / "other-link").is_symlink()
    assert meterlink("decode", other, "--json").json["trace"]["framing"] == "hdlc"


def test_a_redacted_copy_goes_into_a_pipe(meterlink, traced, tmp_path) -> None:
    trace, _ = traced("none", "hdlc")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        received = pool.submit(pipe.read_bytes)
        assert meterlink("decode", trace, "--redact", pipe).status == 0
        (tmp_path / "copy").write_bytes(received.result())
    assert pipe.is_fifo()
    assert meterlink("decode", tmp_path / "copy", "--json").json["trace"]["framing"] == "hdlc"


def test_a_redacted_copy_that_finds_no_room_leaves_what_was_there(meterlink, traced, tmp_path, monkeypatch) -> None:
    trace, _ = traced("none", "hdlc")
    out = tmp_path / "out"
    out.write_text("what was there before")

    def full(path, data, *, mode):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("certs.files.write_new", full)
    done = meterlink("decode", trace, "--redact", out, "--yes")
    assert done.code == "disk-full"
    assert "what was there before is unchanged" in done.err
    assert out.read_text() == "what was there before"
    assert list(tmp_path.glob(".part-*")) == []


@pytest.mark.parametrize("line", ["hdlc", "wrapper"])
@pytest.mark.parametrize("said", ["", "?security=none&client=17"])
def test_a_trace_is_served_again(meterlink, traced, line: str, said: str) -> None:
    """The session is held as it was then: framing, security and client stand in the trace."""
    trace, read = traced("none", line)
    words = tuple(word for name in NAMES for word in ("--object", name))
    done = meterlink("read", f"replay:{trace}{said}", *words, "--json")
    assert done.status == 0
    assert done.json["readings"] == read["readings"]


def test_what_is_no_recording_is_told_and_read_with_a_bound(meterlink, tmp_path) -> None:
    (tmp_path / "junk").write_bytes(bytes(range(256)) * 10)
    assert meterlink("read", f"replay:{tmp_path / 'junk'}").code == "recording"
    assert meterlink("read", f"replay:{tmp_path / 'missing'}").status == 5
    assert meterlink("read", "replay:/dev/zero").code == "recording"


def read_energy(meterlink, field_meter: FieldMeter, trace: Path):
    with served(field_meter.server, "hdlc") as url:
        return meterlink("read", f"{url}&security=none&client=17", "--object", "energy", "--trace", trace, "--json")


def test_a_trace_takes_the_place_of_a_file_and_is_for_its_owner_alone(meterlink, field_meter, tmp_path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text("what was there before" * 1000)
    trace.chmod(0o644)
    assert read_energy(meterlink, field_meter, trace).status == 0
    assert trace.stat().st_mode & 0o077 == 0
    assert meterlink("decode", trace, "--json").json["trace"]["framing"] == "hdlc"


def test_a_trace_goes_into_a_pipe(meterlink, field_meter, tmp_path) -> None:
    pipe, got = tmp_path / "pipe", tmp_path / "got.jsonl"
    os.mkfifo(pipe, 0o622)
    mode = pipe.stat().st_mode
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(pipe.read_text)
        assert read_energy(meterlink, field_meter, pipe).status == 0
        got.write_text(reader.result(60))
    assert pipe.stat().st_mode == mode
    names = [step["name"] for step in meterlink("decode", got, "--json").json["steps"]]
    assert (names[0], names[-1]) == ("SNRM", "closed")


def test_a_trace_that_cannot_go_on_is_told_once_and_ends_nothing(tmp_path, capsys) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def read_a_little() -> bytes:
        with pipe.open("rb", buffering=0) as stream:
            return stream.read(16)

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read_a_little)
        with trace_file(pipe, "tcp:meter") as sink:
            assert reader.result(60) == b'{"meterlink": "r'
            for _ in range(3):
                sink(Entry(0.0, "sent", b"\x7e"))
    assert capsys.readouterr().err.count("warning: trace: the trace ends here") == 1


def test_a_trace_that_cannot_begin_is_told_before_anything_is_sent(meterlink, field_meter, tmp_path) -> None:
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    mode = full.stat().st_mode
    done = read_energy(meterlink, field_meter, full)
    assert (done.status, done.error["code"]) == (2, "trace")
    assert full.stat().st_mode == mode


def test_what_is_no_trace_is_not_redacted(meterlink, tmp_path) -> None:
    done = meterlink("decode", "sample:uh50", "--redact", tmp_path / "out")
    assert (done.status, done.code) == (2, "redact-unknown")
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError):
        redact(Capture((Entry(0, "received", b"/LUG"),), Framing.OTHER, True))


def test_a_recorded_readout_is_decoded_as_one(meterlink, tmp_path) -> None:
    from meterlink import samples

    head = {"meterlink": "recording", "version": 1, "url": "optical:x", "started": "2026-01-01T00:00:00+00:00"}
    lines = [json.dumps(head), Entry(0, "received", samples.read("uh50")).to_json()]
    path = tmp_path / "readout.jsonl"
    path.write_text("\n".join(lines))
    assert meterlink("decode", path, "--json").json["readings"]


def test_a_damaged_recording_is_told(meterlink, traced) -> None:
    trace, _ = traced("none", "hdlc")
    trace.write_text(trace.read_text().replace('"event": "sent"', '"event": "sung"', 1))
    done = meterlink("decode", trace)
    assert (done.status, done.code) == (2, "recording")


@pytest.fixture(scope="module")
def sample() -> bytes:
    """The octets of a short session in HDLC, both directions in one stream."""
    from meterlink.framing.hdlc.address import HdlcAddress
    from meterlink.framing.hdlc.control import FrameKind, control

    client, server = HdlcAddress(16), HdlcAddress(1)
    request = bytes.fromhex("e6e600 c001c1 0001 0000600100ff 02 00")
    answer = bytes.fromhex("e6e700 c401c1 00 0a08") + SERIAL.encode()
    return b"".join(
        frame.to_bytes()
        for frame in (
            HdlcFrame(server, client, control(FrameKind.SNRM, poll=True)),
            HdlcFrame(client, server, control(FrameKind.UA, poll=True)),
            HdlcFrame(server, client, control(FrameKind.I, poll=True), request),
            *[HdlcFrame(client, server, control(FrameKind.I, poll=False), answer[:14], segmented=True)] * 2,
            HdlcFrame(client, server, control(FrameKind.I, poll=True, send=1), answer[14:]),
        )
    )


def test_a_serial_number_cut_in_two_and_sent_again_goes_too(sample) -> None:
    capture = read_capture(sample)
    assert capture is not None
    clean = redact(capture).received
    assert len(clean) == len(sample)
    for part in (SERIAL[:5], SERIAL[5:]):
        assert part.encode() in sample
        assert part.encode() not in clean
    frames = [located.item for located in frames_of(Capture((Entry(0, "received", clean),), Framing.HDLC, False))]
    assert all(isinstance(frame, HdlcFrame) for frame in frames)
    assert len(frames) == 6


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.data())
def test_nothing_that_was_captured_raises(sample, data) -> None:
    octets = bytearray(sample)
    for place in data.draw(st.lists(st.integers(0, len(octets) - 1), max_size=6)):
        octets[place] = data.draw(st.integers(0, 255))
    cut = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    for framing in (Framing.HDLC, Framing.WRAPPER):
        capture = Capture((Entry(0.0, "received", cut),), framing, is_directed=False)
        assert list(explain(capture)) is not None
        assert len(redact(capture).received) == len(cut)
    read_capture(cut)


def wrapped(*apdus: bytes) -> Capture:
    """A trace of the wrapper with what a client sends."""
    data = b"".join(WrapperPdu(17, 1, apdu).to_bytes() for apdu in apdus)
    return Capture((Entry(0.0, "sent", data),), Framing.WRAPPER, is_directed=True)


SECRET = Attribute(15, Obis.parse("0-0:40.0.0"), 7)
KEY_TRANSFER = Method(64, Obis.parse("0-0:43.0.0"), 2)
KEYS = cosem.array([cosem.structure(cosem.enum_(0), cosem.octet_string(b"0123456789abcdef"))])


@pytest.mark.parametrize(
    ("apdu", "hidden"),
    [
        (SetRequestNormal(1, SECRET, cosem.octet_string(b"s3cretly")), b"s3cretly"),
        (SetRequestNormal(1, SECRET, cosem.octet_string(b"abc")), b"abc"),
        (SetRequestWithList(1, (SECRET, CLOCK), (cosem.octet_string(b"s3cretly"), cosem.u8(1))), b"s3cretly"),
        (ActionRequestNormal(1, Method(15, SECRET.instance, 2), cosem.octet_string(b"s3cretly")), b"s3cretly"),
        (ActionRequestNormal(1, KEY_TRANSFER, KEYS), b"0123456789abcdef"),
        (ActionRequestWithList(1, (KEY_TRANSFER, KEY_TRANSFER), (KEYS, KEYS)), b"0123456789abcdef"),
        (Aarq(Context.LOGICAL_NAMES, b"\x01", Mechanism.LOW, secret=b"xyz"), b"xyz"),
    ],
)
def test_what_is_written_in_the_clear_is_redacted(apdu, hidden) -> None:
    data = apdu.to_bytes()
    assert hidden in data
    clean = b"".join(entry.data for entry in redact(wrapped(data)).entries)
    assert hidden not in clean
    assert len(clean) == len(data) + 8
    shown = str([line.as_json() for line in explain(wrapped(data))])
    assert not [text for text in (hidden.decode(), hidden.hex(), hidden.hex(" ")) if text in shown]


def test_a_key_in_the_header_of_general_ciphering_is_redacted() -> None:
    key = wrap_key(bytes(16), bytes(range(16)))
    header = GeneralHeader(b"\1", CLIENT_TITLE, METER_TITLE).to_bytes()
    data = b"\xdd" + header + KeyInfo(KeyChoice.WRAPPED, key).to_bytes() + bytes(20)
    clean = b"".join(entry.data for entry in redact(wrapped(data)).entries)
    assert len(clean) == len(data) + 8
    for hidden in (key, CLIENT_TITLE, METER_TITLE):
        assert hidden in data
        assert hidden not in clean


def test_a_key_transfer_in_blocks_is_redacted() -> None:
    content = axdr.encode(KEYS)
    data = ActionRequestFirstBlock(1, KEY_TRANSFER, Block(False, 1, content)).to_bytes()
    assert content in data
    clean = b"".join(entry.data for entry in redact(wrapped(data)).entries)
    assert b"0123456789abcdef" not in clean
    assert b"0123456789abcdef".hex() not in str([line.as_json() for line in explain(wrapped(data))])
