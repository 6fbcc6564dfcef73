"""Reading again and again: when the next reading begins, and what becomes of failures."""

import asyncio

import pytest
from driven_clock import driven

from meterlink.commands.watch import read_to
from meterlink.errors import LinkTimeout, MeterlinkError, MeterNotTrusted, ProtocolError
from meterlink.values import MeterReport


class Meter:
    """Gives reports, or raises, in the order of its script; then the watch is over."""

    def __init__(self, *script: object) -> None:
        self.script = list(script)

    async def read(self) -> MeterReport:
        if not self.script:
            raise asyncio.CancelledError
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return MeterReport(notes=(str(step),))


class Notebook:
    def __init__(self) -> None:
        self.seen: list[str] = []

    async def open(self) -> None:
        self.seen.append("open")

    async def take(self, report: MeterReport) -> None:
        self.seen.append(report.notes[0])

    async def missed(self, error: MeterlinkError) -> None:
        self.seen.append(error.code)

    async def close(self) -> None:
        self.seen.append("close")


class Pauses:
    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)


async def test_once() -> None:
    notebook = Notebook()
    await read_to(Meter("one", "two").read, [notebook])
    assert notebook.seen == ["open", "one", "close"]


async def test_a_later_reading_may_fail() -> None:
    notebook = Notebook()
    meter = Meter("one", LinkTimeout("silent", code="no-answer"), ProtocolError("noise"), "four")
    with pytest.raises(asyncio.CancelledError):
        await read_to(meter.read, [notebook], every=1, pause=Pauses())
    assert notebook.seen == ["open", "one", "no-answer", "protocol", "four", "close"]


@pytest.mark.parametrize("script", [(LinkTimeout("silent"),), ("one", MeterNotTrusted("another meter"))])
async def test_what_ends_a_watch(script: tuple[object, ...]) -> None:
    notebook = Notebook()
    with pytest.raises(MeterlinkError):
        await read_to(Meter(*script).read, [notebook], every=1, pause=Pauses())
    assert notebook.seen[-1] == "close"
    assert notebook.seen.count("one") == len(script) - 1


@driven()
async def test_readings_keep_their_beat_and_the_meter_its_rest() -> None:
    pauses = Pauses()
    with pytest.raises(asyncio.CancelledError):
        await read_to(Meter("one", "two", "three").read, [], every=100, rest=250, pause=pauses)
    # The pauses take no time here: each is counted from the beginning of the one before.
    assert pauses.asked == [250, 350, 450]
