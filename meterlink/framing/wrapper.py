"""The wrapper on TCP: eight octets in front of every APDU (IEC 62056-47, 5.3).

::

    version 0001 | source port 2 | destination port 2 | length 2 | APDU

There is no connection of its own to set up: TCP has one. A header that is none cannot be skipped, because nothing marks
where the next begins; the link is closed then.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from construct import Const, Construct, Int16ub, Struct

from meterlink.errors import LocalProtocolError
from meterlink.framing.link import LinkClosed, LinkConnected, LinkEvent, LinkNoise, PduReceived, Role
from meterlink.framing.port import PortEvent

HEADER: Final[Construct] = Struct(
    "version" / Const(1, Int16ub), "source" / Int16ub, "destination" / Int16ub, "length" / Int16ub
)
"""The header. Ports are SAPs; ``length`` is that of the APDU behind it."""

HEADER_LENGTH: Final = 8
VERSION: Final = b"\x00\x01"
_VERSION_LENGTH: Final = len(VERSION)
_PORTS: Final = struct.Struct(">HHH")
"""The header behind the version, as it is read for every APDU."""
MAX_APDU: Final = 0xFFFF

RESPONSE_TIMEOUT: Final = 10.0
"""Seconds that a client waits for an answer unless told."""


@dataclass(frozen=True, slots=True)
class WrapperPdu:
    """One APDU with its header."""

    source: int
    destination: int
    data: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return header and APDU. Raises :class:`~meterlink.errors.LocalProtocolError` past 65,535 octets."""
        return _wrap(self.source, self.destination, self.data)


def _wrap(source: int, destination: int, apdu: bytes) -> bytes:
    if not 0 < len(apdu) <= MAX_APDU:
        raise LocalProtocolError(f"an APDU of {len(apdu)} octets cannot be sent")
    return VERSION + _PORTS.pack(source, destination, len(apdu)) + apdu


class WrapperReader:
    """Finds the APDUs in a stream. Never raises for what the stream holds; holds at most one APDU."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = 0  # octets that must be here before there is anything new to read in them
        self.broken = b""
        """What stood where a header should be; empty while all is well. Nothing is read behind it."""

    @property
    def is_partial(self) -> bool:
        """True while the beginning of an APDU waits for its end."""
        return bool(self._buffer)

    @property
    def pending(self) -> int:
        """Octets of the message that has begun to arrive."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[WrapperPdu]:
        """Take octets; return the APDUs that are complete now."""
        found: list[WrapperPdu] = []
        if self.broken:
            return found
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return found
            data = bytes(self._buffer)
        # A network delivers most APDUs whole: nothing is kept of them, then, and nothing copied twice.
        at, size = 0, len(data)
        while True:
            self._wanted = _VERSION_LENGTH
            if size - at < _VERSION_LENGTH:
                break
            if not data.startswith(VERSION, at):
                self.broken = data[at : at + HEADER_LENGTH]
                self._buffer.clear()
                return found
            start = at + HEADER_LENGTH
            self._wanted = HEADER_LENGTH
            if size < start:
                break
            source, destination, length = _PORTS.unpack_from(data, at + _VERSION_LENGTH)
            self._wanted += length
            if size < start + length:
                break
            at = start + length
            found.append(WrapperPdu(source, destination, data[start:at]))
        self._buffer[:] = data[at:]
        return found


