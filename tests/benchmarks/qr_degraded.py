"""Pictures of QR codes as bad cameras, mailers and cellars make them; the same ones on every run.

Each case names what was done to it. A picture is made from a drawn code in this order: scaled to so many pixels per
module, turned or tilted, set into a scene, blurred, darkened, given noise, inverted, saved as JPEG or PNG.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from certs.qr import drawing

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
LENGTHS: Final = {"token": 235, "leaf": 745, "leaf + issuing CA": 1090, "P-384 chain": 1800}
"""Characters in a code of each kind (versions 9, 17, 22 and 28 at error correction M)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Degradation:
    """What is done to a code. Lengths are pixels of the finished picture, angles degrees, the rest fractions."""

    pixels_per_module: float = 4.0
    rotation: float = 0.0
    perspective: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    contrast: float = 1.0
    shading: float = 0.0
    inverted: bool = False
    scene: bool = False
    jpeg_quality: int = 90


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One picture: what it is called, the text in it, and the file's bytes."""

    name: str
    text: str
    data: bytes


def texts(seed: int = 1) -> dict[str, str]:
    """Return one text of each kind; random characters, because Base45 of compressed data looks like that."""
    rng = random.Random(seed)
    prefixes = {"token": "MLT1:"}
    return {
        kind: (prefix := prefixes.get(kind, "MLC1:")) + "".join(rng.choices(_ALPHABET, k=length - len(prefix)))
        for kind, length in LENGTHS.items()
    }


def cases(seed: int = 1, *, rounds: int = 3, step: int = 1) -> Iterator[Case]:
    """Yield the set: every degradation with every kind of code, in so many ``rounds`` with other texts each.

    ``step`` larger than 1 takes every so manieth case only.
    """
    rng = random.Random(seed)
    for number in range(rounds):
        pairs = itertools.product(texts(seed + number).items(), _degradations(rng))
        for (kind, text), (name, degradation) in itertools.islice(pairs, 0, None, step):
            yield Case(f"{kind}: {name}", text, render(text, degradation, rng))


def _degradations(rng: random.Random) -> Iterator[tuple[str, Degradation]]:
    for size, quality in itertools.product((1.3, 1.6, 2.0, 2.5, 3.0, 4.0), (30, 60, 90)):
        yield f"{size} px, JPEG {quality}", Degradation(size, jpeg_quality=quality)
    for size in (2.0, 3.0, 4.0):
        yield f"{size} px, turned", Degradation(size, rotation=rng.uniform(-180, 180), jpeg_quality=75)
    for tilt in (0.05, 0.10, 0.15):
        yield f"tilted {tilt}", Degradation(4.0, perspective=tilt, jpeg_quality=75)
    for blur in (0.5, 1.0, 1.5, 2.0):
        yield f"blurred {blur}", Degradation(4.0, blur=blur, jpeg_quality=75)
    for noise in (0.1, 0.2, 0.3):
        yield f"noise {noise}", Degradation(4.0, noise=noise, jpeg_quality=75)
    for contrast in (0.5, 0.25, 0.12):
        yield f"low light {contrast}", Degradation(3.0, contrast=contrast, noise=0.02, shading=0.5, jpeg_quality=75)
    for size in (2.0, 4.0):
        yield f"inverted {size} px", Degradation(size, inverted=True, jpeg_quality=60)
    for number in range(6):
        yield (
            f"photo {number}",
            Degradation(
                pixels_per_module=rng.uniform(2.5, 4.0),
                rotation=rng.uniform(-30, 30),
                perspective=rng.uniform(0.0, 0.1),
                blur=rng.uniform(0.0, 0.8),
                noise=rng.uniform(0.0, 0.1),
                contrast=rng.uniform(0.4, 1.0),
                shading=rng.uniform(0.0, 0.4),
                scene=True,
                jpeg_quality=rng.randrange(40, 90),
            ),
        )


def render(text: str, degradation: Degradation, rng: random.Random) -> bytes:
    """Return ``text`` as a JPEG file of a code that went through ``degradation``."""
    code = drawing.draw(text)
    side = round(code.width / drawing.MODULE_PIXELS * degradation.pixels_per_module)
    picture = code.resize((side, side), Image.Resampling.BOX)
    if degradation.perspective:
        picture = _tilt(picture, degradation.perspective, rng)
    if degradation.rotation:
        picture = picture.rotate(degradation.rotation, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    if degradation.scene:
        picture = _set_into_scene(picture, rng)
    if degradation.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(degradation.blur))
    picture = _light(picture, degradation.contrast, degradation.shading)
    if degradation.noise:
        picture = _add_noise(picture, degradation.noise, rng)
    if degradation.inverted:
        picture = ImageOps.invert(picture)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=degradation.jpeg_quality)
    return file.getvalue()


def _tilt(picture: Image.Image, strength: float, rng: random.Random) -> Image.Image:
    side = picture.width
    corners = [(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)]
    inward = [
        (
            x + side * strength * rng.random() * (1 if x == 0 else -1),
            y + side * strength * rng.random() * (1 if y == 0 else -1),
        )
        for x, y in corners
    ]
    coefficients = _homography(inward, corners)
    return picture.transform(
        (side, side), Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC, fillcolor=255
    )


def _homography(sources: Sequence[tuple[float, float]], targets: Sequence[tuple[float, float]]) -> list[float]:
    """The eight coefficients that map each source corner to its target, by Gauss-Jordan elimination."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(sources, targets, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    for column in range(8):
        pivot = max(range(column, 8), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(8):
            if row != column:
                factor = rows[row][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [row[8] for row in rows]


def _set_into_scene(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A desk of one megapixel or more with papers and lines of print, the code lying on it."""
    width, height = max(1152, picture.width + 80), max(868, picture.height + 80)
    desk = Image.new("L", (width, height), rng.randrange(60, 160))
    pen = ImageDraw.Draw(desk)
    for _ in range(25):
        x, y = rng.randrange(width), rng.randrange(height)
        pen.rectangle((x, y, x + rng.randrange(20, 400), y + rng.randrange(20, 300)), fill=rng.randrange(256))
    for _ in range(40):
        x, y = rng.randrange(width), rng.randrange(height)
        pen.text((x, y), "".join(rng.choices(_ALPHABET, k=20)), fill=rng.choice((0, 255)))
    desk.paste(picture, (rng.randrange(width - picture.width), rng.randrange(height - picture.height)))
    return desk


def _light(picture: Image.Image, contrast: float, shading: float) -> Image.Image:
    if shading:
        slope = Image.linear_gradient("L").resize(picture.size).point(lambda value: 255 - shading * value)
        picture = ImageChops.multiply(picture, slope)
    return picture.point(lambda value: value * contrast) if contrast != 1.0 else picture


def _add_noise(picture: Image.Image, deviation: float, rng: random.Random) -> Image.Image:
    """Add noise of standard deviation ``deviation`` (1 is white minus black): the mean of four even distributions."""
    layers = [Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height)) for _ in range(4)]
    mean = ImageChops.blend(
        ImageChops.blend(layers[0], layers[1], 0.5), ImageChops.blend(layers[2], layers[3], 0.5), 0.5
    )
    # One even distribution over 256 values deviates by 256 / sqrt(12); the mean of four by half of that.
    strength = deviation * 255 / (256 / math.sqrt(12) / 2)
    brighter = mean.point(lambda value: max(0.0, value - 127.5) * strength)
    darker = mean.point(lambda value: max(0.0, 127.5 - value) * strength)
    return ImageChops.subtract(ImageChops.add(picture, brighter), darker)
