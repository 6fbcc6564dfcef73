"""The child process that opens pictures and finds the codes in them.

Pictures come from anywhere, and their decoders are large C libraries: here one may crash, hang or eat its memory, and
the program lives. The file stands alone and is started by its path: it imports nothing of this program, so that it
starts in a few hundredths of a second.

Request: 4 bytes of length, big-endian, then a picture file. Answer: 4 bytes of length, then JSON, either
``{"codes": [[format, text], ...]}`` or ``{"error": code, "message": text}``. One answer without a request comes first
and names the readers. The child ends when its input ends.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import zxingcpp
from PIL import Image, ImageChops, ImageFilter, UnidentifiedImageError

try:
    from pyzbar import pyzbar
except (ImportError, OSError):  # the Python package is there, the system's libzbar is not
    pyzbar = None
else:
    # For a part of a Structured Append series zbar gives an orientation that pyzbar cannot name, and raises. Without
    # the function it does not ask.
    pyzbar.zbar_symbol_get_orientation = None

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MAX_PIXELS: Final = 40_000_000
MAX_ADDRESS_SPACE: Final = 300_000_000
"""Bytes this process may map, libraries included."""
BUDGET: Final = 3.0
"""Processor seconds after which no further step of the ladder is begun."""
LAST_RESORT: Final = 20
"""Seconds after which the system ends a child that hangs and whose parent is gone."""
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_CODES: Final = 16
MAX_PAGES: Final = 8
"""Pages of a PDF that are looked at."""

_LENGTH: Final = struct.Struct(">I")
_LARGE: Final = 4_000_000  # pixels above which the slow steps work on a reduced picture
_LARGEST_ENLARGED: Final = 16_000_000  # pixels
_PDF_SCALE: Final = 200 / 72  # 200 dots per inch
_STRUCTURED_APPEND: Final = 0b0011  # mode indicator, ISO/IEC 18004, table 2

# Micro QR and rMQR are left out: they have so few check bits that they are found in mere texture.
_QR_CODE: Final = zxingcpp.BarcodeFormats((zxingcpp.BarcodeFormat.QRCodeModel2,))
_OTHER_FORMATS: Final = zxingcpp.BarcodeFormats(
    (
        zxingcpp.BarcodeFormat.Aztec,
        zxingcpp.BarcodeFormat.DataMatrix,
        zxingcpp.BarcodeFormat.PDF417,
        zxingcpp.BarcodeFormat.EAN13,
        zxingcpp.BarcodeFormat.EAN8,
        zxingcpp.BarcodeFormat.UPCA,
        zxingcpp.BarcodeFormat.Code128,
    )
)

Found = tuple[str, str]
"""Format and text of one code."""


class PictureError(Exception):
    """The picture cannot be read. ``code`` is one of the codes of ``certs.errors.ImageError``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def open_pages(data: bytes) -> Iterator[Image.Image]:
    """Yield the picture in a file, or the first pages of a PDF, as 8-bit grey. Raises :class:`PictureError`."""
    if data.startswith(b"%PDF-"):
        yield from _pdf_pages(data)
    else:
        yield open_grey(data)


def _pdf_pages(data: bytes) -> Iterator[Image.Image]:
    try:
        pdfium: Any = importlib.import_module("pypdfium2")
    except ImportError as error:
        message = "this is a PDF, and pypdfium2 is not installed (pip install 'meterlink[pdf]')"
        raise PictureError("image-unreadable", message) from error
    try:
        document = pdfium.PdfDocument(data)
        for number in range(min(len(document), MAX_PAGES)):
            page = document[number]
            width, height = page.get_size()
            scale = min(_PDF_SCALE, (_LARGE / max(width * height, 1.0)) ** 0.5)
            yield page.render(scale=scale, grayscale=True).to_pil().convert("L")
    except pdfium.PdfiumError as error:
        raise PictureError("image-unreadable", "the PDF is damaged or needs a password") from error


def open_grey(data: bytes) -> Image.Image:
    """Return the picture in a file as 8-bit grey. Raises :class:`PictureError`."""
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        if picture.width * picture.height > MAX_PIXELS:
            raise _too_large(picture)
        if picture.format == "JPEG":
            picture.draft("L", None)  # the decoder leaves the colours out: a third of the time and of the memory
        picture.load()
        return _to_grey(picture)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("image-too-large", f"the picture has more than {MAX_PIXELS // 10**6} megapixels") from error
    except MemoryError as error:
        raise PictureError("image-too-large", "the picture needs too much memory") from error
    except UnidentifiedImageError as error:
        raise PictureError("image-unreadable", f"this is no picture of a known kind ({', '.join(FORMATS)})") from error
    except Exception as error:
        # The decoders raise whatever comes up while they walk over damaged bytes: OSError, SyntaxError, ValueError,
        # struct.error, IndexError and more. They all mean the same.
        raise PictureError("image-unreadable", f"the picture is damaged ({type(error).__name__})") from error


