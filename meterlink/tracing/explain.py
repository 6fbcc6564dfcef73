"""Explains a trace layer by layer: frames, APDUs by name with their fields, and what is inside protected ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from meterlink.cosem import apdu as xdlms
from meterlink.cosem import axdr
from meterlink.cosem.acse import Aare, Aarq, Rlre, Rlrq
from meterlink.cosem.apdu.get import GetResponseWithBlock
from meterlink.errors import ProtocolError
from meterlink.framing.hdlc.control import FrameKind
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.parameters import HdlcParameters
from meterlink.framing.link import LinkNoise
from meterlink.framing.wrapper import WrapperPdu
from meterlink.notation import write
from meterlink.security.ciphered import GENERAL_CIPHERING, GENERAL_SIGNING, Ciphering, is_ciphered
from meterlink.security.keys import KeySet
from meterlink.tracing.apdus import Joiner, TracedApdu
from meterlink.tracing.capture import Capture
from meterlink.tracing.describe import Field, fields_of, name_of
from meterlink.tracing.frames import Direction, Located, frames_of
from meterlink.tracing.opening import Opener

_ACSE: Final[dict[int, type[Aarq | Aare | Rlrq | Rlre]]] = {kind.TAG: kind for kind in (Aarq, Aare, Rlrq, Rlre)}
_OTHER_PROTECTION: Final = {GENERAL_CIPHERING: "general-ciphering", GENERAL_SIGNING: "general-signing"}
_MOST_BLOCKS: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Explained:
    """One line of the explanation.

    ``layer`` is ``line``, ``hdlc``, ``wrapper`` or ``apdu``; ``depth`` counts the wrappings that an APDU came out of.
    """

    t: float
    direction: Direction
    layer: str
    name: str
    fields: tuple[Field, ...] = ()
    depth: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the line in the form of ``decode --json``."""
        return {
            "t": round(self.t, 6),
            "direction": self.direction,
            "layer": self.layer,
            "depth": self.depth,
            "name": self.name,
            "fields": dict(self.fields),
        }


def explain(capture: Capture, keys: KeySet | None = None) -> Iterator[Explained]:
    """Yield the explanation of ``capture``; ``keys`` open what they fit. Never raises for what was captured."""
    joiner, reader = Joiner(), _Reader(keys)
    for located in frames_of(capture):
        yield _frame(located)
        apdu = joiner.take(located)
        if apdu is not None:
            yield from reader.read(apdu)


def _frame(located: Located) -> Explained:
    item = located.item
    where = (located.t, located.direction)
    if isinstance(item, HdlcFrame):
        return Explained(*where, "hdlc", item.control.kind.value, tuple(_hdlc_fields(item)))
    if isinstance(item, WrapperPdu):
        ports = ("from", str(item.source)), ("to", str(item.destination))
        return Explained(*where, "wrapper", "message", (*ports, ("octets", str(len(item.data)))))
    if isinstance(item, LinkNoise):
        return Explained(*where, "hdlc", "noise", (("reason", item.reason), ("octets", item.data[:64].hex(" "))))
    return Explained(*where, "line", item.event, (("text", item.text),) if item.text else ())


def _hdlc_fields(frame: HdlcFrame) -> Iterator[Field]:
    control = frame.control
    yield "from", str(frame.source)
    yield "to", str(frame.destination)
    if control.kind is FrameKind.I:
        yield "N(S)", str(control.send)
    if control.kind in {FrameKind.I, FrameKind.RR, FrameKind.RNR, FrameKind.REJ}:
        yield "N(R)", str(control.receive)
    yield "P/F", "1" if control.poll else "0"
    if frame.segmented:
        yield "segmented", "more follows"
    if frame.information:
        yield "octets", str(len(frame.information))
    if control.kind in {FrameKind.SNRM, FrameKind.UA} and frame.information:
        yield "parameters", _parameters(frame.information)


def _parameters(information: bytes) -> str:
    try:
        found = HdlcParameters.from_bytes(information)
    except ProtocolError as error:
        return error.message
    return (
        f"information {found.max_information_transmit}/{found.max_information_receive} octets, "
        f"window {found.window_transmit}/{found.window_receive} (transmit/receive)"
    )


class _Reader:
    """Reads the APDUs of both directions; remembers blocks until the last has come."""

    def __init__(self, keys: KeySet | None) -> None:
        self._opener = Opener(keys)
        self._blocks = bytearray()

    def read(self, apdu: TracedApdu, data: bytes | None = None, depth: int = 0) -> Iterator[Explained]:
        """Explain one APDU, and what is inside it."""
        data = apdu.data if data is None else data
        where = (apdu.t, apdu.direction, "apdu")
        try:
            if is_ciphered(data):
                yield from self._protected(apdu, data, depth)
            elif data[:1] and data[0] in _ACSE:
                yield from self._acse(apdu, data, depth)
            elif data[:1] and data[0] in _OTHER_PROTECTION:
                yield Explained(*where, _OTHER_PROTECTION[data[0]], (("octets", str(len(data))),), depth)
            else:
                message = xdlms.decode(data)
                self._opener.learn_dedicated(message)
                yield Explained(*where, name_of(message), (*fields_of(message), *self._joined(message)), depth)
        except ProtocolError as error:
            yield Explained(*where, "not readable", (("reason", error.message), ("octets", data.hex(" "))), depth)

    def _acse(self, apdu: TracedApdu, data: bytes, depth: int) -> Iterator[Explained]:
        message = _ACSE[data[0]].from_bytes(data)
        if isinstance(message, Aarq | Aare):
            self._opener.learn(apdu.direction, message)
        yield Explained(apdu.t, apdu.direction, "apdu", name_of(message), tuple(fields_of(message)), depth)
        if message.user_information:
            yield from self.read(apdu, message.user_information, depth + 1)

    def _protected(self, apdu: TracedApdu, data: bytes, depth: int) -> Iterator[Explained]:
        opened = self._opener.open(apdu.direction, data)
        name = f"{_form(data)}-ciphering"
        if isinstance(opened, str):
            text = (("closed", opened), ("octets", str(len(data))))
            yield Explained(apdu.t, apdu.direction, "apdu", name, text, depth)
            return
        control = (("security", str(opened.control)), ("invocation counter", str(opened.counter)))
        yield Explained(apdu.t, apdu.direction, "apdu", name, control, depth)
        yield from self.read(apdu, opened.apdu, depth + 1)

    def _joined(self, message: xdlms.Apdu) -> Iterator[Field]:
        """Collect the blocks of a long answer; with the last one comes the value."""
        if not isinstance(message, GetResponseWithBlock) or not isinstance(message.content, bytes):
            return
        if message.block == 1:
            self._blocks.clear()
        self._blocks += message.content[: _MOST_BLOCKS - len(self._blocks)]
        if message.last:
            value = write(axdr.decode(bytes(self._blocks)))
            yield "all blocks", value if len(value) <= 2000 else f"{value[:2000]}... ({len(value)} characters)"


def _form(data: bytes) -> str:
    for ciphering in Ciphering:
        if ciphering.general_tag == data[0]:
            return ciphering.label
    # The glo- tags lie below the ded- tags, for requests of the association as for services.
    return "ded" if 0x40 <= data[0] < 0x50 or data[0] >= 0xD0 else "glo"
