"""Traces made by hand: what client and meter say, over HDLC or the wrapper."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind, control
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.wrapper import WrapperPdu
from meterlink.tracing import Capture, explain
from meterlink.tracing.capture import Framing
from meterlink.transport.replay import Entry

CLIENT, METER = HdlcAddress(17), HdlcAddress(1)


class Apdu(Protocol):
    """What has octets."""

    def to_bytes(self) -> bytes: ...


Said = tuple[str, "Apdu | bytes"]
"""Who says it, ``sent`` or ``received``, and what."""


def octets(apdu: Apdu | bytes) -> bytes:
    """The octets of an APDU."""
    return apdu if isinstance(apdu, bytes) else apdu.to_bytes()


def over_wrapper(*said: Said) -> Capture:
    """A trace of a connection with the wrapper."""
    entries = []
    for at, (event, apdu) in enumerate(said):
        ports = (17, 1) if event == "sent" else (1, 17)
        entries.append(Entry(float(at), event, WrapperPdu(*ports, octets(apdu)).to_bytes()))
    return Capture(tuple(entries), Framing.WRAPPER, is_directed=True, url="tcp://10.0.0.5:4059")


def frame(event: str, kind: FrameKind, information: bytes = b"", *, segmented: bool = False, **numbers: int) -> Entry:
    """One HDLC frame of the client (``sent``) or of the meter."""
    ends = (METER, CLIENT) if event == "sent" else (CLIENT, METER)
    made = HdlcFrame(*ends, control(kind, poll=True, **numbers), information, segmented)
    return Entry(0.0, event, made.to_bytes())


def over_hdlc(said: Iterable[Said], size: int = 2000) -> list[Entry]:
    """A trace of a link from its set-up on, in segments of at most ``size`` octets."""
    entries = [frame("sent", FrameKind.SNRM), frame("received", FrameKind.UA)]
    next_numbers = {"sent": 0, "received": 0}
    for event, apdu in said:
        other = "received" if event == "sent" else "sent"
        data = (b"\xe6\xe6\x00" if event == "sent" else b"\xe6\xe7\x00") + octets(apdu)
        for at in range(0, len(data), size):
            is_more = at + size < len(data)
            numbers = {"send": next_numbers[event], "receive": next_numbers[other]}
            entries.append(frame(event, FrameKind.I, data[at : at + size], segmented=is_more, **numbers))
            next_numbers[event] = (next_numbers[event] + 1) % 8
            if is_more:
                entries.append(frame(other, FrameKind.RR, receive=next_numbers[event]))
    return entries


def hdlc(entries: Iterable[Entry]) -> Capture:
    """A trace of HDLC."""
    return Capture(tuple(entries), Framing.HDLC, is_directed=True, url="serial:/dev/ttyUSB0")


def octets_in(capture: Capture) -> bytes:
    """All octets of a trace, the sides one behind the other so that nothing is torn apart."""
    return b"".join(entry.data for side in ("sent", "received") for entry in capture.entries if entry.event == side)


def text_of(capture: Capture) -> str:
    """The explanation of a trace in one text."""
    return "\n".join(str(step.as_json()) for step in explain(capture))


def steps_of(capture: Capture) -> list[tuple[str, dict[str, str]]]:
    """The APDUs of a trace as they are explained."""
    return [(step.name, dict(step.fields)) for step in explain(capture) if step.layer == "apdu"]
