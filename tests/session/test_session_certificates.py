"""Whole sessions with certificates against the simulated meter: what is permitted, refused, and on the wire."""

import asyncio
import datetime as dt
import time
from dataclasses import replace

import pytest
from session_support import METER_TITLE, Bench, credential, utc_now

from certs.domain import make_domain
from certs.levels import Level
from hil.wire import WireTransport
from meterlink.commands.command import perform
from meterlink.commands.configure import Configure, parse_setting
from meterlink.commands.read import Read
from meterlink.cosem.data import Data, octet_string
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import Attribute
from meterlink.errors import AssociationRefused, LinkError, MeterNotTrusted, MeterRefused, NotPermitted
from meterlink.meters.profile import profile
from meterlink.tracing import Capture, apdus_over_hdlc, explain
from meterlink.tracing.capture import Framing
from meterlink.transport.replay import Entry
from meterlink.values import Obis

HEAT = profile("cosem-heat")
CLOCK = Attribute(8, Obis.parse("0-0:1.0.0*255"), 2)
YEAR_2001 = dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC)

LEVELS_THAT_CONFIGURE = [Level.INSTALLATION, Level.COMMISSIONING, Level.SERVICE]
LEVELS_THAT_DO_NOT = [Level.CONSUMER, Level.TEST]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def set_clock(moment: dt.datetime) -> Configure:
    return Configure((parse_setting(HEAT, f"clock={moment.isoformat()}", utc_now),))


@pytest.mark.parametrize("framing", ["hdlc", "wrapper"])
@pytest.mark.parametrize("level", Level)
async def test_every_level_reads(bench: Bench, level: Level, framing: str) -> None:
    who = bench.credential(level)
    report = await perform(Read(HEAT), who, lambda: bench.session(level, framing=framing, who=who), utc_now())
    names = {reading.name: reading for reading in report.readings}
    assert {"energy", "volume", "power", "flow", "flow_temperature", "return_temperature", "clock"} <= set(names)
    assert not [reading for reading in report.readings if reading.note]
    assert report.meter["system_title"] == METER_TITLE.hex().upper()


@pytest.mark.parametrize("level", LEVELS_THAT_CONFIGURE)
async def test_the_clock_is_set_and_read_back(bench: Bench, level: Level) -> None:
    (change,) = await perform(set_clock(YEAR_2001), bench.credential(level), lambda: bench.session(level), utc_now())
    assert isinstance(change.after.value, dt.datetime)
    assert abs(change.after.value - YEAR_2001) < dt.timedelta(seconds=5)


@pytest.mark.parametrize("level", LEVELS_THAT_DO_NOT)
async def test_33_no_byte_leaves_for_a_refused_command(bench: Bench, level: Level) -> None:
    wire: list[Entry] = []
    with pytest.raises(NotPermitted):
        await perform(set_clock(YEAR_2001), bench.credential(level), lambda: bench.session(level, wire=wire), utc_now())
    assert wire == []


@pytest.mark.parametrize("level", LEVELS_THAT_DO_NOT)
async def test_the_meter_refuses_a_client_without_the_gate(bench: Bench, level: Level) -> None:
    async with bench.session(level) as session:
        before = (await session.get(CLOCK)).as_date_time().as_datetime()
        with pytest.raises(MeterRefused) as caught:
            await session.set(CLOCK, octet_string(CosemDateTime.of(YEAR_2001).to_bytes()))
        assert caught.value.code == "read-write-denied"
        after = (await session.get(CLOCK)).as_date_time().as_datetime()
    assert before is not None
    assert after is not None
    assert dt.timedelta(0) <= after - before < dt.timedelta(seconds=5)


@pytest.mark.parametrize("client", [33, 34, 35, 36])
async def test_a_consumer_certificate_on_another_levels_sap_is_refused(bench: Bench, client: int) -> None:
    with pytest.raises(AssociationRefused):
        await bench.session(Level.CONSUMER, client=client).open()


