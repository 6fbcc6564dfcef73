"""A webcam as a scanner. It needs OpenCV, which comes with the extra ``camera``."""

from __future__ import annotations

import importlib
import time
from typing import Any, Final

from certs import qr
from certs.errors import ImageError

TIMEOUT: Final = 60.0
"""Seconds that a code is looked for."""


def scan(source: int | str, *, timeout: float = TIMEOUT) -> str:
    """Return the text of the first code of ours that a camera shows.

    ``source`` is the camera's number, or a video file or stream. Raises :class:`ImageError` ``camera-unavailable`` or
    ``no-qr``.
    """
    cv2 = _opencv()
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            hint = "Connect it, close other programs that use it, or try another number."
            raise ImageError("camera-unavailable", f"the camera {source} cannot be opened", hint)
        return _first_code(cv2, capture, time.monotonic() + timeout)
    finally:
        capture.release()


def _first_code(cv2: Any, capture: Any, deadline: float) -> str:
    with qr.Reader() as reader:
        while time.monotonic() < deadline:
            there, frame = capture.read()
            if not there:
                break
            encoded, picture = cv2.imencode(".png", frame)
            found = [code.text for code in reader.scan(picture.tobytes()) if code.is_ours] if encoded else []
            if found:
                return str(found[0])
    raise ImageError("no-qr", "the camera showed no code of ours", "Hold the code still, in even light, and closer.")


def _opencv() -> Any:
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        hint = "Install it: pip install 'meterlink[camera]'. Or take a photo and scan its file."
        raise ImageError("camera-unavailable", "scanning with a camera needs OpenCV", hint) from error
