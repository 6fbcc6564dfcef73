"""The server's side of one line: many clients, one or more logical devices."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from meterlink.errors import LocalProtocolError
from meterlink.framing.hdlc.address import MAX_SHORT_PART, HdlcAddress
from meterlink.framing.hdlc.control import FrameKind, control
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.link import HdlcLink
from meterlink.framing.hdlc.parameters import HdlcParameters, HdlcTimers
from meterlink.framing.hdlc.reader import FrameReader
from meterlink.framing.hdlc.states import State
from meterlink.framing.link import LinkEvent, LinkNoise, Role
from meterlink.framing.port import PortEvent

MAX_LINKS: Final = 8
"""Clients that one line serves at a time; a client beyond them is told that the mode is disconnected."""


class HdlcServerPort:
    """A :class:`~meterlink.framing.port.ServerPort` over HDLC.

    ``server_uppers`` are the logical devices served, ``server_lower`` the physical address: None answers whatever lower
    address is asked for. Frames for other stations are none of ours and give no event. A link is made when its client
    sends SNRM and goes when it is closed.
    """

    def __init__(
        self,
        *,
        server_uppers: Collection[int] = (1,),
        server_lower: int | None = None,
        parameters: HdlcParameters | None = None,
        timers: HdlcTimers | None = None,
        max_links: int = MAX_LINKS,
    ) -> None:
        self._lower = server_lower
        self._own = {upper: HdlcAddress.of(upper, server_lower) for upper in server_uppers}
        self._parameters = parameters
        self._timers = timers or HdlcTimers()
        self._max_links = max_links
        self._reader = FrameReader()
        self._links: dict[tuple[int, int], HdlcLink] = {}
        self._to_send = bytearray()
        self._last_octet = 0.0

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` must be called at the latest; None when nothing is pending."""
        deadlines = [link.next_deadline for link in self._links.values()]
        if self._reader.is_partial:
            deadlines.append(self._last_octet + self._timers.inter_octet)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def connected(self) -> tuple[tuple[int, int], ...]:
        """Client and server SAP of every link that is up."""
        return tuple(self._links)

    def send(self, client_sap: int, server_sap: int, pdu: bytes, now: float) -> None:
        """Answer a client, or keep the answer until it polls. Raises LocalProtocolError when that link is not
        connected."""
        link = self._links.get((client_sap, server_sap))
        if link is None:
            raise LocalProtocolError(f"client {client_sap} is not connected")
        link.send(pdu, now)
        self._to_send += link.data_to_send(now)

    def pass_turn(self, client_sap: int, server_sap: int, now: float) -> None:
        """What was delivered last on that link gets no answer, or gets it later."""
        link = self._links.get((client_sap, server_sap))
        if link is not None:
            link.pass_turn(now)
            self._to_send += link.data_to_send(now)

    def disconnect(self, client_sap: int, server_sap: int, now: float) -> None:
        """Forget the link with that client. Safe when there is none."""
        self._links.pop((client_sap, server_sap), None)

    def receive(self, data: bytes, now: float) -> list[PortEvent]:
        """Take bytes from the line, in any chunking. Never raises for what a peer sends."""
        if data:
            self._last_octet = now
        return self._take(self._reader.feed(data), now)

    def data_to_send(self, now: float) -> bytes:
        """Return, once, the bytes that must go on the line now."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def handle_timer(self, now: float) -> list[PortEvent]:
        """Let time pass: give up a frame that stopped, drop clients that were silent for too long."""
        events: list[PortEvent] = []
        if self._reader.is_partial and now >= self._last_octet + self._timers.inter_octet:
            events += self._take(self._reader.give_up(), now)
        for key, link in list(self._links.items()):
            events += self._tell(key, link, link.handle_timer(now), now)
        return events

    def _take(self, found: list[HdlcFrame | LinkNoise], now: float) -> list[PortEvent]:
        events: list[PortEvent] = []
        for frame in found:
            if isinstance(frame, LinkNoise) or not self._is_for_us(frame):
                continue
            key = (frame.source.upper, frame.destination.upper)
            link = self._links.get(key) or self._make_link(frame)
            if link is not None:
                events += self._tell(key, link, link.receive_frame(frame, now), now)
        return events

    def _is_for_us(self, frame: HdlcFrame) -> bool:
        asked, client = frame.destination, frame.source
        own = self._own.get(asked.upper)
        if own is None or client.lower is not None:
            return False
        if asked.size == 2 and (self._lower or 0) > MAX_SHORT_PART:
            return False  # asked in a form that our address does not fit in
        return own.answers_for(asked)

    def _make_link(self, frame: HdlcFrame) -> HdlcLink | None:
        """Make the link that ``frame`` asks for; None, and DM as the answer, when there are too many already."""
        if frame.control.kind is FrameKind.SNRM and len(self._links) >= self._max_links:
            answer = HdlcFrame(frame.source, self._own_address(frame.destination), control(FrameKind.DM, poll=True))
            self._to_send += answer.to_bytes()
            return None
        own = self._own_address(frame.destination)
        return HdlcLink(
            Role.SERVER,
            client_address=frame.source.upper,
            server_upper=own.upper,
            server_lower=own.lower,
            address_size=own.size,
            parameters=self._parameters,
            timers=self._timers,
        )

    def _own_address(self, asked: HdlcAddress) -> HdlcAddress:
        """Return our address in the form in which we were asked."""
        lower = asked.lower if self._lower is None or asked.lower is None else self._lower
        return HdlcAddress(asked.upper, lower, asked.size)

    def _tell(self, key: tuple[int, int], link: HdlcLink, events: list[LinkEvent], now: float) -> list[PortEvent]:
        self._to_send += link.data_to_send(now)
        if link.state is State.DISCONNECTED:
            self._links.pop(key, None)
        else:
            self._links[key] = link
        return [PortEvent(*key, event) for event in events]
