"""Decode a capture offline: a text readout, whatever state it is in."""

from __future__ import annotations

import re

from ..errors import DataError
from ..readout import read_telegrams
from ..values import MeterReport
from . import text
from .profile import profile

_DATA_SET = re.compile(rb"[0-9A-Za-z.*:-]\([^()]{0,200}\)")


def decode_capture(data: bytes, *, hint: str | None = None) -> MeterReport:
    """Decode what a meter said.

    ``hint`` is a meter family's name, or None to find out. Raises DataError ``empty``, or ``not-recognised`` when the
    bytes are nothing that is known; UsageError for an unknown family.
    """
    if not data.strip(b"\x00\r\n \t"):
        raise DataError("the capture is empty", code="empty", hint="was the meter answering while it was recorded?")
    family = None if hint is None else profile(hint)
    if _DATA_SET.search(bytes(byte & 0x7F for byte in data)):
        telegrams = read_telegrams(data)
        if telegrams:
            return text.report(telegrams, family)
    raise DataError(
        "this is neither a text readout nor an M-Bus telegram",
        code="not-recognised",
        hint="give the bytes as they came from the meter, binary or in hex",
    )
