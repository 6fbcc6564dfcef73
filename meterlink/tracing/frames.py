"""The frames of a capture, each with its time and who sent it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from meterlink.framing.hdlc.control import FrameKind
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.reader import FrameReader
from meterlink.framing.link import LinkNoise
from meterlink.framing.wrapper import WrapperPdu, WrapperReader
from meterlink.tracing.capture import Capture, Framing
from meterlink.transport.replay import Entry

Direction = Literal["sent", "received"]

_CLIENT_LLC: Final = b"\xe6\xe6\x00"
_REQUESTS: Final = frozenset({0x60, 0x62, 0xC0, 0xC1, 0xC3, 0xC8, 0xC9, 0xCB, 0xD0, 0xD1, 0xD3})
"""First octets of APDUs that only a client sends."""


@dataclass(frozen=True, slots=True)
class Located:
    """Something on the wire; ``t`` is seconds since the recording began. An entry without data is an event of the
    line."""

    t: float
    direction: Direction
    item: HdlcFrame | WrapperPdu | LinkNoise | Entry


def frames_of(capture: Capture) -> Iterator[Located]:
    """Yield what is on the wire, in the order in which it was complete."""
    found = list(_frames(capture))
    if capture.is_directed:
        yield from found
        return
    clients = {_sender(located.item) for located in found if _is_clients(located.item)}
    for located in found:
        sent = _sender(located.item) in clients
        yield Located(located.t, "sent" if sent else "received", located.item)


def _frames(capture: Capture) -> Iterator[Located]:
    make = FrameReader if capture.framing is Framing.HDLC else WrapperReader
    readers: dict[str, FrameReader | WrapperReader] = {"sent": make(), "received": make()}
    for entry in capture.entries:
        if entry.event == "sent" or entry.event == "received":
            for found in readers[entry.event].feed(entry.data):
                yield Located(entry.t, entry.event, found)
        else:
            yield Located(entry.t, "received", entry)
    reader = readers["received"]
    if isinstance(reader, FrameReader):
        for last in reader.give_up():
            yield Located(capture.entries[-1].t, "received", last)


def _sender(item: HdlcFrame | WrapperPdu | LinkNoise | Entry) -> object:
    if isinstance(item, HdlcFrame):
        return item.source
    return item.source if isinstance(item, WrapperPdu) else None


def _is_clients(item: HdlcFrame | WrapperPdu | LinkNoise | Entry) -> bool:
    if isinstance(item, HdlcFrame):
        return item.control.kind in {FrameKind.SNRM, FrameKind.DISC} or item.information.startswith(_CLIENT_LLC)
    return isinstance(item, WrapperPdu) and item.data[0] in _REQUESTS
