"""A webcam as a scanner. It needs OpenCV, which comes with the extra ``camera``."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any, Final

from certs import qr
from certs.errors import ImageError

TIMEOUT: Final = 60.0
"""Seconds that a code is looked for."""


def scan(source: int | str, *, timeout: float = TIMEOUT) -> str:
    """Return the text of the first code of ours that a camera shows within ``timeout`` seconds.

    ``source`` is the camera's number, or a video file or stream. Raises :class:`ImageError` ``camera-unavailable`` or
    ``no-qr``.
    """
    with closing(_pictures(source)) as pictures:
        return first_code(pictures, timeout=timeout)


def first_code(
    pictures: Iterable[bytes], *, timeout: float = TIMEOUT, now: Callable[[], float] = time.monotonic
) -> str:
    """Return the text of the first code of ours in a row of picture files.

    No picture is taken from the row once ``timeout`` seconds have passed by the clock ``now``. Raises
    :class:`ImageError` ``no-qr``.
    """
    deadline = now() + timeout
    with qr.Reader() as reader:
        for picture in pictures:
            for code in reader.scan(picture):
                if code.is_ours:
                    return code.text
            if now() >= deadline:
                break
    raise ImageError("no-qr", "the camera showed no code of ours", "Hold the code still, in even light, and closer.")


def _pictures(source: int | str) -> Generator[bytes, None, None]:
    """Give each picture of a camera as a PNG file: all that OpenCV does here."""
    cv2 = _opencv()
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            hint = "Connect it, close other programs that use it, or try another number."
            raise ImageError("camera-unavailable", f"the camera {source} cannot be opened", hint)
        while True:
            there, frame = capture.read()
            if not there:
                return
            encoded, picture = cv2.imencode(".png", frame)
            if encoded:
                yield picture.tobytes()
    finally:
        capture.release()


def _opencv() -> Any:
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        hint = "Install it: pip install 'meterlink[camera]'. Or take a photo and scan its file."
        raise ImageError("camera-unavailable", "scanning with a camera needs OpenCV", hint) from error
