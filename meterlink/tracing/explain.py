"""Explains a trace layer by layer: frames, APDUs by name with their fields, and what is inside protected ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Aarq, Rlre, Rlrq
from meterlink.errors import ProtocolError
from meterlink.framing.hdlc.control import FrameKind
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.parameters import HdlcParameters
from meterlink.framing.link import LinkNoise
from meterlink.framing.wrapper import WrapperPdu
from meterlink.security.ciphered import GENERAL_CIPHERING, GENERAL_SIGNING, Ciphering, is_ciphered
from meterlink.security.keys import KeySet
from meterlink.tracing.apdus import MAX_DEPTH, Joiner, TracedApdu
from meterlink.tracing.capture import Capture, Framing
from meterlink.tracing.describe import Field, fields_of, is_secret, name_of, octets_text, values_text
from meterlink.tracing.dialogue import Dialogue, Names, Whole, read_whole
from meterlink.tracing.frames import LINK_ENDS, Direction, Located, frames_of
from meterlink.tracing.opening import Opener
from meterlink.transport.replay import Entry

_ACSE: Final[dict[int, type[Aarq | Aare | Rlrq | Rlre]]] = {kind.TAG: kind for kind in (Aarq, Aare, Rlrq, Rlre)}
_OTHER_PROTECTION: Final = {GENERAL_CIPHERING: "general-ciphering", GENERAL_SIGNING: "general-signing"}
_LONGEST: Final = 2000
"""Characters that are shown of what came in blocks."""

_MOST_NOISE: Final = 64


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
    layer = "hdlc" if capture.framing is Framing.HDLC else "wrapper"
    for located in frames_of(capture):
        if isinstance(located.item, LinkNoise):
            octets = octets_text(located.item.data[:_MOST_NOISE], hide=reader.awaits_secret)
            fields = (("reason", located.item.reason), ("octets", octets))
            yield Explained(located.t, located.direction, layer, "noise", fields)
            continue
        yield _frame(located)
        if isinstance(located.item, Entry) and located.item.event in LINK_ENDS:
            reader.forget()
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
    event, text = (item.event, item.text) if isinstance(item, Entry) else ("noise", "")
    return Explained(*where, "line", event, (("text", text),) if text else ())


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
    """Reads the APDUs of both directions; remembers questions until they are answered, and blocks until the last has
    come."""

    def __init__(self, keys: KeySet | None) -> None:
        self._opener = Opener(keys)
        self._dialogue: Dialogue[None] = Dialogue()
        self._secret: Names = ()

    @property
    def awaits_secret(self) -> bool:
        """True from a question for a password or a key, or a request that has one, to the next request."""
        return bool(self._secret)

    def forget(self) -> None:
        """Begin anew: another connection follows."""
        self._dialogue.forget()

    def read(self, apdu: TracedApdu, data: bytes | None = None, depth: int = 0) -> Iterator[Explained]:
        """Explain one APDU, and what is inside it."""
        data = apdu.data if data is None else data
        where = (apdu.t, apdu.direction, "apdu")
        try:
            if depth > MAX_DEPTH:
                raise ProtocolError("an APDU is wrapped too often")
            if is_ciphered(data):
                yield from self._protected(apdu, data, depth)
            elif data[:1] and data[0] in _ACSE:
                yield from self._acse(apdu, data, depth)
            elif data[:1] and data[0] in _OTHER_PROTECTION:
                self._dialogue.unclear(apdu)
                yield Explained(*where, _OTHER_PROTECTION[data[0]], (("octets", str(len(data))),), depth)
            else:
                yield from self._plain(apdu, xdlms.decode(data), depth)
        except ProtocolError as error:
            self._dialogue.unclear(apdu)
            fields = (("reason", error.message), ("octets", octets_text(data, hide=self.awaits_secret)))
            yield Explained(*where, "not readable", fields, depth)

    def _plain(self, apdu: TracedApdu, message: xdlms.Apdu, depth: int) -> Iterator[Explained]:
        self._opener.learn_dedicated(message)
        names, whole = self._dialogue.take(apdu, message, None)
        if isinstance(message, xdlms.Request):
            self._secret = names if any(map(is_secret, names)) else ()
        if isinstance(message, xdlms.Response):
            names = names or self._secret  # better one answer hidden that need not be than one shown
        fields = tuple(fields_of(message, names))
        if whole is not None and whole.service != "general":
            fields += (("all blocks", _all_blocks(whole, whole.names or self._secret)),)
        yield Explained(apdu.t, apdu.direction, "apdu", name_of(message), fields, depth)
        if whole is not None and whole.service == "general":
            yield from self.read(whole.apdu, whole.content, depth + 1)

    def _acse(self, apdu: TracedApdu, data: bytes, depth: int) -> Iterator[Explained]:
        message = _ACSE[data[0]].from_bytes(data)
        self._dialogue.associate(apdu)
        if isinstance(message, Aarq | Aare):
            self._opener.learn(apdu.direction, message)
        yield Explained(apdu.t, apdu.direction, "apdu", name_of(message), tuple(fields_of(message)), depth)
        if message.user_information:
            yield from self.read(apdu, message.user_information, depth + 1)

    def _protected(self, apdu: TracedApdu, data: bytes, depth: int) -> Iterator[Explained]:
        opened = self._opener.open(apdu.direction, data)
        name = f"{_form(data)}-ciphering"
        if isinstance(opened, str):
            self._dialogue.unclear(apdu)
            text = (("closed", opened), ("octets", str(len(data))))
            yield Explained(apdu.t, apdu.direction, "apdu", name, text, depth)
            return
        control = (("security", str(opened.control)), ("invocation counter", str(opened.counter)))
        yield Explained(apdu.t, apdu.direction, "apdu", name, control, depth)
        yield from self.read(apdu, opened.apdu, depth + 1)


def _all_blocks(whole: Whole[None], names: Names) -> str:
    try:
        values, _ = read_whole(whole)
    except ProtocolError as error:
        return f"not readable: {error.message}"
    text = values_text(names, values)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _form(data: bytes) -> str:
    for ciphering in Ciphering:
        if ciphering.general_tag == data[0]:
            return ciphering.label
    # The glo- tags lie below the ded- tags, for requests of the association as for services.
    return "ded" if 0x40 <= data[0] < 0x50 or data[0] >= 0xD0 else "glo"
