"""Scanning with a webcam: real pictures in a row, and a real video where OpenCV is installed."""

from __future__ import annotations

import importlib.util
import io
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import segno
from certs_support import Device, cli
from PIL import Image

from certs import camera
from certs.errors import ImageError
from certs.qr import drawing

EMPTY = Image.new("L", (320, 240), 90)


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def held_up(code: Image.Image) -> Image.Image:
    """A code before a grey wall, a little aslant, as a hand holds it."""
    size = (code.width + 200, code.height + 200)
    picture = Image.new("L", size, 120)
    picture.paste(code, (100, 100))
    return picture.rotate(7, fillcolor=120)


def poster() -> Image.Image:
    file = io.BytesIO()
    segno.make_qr("https://www.example.org/").save(file, kind="png", scale=6)
    return Image.open(file)


@pytest.fixture
def token(tmp_path: Path) -> str:
    return Device(tmp_path / "home").authority.token()


def test_the_first_code_of_ours_is_what_is_scanned(token: str) -> None:
    row = iter([png(EMPTY), png(held_up(poster())), png(held_up(drawing.draw(token))), b"not looked at any more"])
    assert camera.first_code(row) == token
    assert list(row) == [b"not looked at any more"]


def test_a_row_without_a_code_of_ours() -> None:
    with pytest.raises(ImageError) as caught:
        camera.first_code([png(EMPTY), png(poster())])
    assert caught.value.code == "no-qr"
    assert "light" in caught.value.hint


def test_a_code_is_looked_for_until_the_time_is_over(token: str) -> None:
    shown, seconds = [], itertools.count(1000.0)

    def row() -> Iterator[bytes]:
        while True:
            shown.append("empty")
            yield png(EMPTY)

    with pytest.raises(ImageError) as caught:
        camera.first_code(row(), timeout=3.0, now=lambda: next(seconds))
    assert caught.value.code == "no-qr"
    assert len(shown) == 3
    # What the last look of all shows still counts.
    assert camera.first_code([png(drawing.draw(token))], timeout=0.0) == token


def test_a_picture_that_is_none_is_told() -> None:
    with pytest.raises(ImageError) as caught:
        camera.first_code([b"torn"])
    assert caught.value.code == "image-unreadable"


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(ImageError) as caught:
        camera.scan(99, timeout=1)
    assert caught.value.code == "camera-unavailable"
    assert caught.value.hint


def test_without_opencv_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    ran = cli("scan", "--camera", "0", "--json")
    assert (ran.status, ran.error["code"], ran.out) == (4, "camera-unavailable", "")
    assert "meterlink[camera]" in ran.error["hint"]


needs_opencv = pytest.mark.skipif(
    importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed: pip install '.[camera]'"
)


def video(path: Path, *pictures: Image.Image) -> str:
    """A video of pictures that each stay for a moment."""
    cv2: Any = pytest.importorskip("cv2")
    numpy: Any = pytest.importorskip("numpy")
    size = (max(picture.width for picture in pictures), max(picture.height for picture in pictures))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, size)
    for picture in pictures:
        frame = Image.new("RGB", size, (90, 90, 90))
        frame.paste(picture, (0, 0))
        for _ in range(3):
            writer.write(numpy.array(frame))
    writer.release()
    return str(path)


@needs_opencv
def test_a_video(token: str, tmp_path: Path) -> None:
    assert camera.scan(video(tmp_path / "a.avi", EMPTY, held_up(drawing.draw(token)))) == token
    with pytest.raises(ImageError) as caught:
        camera.scan(video(tmp_path / "b.avi", EMPTY))
    assert caught.value.code == "no-qr"
