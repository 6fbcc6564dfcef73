"""A session with a COSEM meter: the one place where a transport, a link, an association and deadlines meet.

Everything below does no I/O; here bytes are awaited, time is read and given up on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from meterlink.cosem.association import (
    Associated,
    ClientAssociation,
    ClientEvent,
    KeysAgreed,
    Notification,
    Released,
    Response,
    Send,
)
from meterlink.cosem.association.states import State
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.errors import (
    LinkError,
    LinkLost,
    LinkTimeout,
    MeterlinkError,
    MeterNotTrusted,
    MeterRefused,
    ProtocolError,
)
from meterlink.framing.link import Link, LinkClosed, LinkConnected, LinkEvent, LinkNoise, PduReceived
from meterlink.security.session import SecureSession
from meterlink.transport.base import Transport

_E = TypeVar("_E", bound=ClientEvent)

_MOST_NOTIFICATIONS: Final = 256
_NOTIFIED_OCTETS: Final = 0xFFFF
"""Pushed notifications kept until they are asked for, and octets of their APDUs; older ones make room: a chatty meter
costs bounded memory. The last one is kept, however long."""


_MOST_IN_A_LIST: Final = 48
"""Attributes in one request with a list, however long the APDUs that a meter takes."""

_LIST_HEAD, _LIST_ITEM = 4, 10
"""Octets of a get-request-with-list, and of each attribute in it (class, logical name, index, no selection)."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long to wait, in seconds: for the link, for the answer to each request, for all the answers that one value
    or call takes together, and for a polite end."""

    link: float = 20.0
    answer: float = 20.0
    exchange: float = 1800.0
    farewell: float = 2.0


class Session:
    """One association with one meter, from connect to release.

    Use it as an asynchronous context manager. One request at a time: the protocols below have no more. After any error
    but :class:`~meterlink.errors.MeterRefused` the session is over. ``release`` False leaves the release of the
    association to the end of the link, which in HDLC means the same and spares a slow line two messages. A meter whose
    system title is not ``expected_title`` is left before anything but the association request is sent.
    """

    def __init__(
        self,
        transport: Transport,
        link: Link,
        association: ClientAssociation,
        *,
        agree_keys: bool = False,
        release: bool = True,
        expected_title: bytes | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._transport = transport
        self._link = link
        self._association = association
        self._agree_keys = agree_keys
        self._release = release
        self._expected_title = expected_title
        self._deadlines = deadlines or Deadlines()
        self._events: deque[LinkEvent] = deque()
        self._now: Callable[[], float] = _loop_time
        self._in_exchange = False
        self._notified: deque[tuple[Notification, int]] = deque()
        self._notified_octets = 0
        self._heard = False
        self.octets_received = 0
        """Octets that came over the transport in this session."""
        self.on_octets: Callable[[int], None] | None = None
        """Told :attr:`octets_received` whenever it grows."""

    @property
    def association(self) -> ClientAssociation:
        """The association, for what it knows of the meter: title, certificate, conformance."""
        return self._association

    @property
    def in_exchange(self) -> bool:
        """Whether a request may have left whose answer is not here, or was not taken."""
        return self._in_exchange

    @property
    def notifications(self) -> tuple[Notification, ...]:
        """What the meter pushed, the oldest first."""
        return tuple(notification for notification, _ in self._notified)

    async def open(self) -> None:
        """Connect, associate, and agree on keys where the session is one with certificates.

        Raises LinkError, AssociationRefused, MeterNotTrusted, SecurityError or ProtocolError; nothing stays open then.
        """
        self._now = asyncio.get_running_loop().time
        try:
            await self._transport.open()
            await self._connect()
            await self._expect(self._association.open(), Associated)
            if self._agree_keys:
                await self.agree_keys()
        except BaseException:  # Ctrl-C and cancellation, too: clean up, then let it go on
            await self.close()
            raise

    async def agree_keys(self) -> SecureSession:
        """Agree with the meter on new unicast and authentication keys and go on under them; return what protects with
        them. Raises LocalProtocolError unless the association is ciphered and was made with signatures."""
        agreed = await self._expect(self._association.agree_keys(), KeysAgreed)
        return agreed.session

    async def get(self, attribute: Attribute) -> Data:
        """Return the value of ``attribute``. Raises MeterRefused with the standard's name of the reason."""
        response = await self._expect(self._association.get(attribute), Response)
        return response.value()

    async def get_many(self, attributes: Sequence[Attribute]) -> list[Data | MeterRefused]:
        """Return the values of ``attributes``, in their order; one that the meter refuses is returned as its refusal.

        Many go in one request where the meter knows lists (conformance bit multiple-references), else one by one.
        """
        if Conformance.MULTIPLE_REFERENCES not in self._association.conformance:
            return [await self._get_or_refusal(attribute) for attribute in attributes]
        results: list[Data | MeterRefused] = []
        at_once = max(min((self._association.room - _LIST_HEAD) // _LIST_ITEM, _MOST_IN_A_LIST), 1)
        for start in range(0, len(attributes), at_once):
            results += await self._get_list(attributes[start : start + at_once])
        return results

    async def _get_list(self, attributes: Sequence[Attribute]) -> Sequence[Data | MeterRefused]:
        if len(attributes) == 1:
            return [await self._get_or_refusal(attributes[0])]
        response = await self._expect(self._association.get(*attributes), Response)
        return response.outcomes()

    async def _get_or_refusal(self, attribute: Attribute) -> Data | MeterRefused:
        try:
            return await self.get(attribute)
        except MeterRefused as refused:
            return refused

    async def set(self, attribute: Attribute, value: Data) -> None:
        """Set ``attribute``. Raises MeterRefused."""
        response = await self._expect(self._association.set((attribute, value)), Response)
        response.value()

    async def call(self, method: Method, argument: Data | None = None) -> Data:
        """Invoke ``method`` and return what it gives (null data for nothing). Raises MeterRefused."""
        response = await self._expect(self._association.action((method, argument)), Response)
        return response.value()

    async def close(self) -> None:
        """Release the association, disconnect the link, close the transport; as much of it as still works."""
        try:
            async with asyncio.timeout(self._deadlines.farewell):
                # A request that was cut off leaves an answer on its way; a release would take that for its own.
                whole = self._association.is_associated and self._link.is_connected and not self._in_exchange
                if self._release and whole:
                    await self._expect(self._association.release(), Released)
                if self._link.is_connected:
                    self._link.disconnect(self._now())
                    await self._until_closed()
        except (MeterlinkError, TimeoutError):
            pass  # the meter is gone or confused: there is nobody to be polite to
        finally:
            self._association.link_lost()
            await self._transport.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _connect(self) -> None:
        deadline = self._now() + self._deadlines.link
        self._link.connect(self._now())
        while True:
            event = await self._next_event(deadline)
            if isinstance(event, LinkConnected):
                return

    async def _expect(self, apdu: bytes, kind: type[_E]) -> _E:
        """Send ``apdu``, play the exchange to its end, and return the event of ``kind`` that ends it."""
        self._in_exchange = True
        out: bytes | None = apdu
        now = self._now()
        end = now + self._deadlines.exchange
        while out is not None:
            self._send(out, now)
            out = None
            answered = False
            # One for each request: what a meter pushes meanwhile must not hold the session.
            patience = _Patience(now, self._deadlines.answer, end)
            while out is None and not answered:
                pdu = await self._next_pdu(patience)
                for event in self._receive(pdu):
                    if isinstance(event, Notification):
                        self._keep(event, len(pdu.data))
                        continue
                    if self._expected_title is not None:
                        self._check_title(self._expected_title)
                    if isinstance(event, kind):
                        self._in_exchange = False
                        return event
                    if isinstance(event, Send):
                        out = event.apdu
                    else:
                        answered = True
                now = self._now()
                if out is None and not answered and now >= patience.deadline:
                    raise _no_answer()
        raise ProtocolError(f"the meter's answer is not the {kind.__name__} that the request asks for")

    def _send(self, apdu: bytes, now: float) -> None:
        """Give an APDU to the link; one that was closed meanwhile says why."""
        for event in self._events:
            if isinstance(event, LinkClosed):
                raise self._closed(event.reason)
        self._link.send(apdu, now)

    def _check_title(self, expected: bytes) -> None:
        given = self._association.server_title
        # A general block of the AARE itself comes before any title; the association is not open then.
        if given == expected or self._association.state is State.PENDING:
            return
        told = "none" if given is None else given.hex().upper()
        raise MeterNotTrusted(
            f"the meter's system title is {told}, not {expected.hex().upper()}",
            code="system-title",
            hint="this is another meter: look at its label and at the URL",
        )

    def _receive(self, pdu: PduReceived) -> Sequence[ClientEvent]:
        if pdu.foreign:
            return ()  # another station's, under keys of its own
        take = self._association.receive_push if pdu.unnumbered else self._association.receive
        return take(pdu.data)

    def _keep(self, notification: Notification, octets: int) -> None:
        """Keep a notification; the oldest make room."""
        kept = self._notified
        kept.append((notification, octets))
        self._notified_octets += octets
        while len(kept) > 1 and (len(kept) > _MOST_NOTIFICATIONS or self._notified_octets > _NOTIFIED_OCTETS):
            self._notified_octets -= kept.popleft()[1]

    async def _next_pdu(self, patience: _Patience) -> PduReceived:
        while True:
            while not self._events:
                now = await self._drive(patience.deadline)
                patience.look(now, self._link.pending)
            event = self._take_event()
            if isinstance(event, PduReceived):
                return event

    async def _until_closed(self) -> None:
        """Wait for the end of the link; one without a handshake for it (the wrapper) is down at once."""
        deadline = self._now() + self._deadlines.farewell
        with contextlib.suppress(LinkError):
            while self._link.next_deadline is not None:
                await self._drive(deadline)

    async def _next_event(self, deadline: float) -> LinkEvent:
        """Return the next link event; drive the link and the transport until there is one.

        Raises LinkTimeout at ``deadline`` and LinkLost when the link ends.
        """
        while not self._events:
            await self._drive(deadline)
        return self._take_event()

    def _take_event(self) -> LinkEvent:
        event = self._events.popleft()
        self._heard = self._heard or isinstance(event, LinkConnected | PduReceived)
        if isinstance(event, LinkClosed):
            raise self._closed(event.reason)
        return event

    def _closed(self, reason: str) -> LinkError:
        strange = reason == "timeout" and self.octets_received and not self._heard
        if reason == "framing" or strange:
            return LinkLost(
                "what answers does not speak like a meter on this kind of link",
                code="no-meter",
                hint="is it another service, or HDLC over TCP? `?framing=hdlc` and `?framing=wrapper` choose",
            )
        return _closed(reason)

    async def _drive(self, deadline: float) -> float:
        """Send what is to be sent and take what comes, until the next deadline; return the time then."""
        now = self._now()
        out = self._link.data_to_send(now)
        if out:
            await self._transport.send(out, timeout=max(deadline - now, 0.001))
            now = self._now()
        timer = self._link.next_deadline
        until = deadline if timer is None or timer > deadline else timer
        try:
            data = await self._transport.receive(timeout=max(until - now, 0.0))
        except LinkTimeout:
            data = b""
        # Both clocks are looked at whatever came: a peer that never stops talking must not hold the session.
        now = self._now()
        if data:
            self._count(data)
            self._events.extend(self._link.receive(data, now))
        timer = self._link.next_deadline
        if timer is not None and now >= timer:
            self._events.extend(self._link.handle_timer(now))
        if now >= deadline and all(isinstance(event, LinkNoise) for event in self._events):
            raise _no_answer()
        return now

    def _count(self, data: bytes) -> None:
        self.octets_received += len(data)
        if self.on_octets is not None:
            self.on_octets(self.octets_received)


class _Patience:
    """How long one answer is waited for: ``answer`` seconds, and so long again whenever more of a long one has come,
    but not past ``end``. On a slow line a profile takes minutes. Short messages, however many, extend nothing."""

    def __init__(self, now: float, answer: float, end: float) -> None:
        self._answer = answer
        self._end = end
        self._most = 0
        self.deadline = min(now + answer, end)

    def look(self, now: float, pending: int) -> None:
        """Take how many octets are here of an answer that is coming."""
        if pending > self._most:
            self._most = pending
            self.deadline = max(self.deadline, min(now + self._answer, self._end))


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _no_answer() -> LinkTimeout:
    return LinkTimeout(
        "the meter does not answer",
        hint="check distance, head position and power; is the address or client SAP right?",
    )


def _closed(reason: str) -> LinkError:
    if reason == "timeout":
        return LinkTimeout(
            "the meter does not answer, whatever was tried",
            hint="check distance, head position and power",
        )
    return LinkLost(f"the meter ended the link ({reason})", hint="connect again")
