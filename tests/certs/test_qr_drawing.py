"""Drawing: what is drawn follows the measures and is read back by the readers."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from certs.errors import PayloadError
from certs.qr import child, drawing

ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def test_measures_of_a_token_sized_code() -> None:
    """235 characters at level M are version 9, 53 modules."""
    picture = drawing.draw("MLT1:" + "A" * 230)
    assert picture.mode == "L"
    assert picture.size == ((53 + 2 * 4) * 8, (53 + 2 * 4) * 8)
    assert set(picture.crop((0, 0, picture.width, 4 * 8)).tobytes()) == {255}
    assert set(picture.tobytes()) == {0, 255}


def test_jpeg_is_grey_and_reads_back() -> None:
    data = drawing.jpeg("MLT1:HELLO", ["Stadtwerke Łódź", "Commissioning"])
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.mode) == ("JPEG", "L")
        assert child.read_with_zxing(picture) == [("QR Code", "MLT1:HELLO")]
        assert child.read_with_zbar(picture) == [("QR Code", "MLT1:HELLO")]


@settings(max_examples=25, deadline=None)
@given(st.text(ALPHANUMERIC, min_size=1, max_size=400))
def test_any_text_reads_back(text: str) -> None:
    found = child.read_with_zxing(drawing.draw(text))
    assert found == [("QR Code", text)]


def test_the_longest_text_fits_and_one_more_does_not() -> None:
    longest = "MLC1:" + "A" * (drawing.MAX_TEXT - 5)
    assert child.read_with_zxing(drawing.draw(longest)) == [("QR Code", longest)]
    with pytest.raises(PayloadError) as error:
        drawing.draw(longest + "A")
    assert error.value.code == "payload-too-large"


@pytest.mark.parametrize("text", ["", "lower case", "MLT1:Ä", "A\n"])
def test_text_outside_the_alphanumeric_mode_is_refused(text: str) -> None:
    with pytest.raises(PayloadError) as error:
        drawing.draw(text)
    assert error.value.code == "payload-characters"


def test_caption_is_drawn_below_and_cut_to_the_width() -> None:
    bare = drawing.draw("MLT1:X")
    picture = drawing.draw("MLT1:X", ["W" * 500, "short"])
    assert picture.width == bare.width
    assert picture.height > bare.height
    assert picture.crop((0, 0, bare.width, bare.height)).tobytes() == bare.tobytes()
    below = picture.crop((0, bare.height, picture.width, picture.height))
    assert min(below.tobytes()) < 128
    margin = drawing.QUIET_ZONE * drawing.MODULE_PIXELS
    assert min(below.crop((below.width - margin, 0, below.width, below.height)).tobytes()) == 255


def test_caption_without_a_font_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no known font is installed the built-in one is used, which has ASCII alone."""
    monkeypatch.setattr(drawing, "_FONTS", ("no-such-font.ttf",))
    drawing._caption_font.cache_clear()
    try:
        plain = drawing.draw("MLT1:X", ["Lodz Muller ?"])
        accents = drawing.draw("MLT1:X", ["Lódź Müller 漢"])
    finally:
        drawing._caption_font.cache_clear()
    assert accents.tobytes() == plain.tobytes()
