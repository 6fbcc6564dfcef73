"""What was captured: a recording of ours, or the octets of a line as somebody else wrote them down."""

from __future__ import annotations

import datetime as dt
import enum
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.reader import FrameReader
from meterlink.framing.wrapper import VERSION, WrapperReader
from meterlink.transport.replay import Entry, read_recording

_HEX: Final = re.compile(rb"(?:[0-9A-Fa-f]{2}[\s,;:]*)+\Z")
_NO_DIGIT: Final = re.compile(rb"[^0-9A-Fa-f]")
_HEAD: Final = b'{"meterlink"'


class Framing(enum.Enum):
    """Which frames a capture is made of."""

    HDLC = "hdlc"
    WRAPPER = "wrapper"
    OTHER = "other"
    """None of the two: a text readout, M-Bus, or nothing."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Entries in the order of time. ``is_directed`` is False where both directions stand in one stream: then every
    entry counts as received, and the frames have to tell who sent them. ``url`` is where it was recorded, ``started``
    when, as far as that is known."""

    entries: tuple[Entry, ...]
    framing: Framing
    is_directed: bool
    url: str = ""
    started: dt.datetime | None = None

    @property
    def received(self) -> bytes:
        """All that the meter sent."""
        return b"".join(entry.data for entry in self.entries if entry.event == "received")


def read_capture(data: bytes) -> Capture | None:
    """Read a recording, or HDLC frames or wrapper messages as they are or in hex; None for anything else.

    Raises DataError ``recording`` for a recording that is damaged.
    """
    head = _head(data)
    if head is not None:
        url, entries = read_recording(data.decode("utf-8", "replace").splitlines())
        return Capture(entries, _framing(b"".join(_sides(entries))), True, url, _started(head))
    raw = _from_hex(data)
    framing = _framing(raw)
    if framing is Framing.OTHER:
        return None
    return Capture((Entry(0.0, "received", raw),), framing, False)


def _head(data: bytes) -> dict[str, Any] | None:
    """Return the first line of a recording; None when this is none."""
    text = data.lstrip()
    if not text.startswith(_HEAD):
        return None
    try:
        head = json.loads(text.splitlines()[0])
    except ValueError:
        return None
    return head if isinstance(head, dict) and head.get("meterlink") == "recording" else None


def _started(head: dict[str, Any]) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(str(head.get("started")))
    except ValueError:
        return None


def _sides(entries: tuple[Entry, ...]) -> Iterator[bytes]:
    for event in ("sent", "received"):
        yield b"".join(entry.data for entry in entries if entry.event == event)


def _framing(octets: bytes) -> Framing:
    if octets.startswith(VERSION):
        reader = WrapperReader()
        if reader.feed(octets):
            return Framing.WRAPPER
    if any(isinstance(found, HdlcFrame) for found in FrameReader().feed(octets)):
        return Framing.HDLC
    return Framing.OTHER


def _from_hex(data: bytes) -> bytes:
    text = data.strip()
    if not _HEX.match(text):
        return data
    return bytes.fromhex(_NO_DIGIT.sub(b"", text).decode("ascii"))
