"""Reading pictures in the child process: what is found, what is refused, and what happens when the child fails."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import segno
from PIL import Image
from qr_support import LEAF, TOKEN, outcome, png, refusal

from certs.errors import ImageError
from certs.qr import Reader, drawing, read, read_one, reader_info, reading, select_one
from certs.qr.reading import FoundCode
from tests.benchmarks import qr_degraded

# What is read


def test_reads_a_path_and_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a name that says nothing.txt"
    file.write_bytes(drawing.jpeg(TOKEN, ["caption"]))
    assert read_one(file) == TOKEN
    assert read(file.read_bytes()) == [TOKEN]


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_reads_every_format_of_the_list(reader: Reader, format_: str) -> None:
    assert select_one(reader.scan(png(drawing.draw(TOKEN), format_))) == TOKEN


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_reads_every_kind_of_pixel(reader: Reader, mode: str) -> None:
    grey = drawing.draw(TOKEN)
    if mode == "I;16":
        picture = Image.frombytes("I;16", grey.size, bytes(byte for pixel in grey.tobytes() for byte in (pixel, pixel)))
    else:
        picture = grey.convert(mode)
    assert select_one(reader.scan(png(picture))) == TOKEN


def test_reads_a_code_on_a_transparent_ground(reader: Reader) -> None:
    """Black on transparent black: only the alpha channel tells the modules from the ground."""
    grey = drawing.draw(TOKEN)
    picture = Image.new("RGBA", grey.size, (0, 0, 0, 0))
    picture.putalpha(grey.point(lambda value: 255 - value))
    assert select_one(reader.scan(png(picture))) == TOKEN


def test_reads_a_mirrored_and_an_inverted_code(reader: Reader) -> None:
    grey = drawing.draw(TOKEN)
    assert select_one(reader.scan(png(grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))) == TOKEN
    assert select_one(reader.scan(png(grey.point(lambda value: 255 - value)))) == TOKEN


def test_reads_a_large_photo(reader: Reader) -> None:
    """A code of 2 pixels per module somewhere on 12 megapixels."""
    desk = Image.new("L", (4000, 3000), 90)
    code = drawing.draw(TOKEN)
    desk.paste(code.resize((code.width // 4, code.height // 4), Image.Resampling.BOX), (2900, 1700))
    assert select_one(reader.scan(png(desk, "JPEG"))) == TOKEN


def test_finds_our_code_beside_a_foreign_one(reader: Reader) -> None:
    assert select_one(reader.scan(side_by_side("https://example.org/manual", TOKEN))) == TOKEN


def test_one_of_every_degradation_is_read(reader: Reader) -> None:
    """A sample of the degraded set; the benchmark runs it whole and prints the rate."""
    sample = list(qr_degraded.cases(seed=5, rounds=1, step=4))
    read_texts = [[code.text for code in reader.scan(case.data)] for case in sample]
    assert all(texts in ([], [case.text]) for texts, case in zip(read_texts, sample, strict=True)), "a wrong payload"
    missed = [case.name for texts, case in zip(read_texts, sample, strict=True) if not texts]
    assert len(missed) <= 1, missed


def pdf(*pages: Image.Image) -> bytes:
    file = io.BytesIO()
    pages[0].save(file, "PDF", resolution=120, save_all=True, append_images=pages[1:])
    return file.getvalue()


def test_reads_a_code_on_any_page_of_a_pdf(reader: Reader) -> None:
    blank = Image.new("L", (900, 1200), 255)
    assert select_one(reader.scan(pdf(drawing.draw(TOKEN)))) == TOKEN
    assert select_one(reader.scan(pdf(blank, drawing.draw(TOKEN)))) == TOKEN
    two = reader.scan(pdf(drawing.draw(TOKEN), drawing.draw(LEAF)))
    assert [code.text for code in two] == [TOKEN, LEAF]


def test_a_pdf_that_cannot_be_read(reader: Reader) -> None:
    whole = pdf(drawing.draw(TOKEN))
    assert outcome(reader, whole[:200]) == "image-unreadable"
    assert outcome(reader, b"%PDF-1.7\n") == "image-unreadable"
    assert outcome(reader, pdf(Image.new("L", (900, 1200), 255))) == "no-qr"


def answers_of_child_without(package: str, raises: str, data: bytes, folder: Path) -> list[dict[str, Any]]:
    """What the child says where importing ``package`` fails: a module that fails is found first."""
    (folder / f"{package}.py").write_text(raises)
    run = subprocess.run(
        [sys.executable, "-P", str(reading._CHILD), reading.OURS.pattern],
        input=struct.pack(">I", len(data)) + data,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=True,
    )
    answers, rest = [], run.stdout
    while rest:
        length = struct.unpack(">I", rest[:4])[0]
        answers.append(json.loads(rest[4 : 4 + length]))
        rest = rest[4 + length :]
    return answers


def test_works_without_libzbar(tmp_path: Path) -> None:
    """zxing-cpp reads alone, and the reader says so."""
    raises = "raise ImportError('Unable to find zbar shared library')"
    hello, answer = answers_of_child_without("pyzbar", raises, drawing.jpeg(TOKEN), tmp_path)
    assert hello["readers"] == ["zxing-cpp"]
    assert answer["codes"] == [["QR Code", TOKEN]]


def test_a_pdf_without_pdfium_says_what_to_install(tmp_path: Path) -> None:
    raises = "raise ModuleNotFoundError('pypdfium2')"
    _, answer = answers_of_child_without("pypdfium2", raises, pdf(drawing.draw(TOKEN)), tmp_path)
    assert answer["error"] == "image-unreadable"
    assert "meterlink[pdf]" in answer["message"]


def test_reader_info_names_both_readers() -> None:
    info = reader_info()
    assert info.readers == ("pyzbar", "zxing-cpp")
    assert info.has_zbar


# Row 26


def test_row_26_no_code_at_all() -> None:
    assert refusal(png(Image.new("L", (400, 400), 255))) == "no-qr"


@pytest.mark.parametrize(
    "text, named",
    [
        ("https://example.org/", "a web address"),
        ("WIFI:S:cellar;T:WPA;P:secret;;", "a wireless network"),
        ("otpauth://totp/a?secret=B", "a one-time password"),
        ("BEGIN:VCARD\nFN:A", "a business card"),
        ("just text", "another origin"),
    ],
)
def test_row_26_a_code_of_another_origin(reader: Reader, text: str, named: str) -> None:
    picture = io.BytesIO()
    segno.make(text, micro=False).save(picture, kind="png", scale=6)
    with pytest.raises(ImageError) as error:
        select_one(reader.scan(picture.getvalue()))
    assert error.value.code == "not-ours"
    assert named in error.value.message
    assert text not in error.value.message, "a foreign secret must not be repeated"


def test_row_26_a_code_of_another_kind() -> None:
    picture = io.BytesIO()
    with pytest.raises(ImageError) as error:
        read_one(data_matrix(picture))
    assert error.value.code == "not-ours"
    assert "Data Matrix" in error.value.message


def data_matrix(file: io.BytesIO) -> bytes:
    import zxingcpp

    code = zxingcpp.create_barcode("MLT1:NOT A QR CODE", zxingcpp.BarcodeFormat.DataMatrix)
    drawn = memoryview(code.to_image(scale=8))
    height, width = drawn.shape[:2]
    Image.frombytes("L", (width, height), drawn.tobytes()).save(file, "PNG")
    return file.getvalue()


def side_by_side(first: str, second: str) -> bytes:
    sheet = Image.new("L", (2000, 1000), 255)
    for number, text in enumerate((first, second)):
        buffer = io.BytesIO()
        segno.make(text, error="M", micro=False).save(buffer, kind="png", scale=6)
        buffer.seek(0)
        with Image.open(buffer) as code:
            sheet.paste(code.convert("L"), (number * 1000 + 20, 20))
    return png(sheet)


def test_row_26_two_certificates_in_one_photo() -> None:
    data = side_by_side(LEAF, "MLC1:" + "OTHER" * 80)
    assert refusal(data) == "several-codes"
    assert len(read(data)) == 2


def test_row_26_the_same_code_twice_is_one_code() -> None:
    assert read_one(side_by_side(TOKEN, TOKEN)) == TOKEN


@pytest.mark.parametrize("part", [0, 1])
def test_row_26_a_part_of_a_structured_append_series(part: int) -> None:
    series = segno.make_sequence(LEAF, error="M", symbol_count=2, mode="alphanumeric", boost_error=False)
    picture = io.BytesIO()
    series[part].save(picture, kind="png", scale=8)
    assert refusal(picture.getvalue()) == "no-qr"


# Row 28


def test_row_28_a_child_that_hangs() -> None:
    """The child is stopped by a real signal; the caller gives up in time, and the next picture is read."""
    with Reader() as reader:
        reader.start()
        reader.timeout = 0.3
        first = reader.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(ImageError) as error:
            reader.scan(drawing.jpeg(TOKEN))
        assert error.value.code == "reader-failed"
        assert reader.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
    with Reader() as reader:
        assert select_one(reader.scan(drawing.jpeg(TOKEN))) == TOKEN


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV])
def test_row_28_a_child_that_dies(by: signal.Signals) -> None:
    with Reader() as reader:
        reader.start()
        assert reader.pid is not None
        os.kill(reader.pid, by)
        with pytest.raises(ImageError) as error:
            reader.scan(drawing.jpeg(TOKEN))
        assert error.value.code == "reader-failed"
        assert select_one(reader.scan(drawing.jpeg(TOKEN))) == TOKEN


def test_row_28_a_child_that_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert refusal(drawing.jpeg(TOKEN)) == "reader-failed"


def test_row_28_a_child_that_talks_nonsense(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for number, words in enumerate((r"b'\x00\x00\x00\x05junk!'", r"b'\xff\xff\xff\xff'", r"b'\x00'")):
        script = tmp_path / f"child{number}.py"
        script.write_text(f"import sys; sys.stdout.buffer.write({words})")
        monkeypatch.setattr(reading, "_CHILD", script)
        assert refusal(drawing.jpeg(TOKEN)) == "reader-failed"


def test_closing_twice_and_before_the_start_is_harmless() -> None:
    reader = Reader()
    reader.close()
    reader.start()
    reader.close()
    reader.close()
    assert reader.pid is None


def test_only_qr_codes_are_ours() -> None:
    assert FoundCode("QR Code", "MLT1:X").is_ours
    assert not FoundCode("Data Matrix", "MLT1:X").is_ours
    assert not FoundCode("QR Code", "mlt1:X").is_ours
