"""The control field: which frame it is, its sequence numbers and the poll/final bit (IEC 62056-46, 6.4.3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from construct import ConstructError

from meterlink.enums import TableKey
from meterlink.framing.hdlc.description import (
    INFORMATION_CONTROL,
    SUPERVISORY_CONTROL,
    UNNUMBERED_CONTROL,
    UNNUMBERED_KINDS,
)


class FrameKind(TableKey):
    """The frames that IEC 62056-46 knows; REJ is not among them, but some stations send it."""

    I = "I"  # noqa: E741  the name of the frame
    """Information."""
    RR = "RR"
    """Receive ready."""
    RNR = "RNR"
    """Receive not ready."""
    REJ = "REJ"
    """Reject: send again from N(R)."""
    SNRM = "SNRM"
    """Set normal response mode."""
    DISC = "DISC"
    """Disconnect."""
    UA = "UA"
    """Unnumbered acknowledge."""
    DM = "DM"
    """Disconnected mode."""
    FRMR = "FRMR"
    """Frame reject."""
    UI = "UI"
    """Unnumbered information."""
    OTHER = "OTHER"
    """A control field that none of these has."""


@dataclass(frozen=True, slots=True)
class Control:
    """A control field. ``poll`` is the P bit of a command, the F bit of a response; ``receive`` is N(R) and ``send``
    N(S), 0..7 where the frame has them. ``byte`` is the octet itself."""

    kind: FrameKind
    poll: bool
    receive: int
    send: int
    byte: int


def _describe(byte: int) -> Control:
    octet = bytes((byte,))
    if byte & 1 == 0:
        found = INFORMATION_CONTROL.parse(octet)
        return Control(FrameKind.I, found.poll, found.receive, found.send, byte)
    if byte & 3 == 1:
        try:
            found = SUPERVISORY_CONTROL.parse(octet)
        except ConstructError:
            return Control(FrameKind.OTHER, bool(byte & 0x10), 0, 0, byte)
        return Control(FrameKind(found.kind), found.poll, found.receive, 0, byte)
    found = UNNUMBERED_CONTROL.parse(octet)
    name = UNNUMBERED_KINDS.get((found.modifier_high, found.modifier_low), "OTHER")
    return Control(FrameKind(name), found.poll, 0, 0, byte)


CONTROLS: Final = tuple(_describe(byte) for byte in range(256))
"""Every control field by its octet, read with the description once and for all."""

_BY_FIELDS: Final[dict[tuple[FrameKind, bool, int, int], Control]] = {
    (control.kind, control.poll, control.receive, control.send): control
    for control in CONTROLS
    if control.kind is not FrameKind.OTHER
}


def control(kind: FrameKind, *, poll: bool, receive: int = 0, send: int = 0) -> Control:
    """Return the control field with these values. Raises ``ValueError`` for what does not exist."""
    try:
        return _BY_FIELDS[kind, poll, receive, send]
    except KeyError:
        raise ValueError(f"there is no control field {kind.value} with N(R) {receive} and N(S) {send}") from None
