"""The client's side of the refusals: a session against meters, and lines, that mean harm."""

import asyncio
import gc
import itertools
import re
import time
import tracemalloc
from dataclasses import replace

import pytest
from driven_clock import clock, driven
from hil_hands import ENERGY, METER_TITLE, PROPERTY_NUMBER, SAP_OF, SERIAL, START

from certs.levels import Level
from hil.faults import hostile
from hil.faults.certificates import Untrusted, untrusted_meter
from hil.faults.impairments import Double, FlipBit, Lose, Replace, Truncate, nth
from hil.faults.messages import FaultyMessages
from hil.wire import WireTransport
from meterlink.cosem.acse import Aare
from meterlink.cosem.association import ClientAssociation
from meterlink.cosem.data import visible_string
from meterlink.errors import (
    AssociationRefused,
    LinkError,
    MeterlinkError,
    MeterNotTrusted,
    ProtocolError,
    SecurityError,
)
from meterlink.framing.hdlc import HdlcLink
from meterlink.framing.link import Role
from meterlink.framing.wrapper import WrapperLink
from meterlink.session import Deadlines, Session
from meterlink.transport.replay import record

QUICK = Deadlines(link=0.25, answer=0.25, farewell=0.05)
NEW = visible_string("99")


@pytest.fixture
def meter(world):
    return world.meter(time.monotonic())


def session_over(transport, config, level=Level.SERVICE, framing="wrapper"):
    sap = SAP_OF[level]
    if framing == "hdlc":
        link = HdlcLink(Role.CLIENT, client_address=sap, server_upper=1)
    else:
        link = WrapperLink(Role.CLIENT, client_sap=sap, server_sap=1)
    return Session(transport, link, ClientAssociation(config), agree_keys=True, deadlines=QUICK)


def session_with(meter, config, wrap=None, wire=None, framing="wrapper"):
    end = meter.hdlc_line if framing == "hdlc" else meter.wrapper_connection
    transport = WireTransport(lambda: end("test", wrap))
    return session_over(transport if wire is None else record(transport, wire.append), config, framing=framing)


async def set_then_get(session):
    await session.set(PROPERTY_NUMBER, NEW)
    return await session.get(SERIAL)


def from_meter(*faults):
    return lambda association: FaultyMessages(association, from_meter=faults)


def to_meter(*faults):
    return lambda association: FaultyMessages(association, to_meter=faults)


AARE, PASS_4, AGREED, FIRST = range(4)
"""What the meter answers, in order: association, its proof, its ephemeral keys, the first response."""


ACTION_REQUEST = {"hdlc": rb"\xe6\xe6\x00\xc3\x01", "wrapper": rb"\x00\x01..\x00\x01..\xc3\x01"}
"""How one begins on the wire; the two octets of the request alone are in many a certificate by chance."""


@pytest.mark.parametrize("fault", Untrusted)
@pytest.mark.parametrize("framing", ["hdlc", "wrapper"])
async def test_row_36_a_session_leaves_a_meter_it_does_not_trust(world, meter, fault, framing):
    meter.replace_identity(untrusted_meter(fault, world.made, START, METER_TITLE))
    wire = []
    with pytest.raises((MeterNotTrusted, SecurityError)) as caught:
        await session_with(meter, world.person(Level.SERVICE), wire=wire, framing=framing).open()
    assert caught.value.code == ("authentication-failed" if fault is Untrusted.OTHER_KEY else "meter-not-trusted")
    sent = b"".join(entry.data for entry in wire if entry.event == "sent")
    proofs = 1 if fault is Untrusted.OTHER_KEY else 0
    # No ACTION but the client's proof, and that only to a right certificate.
    assert len(re.findall(ACTION_REQUEST[framing], sent, re.DOTALL)) == proofs


async def test_row_37_a_recorded_proof_of_the_meter_is_refused(world, meter):
    config, recorded = world.person(Level.SERVICE), []
    keep = Replace(nth(PASS_4), make=lambda apdu: recorded.append(apdu) or apdu)
    async with session_with(meter, config, from_meter(keep)):
        pass
    play = Replace(nth(PASS_4), make=lambda _: recorded[0])
    with pytest.raises((AssociationRefused, SecurityError, MeterNotTrusted)):
        await session_with(meter, config, from_meter(play)).open()


async def test_row_38_ephemeral_keys_that_were_altered_are_refused(world, meter):
    config = world.person(Level.SERVICE)
    for position in (200, 400, 700, 1500):
        with pytest.raises(MeterlinkError):
            await session_with(meter, config, from_meter(FlipBit(nth(AGREED), position=position))).open()
        with pytest.raises(MeterlinkError):
            await session_with(meter, config, to_meter(FlipBit(nth(AGREED), position=position))).open()


async def test_row_39_a_plain_answer_after_key_agreement_ends_the_session(world, meter):
    plain = Replace(nth(FIRST), make=lambda _: bytes.fromhex("c401c1000600000001"))
    async with session_with(meter, world.person(Level.SERVICE), from_meter(plain)) as session:
        with pytest.raises(SecurityError):
            await session.get(ENERGY)
        with pytest.raises(MeterlinkError):
            await session.get(ENERGY)


async def test_row_39_an_association_response_without_a_mechanism_is_refused(world, meter):
    strip = Replace(
        nth(AARE),
        make=lambda apdu: replace(
            Aare.from_bytes(apdu), mechanism=type(Aare.from_bytes(apdu).mechanism)(0), challenge=None
        ).to_bytes(),
    )
    with pytest.raises((AssociationRefused, ProtocolError, MeterNotTrusted)):
        await session_with(meter, world.person(Level.SERVICE), from_meter(strip)).open()


