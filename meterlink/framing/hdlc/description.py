"""What an HDLC frame looks like: frame format type 3 of ISO/IEC 13239 as IEC 62056-46 (6.4) uses it, in construct.

::

    7E | format 2 | destination 1,2,4 | source 1,2,4 | control 1 | HCS 2 | information | FCS 2 | 7E

``format`` holds type ``1010``, the segmentation bit and the length, 11 bits: the octets between the flags. HCS (over
everything from the format field to the control field) is there only with an information field. HCS and FCS are CRC-16
of X.25, the low octet first. Nothing is escaped: the length alone tells where a frame ends, a flag can stand inside.

This description is the reference. :mod:`.control` and :mod:`.parameters` work with it; :mod:`.frame` has a faster way
that a property test holds against it.
"""

from __future__ import annotations

from typing import Any, Final

from construct import (
    BitsInteger,
    BitStruct,
    Byte,
    Bytes,
    Check,
    Checksum,
    Computed,
    Const,
    Construct,
    ExprValidator,
    Flag,
    GreedyBytes,
    GreedyRange,
    If,
    Int16ul,
    Mapping,
    Prefixed,
    RawCopy,
    RepeatUntil,
    Struct,
    this,
)
from fastcrc.crc16 import ibm_sdlc

FLAG: Final = b"\x7e"

FORMAT: Final[Construct] = BitStruct(
    "type" / Const(0b1010, BitsInteger(4)),
    "segmented" / Flag,
    "length" / BitsInteger(11),
)
"""Frame format field. ``segmented`` is set in every frame of a service data unit but the last."""

ADDRESS: Final[Construct] = ExprValidator(
    RepeatUntil(lambda octet, _list, _context: octet & 1, Byte), lambda octets, _context: len(octets) in (1, 2, 4)
)
"""An address: 1, 2 or 4 octets, of which only the last has bit 0 set."""

INFORMATION_CONTROL: Final[Construct] = BitStruct(
    "receive" / BitsInteger(3), "poll" / Flag, "send" / BitsInteger(3), Const(0, BitsInteger(1))
)
"""Control field of an I frame: N(R), P/F, N(S)."""

SUPERVISORY_CONTROL: Final[Construct] = BitStruct(
    "receive" / BitsInteger(3),
    "poll" / Flag,
    "kind" / Mapping(BitsInteger(2), {"RR": 0, "RNR": 1, "REJ": 2}),
    Const(0b01, BitsInteger(2)),
)
"""Control field of an S frame: N(R), P/F, which one."""

UNNUMBERED_CONTROL: Final[Construct] = BitStruct(
    "modifier_high" / BitsInteger(3), "poll" / Flag, "modifier_low" / BitsInteger(2), Const(0b11, BitsInteger(2))
)
"""Control field of a U frame: P/F and the five modifier bits, see :data:`UNNUMBERED_KINDS`."""

UNNUMBERED_KINDS: Final = {
    (0b100, 0b00): "SNRM",
    (0b010, 0b00): "DISC",
    (0b011, 0b00): "UA",
    (0b000, 0b11): "DM",
    (0b100, 0b01): "FRMR",
    (0b000, 0b00): "UI",
}
"""Modifier bits of the U frames that IEC 62056-46 knows."""

HEADER: Final[Construct] = Struct("format" / FORMAT, "destination" / ADDRESS, "source" / ADDRESS, "control" / Byte)
"""Everything that HCS covers."""


def _has_information(context: Any) -> bool:
    # Behind the header stands FCS alone, or HCS, information and FCS.
    return bool(context.header.value.format.length > context.header.length + 2)


def _holds_its_header(context: Any) -> bool:
    rest = context.header.value.format.length - context.header.length
    return bool(rest == 2 or rest >= 4)


FRAME: Final[Construct] = Struct(
    "opening" / Const(FLAG),
    "content"
    / RawCopy(
        Struct(
            "header" / RawCopy(HEADER),
            Check(_holds_its_header),
            "has_information" / Computed(_has_information),
            "hcs" / If(this.has_information, Checksum(Int16ul, ibm_sdlc, this.header.data)),
            "information"
            / If(this.has_information, Bytes(lambda ctx: ctx.header.value.format.length - ctx.header.length - 4)),
        )
    ),
    "fcs" / Checksum(Int16ul, ibm_sdlc, this.content.data),
    "closing" / Const(FLAG),
)
"""A whole frame with its flags and its checks."""

PARAMETERS: Final[Construct] = Struct(
    "format" / Const(0x81, Byte),
    "group" / Const(0x80, Byte),
    "values" / Prefixed(Byte, GreedyRange(Struct("id" / Byte, "value" / Prefixed(Byte, GreedyBytes)))),
    "user_data" / GreedyBytes,
)
"""Information field of SNRM and UA (6.4.4.4.3.2): the parameters proposed or agreed, and user data, which nobody
uses."""

REJECTION: Final[Construct] = Struct(
    "control" / Byte,
    "variables"
    / BitStruct("receive" / BitsInteger(3), "from_response" / Flag, "send" / BitsInteger(3), Const(0, BitsInteger(1))),
    "reasons"
    / BitStruct(
        Const(0, BitsInteger(4)),
        "invalid_sequence" / Flag,
        "too_long" / Flag,
        "unexpected_information" / Flag,
        "unknown_control" / Flag,
    ),
)
"""Information field of FRMR: the refused control field, our V(R) and V(S), and why."""
