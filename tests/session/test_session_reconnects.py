"""Links that break in the middle: reads go on over a new link, writes are read back and never sent twice unasked."""

import datetime as dt
import time
from collections.abc import Callable

import pytest
from session_support import Bench, Breaking, utc_now

from certs.levels import Level
from hil.wire import WireTransport
from meterlink.commands.command import RECONNECTS, perform
from meterlink.commands.configure import Configure, parse_setting
from meterlink.commands.read import Read
from meterlink.commands.uncertain import untold_raises
from meterlink.errors import (
    AssociationRefused,
    LinkError,
    LinkLost,
    LinkTimeout,
    MeterlinkError,
    MeterRefused,
    SecurityError,
)
from meterlink.meters.profile import profile
from meterlink.session import Session
from meterlink.tracing import apdus_over_hdlc
from meterlink.transport.replay import Entry

HEAT = profile("cosem-heat")
NEW_TIME = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
NUMBER = "12345678"


def sessions(bench: Bench, level: Level, *transports: WireTransport) -> tuple[Callable[[], Session], list[list[Entry]]]:
    """A call that opens sessions over ``transports`` and then over sound ones, and what crosses each."""
    waiting = list(transports)
    wires: list[list[Entry]] = []
    who = bench.credential(level)

    def open_session() -> Session:
        wires.append([])
        transport = waiting.pop(0) if waiting else bench.transport()
        return bench.session(level, who=who, transport=transport, wire=wires[-1])

    return open_session, wires


async def messages_of(bench: Bench, command: Read | Configure, level: Level) -> int:
    """How many messages a client sends for ``command`` when nothing breaks."""
    open_session, wires = sessions(bench, level)
    await perform(command, bench.credential(level), open_session, utc_now())
    return sum(entry.event == "sent" for entry in wires[0])


async def test_a_read_survives_a_link_that_breaks_at_any_message() -> None:
    command = Read(HEAT)
    last = await messages_of(Bench(), command, Level.CONSUMER)
    for at in range(1, last):
        bench = Bench()
        open_session, wires = sessions(bench, Level.CONSUMER, Breaking(bench, at, delivered=True))
        try:
            report = await perform(command, bench.credential(Level.CONSUMER), open_session, utc_now())
        except LinkError:
            # Before the session is open nothing was asked yet: that is told at once.
            assert not [apdu for apdu in apdus_over_hdlc(wires[0]) if apdu.is_protected]
            continue
        assert {"energy", "clock"} <= {reading.name for reading in report.readings}


async def test_a_read_is_given_up_after_so_many_losses() -> None:
    bench = Bench()
    last = await messages_of(bench, Read(HEAT), Level.CONSUMER)
    lines = [Breaking(bench, last - 1, delivered=False) for _ in range(RECONNECTS + 1)]
    open_session, wires = sessions(bench, Level.CONSUMER, *lines)
    with pytest.raises(LinkLost):
        await perform(Read(HEAT), bench.credential(Level.CONSUMER), open_session, utc_now())
    assert len(wires) == RECONNECTS + 1


def settings(*texts: str) -> Configure:
    return Configure(tuple(parse_setting(HEAT, text, utc_now) for text in texts))


@pytest.mark.parametrize("delivered", [False, True])
@pytest.mark.parametrize(
    "setting", [f"clock={NEW_TIME.isoformat()}", f"property-number={NUMBER}", "averaging-period=5"]
)
async def test_a_write_over_a_link_that_breaks_at_any_message_is_told_as_it_is(setting: str, delivered: bool) -> None:
    """Whatever the moment, success is said exactly when the meter has the new value, and a refusal when it has not."""
    command = settings(setting)
    last = await messages_of(Bench(), command, Level.COMMISSIONING)
    outcomes = set()
    for at in range(1, last + 1):
        bench = Bench()
        open_session, _ = sessions(bench, Level.COMMISSIONING, Breaking(bench, at, delivered=delivered))
        try:
            (change,) = await perform(command, bench.credential(Level.COMMISSIONING), open_session, utc_now())
            told = "done"
            assert change.before.value != change.after.value
        except LinkError as error:
            told = error.code
        sound, _ = sessions(bench, Level.COMMISSIONING)
        (thing,) = (each.thing for each in command.settings)
        report = await perform(Read(HEAT, (thing,)), bench.credential(Level.COMMISSIONING), sound, utc_now())
        has_new = await is_new(command, report.readings[0].value)
        assert has_new is (told == "done"), (at, told)
        outcomes.add(told)
    assert outcomes == {"link-lost", "write-lost", "done"}


