"""Deadlines hold whatever a meter sends: pushed messages instead of the answer."""

import asyncio
import datetime as dt
import time

import pytest
from session_support import METER_TITLE, utc_now

from certs.domain import make_domain
from hil.meter.clients import FIELD_CLIENTS
from hil.meter.messages import MessageHandler, Reply
from hil.meter.server import MeterServer
from hil.trust import issue_identity
from hil.wire import WireTransport
from meterlink.cosem.apdu import DataNotification
from meterlink.cosem.association import AssociationConfig, ClientAssociation
from meterlink.cosem.data import u8
from meterlink.cosem.names import Attribute
from meterlink.errors import LinkTimeout
from meterlink.framing.link import Role
from meterlink.framing.wrapper import WrapperLink
from meterlink.session import Deadlines, Session
from meterlink.values import Obis

PUSH = DataNotification(1, None, u8(1)).to_bytes()
CLOCK = Attribute(8, Obis.parse("0-0:1.0.0"), 2)


class Deaf:
    """A meter that associates and then pushes messages instead of answering."""

    def __init__(self, inner: MessageHandler) -> None:
        self._inner = inner

    def receive(self, apdu: bytes, now: float) -> Reply:
        return Reply([PUSH]) if apdu[0] == 0xC0 else self._inner.receive(apdu, now)

    def link_lost(self) -> None:
        self._inner.link_lost()


async def test_pushed_messages_do_not_hold_a_request() -> None:
    made = make_domain("Bench", "certs@bench.example", utc_now())
    identity = issue_identity(made.domain, made.issuing_key, utc_now(), system_title=METER_TITLE)
    server = MeterServer(time.monotonic(), dt.datetime.now(dt.UTC), identity, clients=FIELD_CLIENTS)
    transport = WireTransport(lambda: server.wrapper_connection(wrap=Deaf))
    link = WrapperLink(Role.CLIENT, client_sap=17)
    session = Session(transport, link, ClientAssociation(AssociationConfig()), deadlines=Deadlines(answer=0.3))
    await session.open()
    more = PushForEver(transport)
    started = asyncio.get_running_loop().time()
    with pytest.raises(LinkTimeout):
        async with asyncio.timeout(10), more:
            await session.get(CLOCK)
    assert asyncio.get_running_loop().time() - started < 5
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
