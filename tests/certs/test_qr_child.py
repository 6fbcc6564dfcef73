"""The steps of the child process, called in this one."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from certs.qr import child, drawing
from tests.benchmarks import qr_degraded
from tests.benchmarks.qr_degraded import Degradation

TEXT = qr_degraded.texts()["token"]
OURS = re.compile("ML")


def encoded(picture: Image.Image, format_: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, format_)
    return file.getvalue()


def soon() -> float:
    return time.process_time() + 60


@pytest.mark.parametrize("step", child.LADDER, ids=lambda step: f"{step.name}, {step.read.__name__}")
def test_every_step_of_the_ladder_reads_a_good_picture(step: child.Step) -> None:
    assert step.read(step.prepare(drawing.draw(TEXT))) == [("QR Code", TEXT)]


@pytest.mark.parametrize("step", child.LADDER, ids=lambda step: f"{step.name}, {step.read.__name__}")
def test_every_step_takes_the_smallest_and_the_flattest_picture(step: child.Step) -> None:
    for size in ((1, 1), (1, 5000), (3, 3)):
        assert step.read(step.prepare(Image.new("L", size, 128))) == []


def test_the_ladder_is_climbed_to_a_code_of_ours_past_others() -> None:
    """The foreign code is read at the first step; ours is too small for it."""
    rng = qr_degraded.random.Random(3)
    with Image.open(io.BytesIO(qr_degraded.render(TEXT, Degradation(1.3, jpeg_quality=60), rng))) as small:
        assert child.read_with_zxing(small) == []
        sheet = Image.new("L", (900, 400), 255)
        sheet.paste(small, (600, 150))
    sheet.paste(drawing.draw("HELLO").resize((300, 300)), (20, 20))
    assert child.find_codes(sheet, OURS, soon()) == [("QR Code", TEXT)]
    assert child.find_codes(sheet, re.compile("HELLO"), soon()) == [("QR Code", "HELLO")]


def test_no_step_is_begun_after_the_deadline() -> None:
    assert child.find_codes(drawing.draw(TEXT), OURS, time.process_time()) == []


def test_slow_steps_work_on_a_reduced_picture_and_enlarge_it_only_so_far() -> None:
    large = Image.new("L", (4000, 3000), 255)
    assert child._scaled(2)(large).size == (4619, 3464)
    assert child._scaled(2)(Image.new("L", (6000, 6000))).size == (6000, 6000)
    code = drawing.draw(TEXT).resize((130, 130), Image.Resampling.BOX)
    large.paste(code, (1000, 1000))
    assert child.find_codes(large, OURS, soon()) == [("QR Code", TEXT)]


def test_answer_names_codes_and_errors() -> None:
    assert child.answer(encoded(drawing.draw(TEXT)), OURS) == {"codes": [("QR Code", TEXT)]}
    assert child.answer(b"", OURS)["error"] == "image-unreadable"
    foreign = child.answer(encoded(drawing.draw("HELLO")), OURS)
    assert foreign == {"codes": [("QR Code", "HELLO")]}


@pytest.mark.parametrize(("kind", "text"), [("EAN13", "4006381333931"), ("DataMatrix", "HELLO"), ("Code128", "A1234")])
def test_other_kinds_of_code_are_named(kind: str, text: str) -> None:
    made: Any = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind)).to_image(scale=4)
    modules = memoryview(made)
    height, width = modules.shape or (0, 0)
    picture = Image.frombytes("L", (width, height), modules.tobytes())
    ((named, read),) = child.find_codes(picture, OURS, soon())
    assert re.sub("[^A-Za-z0-9]", "", named) == kind
    assert read == text


def test_a_picture_of_more_pixels_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new("L", (100, 100)))
    monkeypatch.setattr(child, "MAX_PIXELS", 9_999)
    with pytest.raises(child.PictureError) as error:
        child.open_grey(data)
    assert error.value.code == "image-too-large"


@pytest.mark.parametrize("allowed", [5_000, 1_000])
def test_the_library_s_own_bound_means_the_same(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    """Pillow warns above its bound, which the child makes an error, and raises above twice the bound."""
    data = encoded(Image.new("L", (90, 90)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", allowed)
    with pytest.raises(child.PictureError) as error:
        child.open_grey(data)
    assert error.value.code == "image-too-large"


def test_answers_count_their_codes() -> None:
    sheet = Image.new("L", (5 * 250, 4 * 250), 255)
    for number in range(20):
        code = drawing.draw(f"ML{number}").resize((232, 232), Image.Resampling.NEAREST)
        sheet.paste(code, (number % 5 * 250 + 8, number // 5 * 250 + 8))
    codes = child.answer(encoded(sheet), OURS)["codes"]
    assert isinstance(codes, list)
    assert len(codes) == child.MAX_CODES


def test_a_pdf_s_pages() -> None:
    file = io.BytesIO()
    blank = Image.new("L", (300, 300), 255)
    blank.save(file, "PDF", save_all=True, append_images=[drawing.draw(TEXT), *[blank] * 10])
    pages = list(child.open_pages(file.getvalue()))
    assert len(pages) == child.MAX_PAGES
    assert {page.mode for page in pages} == {"L"}
    assert child.read_with_zxing(pages[1]) == [("QR Code", TEXT)]
    with pytest.raises(child.PictureError):
        list(child.open_pages(b"%PDF-1.7 and nothing"))
