"""A trace without what tells which meter it was, for sharing: everything keeps its place and its length.

System titles become ``TITLE001`` and so on, so that parties stay apart; everything else that must go becomes ``X``.
Check sequences are made anew, so the trace still decodes. What is no frame is blanked: nobody can tell what it holds.
Protected APDUs stay as they are and cannot be opened any more, because their system title is part of their protection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from fastcrc.crc16 import ibm_sdlc

from meterlink.errors import DataError
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind
from meterlink.framing.hdlc.frame import FLAG_OCTET, HdlcFrame
from meterlink.framing.hdlc.reader import FrameReader
from meterlink.framing.wrapper import HEADER_LENGTH, WrapperReader
from meterlink.tracing.apdus import LLC_LENGTH, FrameOrder, Joiner, TracedApdu, starts_anew
from meterlink.tracing.capture import Capture, Framing
from meterlink.tracing.frames import frames_of
from meterlink.tracing.sensitive import Findings, find_sensitive
from meterlink.transport.replay import Entry

_BLANK: Final = 0x58  # X
_FCS: Final = 2


def redact(capture: Capture) -> Capture:
    """Return ``capture`` without system titles, certificates, serial numbers, passwords and keys.

    Raises DataError ``redact-unknown`` for what is neither HDLC nor the wrapper: nothing is promised of it.
    """
    if capture.framing is Framing.OTHER:
        raise DataError(
            "only traces of HDLC and of the TCP wrapper can be redacted",
            code="redact-unknown",
            hint="in a text readout, replace the serial number by hand",
        )
    findings = find_sensitive(_apdus(capture))
    entries = list(capture.entries)
    for event in ("sent", "received"):
        _redact_side(entries, event, capture.framing, findings)
    scheme = capture.url.partition(":")[0]
    return replace(
        capture,
        entries=tuple(replace(entry, text="") if entry.event == "lost" else entry for entry in entries),
        url=f"{scheme}:redacted" if scheme else "",
    )


def _apdus(capture: Capture) -> Iterator[TracedApdu]:
    # One side at a time would lose which answer belongs to which question; numbers count per side of the recording.
    joiner = Joiner()
    for located in frames_of(capture):
        apdu = joiner.take(located)
        if apdu is not None:
            yield apdu if capture.is_directed else replace(apdu, direction="received")


def _redact_side(entries: list[Entry], event: str, framing: Framing, findings: Findings) -> None:
    numbers = [number for number, entry in enumerate(entries) if entry.event == event]
    stream = _Stream(b"".join(entries[number].data for number in numbers), framing)
    stream.mask(findings, event)
    at = 0
    for number in numbers:
        length = len(entries[number].data)
        entries[number] = replace(entries[number], data=bytes(stream.octets[at : at + length]))
        at += length


@dataclass(slots=True)
class _Station:
    """What one station has sent: the order of its frames, the places of the APDU that is coming, and by N(S) the place
    and the octets of the last frames."""

    order: FrameOrder = field(default_factory=FrameOrder)
    parts: list[int] = field(default_factory=list)
    sent: dict[int, tuple[int, bytes]] = field(default_factory=dict)


class _Stream:
    """The octets of one direction; knows where each octet of each APDU stands."""

    def __init__(self, octets: bytes, framing: Framing) -> None:
        self.octets = bytearray(octets)
        self._frames: list[tuple[int, int]] = []
        self._repeats: list[tuple[int, int, int]] = []
        self._stations: dict[HdlcAddress, _Station] = {}
        self._apdus: list[list[int]] = []
        if framing is Framing.HDLC:
            self._find_hdlc(octets)
        else:
            self._find_wrapped(octets)

    def mask(self, findings: Findings, event: str) -> None:
        """Replace everything that was found, and blank what is no frame."""
        self._blank_noise()
        masks = dict(findings.values)
        for number, title in enumerate(findings.titles, start=1):
            masks[title] = f"TITLE{number:03d}".encode()[: len(title)].ljust(len(title), b"0")
        for number, places in enumerate(self._apdus):
            apdu = bytes(self.octets[place] for place in places)
            tail = findings.tails.get((event, number), 0)
            for value, mask in masks.items():
                start = apdu.find(value)
                while start >= 0:
                    self._put(places[start : start + len(value)], mask)
                    start = apdu.find(value, start + 1)
            self._put(places[len(places) - tail :], bytes((_BLANK,)) * tail)
        for copy, original, length in self._repeats:
            self.octets[copy : copy + length] = self.octets[original : original + length]
        for start, end in self._frames:
            check = ibm_sdlc(bytes(self.octets[start : end - _FCS]))
            self.octets[end - _FCS : end] = check.to_bytes(_FCS, "little")

    def _put(self, places: list[int], octets: bytes) -> None:
        for place, octet in zip(places, octets, strict=True):
            self.octets[place] = octet

    def _blank_noise(self) -> None:
        if not self._frames:
            return
        at = 0
        for start, end in (*self._frames, (len(self.octets), 0)):
            noise = self.octets[at:start]
            self.octets[at:start] = bytes(octet if octet == FLAG_OCTET else 0 for octet in noise)
            at = end

    def _find_hdlc(self, octets: bytes) -> None:
        reader = FrameReader()
        at = 0
        for frame in (*reader.feed(octets), *reader.give_up()):
            if not isinstance(frame, HdlcFrame):
                continue
            content = frame.to_bytes()[1:-1]
            start = octets.find(content, at)
            if start >= 0:
                at = start + len(content)
                self._frames.append((start, at))
                self._add_frame(frame, at - _FCS - len(frame.information))

    def _add_frame(self, frame: HdlcFrame, information: int) -> None:
        """Take the places of a frame's ``information``, where it carries any of an APDU."""
        station = self._stations.setdefault(frame.source, _Station())
        length = len(frame.information)
        if starts_anew(frame):
            station.parts = []
        if station.order.is_new(frame):
            station.sent[frame.control.send] = (information, frame.information)
            station.parts += range(information, information + length)
            if not frame.segmented:
                self._apdus.append(station.parts[LLC_LENGTH:])
                station.parts = []
        elif frame.control.kind is FrameKind.I:
            original, same = station.sent.get(frame.control.send, (0, b""))
            if same == frame.information:
                self._repeats.append((information, original, length))
            else:
                self.octets[information : information + length] = bytes(length)

    def _find_wrapped(self, octets: bytes) -> None:
        at = 0
        for message in WrapperReader().feed(octets):
            at += HEADER_LENGTH
            self._apdus.append(list(range(at, at + len(message.data))))
            at += len(message.data)
        self.octets[at:] = bytes(len(octets) - at)
