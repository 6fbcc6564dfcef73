"""Deadlines hold whatever a meter sends: pushed messages instead of the answer."""

import asyncio

import pytest
from driven_clock import clock, driven
from session_support import METER_TITLE, utc_now

from certs.domain import make_domain
from hil.meter.clients import FIELD_CLIENTS
from hil.meter.device import MeterOptions
from hil.meter.messages import MessageHandler, Reply
from hil.meter.server import MeterServer
from hil.trust import issue_identity
from hil.wire import WireHandler, WireTransport
from meterlink.cosem.apdu import DataNotification
from meterlink.cosem.association import AssociationConfig, ClientAssociation
from meterlink.cosem.data import u8
from meterlink.cosem.names import Attribute
from meterlink.errors import LinkTimeout
from meterlink.framing.hdlc import HdlcLink, HdlcParameters
from meterlink.framing.link import Role
from meterlink.framing.wrapper import WrapperLink
from meterlink.session import Deadlines, Session
from meterlink.values import Obis

PAUSE = 0.05
PUSH = DataNotification(1, None, u8(1)).to_bytes()
PROFILE = Attribute(7, Obis.parse("6-0:99.1.0"), 2)
CLOCK = Attribute(8, Obis.parse("0-0:1.0.0"), 2)


class Deaf:
    """A meter that associates and then pushes messages instead of answering."""

    def __init__(self, inner: MessageHandler) -> None:
        self._inner = inner

    def receive(self, apdu: bytes, now: float) -> Reply:
        return Reply([PUSH]) if apdu[0] == 0xC0 else self._inner.receive(apdu, now)

    def link_lost(self) -> None:
        self._inner.link_lost()


def meter() -> MeterServer:
    made = make_domain("Bench", "certs@bench.example", utc_now())
    identity = issue_identity(made.domain, made.issuing_key, utc_now(), system_title=METER_TITLE)
    return MeterServer(clock().time(), utc_now(), identity, clients=FIELD_CLIENTS, options=MeterOptions(history=3))


def client() -> ClientAssociation:
    return ClientAssociation(AssociationConfig())


@driven(by_itself=True)
async def test_pushed_messages_do_not_hold_a_request() -> None:
    server = meter()
    transport = WireTransport(lambda: server.wrapper_connection(wrap=Deaf))
    link = WrapperLink(Role.CLIENT, client_sap=17)
    session = Session(transport, link, client(), deadlines=Deadlines(answer=0.3))
    await session.open()
    more = PushForEver(transport)
    started = clock().time()
    with pytest.raises(LinkTimeout):
        async with asyncio.timeout(10), more:
            await session.get(CLOCK)
    assert clock().time() - started == pytest.approx(0.3)
    assert len(session.notifications) > 3
    await session.close()


class PushForEver:
    """Puts a pushed message on the line every few milliseconds."""

    def __init__(self, transport: WireTransport) -> None:
        self._driver = transport.driver
        self._message = b"\x00\x01\x00\x01\x00\x11" + len(PUSH).to_bytes(2, "big") + PUSH

    async def __aenter__(self) -> None:
        self._push()

    async def __aexit__(self, *_: object) -> None:
        self._timer.cancel()

    def _push(self) -> None:
        self._driver.say(self._message)
        self._timer = asyncio.get_running_loop().call_later(0.01, self._push)


@driven(by_itself=True)
async def test_a_long_answer_is_waited_for_while_it_comes() -> None:
    """Every frame comes within the deadline, the whole answer does not."""
    server = meter()
    slow = Dribble(server.hdlc_line())
    link = HdlcLink(Role.CLIENT, client_address=17, parameters=HdlcParameters(1024, 1024, 1, 7))
    deadlines = Deadlines(answer=0.4)
    async with Session(WireTransport(lambda: slow), link, client(), deadlines=deadlines) as session:
        started = clock().time()
        rows = (await session.get(PROFILE)).as_items()
        assert clock().time() - started > 2 * deadlines.answer
    assert len(rows) == 72


class Dribble:
    """A line that lets a few octets through at a time."""

    def __init__(self, inner: WireHandler) -> None:
        self._inner = inner
        self._out = bytearray()
        self._next: float | None = None

    @property
    def next_deadline(self) -> float | None:
        return self._next

    def receive(self, data: bytes, now: float) -> bytes:
        self._out += self._inner.receive(data, now)
        if self._next is None and self._out:
            self._next = now + PAUSE
        return b""

    def handle_timer(self, now: float) -> bytes:
        piece, self._out = bytes(self._out[:150]), self._out[150:]
        self._next = now + PAUSE if self._out else None
        return piece

    def closed(self, now: float) -> None:
        self._inner.closed(now)