class WrapperLink:
    """A :class:`~meterlink.framing.link.Link` over the wrapper.

    ``timeout`` is how many seconds a client waits for the answer to what it sent, and for more of an answer that has
    begun; there is nothing to repeat, TCP does that. ``LinkConnected`` comes with the first call of
    :meth:`handle_timer`, which is due at once.
    """

    def __init__(self, role: Role, *, client_sap: int, server_sap: int = 1, timeout: float = RESPONSE_TIMEOUT) -> None:
        for sap in (client_sap, server_sap):
            if not 0 <= sap <= 0xFFFF:
                raise ValueError(f"a wrapper port is 0..65535, not {sap}")
        self.client_sap: Final = client_sap
        self.server_sap: Final = server_sap
        ports = (client_sap, server_sap)
        self._source, self._destination = ports if role is Role.CLIENT else ports[::-1]
        self._waits = role is Role.CLIENT
        self._timeout = timeout
        self._reader = WrapperReader()
        self._connected = role is Role.SERVER
        self._announced = False
        self._met = False
        self._deadline: float | None = None
        self._to_send = bytearray()

    @property
    def is_connected(self) -> bool:
        """True while APDUs can be sent."""
        return self._connected

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` must be called at the latest; None when nothing is pending."""
        return self._deadline

    @property
    def pending(self) -> int:
        """Octets of an APDU whose end is still to come."""
        return self._reader.pending

    def connect(self, now: float) -> None:
        """Client: begin. Raises LocalProtocolError when it began before."""
        if self._connected or not self._waits:
            raise LocalProtocolError("the wrapper is connected already")
        self._connected = True
        self._announced = self._met = False
        self._reader = WrapperReader()
        self._deadline = now

    def send(self, pdu: bytes, now: float, *, answered: bool = True) -> None:
        """Send one APDU; ``answered`` False when none is expected in return. Raises LocalProtocolError while not
        connected."""
        if not self._connected:
            raise LocalProtocolError("the wrapper is not connected")
        self._to_send += _wrap(self._source, self._destination, pdu)
        if self._waits and answered:
            self._deadline = now + self._timeout

    def disconnect(self, now: float) -> None:
        """End. Safe in every state; the connection below is the caller's to close."""
        self._connected = False
        self._deadline = None

    def receive(self, data: bytes, now: float) -> list[LinkEvent]:
        """Take bytes from the connection, in any chunking, and return what they mean."""
        if not self._connected:
            return []
        events = self._announce()
        for pdu in self._reader.feed(data):
            events += self._take(pdu)
        if data and self._deadline is not None and self._reader.pending:
            self._deadline = now + self._timeout  # an answer that is arriving is no missing one
        if self._reader.broken:
            self.disconnect(now)
            reason = "peer" if self._met else "framing"
            events += [LinkNoise("noise", self._reader.broken), LinkClosed(reason)]
        return events

    def data_to_send(self, now: float) -> bytes:
        """Return, once, the bytes that must go out now; empty when there are none."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def handle_timer(self, now: float) -> list[LinkEvent]:
        """Let time pass: tell that the link is up, give up waiting for an answer."""
        if self._deadline is None or now < self._deadline:
            return []
        self._deadline = None
        if not self._announced:
            return self._announce()
        self.disconnect(now)
        return [LinkClosed("timeout")]

    def _announce(self) -> list[LinkEvent]:
        if self._announced:
            return []
        self._announced = True
        self._deadline = None
        return [LinkConnected(self.client_sap, self.server_sap)]

    def _take(self, pdu: WrapperPdu) -> list[LinkEvent]:
        if (pdu.destination, pdu.source) != (self._source, self._destination):
            reason = "echo" if (pdu.source, pdu.destination) == (self._source, self._destination) else "address"
            return [LinkNoise(reason, pdu.to_bytes() if pdu.data else b"")]
        if not pdu.data:
            return [LinkNoise("length", b"")]
        self._deadline = None
        self._met = True
        return [PduReceived(pdu.data, self.client_sap, self.server_sap)]


class WrapperServerPort:
    """A :class:`~meterlink.framing.port.ServerPort` over the wrapper: the server's side of one TCP connection.

    ``server_saps`` are the logical devices served. A client is connected from its first APDU on, at most ``max_links``
    of them on one connection; APDUs of others, and for other logical devices, are dropped.
    """

    def __init__(self, *, server_saps: Collection[int] = (1,), max_links: int = 8) -> None:
        self._saps = frozenset(server_saps)
        self._max_links = max_links
        self._reader = WrapperReader()
        self._links: dict[tuple[int, int], None] = {}
        self._to_send = bytearray()

    @property
    def next_deadline(self) -> float | None:
        """None: a server waits for nothing."""
        return None

    @property
    def connected(self) -> tuple[tuple[int, int], ...]:
        """Client and server SAP of every client seen."""
        return tuple(self._links)

    def send(self, client_sap: int, server_sap: int, pdu: bytes, now: float) -> None:
        """Answer a client. Raises LocalProtocolError when it is not connected."""
        if (client_sap, server_sap) not in self._links:
            raise LocalProtocolError(f"client {client_sap} is not connected")
        self._to_send += _wrap(server_sap, client_sap, pdu)

    def pass_turn(self, client_sap: int, server_sap: int, now: float) -> None:
        """Nothing to do: both sides may send at any time."""

    def disconnect(self, client_sap: int, server_sap: int, now: float) -> None:
        """Forget that client. Safe when it is not there."""
        self._links.pop((client_sap, server_sap), None)

    def receive(self, data: bytes, now: float) -> list[PortEvent]:
        """Take bytes from the connection, in any chunking. A header that is none closes every link on it."""
        events: list[PortEvent] = []
        for pdu in self._reader.feed(data):
            key = (pdu.source, pdu.destination)
            if not pdu.data or pdu.destination not in self._saps:
                continue
            if key not in self._links:
                if len(self._links) >= self._max_links:
                    continue
                self._links[key] = None
                events.append(PortEvent(*key, LinkConnected(*key)))
            events.append(PortEvent(*key, PduReceived(pdu.data, *key)))
        if self._reader.broken:
            events += [PortEvent(*key, LinkClosed("peer")) for key in self._links]
            self._links.clear()
        return events

    def data_to_send(self, now: float) -> bytes:
        """Return, once, the bytes that must go out now."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def handle_timer(self, now: float) -> list[PortEvent]:
        """Nothing to do: a server waits for nothing."""
        return []
