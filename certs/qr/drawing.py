"""Draw a text as a QR code that cameras and cheap printers get along with.

The measures that matter: alphanumeric mode (45 characters, 5.5 bits each), error correction M (a higher level needs
more modules on the same area, and resolution is what fails first), 8 pixels per module, a quiet zone of 4 modules,
grey JPEG at quality 90 (a mailer that shrinks it to half still leaves 4 pixels per module).

zxing-cpp makes the symbol: 1 to 4 ms, where an encoder in Python takes 20 to 40; an order may be for thousands.
"""

from __future__ import annotations

import functools
import io
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

import zxingcpp
from PIL import Image, ImageDraw, ImageFont

from certs.errors import PayloadError

MODULE_PIXELS: Final = 8
QUIET_ZONE: Final = 4
"""Modules of white around the code (ISO/IEC 18004, 9.1)."""
JPEG_QUALITY: Final = 90
MAX_TEXT: Final = 3391
"""Alphanumeric characters in a version 40-M symbol (ISO/IEC 18004, table 7)."""

_ALPHANUMERIC: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")
_DOTS_PER_INCH: Final = 200
_CAPTION_PIXELS: Final = 20
_LINE_PIXELS: Final = 28
_WHITE: Final = 255
_NEAREST: Final = Image.Resampling.NEAREST
# Tried in this order, found by Pillow in the places where the system keeps its fonts.
_FONTS: Final = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "arial.ttf", "Arial.ttf")

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw(text: str, caption: Sequence[str] = ()) -> Image.Image:
    """Return ``text`` as a QR code, a grey picture (mode L), with the lines of ``caption`` below it.

    ``text`` uses the 45 characters of the alphanumeric mode alone. The caption is for people; lines are cut at the
    picture's width. Raises :class:`~certs.errors.PayloadError` (``payload-too-large``, ``payload-characters``).
    """
    if len(text) > MAX_TEXT:
        raise PayloadError(
            "payload-too-large",
            f"{len(text)} characters do not fit into one QR code; {MAX_TEXT} do",
            "shorten the organization's name, or send the file instead of the code",
        )
    if not text or not _ALPHANUMERIC.issuperset(text):
        raise PayloadError("payload-characters", "the text has characters outside the alphanumeric mode of QR codes")
    symbol = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    image: Any = symbol.to_image(
        scale=1, add_quiet_zones=False
    )  # has the buffer interface, though its types do not say
    modules = memoryview(image)
    side = len(modules) * MODULE_PIXELS
    code = Image.frombytes("L", (len(modules), len(modules)), modules.tobytes()).resize((side, side), _NEAREST)
    edge = side + 2 * QUIET_ZONE * MODULE_PIXELS
    picture = Image.new("L", (edge, edge + len(caption) * _LINE_PIXELS), _WHITE)
    picture.paste(code, (QUIET_ZONE * MODULE_PIXELS, QUIET_ZONE * MODULE_PIXELS))
    _write_caption(picture, caption, edge)
    return picture


def jpeg(text: str, caption: Sequence[str] = ()) -> bytes:
    """Return :func:`draw` as the bytes of a grey JPEG file. Raises as :func:`draw` does."""
    file = io.BytesIO()
    draw(text, caption).save(file, "JPEG", quality=JPEG_QUALITY, dpi=(_DOTS_PER_INCH, _DOTS_PER_INCH))
    return file.getvalue()


def _write_caption(picture: Image.Image, caption: Sequence[str], top: int) -> None:
    if not caption:
        return
    font, covers_unicode = _caption_font()
    pen = ImageDraw.Draw(picture)
    left = QUIET_ZONE * MODULE_PIXELS
    for number, line in enumerate(caption):
        shown = line if covers_unicode else _to_ascii(line)
        pen.text((left, top + number * _LINE_PIXELS), _cut(shown, font, picture.width - 2 * left), fill=0, font=font)


@functools.cache
def _caption_font() -> tuple[_Font, bool]:
    """The font for captions, and whether it has more letters than those of ASCII."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, _CAPTION_PIXELS), True
        except OSError:
            continue
    return ImageFont.load_default(_CAPTION_PIXELS), False


def _to_ascii(line: str) -> str:
    """Letters without their accents; whatever then still has no place in ASCII becomes a question mark."""
    bare = "".join(mark for mark in unicodedata.normalize("NFKD", line) if not unicodedata.combining(mark))
    return bare.encode("ascii", "replace").decode("ascii")


def _cut(line: str, font: _Font, width: int) -> str:
    shown = "".join(mark for mark in line if mark.isprintable())
    if font.getlength(shown) <= width:
        return shown
    while shown and font.getlength(shown + "...") > width:
        shown = shown[:-1]
    return shown + "..."