def _too_large(picture: Image.Image) -> PictureError:
    size = f"{picture.width} x {picture.height}"
    return PictureError("image-too-large", f"the picture has {size} pixels; {MAX_PIXELS // 10**6} million are read")


def _to_grey(picture: Image.Image) -> Image.Image:
    if picture.mode == "L":
        return picture
    if picture.mode.startswith("I"):  # 16 bits per pixel; the plain conversion would clip them
        return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if picture.has_transparency_data:  # a code on a transparent ground: what is seen is on white
        seen = picture.convert("LA")
        ground = Image.new("L", picture.size, 255)
        ground.paste(seen.getchannel("L"), mask=seen.getchannel("A"))
        return ground
    return picture.convert("L")


def read_with_zbar(picture: Image.Image) -> list[Found]:
    """Return the QR codes that zbar finds. Parts of a Structured Append series are not codes."""
    if pyzbar is None:
        return []
    symbols = pyzbar.decode(picture, [pyzbar.ZBarSymbol.QRCODE])
    return [("QR Code", symbol.data.decode("utf-8", "replace")) for symbol in symbols if symbol.type == "QRCODE"]


def read_with_zxing(picture: Image.Image, *, global_threshold: bool = False) -> list[Found]:
    """Return the QR codes that zxing-cpp finds. Parts of a Structured Append series are not codes."""
    binarizer = zxingcpp.Binarizer.GlobalHistogram if global_threshold else zxingcpp.Binarizer.LocalAverage
    found = zxingcpp.read_barcodes(picture, formats=_QR_CODE, binarizer=binarizer)
    return [("QR Code", code.text) for code in found if not _is_structured_append(code)]


def _is_structured_append(code: Any) -> bool:
    """Tell whether a symbol is one part of a series.

    zxing-cpp does not say so and gives the part's text. The mode indicator does: the first four bits of the data
    stand in the four modules of the lower right corner (ISO/IEC 18004, 7.7.3), under the mask.
    """
    modules = memoryview(code.to_image(scale=1, add_quiet_zones=False))
    side = len(modules)
    masked = _MASKS[code.extra["DataMask"]]
    mode = 0
    for row, column in ((side - 1, side - 1), (side - 1, side - 2), (side - 2, side - 1), (side - 2, side - 2)):
        dark = modules[row, column] == 0
        mode = mode << 1 | (dark ^ masked(row, column))
    return mode == _STRUCTURED_APPEND