@pytest.mark.parametrize("delivered", [False, True])
async def test_a_write_whose_answer_is_lost_is_uncertain_when_no_new_link_comes_about(delivered: bool) -> None:
    """The technician has walked away: what is known of the write is told, not that the meter is out of range."""
    command = settings(f"property-number={NUMBER}")
    last = await messages_of(Bench(), command, Level.COMMISSIONING)
    outcomes = set()
    for at in range(1, last + 1):
        bench = Bench()
        gone = [Breaking(bench, 1, delivered=False) for _ in range(RECONNECTS)]
        open_session, wires = sessions(bench, Level.COMMISSIONING, Breaking(bench, at, delivered=delivered), *gone)
        try:
            await perform(command, bench.credential(Level.COMMISSIONING), open_session, utc_now())
            told = "done"
        except LinkError as error:
            told = error.code
        assert told != "write-uncertain" or len(wires) == RECONNECTS + 1
        sound, _ = sessions(bench, Level.COMMISSIONING)
        (thing,) = (each.thing for each in command.settings)
        report = await perform(Read(HEAT, (thing,)), bench.credential(Level.COMMISSIONING), sound, utc_now())
        if await is_new(command, report.readings[0].value):
            assert told in {"done", "write-uncertain"}, (at, told)
        outcomes.add(told)
    assert outcomes == {"link-lost", "write-uncertain", "done"}


@pytest.mark.parametrize(
    "error",
    [
        MeterRefused("no", code="operation-not-possible"),
        LinkTimeout("the meter does not answer"),
        SecurityError("a refusal came without protection", code="unprotected"),
        AssociationRefused("no", code="deciphering-error"),
    ],
)
def test_a_meter_that_does_not_say_what_became_of_a_write_leaves_it_uncertain(error: MeterlinkError) -> None:
    uncertain = LinkError("the session broke", code="write-uncertain")
    with pytest.raises(LinkError) as caught, untold_raises(uncertain):
        raise error
    assert caught.value is uncertain
    with pytest.raises(LinkLost), untold_raises(uncertain):
        raise LinkLost("gone again")


async def is_new(command: Configure, value: object) -> bool:
    name = command.settings[0].thing.name
    if name == "clock":
        assert isinstance(value, dt.datetime)
        return abs(value - NEW_TIME) < dt.timedelta(minutes=2)
    return str(value) == {"property_number": NUMBER, "averaging_period": "5"}[name]


@pytest.mark.parametrize("delivered", [False, True])
@pytest.mark.parametrize("wrong_by", [0, 1, 30])
async def test_a_clock_that_was_hardly_wrong_is_never_called_set_when_it_is_not(wrong_by: int, delivered: bool) -> None:
    """The usual case: a drift of seconds. The old time then looks like the new one, and that is told."""
    error = dt.timedelta(seconds=wrong_by)
    last = await messages_of(Bench(), settings(f"clock={utc_now().isoformat()}"), Level.COMMISSIONING)
    outcomes = set()
    for at in range(1, last + 1):
        bench = Bench()
        open_session, _ = sessions(bench, Level.COMMISSIONING, Breaking(bench, at, delivered=delivered))
        command = settings(f"clock={(utc_now() + error).isoformat()}")  # the meter's own clock is right
        try:
            await perform(command, bench.credential(Level.COMMISSIONING), open_session, utc_now())
            told = "done"
        except LinkError as caught:
            told = caught.code
        outcomes.add(told)
        ahead = (bench.server.meter.clock.read(time.monotonic()) - utc_now()).total_seconds()
        if wrong_by == 30:
            assert (ahead > 15) is (told == "done"), (at, told, ahead)
        elif told == "done":
            # The value had been read back: the link broke at its end, or behind the answer to the last question.
            assert at >= last - delivered
    unclear = "write-lost" if wrong_by == 30 else "write-uncertain"
    assert outcomes == {"link-lost", unclear, "done"}


async def test_settings_after_a_broken_one_are_applied_too() -> None:
    command = settings(f"property-number={NUMBER}", "averaging-period=5")
    single = await messages_of(Bench(), settings(f"property-number={NUMBER}"), Level.COMMISSIONING)
    went_on = 0
    for at in range(single - 4, single):
        bench = Bench()
        open_session, _ = sessions(bench, Level.COMMISSIONING, Breaking(bench, at, delivered=True))
        try:
            changes = await perform(command, bench.credential(Level.COMMISSIONING), open_session, utc_now())
        except LinkError:
            continue  # the link broke before the meter had the first one: that is told, and nothing else is tried
        went_on += 1
        assert [change.name for change in changes] == ["property_number", "averaging_period"]
        assert [str(change.after.value) for change in changes] == [NUMBER, "5"]
    assert went_on