async def test_after_key_agreement_every_apdu_is_protected(bench: Bench) -> None:
    wire: list[Entry] = []
    async with bench.session(Level.COMMISSIONING, wire=wire) as session:
        for _ in range(3):
            await session.get(CLOCK)
    apdus = list(apdus_over_hdlc(wire))
    # AARQ, AARE, two passes of HLS, key agreement and its answer are in the clear; nothing else is.
    assert [apdu.is_protected for apdu in apdus[:6]] == [False] * 6
    assert len(apdus) >= 6 + 2 * 3
    assert all(apdu.is_protected for apdu in apdus[6:])


async def test_recorded_bytes_played_again_get_nothing(bench: Bench) -> None:
    wire: list[Entry] = []
    await perform(
        set_clock(YEAR_2001),
        bench.credential(Level.COMMISSIONING),
        lambda: bench.session(Level.COMMISSIONING, wire=wire),
        utc_now(),
    )
    await perform(
        set_clock(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        bench.credential(Level.COMMISSIONING),
        lambda: bench.session(Level.COMMISSIONING),
        utc_now(),
    )
    line = bench.server.hdlc_line()
    answers = [
        Entry(entry.t, "received", line.receive(entry.data, time.monotonic()))
        for entry in wire
        if entry.event == "sent"
    ]
    assert not [apdu for apdu in apdus_over_hdlc(answers) if apdu.is_protected]
    async with bench.session(Level.CONSUMER) as session:
        clock = (await session.get(CLOCK)).as_date_time()
    assert clock.year == 2026


async def test_a_meter_of_another_domain_is_not_trusted(bench: Bench) -> None:
    other = make_domain("Other", "certs@other.example", utc_now())
    who = credential(other, Level.COMMISSIONING)
    with pytest.raises((MeterNotTrusted, AssociationRefused)):
        await bench.session(Level.COMMISSIONING, who=who).open()


async def test_the_client_leaves_a_meter_it_does_not_trust() -> None:
    """The meter accepts the client here, so it is the client that must refuse."""
    meter, stranger = Bench(), make_domain("Stranger", "certs@stranger.example", utc_now())
    who = meter.credential(Level.COMMISSIONING)
    misled = replace(who, domain=stranger.domain)
    wire: list[Entry] = []
    with pytest.raises(MeterNotTrusted) as caught:
        await meter.session(Level.COMMISSIONING, who=misled, wire=wire).open()
    assert caught.value.exit_code == 4
    assert len(list(apdus_over_hdlc(entry for entry in wire if entry.event == "sent"))) <= 2


async def test_two_clients_on_one_meter_do_not_disturb_each_other(bench: Bench) -> None:
    async with bench.session(Level.CONSUMER) as one, bench.session(Level.COMMISSIONING) as other:
        first = await asyncio.gather(one.get(CLOCK), other.get(CLOCK))
        second = await asyncio.gather(one.get(CLOCK), other.get(CLOCK))
    assert all(data.as_date_time().year for data in (*first, *second))


class BreakingLine(WireTransport):
    """A line that breaks at the next message once it is armed."""

    armed = False

    async def _send(self, data: bytes) -> None:
        if self.armed:
            await self.cut()
        await super()._send(data)


async def test_a_line_that_breaks_during_a_write_is_told(bench: Bench) -> None:
    transport = BreakingLine(bench.server.hdlc_line)
    command = set_clock(YEAR_2001)
    (setting,) = command.settings

    def arm_then_make() -> Data:
        transport.armed = True
        return setting.make()

    async with bench.session(Level.COMMISSIONING, transport=transport) as session:
        with pytest.raises(LinkError) as caught:
            await Configure((replace(setting, make=arm_then_make),)).run(session)
    assert caught.value.code == "write-uncertain"
    assert caught.value.hint is not None
    assert "before, it was" in caught.value.hint


@pytest.mark.parametrize(("framing", "released"), [("hdlc", False), ("wrapper", True)])
async def test_how_a_session_ends(bench: Bench, framing: str, released: bool) -> None:
    """Over the wrapper by a protected release, over HDLC by the DISC frame; either way the meter serves the next."""
    wire: list[Entry] = []
    for _ in range(2):
        async with bench.session(Level.CONSUMER, wire=wire, framing=framing) as session:
            await session.get(CLOCK)
    capture = Capture(tuple(wire), Framing(framing), is_directed=True)
    names = [step.name for step in explain(capture)]
    assert names.count("rlrq") == names.count("rlre") == 2 * released
    assert names.count("DISC") == 2 * (not released)
