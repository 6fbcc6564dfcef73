"""What both stations agree on when the link is set up, and the times they keep (IEC 62056-46, 6.4.4.4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from construct import ConstructError

from meterlink.errors import ProtocolError
from meterlink.framing.hdlc.description import PARAMETERS
from meterlink.framing.hdlc.frame import MAX_INFORMATION

DEFAULT_INFORMATION: Final = 128
"""Largest information field in octets where nothing else was agreed."""

MAX_WINDOW: Final = 7
"""Most frames that may be on the way without an acknowledgement: the sequence numbers have three bits."""

_TRANSMIT_INFORMATION: Final = 0x05
_RECEIVE_INFORMATION: Final = 0x06
_TRANSMIT_WINDOW: Final = 0x07
_RECEIVE_WINDOW: Final = 0x08
_WINDOW_OCTETS: Final = 4


@dataclass(frozen=True, slots=True)
class HdlcParameters:
    """Information field lengths (1..2030 octets) and windows (1..7 frames) of one station, as it sees them.

    The defaults are those of the standard: what holds where nothing is negotiated.
    """

    max_information_transmit: int = DEFAULT_INFORMATION
    max_information_receive: int = DEFAULT_INFORMATION
    window_transmit: int = 1
    window_receive: int = 1

    def __post_init__(self) -> None:
        for length in (self.max_information_transmit, self.max_information_receive):
            if not 1 <= length <= MAX_INFORMATION:
                raise ValueError(f"an information field has 1..{MAX_INFORMATION} octets, not {length}")
        for window in (self.window_transmit, self.window_receive):
            if not 1 <= window <= MAX_WINDOW:
                raise ValueError(f"a window has 1..{MAX_WINDOW} frames, not {window}")

    def agreed_with(self, peer: HdlcParameters) -> HdlcParameters:
        """Return our parameters after the peer told its own: neither side is sent more than it takes."""
        return HdlcParameters(
            min(self.max_information_transmit, peer.max_information_receive),
            min(self.max_information_receive, peer.max_information_transmit),
            min(self.window_transmit, peer.window_receive),
            min(self.window_receive, peer.window_transmit),
        )

    def to_bytes(self) -> bytes:
        """Return the information field of SNRM or UA."""
        return _write(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> HdlcParameters:
        """Read the information field of SNRM or UA; what it does not name has its default, and what goes beyond the
        limits of the standard is cut to them. Raises :class:`~meterlink.errors.ProtocolError` (``parameters``)."""
        return _read(data) if data else cls()


# A rig sets up the same link ten thousand times a night: what its stations say is worked out once.
@lru_cache(maxsize=64)
def _write(parameters: HdlcParameters) -> bytes:
    values = (
        (_TRANSMIT_INFORMATION, _shortest(parameters.max_information_transmit)),
        (_RECEIVE_INFORMATION, _shortest(parameters.max_information_receive)),
        (_TRANSMIT_WINDOW, parameters.window_transmit.to_bytes(_WINDOW_OCTETS, "big")),
        (_RECEIVE_WINDOW, parameters.window_receive.to_bytes(_WINDOW_OCTETS, "big")),
    )
    return bytes(
        PARAMETERS.build({"values": [{"id": number, "value": value} for number, value in values], "user_data": b""})
    )


@lru_cache(maxsize=64)
def _read(data: bytes) -> HdlcParameters:
    try:
        values = {item.id: int.from_bytes(item.value, "big") for item in PARAMETERS.parse(data)["values"]}
    except ConstructError:
        raise ProtocolError("the parameters of a link are malformed", code="parameters") from None
    if 0 in (values.get(number, 1) for number in range(_TRANSMIT_INFORMATION, _RECEIVE_WINDOW + 1)):
        raise ProtocolError("a parameter of a link is zero", code="parameters")
    return HdlcParameters(
        min(values.get(_TRANSMIT_INFORMATION, DEFAULT_INFORMATION), MAX_INFORMATION),
        min(values.get(_RECEIVE_INFORMATION, DEFAULT_INFORMATION), MAX_INFORMATION),
        min(values.get(_TRANSMIT_WINDOW, 1), MAX_WINDOW),
        min(values.get(_RECEIVE_WINDOW, 1), MAX_WINDOW),
    )


@dataclass(frozen=True, slots=True)
class HdlcTimers:
    """Times in seconds, and how often something is tried.

    ``response``: from our last octet to the first of the answer; it must cover the transport's own delay.
    ``inter_octet``: the longest silence inside a frame. (The standard has 25 ms on a wire; radio links and networks
    deliver in bursts.) ``frame``: the longest time that one frame may take. ``retries``: how often a frame is repeated.
    ``poll``: how long a client lets a server that has no answer yet work before it asks again. ``answer``: how long it
    asks without getting anything. ``inactivity``: after so much silence a server drops the link.
    """

    response: float = 3.0
    inter_octet: float = 0.5
    frame: float = 10.0
    retries: int = 3
    poll: float = 0.1
    answer: float = 60.0
    inactivity: float = 120.0


def _shortest(value: int) -> bytes:
    return value.to_bytes(1 if value < 0x100 else 2, "big")
