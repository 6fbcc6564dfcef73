"""What every data link under the COSEM application layer looks like, without I/O.

Bytes and the time go in, events come out; bytes to send and the next deadline are asked for. ``now`` is any monotonic
clock in seconds, always the same one. HDLC (IEC 62056-46) and the TCP wrapper (IEC 62056-47) both follow it, in the
client's and in the server's role.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol


class Role(enum.Enum):
    """Which side of a link or an association an object plays."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class LinkConnected:
    """The link is up; ``client_sap`` and ``server_sap`` are the upper HDLC addresses or the wrapper's ports."""

    client_sap: int
    server_sap: int


@dataclass(frozen=True, slots=True)
class PduReceived:
    """A whole service data unit arrived (segments joined, LLC header removed)."""

    data: bytes = field(repr=False)
    client_sap: int
    server_sap: int
    unnumbered: bool = False
    """True for one that came in a UI frame, outside the numbered sequence: a push."""
    foreign: bool = False
    """True for a push of another station than the link's: another logical device, or another meter on the line."""


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """The link is down: ``reason`` is one of ``released``, ``disconnected-mode``, ``frame-reject``, ``timeout``,
    ``peer``, and ``framing`` where what comes is not of this link's kind at all."""

    reason: str


@dataclass(frozen=True, slots=True)
class LinkNoise:
    """Bytes were dropped: ``reason`` says why (``fcs``, ``hcs``, ``length``, ``address``, ``echo``, ``noise``,
    ``sequence``)."""

    reason: str
    data: bytes = field(repr=False)


LinkEvent = LinkConnected | PduReceived | LinkClosed | LinkNoise


class Link(Protocol):
    """A data link without I/O, in either role."""

    @property
    def is_connected(self) -> bool:
        """True while service data units can be sent."""
        ...

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` must be called at the latest; None when nothing is pending."""
        ...

    @property
    def pending(self) -> int:
        """Octets that are here of a service data unit whose end is still to come. It grows while a long one arrives."""
        ...

    def connect(self, now: float) -> None:
        """Client: start the connection. Raises LocalProtocolError in any state but the disconnected one."""
        ...

    def send(self, pdu: bytes, now: float) -> None:
        """Send one service data unit. Raises LocalProtocolError while not connected or while a response is still owed
        to us."""
        ...

    def disconnect(self, now: float) -> None:
        """Client: start the release. Safe in every state."""
        ...

    def receive(self, data: bytes, now: float) -> list[LinkEvent]:
        """Take bytes from the wire, in any chunking, and return what they mean. Never raises for what a peer sends."""
        ...

    def data_to_send(self, now: float) -> bytes:
        """Return, once, the bytes that must go on the wire now; empty when there are none."""
        ...

    def handle_timer(self, now: float) -> list[LinkEvent]:
        """Let time pass: repeat a frame, give up."""
        ...
