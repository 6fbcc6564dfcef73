"""The HDLC link of one client with one logical device, in either role, without I/O.

Octets come in through the :class:`~.reader.FrameReader`, :class:`~.addressing.Addressing` tells which frames are ours,
the :class:`~.station.Station` does what its state table says, and what it sends leaves as octets again.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.addressing import Addressing, Mine
from meterlink.framing.hdlc.control import FrameKind
from meterlink.framing.hdlc.frame import HdlcFrame, encode
from meterlink.framing.hdlc.parameters import HdlcParameters, HdlcTimers
from meterlink.framing.hdlc.reader import FrameReader
from meterlink.framing.hdlc.states import State
from meterlink.framing.hdlc.station import COMMANDS, RESPONSES, Station
from meterlink.framing.link import LinkEvent, LinkNoise, Role

_SENT_ALONE: Final = MappingProxyType({Role.CLIENT: COMMANDS, Role.SERVER: RESPONSES})


class HdlcLink:
    """A :class:`~meterlink.framing.link.Link` over HDLC.

    ``client_address`` is 0..127, ``server_upper`` the logical device, ``server_lower`` the physical one, and
    ``address_size`` the octets of the server's address where a meter insists on 2 or 4. ``parameters`` are what is
    proposed or, as server, at most agreed to. Raises ``ValueError`` for addresses that do not exist.
    """

    def __init__(
        self,
        role: Role,
        *,
        client_address: int,
        server_upper: int = 1,
        server_lower: int | None = None,
        address_size: int | None = None,
        parameters: HdlcParameters | None = None,
        timers: HdlcTimers | None = None,
    ) -> None:
        client, server = HdlcAddress(client_address), HdlcAddress.of(server_upper, server_lower, address_size)
        own, peer = (client, server) if role is Role.CLIENT else (server, client)
        self.client_sap: Final = client_address
        self.server_sap: Final = server_upper
        self._timers = timers or HdlcTimers()
        self._addressing = Addressing(own, peer, _SENT_ALONE[role])
        self._station = Station(
            role,
            client_sap=client_address,
            server_sap=server_upper,
            proposed=parameters or HdlcParameters(),
            timers=self._timers,
        )
        self._reader = FrameReader()
        self._octets_since: float | None = None
        self._last_octet = 0.0

    @property
    def state(self) -> State:
        """Where the link is in its table."""
        return self._station.state

    @property
    def parameters(self) -> HdlcParameters:
        """What was agreed with the peer; the standard's defaults before."""
        return self._station.agreed

    @property
    def is_connected(self) -> bool:
        """True while service data units can be sent."""
        return self._station.is_connected

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` must be called at the latest; None when nothing is pending."""
        deadline = self._station.deadline
        if self._octets_since is None:
            return deadline
        # An answer that has begun is no missing answer, but noise without end must not put the deadline off for ever.
        inside = min(self._last_octet + self._timers.inter_octet, self._octets_since + self._timers.frame)
        return inside if deadline is None else min(inside, deadline + self._timers.frame)

    @property
    def pending(self) -> int:
        """Octets of a service data unit whose last segment is still to come."""
        return self._station.pending

    def connect(self, now: float) -> None:
        """Client: send SNRM. Raises LocalProtocolError in any state but the disconnected one."""
        self._station.connect(now)

    def send(self, pdu: bytes, now: float, *, answered: bool = True) -> None:
        """Send one service data unit.

        ``answered`` False: a client expects none in return. A server that has not got the turn keeps it until the next
        poll. Raises LocalProtocolError while not connected or while an answer is still owed to us.
        """
        self._station.send(pdu, now, answered=answered)

    def send_unnumbered(self, pdu: bytes) -> None:
        """Send one service data unit in a UI frame: no acknowledgement, no turn. Raises LocalProtocolError when it
        does not fit in one frame."""
        self._station.send_unnumbered(pdu)

    def pass_turn(self, now: float) -> None:
        """Server: what was delivered gets no answer, or gets it later; give the turn back. Safe in every state."""
        self._station.pass_turn(now)

    def disconnect(self, now: float) -> None:
        """Client: send DISC. Server: forget the link; the client learns it with its next frame. Safe in every state."""
        self._station.release(now)

    def data_to_send(self, now: float) -> bytes:
        """Return, once, the bytes that must go on the wire now; empty when there are none."""
        out = self._station.to_send
        if not out:
            return b""
        self._station.to_send = []
        for frame in out:
            self._addressing.note_sent(*frame)
        return b"".join([encode(self._addressing.sent, *frame) for frame in out])

    def receive(self, data: bytes, now: float) -> list[LinkEvent]:
        """Take bytes from the wire, in any chunking, and return what they mean."""
        found = self._reader.feed(data)
        if data:
            self._last_octet = now
            if not self._reader.is_partial:
                self._octets_since = None
            elif found or self._octets_since is None:
                self._octets_since = now
        return self._take(found, now)

    def receive_frame(self, frame: HdlcFrame, now: float) -> list[LinkEvent]:
        """Take one frame that somebody else read from the line."""
        return self._take([frame], now)

    def handle_timer(self, now: float) -> list[LinkEvent]:
        """Let time pass: give up a frame that stopped, repeat one of ours, give up the link."""
        due = self.next_deadline
        if due is None or now < due:
            return []
        events: list[LinkEvent] = []
        if self._octets_since is not None:
            self._octets_since = None
            events = self._take(self._reader.give_up(), now)
        if self._station.deadline is not None and now >= self._station.deadline:
            self._station.time_is_over(now)
        return events + self._events()

    def _take(self, found: list[HdlcFrame | LinkNoise], now: float) -> list[LinkEvent]:
        for item in found:
            if isinstance(item, LinkNoise):
                self._station.events.append(item)
                continue
            mine = self._addressing.judge(item)
            if mine is Mine.FOR_US and item.control.kind is FrameKind.UI:
                self._station.take_push(item, now, foreign=self._addressing.is_foreign(item))
            elif mine is Mine.FOR_US:
                self._station.take(item, now)
            else:
                self._station.events.append(LinkNoise(mine.value, item.to_bytes()))
        return self._events()

    def _events(self) -> list[LinkEvent]:
        events = self._station.events
        self._station.events = []
        return events
