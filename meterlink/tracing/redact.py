"""A trace without what tells which meter it was, for sharing: everything keeps its place and its length.

Nothing stays that is not known to be harmless (:mod:`.harmless`): what no frame holds, parts of an APDU whose end is
missing, and answers whose question is are blank altogether. System titles become ``TITLE001`` and so on, so that
parties stay apart; everything else that must go becomes ``X``. Check sequences are made anew, so the trace still
decodes. Encrypted APDUs stay as they are and cannot be opened any more, because their system title is part of their
protection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from construct import ConstructError
from fastcrc.crc16 import ibm_sdlc

from meterlink.errors import DataError
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind
from meterlink.framing.hdlc.description import PARAMETERS
from meterlink.framing.hdlc.frame import FLAG_OCTET, HdlcFrame
from meterlink.framing.wrapper import HEADER_LENGTH, WrapperPdu
from meterlink.tracing.apdus import LLC_LENGTH, Joiner, TracedApdu
from meterlink.tracing.capture import Capture, Framing
from meterlink.tracing.clean import Cleaner
from meterlink.tracing.frames import LINK_ENDS, Located, frames_of
from meterlink.tracing.harmless import MASK
from meterlink.tracing.view import View
from meterlink.transport.line import parse_line
from meterlink.transport.replay import Entry

_FCS: Final = 2
_LLC: Final = frozenset({b"\xe6\xe6\x00", b"\xe6\xe7\x00"})
_NEGOTIATED: Final = frozenset({5, 6, 7, 8})
"""Parameters of a link: the longest information fields and the windows (IEC 62056-46, 6.4.4.4.3.2)."""

_LONGEST_PARAMETER: Final = 4
_FLAGS: Final = bytes(octet if octet == FLAG_OCTET else 0 for octet in range(256))


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
    found = list(frames_of(capture))
    first = Cleaner()
    _Redaction(capture).run(found, first)
    # What named the meter in one place may stand in another where it would not be looked for.
    clean = _Redaction(capture).run(found, Cleaner(frozenset(first.texts), frozenset(first.numbers)))
    scheme = capture.url.partition(":")[0]
    return replace(
        capture, entries=_entries(capture.entries, clean), url=f"{scheme}:redacted" if scheme.isalnum() else ""
    )


def _entries(entries: tuple[Entry, ...], clean: dict[str, bytearray]) -> tuple[Entry, ...]:
    at = dict.fromkeys(clean, 0)
    out = []
    for entry in entries:
        data = b""
        if entry.event in clean:
            start = at[entry.event]
            at[entry.event] = start + len(entry.data)
            data = bytes(clean[entry.event][start : at[entry.event]])
        out.append(Entry(entry.t, entry.event, data, _text(entry)))
    return tuple(out)


def _text(entry: Entry) -> str:
    """Return the settings of the line, which are all that may be told of an event."""
    if entry.event != "line":
        return ""
    try:
        return str(parse_line(entry.text))
    except ValueError:
        return ""


class _Redaction:
    """What the octets of both sides become; where nothing is put they are zero, but for flags."""

    def __init__(self, capture: Capture) -> None:
        self._octets = {
            event: b"".join(entry.data for entry in capture.entries if entry.event == event)
            for event in ("sent", "received")
        }
        flags = _FLAGS if capture.framing is Framing.HDLC else bytes(256)
        self._clean = {event: bytearray(octets.translate(flags)) for event, octets in self._octets.items()}
        self._sent: dict[tuple[HdlcAddress, HdlcAddress, int], Located] = {}
        self._repeats: list[tuple[Located, Located]] = []

    def run(self, found: list[Located], cleaner: Cleaner) -> dict[str, bytearray]:
        """Clean everything on the wire; return the octets of each side."""
        joiner = Joiner()
        for located in found:
            if isinstance(located.item, Entry) and located.item.event in LINK_ENDS:
                cleaner.forget()
            if isinstance(located.item, HdlcFrame | WrapperPdu) and located.start == located.end:
                continue  # it is written in a way of its own, and its place is not known: it stays blank
            self._blank(located)
            apdu = joiner.take(located)
            if apdu is not None:
                self._apdu(apdu, cleaner)
        for copy, original in self._repeats:
            self._copy(copy, original)
        for located in found:
            if isinstance(located.item, HdlcFrame) and located.start < located.end:
                self._check(located)
        return self._clean

    def _blank(self, located: Located) -> None:
        """Let the header of a frame stay, and blank what it carries."""
        out, octets = self._clean[located.side], self._octets[located.side]
        item, (at, length) = located.item, located.content
        if isinstance(item, WrapperPdu):
            out[located.start : located.start + HEADER_LENGTH] = octets[located.start : located.start + HEADER_LENGTH]
            out[at : at + length] = bytes((MASK,)) * length
        elif isinstance(item, HdlcFrame):
            out[located.start : located.end] = octets[located.start : located.end]
            if length and not _is_negotiation(item):
                out[at : at + length] = bytes((MASK,)) * length
            if item.control.kind is FrameKind.I:
                self._note(located, item)

    def _note(self, located: Located, frame: HdlcFrame) -> None:
        """Note what was sent under which number, and whether it is the same again."""
        key = (frame.source, frame.destination, frame.control.send)
        before = self._sent.get(key)
        if before is not None and isinstance(before.item, HdlcFrame) and before.item.information == frame.information:
            self._repeats.append((located, before))
        self._sent[key] = located

    def _copy(self, copy: Located, original: Located) -> None:
        """Write a frame that was sent again as the first time, unless it turned out to be a new one."""
        (at, length), (start, _) = copy.content, original.content
        out = self._clean[copy.side]
        if out[at : at + length] == bytes((MASK,)) * length:
            out[at : at + length] = self._clean[original.side][start : start + length]

    def _apdu(self, apdu: TracedApdu, cleaner: Cleaner) -> None:
        out = self._clean[apdu.side]
        octets = self._octets[apdu.side]
        data = b"".join(octets[start : start + length] for start, length in apdu.places)
        view = View(data, tuple((out, start, length) for start, length in apdu.places))
        llc = len(data) - len(apdu.data)
        if llc == LLC_LENGTH and data[:llc] in _LLC:
            view.keep(0, llc)
        cleaner.clean(apdu, view.part(llc, len(data)))

    def _check(self, located: Located) -> None:
        out = self._clean[located.side]
        content = bytes(out[located.start : located.end - _FCS])
        out[located.end - _FCS : located.end] = ibm_sdlc(content).to_bytes(_FCS, "little")


def _is_negotiation(frame: HdlcFrame) -> bool:
    """Return whether a frame carries the parameters of a link and nothing else."""
    if frame.control.kind not in {FrameKind.SNRM, FrameKind.UA}:
        return False
    try:
        found = PARAMETERS.parse(frame.information)
    except ConstructError:
        return False
    return not found.user_data and all(
        value.id in _NEGOTIATED and len(value.value) <= _LONGEST_PARAMETER for value in found["values"]
    )
