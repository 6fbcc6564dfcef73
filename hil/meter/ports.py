"""The meter's end of a line or a connection: links below, one association for each client above."""

from __future__ import annotations

from typing import Final

from hil.meter.association import ClientSession
from hil.meter.logical_device import LogicalDevice
from hil.meter.messages import MessageHandler, Wrap
from hil.meter.objects.association import SERVER_SAP
from meterlink.framing.link import LinkClosed, LinkConnected, PduReceived
from meterlink.framing.port import PortEvent, ServerPort

IDLE: Final = 180.0
"""Seconds of silence after which the meter forgets a client and the keys agreed with it. HDLC gives up earlier (its
inactivity timeout); a TCP connection may stay open for ever."""


class LineHandler:
    """Serves every client that speaks on one line; a :class:`~hil.wire.WireHandler`.

    ``port`` finds the links in the bytes, ``name`` is what the line is called in the count of failed attempts. A client
    whose SAP the meter does not know is not connected at all. ``wrap`` puts something around every client's
    association.
    """

    def __init__(self, device: LogicalDevice, port: ServerPort, name: str, wrap: Wrap | None = None) -> None:
        self._device = device
        self._port = port
        self._name = name
        self._wrap = wrap
        self._sessions: dict[int, MessageHandler] = {}
        self._last_heard: dict[int, float] = {}

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` wants to be called."""
        deadlines = [heard + IDLE for heard in self._last_heard.values()]
        due = self._port.next_deadline
        if due is not None:
            deadlines.append(due)
        return min(deadlines, default=None)

    def receive(self, data: bytes, now: float) -> bytes:
        """Take bytes from the line; return the bytes to send back now."""
        self._handle(self._port.receive(data, now), now)
        return self._port.data_to_send(now)

    def handle_timer(self, now: float) -> bytes:
        """Let time pass: clients that were silent for too long are dropped."""
        self._handle(self._port.handle_timer(now), now)
        for client_sap, heard in list(self._last_heard.items()):
            if now >= heard + IDLE:
                self._drop(client_sap, now)
        return self._port.data_to_send(now)

    def closed(self, now: float) -> None:
        """The line is gone, and with it every association on it."""
        for client_sap in list(self._sessions):
            self._forget(client_sap)

    def _handle(self, events: list[PortEvent], now: float) -> None:
        for item in events:
            match item.event:
                case LinkConnected():
                    self._connected(item.client_sap, now)
                case PduReceived(data=apdu):
                    self._received(item.client_sap, apdu, now)
                case LinkClosed():
                    self._forget(item.client_sap)
                case _:
                    pass  # noise: the link deals with it

    def _connected(self, client_sap: int, now: float) -> None:
        self._forget(client_sap)  # a client that connects again has lost what it had agreed on
        row = self._device.clients.get(client_sap)
        if row is None:
            self._port.disconnect(client_sap, SERVER_SAP, now)
            return
        session: MessageHandler = ClientSession(self._device, row, self._name)
        self._sessions[client_sap] = session if self._wrap is None else self._wrap(session)
        self._last_heard[client_sap] = now

    def _received(self, client_sap: int, apdu: bytes, now: float) -> None:
        session = self._sessions.get(client_sap)
        if session is None:
            self._port.disconnect(client_sap, SERVER_SAP, now)
            return
        self._last_heard[client_sap] = now
        reply = session.receive(apdu, now)
        for answer in reply.apdus:
            self._port.send(client_sap, SERVER_SAP, answer, now)
        if not reply.apdus:
            self._port.pass_turn(client_sap, SERVER_SAP, now)
        if reply.close:
            self._drop(client_sap, now)

    def _drop(self, client_sap: int, now: float) -> None:
        self._forget(client_sap)
        self._port.disconnect(client_sap, SERVER_SAP, now)

    def _forget(self, client_sap: int) -> None:
        self._last_heard.pop(client_sap, None)
        session = self._sessions.pop(client_sap, None)
        if session is not None:
            session.link_lost()
