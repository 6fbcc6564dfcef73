"""What happened on one of the links that share a line, see :class:`~.hdlc.port.HdlcServerPort` and
:class:`~.wrapper.WrapperServerPort`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from meterlink.framing.link import LinkEvent


@dataclass(frozen=True, slots=True)
class PortEvent:
    """An event of the link between ``client_sap`` and ``server_sap``."""

    client_sap: int
    server_sap: int
    event: LinkEvent


class ServerPort(Protocol):
    """The server's side of a line or a connection: one link for every client that speaks to one of its logical
    devices. Bytes and the time go in, events of all links come out."""

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` must be called at the latest; None when nothing is pending."""
        ...

    def send(self, client_sap: int, server_sap: int, pdu: bytes, now: float) -> None:
        """Answer a client. Raises LocalProtocolError when that link is not connected."""
        ...

    def pass_turn(self, client_sap: int, server_sap: int, now: float) -> None:
        """What was delivered last on that link gets no answer."""
        ...

    def disconnect(self, client_sap: int, server_sap: int, now: float) -> None:
        """Forget the link with that client. Safe when there is none."""
        ...

    def receive(self, data: bytes, now: float) -> list[PortEvent]:
        """Take bytes from the wire, in any chunking. Never raises for what a peer sends."""
        ...

    def data_to_send(self, now: float) -> bytes:
        """Return, once, the bytes that must go on the wire now."""
        ...

    def handle_timer(self, now: float) -> list[PortEvent]:
        """Let time pass."""
        ...