async def test_row_40_a_response_played_again_is_refused(world, meter):
    old = []
    faults = (
        Replace(nth(FIRST), make=lambda apdu: old.append(apdu) or apdu),
        Replace(nth(FIRST + 1), make=lambda _: old[0]),
    )
    async with session_with(meter, world.person(Level.SERVICE), from_meter(*faults)) as session:
        assert (await session.get(SERIAL)).value == "00004711"
        with pytest.raises(SecurityError):
            await session.get(SERIAL)


async def test_row_41_a_request_sent_back_as_its_own_answer_is_refused(world, meter):
    said = []
    wrap = lambda association: FaultyMessages(  # noqa: E731
        association,
        to_meter=[Replace(nth(FIRST), make=lambda apdu: said.append(apdu) or apdu)],
        from_meter=[Replace(nth(FIRST), make=lambda _: said[0])],
    )
    async with session_with(meter, world.person(Level.SERVICE), wrap) as session:
        with pytest.raises(ProtocolError):
            await session.get(SERIAL)


@pytest.mark.parametrize("framing", ["hdlc", "wrapper"])
@pytest.mark.parametrize("fault", [Lose, Truncate, FlipBit])
@pytest.mark.parametrize("way", [to_meter, from_meter])
async def test_row_44_a_message_that_is_lost_or_damaged_is_never_called_done(world, meter, framing, fault, way):
    """One message after the other: whatever happens to it, the write is done and said so, or not said so."""
    for number in range(FIRST + 1):
        meter.meter.settings.property_number = "00000000"
        broken = session_with(meter, world.person(Level.SERVICE), way(fault(nth(number))), framing=framing)
        with pytest.raises(MeterlinkError):
            async with broken as session:
                await session.set(PROPERTY_NUMBER, NEW)
        reached = number == FIRST and way is from_meter
        assert meter.meter.settings.property_number == ("00000099" if reached else "00000000")


async def test_row_44_a_doubled_request_is_done_once_and_ends_the_session(world, meter):
    async with session_with(meter, world.person(Level.SERVICE), to_meter(Double(nth(FIRST)))) as session:
        with pytest.raises(MeterlinkError):
            await set_then_get(session)
    changed = [event for event in meter.meter.events.rows if event.detail == SAP_OF[Level.SERVICE]]
    assert len(changed) <= 1


ENDLESS = {
    "noise": ("hdlc", hostile.noise),
    "flags": ("hdlc", hostile.flags),
    "a frame without end": ("hdlc", hostile.frame_without_end),
    "broken frames": ("hdlc", hostile.broken_frames),
    "noise on TCP": ("wrapper", hostile.noise),
    "a length of 2^32": ("wrapper", hostile.wrapper_of_greatest_length),
}


SLOW = 0.005
"""Seconds that a slow machine takes for a piece; longer than the meter takes to say it."""


def without_a_pause(pieces):
    """When one piece is read the next has come already, as on a machine that is slower than the meter."""
    for piece in pieces:
        clock().now += SLOW
        yield piece


@pytest.mark.parametrize("kind", ENDLESS)
@driven(by_itself=True)
async def test_row_45_endless_data_ends_in_a_link_error_in_time_and_bounded_memory(world, kind):
    framing, pieces = ENDLESS[kind]
    transport = WireTransport(lambda: hostile.EndlessMeter(lambda: without_a_pause(pieces())))
    session = session_over(transport, world.person(Level.SERVICE), framing=framing)
    gc.collect()
    tracemalloc.start()
    began = clock().time()
    with pytest.raises((LinkError, ProtocolError)) as caught:
        async with asyncio.timeout(60):
            await session.open()
    took, peak = clock().time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < QUICK.link + 10 * SLOW
    assert peak < 8_000_000
    assert caught.value.exit_code in {5, 6}


@driven(by_itself=True)
async def test_row_45_a_meter_that_says_nothing_ends_in_a_link_error_in_time(world):
    for framing in ("hdlc", "wrapper"):
        session = session_over(WireTransport(hostile.MuteMeter), world.person(Level.SERVICE), framing=framing)
        began = clock().time()
        with pytest.raises(LinkError):
            await session.open()
        assert clock().time() - began == pytest.approx(QUICK.link)


async def test_row_45_a_trusted_meter_that_never_ends_a_value_is_cut_off(world, meter):
    """The meter has the right keys and goes on sending blocks, none of them the last."""
    blocks = itertools.count(1)
    state = {}

    class Endless:
        def __init__(self, association):
            self.association = association

        def receive(self, apdu, now):
            reply = self.association.receive(apdu, now)
            channel = self.association._association._channel if self.association._association else None
            if state.get("on") and channel is not None:
                body = bytes.fromhex("c402c100") + next(blocks).to_bytes(4, "big") + b"\x00\x82\xfa\x00" + bytes(64_000)
                reply.apdus = [channel.seal(body)]
            return reply

        def link_lost(self):
            self.association.link_lost()

    async with session_with(meter, world.person(Level.SERVICE), Endless) as session:
        assert (await session.get(SERIAL)).value == "00004711"
        state["on"] = True
        with pytest.raises(MeterlinkError):
            await session.get(ENERGY)
        assert next(blocks) < 40
