"""The same session over every line there is: Bluetooth LE on both paths, a pseudo-terminal, TCP."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from ble_air import Air
from session_support import Bench, utc_now

from certs.levels import Level
from hil.ble import MeterPeripheral
from hil.pty import PtyLine
from hil.tcp import TcpServer
from hil.wire import WireHandler
from meterlink.commands.command import perform
from meterlink.commands.configure import Configure, parse_setting
from meterlink.commands.connect import certificate_session, target_of
from meterlink.commands.read import Read
from meterlink.session import Session
from meterlink.transport.url import Context, open_transport
from meterlink.values import MeterReport

MOMENT = dt.datetime(2026, 5, 6, 7, 8, 9, tzinfo=dt.UTC)


async def read_and_set(bench: Bench, url: str, context: Context) -> None:
    """Read as Consumer, set the clock as Commissioning, and look that it is set."""
    target = target_of(url)

    def session(level: Level) -> Session:
        return certificate_session(target, open_transport(target.url, context), bench.credential(level), utc_now)

    report = await perform(
        Read(target.profile), bench.credential(Level.CONSUMER), lambda: session(Level.CONSUMER), utc_now()
    )
    assert not [reading for reading in report.readings if reading.note]
    command = Configure((parse_setting(target.profile, f"clock={MOMENT.isoformat()}", utc_now),))
    (change,) = await perform(
        command, bench.credential(Level.COMMISSIONING), lambda: session(Level.COMMISSIONING), utc_now()
    )
    assert isinstance(change.after.value, dt.datetime)
    assert abs(change.after.value - MOMENT) < dt.timedelta(seconds=5)


@asynccontextmanager
async def over(line: str, bench: Bench) -> AsyncIterator[str]:
    if line == "pty":
        async with PtyLine(bench.server.hdlc_line) as pty:
            yield f"serial:{pty.port}?baud=115200"
    elif line == "tcp-wrapper":
        async with TcpServer(bench.server.wrapper_connection) as server:
            yield server.url
    else:
        async with TcpServer(bench.server.hdlc_line) as server:
            yield f"{server.url}?framing=hdlc"


@pytest.mark.parametrize("line", ["pty", "tcp-wrapper", "tcp-hdlc"])
async def test_session_over_a_cable(line: str) -> None:
    bench = Bench()
    async with over(line, bench) as url:
        await read_and_set(bench, url, Context())


@pytest.mark.parametrize("max_mtu", [23, 247])
async def test_session_over_bluetooth(air: Air, max_mtu: int) -> None:
    bench = Bench()
    async with MeterPeripheral(air.radio, bench.server.hdlc_line, name="HEAT-0001", max_mtu=max_mtu):
        await read_and_set(bench, "ble:HEAT-0001", Context(ble=air.ble))


class GoesOutOfReach:
    """A meter whose radio link breaks once, at the ``at``-th piece that reaches it; never for 0."""

    def __init__(self, bench: Bench, at: int = 0) -> None:
        self._bench = bench
        self._at = at
        self.pieces = 0
        self.peripheral: MeterPeripheral | None = None
        self._drops: list[asyncio.Task[None]] = []

    def handler(self) -> WireHandler:
        line = self._bench.server.hdlc_line()
        receive = line.receive

        def counted(data: bytes, now: float) -> bytes:
            self.pieces += 1
            if self.pieces == self._at:
                assert self.peripheral is not None
                self._drops.append(asyncio.create_task(self.peripheral.drop()))
                return b""
            return receive(data, now)

        line.receive = counted  # type: ignore[method-assign]
        return line


async def read_over_bluetooth(air: Air, bench: Bench, meter: GoesOutOfReach) -> MeterReport:
    target = target_of("ble:HEAT-0001")
    who = bench.credential(Level.CONSUMER)

    def session() -> Session:
        return certificate_session(target, open_transport(target.url, Context(ble=air.ble)), who, utc_now)

    async with MeterPeripheral(air.radio, meter.handler, name="HEAT-0001") as meter.peripheral:
        return await perform(Read(target.profile), who, session, utc_now())


async def test_a_read_over_bluetooth_goes_on_after_a_lost_link(air: Air) -> None:
    bench = Bench()
    sound = GoesOutOfReach(bench)
    whole = await read_over_bluetooth(air, bench, sound)
    meter = GoesOutOfReach(bench, at=sound.pieces - 1)  # the last one is the end of the link
    report = await read_over_bluetooth(air, bench, meter)
    assert [reading.name for reading in report.readings] == [reading.name for reading in whole.readings]
    assert not [reading for reading in report.readings if reading.note]
    assert meter.pieces > sound.pieces