# ISO/IEC 18004, table 10: the conditions under which a module is inverted, i the row and j the column.
_MASKS: Final[tuple[Callable[[int, int], bool], ...]] = (
    lambda i, j: (i + j) % 2 == 0,
    lambda i, j: i % 2 == 0,
    lambda i, j: j % 3 == 0,
    lambda i, j: (i + j) % 3 == 0,
    lambda i, j: (i // 2 + j // 3) % 2 == 0,
    lambda i, j: (i * j) % 2 + (i * j) % 3 == 0,
    lambda i, j: ((i * j) % 2 + (i * j) % 3) % 2 == 0,
    lambda i, j: ((i + j) % 2 + (i * j) % 3) % 2 == 0,
)


def name_other_codes(picture: Image.Image) -> list[Found]:
    """Return the codes of other kinds than QR, so that the user can be told what was scanned instead."""
    return [(str(code.format), code.text) for code in zxingcpp.read_barcodes(picture, formats=_OTHER_FORMATS)]


@dataclass(frozen=True, slots=True)
class Step:
    """One try: how the picture is prepared, which reader looks at it, and whether the step is slow."""

    name: str
    prepare: Callable[[Image.Image], Image.Image]
    read: Callable[[Image.Image], list[Found]]
    slow: bool = False


def _as_it_is(picture: Image.Image) -> Image.Image:
    return picture


def _scaled(factor: float) -> Callable[[Image.Image], Image.Image]:
    def scale(picture: Image.Image) -> Image.Image:
        # A picture that is large already gains nothing from more pixels.
        room = (_LARGEST_ENLARGED / (picture.width * picture.height)) ** 0.5
        by = min(factor, max(room, 1.0)) if factor > 1 else factor
        size = (max(1, round(picture.width * by)), max(1, round(picture.height * by)))
        return picture.resize(size, Image.Resampling.BICUBIC if by > 1 else Image.Resampling.LANCZOS)

    return scale


def _smoothed(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.BoxBlur(0.5))


def _smoothed_and_larger(picture: Image.Image) -> Image.Image:
    return _scaled(1.5)(_smoothed(picture))


def _median(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.MedianFilter(3))


def _sharpened(picture: Image.Image) -> Image.Image:
    return _scaled(2)(picture).filter(ImageFilter.UnsharpMask(3, 200, 0))


def _evened(picture: Image.Image) -> Image.Image:
    """Black and white against the mean of the surroundings: takes shadows and low light away."""
    larger = _scaled(2)(picture)
    surroundings = larger.filter(ImageFilter.BoxBlur(max(1, max(larger.size) // 32)))
    return ImageChops.subtract(larger, surroundings, 1, 128).point(lambda value: 255 if value > 121 else 0)


def _with_global_threshold(picture: Image.Image) -> list[Found]:
    return read_with_zxing(picture, global_threshold=True)


# Ordered by what a step finds for the time it takes, as tests/benchmarks/bench_qr.py measures it.
LADDER: Final = (
    Step("as it is", _as_it_is, read_with_zxing),
    Step("smoothed", _smoothed, read_with_zxing),
    Step("smoothed x 1.5", _smoothed_and_larger, read_with_zxing),
    Step("as it is", _as_it_is, read_with_zbar),
    Step("x 2", _scaled(2), read_with_zxing),
    Step("x 3", _scaled(3), read_with_zxing, slow=True),
    Step("median", _median, read_with_zbar, slow=True),
    Step("x 0.66", _scaled(0.66), read_with_zbar),
    Step("sharpened x 2", _sharpened, _with_global_threshold, slow=True),
    Step("evened x 2", _evened, _with_global_threshold, slow=True),
    Step("evened x 2", _evened, read_with_zbar, slow=True),
    Step("x 2", _scaled(2), read_with_zbar, slow=True),
)


def find_codes(picture: Image.Image, wanted: re.Pattern[str], deadline: float) -> list[Found]:
    """Return the codes in a grey picture.

    The ladder is climbed until a code whose text begins with ``wanted`` is found, to its end or to ``deadline``
    (``time.process_time()``). Codes of other origin that were seen on the way are returned when there is none.
    """
    others: dict[Found, None] = {}
    for found in _climb(picture, deadline):
        ours = [code for code in found if wanted.match(code[1])]
        if ours:
            return list(dict.fromkeys(ours))[:MAX_CODES]
        others.update(dict.fromkeys(found))
    return list(others or dict.fromkeys(name_other_codes(picture)))[:MAX_CODES]


def _climb(picture: Image.Image, deadline: float) -> Iterator[list[Found]]:
    reduced = picture
    if (pixels := picture.width * picture.height) > _LARGE:
        reduced = picture.reduce(round((pixels / _LARGE) ** 0.5 + 0.5))
    for step in LADDER:
        if time.process_time() >= deadline:
            return
        yield step.read(step.prepare(reduced if step.slow else picture))


def answer(data: bytes, wanted: re.Pattern[str]) -> dict[str, object]:
    """Return the answer to one request."""
    deadline = time.process_time() + BUDGET
    found: dict[Found, None] = {}
    try:
        for page in open_pages(data):
            found.update(dict.fromkeys(find_codes(page, wanted, deadline)))
    except PictureError as error:
        return {"error": error.code, "message": str(error)}
    except MemoryError:
        return {"error": "image-too-large", "message": "the picture needs too much memory"}
    ours = [code for code in found if wanted.match(code[1])]
    return {"codes": (ours or list(found))[:MAX_CODES]}


def serve(source: BinaryIO, sink: BinaryIO, wanted: re.Pattern[str]) -> None:
    """Answer requests until the input ends."""
    _send(sink, {"readers": [name for name, there in (("pyzbar", pyzbar is not None), ("zxing-cpp", True)) if there]})
    while len(head := source.read(_LENGTH.size)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        data = source.read(length)
        if len(data) < length:
            return
        with _last_resort():
            reply = answer(data, wanted)
        _send(sink, reply)


def _send(sink: BinaryIO, reply: dict[str, object]) -> None:
    body = json.dumps(reply).encode()
    sink.write(_LENGTH.pack(len(body)) + body)
    sink.flush()


@contextlib.contextmanager
def _last_resort() -> Iterator[None]:
    """Let the system end this process when a decoder hangs. Signal handlers would not run inside one."""
    if not hasattr(signal, "alarm"):
        yield
        return
    signal.alarm(LAST_RESORT)
    try:
        yield
    finally:
        signal.alarm(0)


def confine() -> None:
    """Bound the memory, make oversized pictures errors, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    if resource is not None:
        # macOS knows the limit but does not take every value.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE, MAX_ADDRESS_SPACE))


def main() -> None:
    """Serve stdin and stdout. The argument is a regular expression: how the texts of our codes begin."""
    confine()
    # The libraries print to the standard streams when they please; the answers have one of their own.
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, sink, re.compile(sys.argv[1]))


if __name__ == "__main__":
    main()
