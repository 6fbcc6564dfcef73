"""Long profiles in parts, from a meter that goes on capturing meanwhile: nothing is lost at a seam, nothing doubled."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from commands_field import FieldMeter, served
from session_support import Bench, Breaking, utc_now

from certs.levels import Level
from hil.meter.model import LOAD_PROFILE
from hil.meter.objects.base import Refusal, constant
from hil.meter.objects.profile import Profile, Row
from hil.meter.server import MeterServer
from meterlink.commands import profile_parts
from meterlink.commands.command import perform
from meterlink.commands.objects import find_object
from meterlink.commands.read_profile import ProfileHead, ProfileRow, ReadProfile
from meterlink.cosem.association import ClientAssociation
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.data import date_time_octets, i16, u16, u32
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import EntrySelection, RangeSelection
from meterlink.cosem.results import DataAccessResult
from meterlink.errors import ProtocolError
from meterlink.meters.profile import profile
from meterlink.values import Obis

HEAT = profile("cosem-heat")
BERLIN = ZoneInfo("Europe/Berlin")
QUARTER = dt.timedelta(minutes=15)
USUAL = (profile_parts.WHOLE, profile_parts._PART)


class Ring:
    """The load profile of a meter: ``capacity`` rows, a new one every 15 minutes, numbered in the column of the energy.

    Before each answer that shows rows the meter captures ``pace`` more, and pushes out as many of the oldest.
    """

    def __init__(
        self,
        server: MeterServer,
        count: int,
        *,
        pace: int = 0,
        capacity: int | None = None,
        stamp: Callable[[dt.datetime], CosemDateTime] = CosemDateTime.of,
        newest_first: bool = False,
        gap: tuple[int, dt.timedelta] = (0, dt.timedelta(0)),
        end: dt.datetime | None = None,
    ) -> None:
        self.pace = pace
        self.selections: list[object] = []
        self._stamp = stamp
        self._newest_first = newest_first
        self._gap = gap
        self.first = (end or utc_now()).replace(minute=0, second=0, microsecond=0) - count * QUARTER - gap[1]
        self._rows: deque[Row] = deque(maxlen=capacity or count)
        self._number = 0
        self.add(count)
        made = server._device.model.find(7, Obis.parse(LOAD_PROFILE))
        assert isinstance(made, Profile)
        made._rows = lambda _: self._shown()
        made.attributes[4] = constant(u32(900))
        select = made._select

        def selected(context, selection):
            self.selections.append(selection)
            self.add(self.pace)
            return select(context, selection)

        self.profile = made
        self.refuses: tuple[type, ...] = ()
        self.gives_all = False

        def answered(context, selection):
            if isinstance(selection, self.refuses):
                raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
            return buffer.get(context) if self.gives_all else selected(context, selection)

        buffer = made.attributes[2]
        made.attributes[2] = type(buffer)(buffer.get, select=answered)

    def add(self, count: int) -> None:
        """Capture rows."""
        for _ in range(count):
            number = self._number
            after, length = self._gap
            time = self.first + number * QUARTER + (length if number >= after else dt.timedelta(0))
            stamp = date_time_octets(self._stamp(time))
            self._rows.append(Row(time, (stamp, u32(number), u32(5), i16(6000), i16(3000), u16(0))))
            self._number += 1

    def _shown(self) -> list[Row]:
        return list(reversed(self._rows)) if self._newest_first else list(self._rows)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of about 100 rows."""
    monkeypatch.setattr(profile_parts, "WHOLE", 8192)
    monkeypatch.setattr(profile_parts, "_PART", 4096)


class Reading:
    """One reading: the numbers of the rows that came, part by part, and what was told of the progress."""

    def __init__(self, start: dt.datetime | None = None, end: dt.datetime | None = None) -> None:
        self.parts: list[list[int]] = []
        self.told: list[tuple[int, int]] = []
        thing = find_object(HEAT, "load-profile")
        self.command = ReadProfile(HEAT, thing, self._take, start, end, lambda *told: self.told.append(told))

    def _take(self, head: ProfileHead, rows: Iterable[ProfileRow]) -> None:
        assert [column.name for column in head.columns][:2] == ["clock", "energy"]
        self.parts.append([_number(row) for row in rows])

    @property
    def numbers(self) -> list[int]:
        return [number for part in self.parts for number in part]

    async def run(self, bench: Bench) -> list[int]:
        await perform(
            self.command,
            bench.credential(Level.CONSUMER),
            lambda: bench.session(Level.CONSUMER, framing="wrapper"),
            utc_now(),
        )
        return self.numbers


def _number(row: ProfileRow) -> int:
    return int(str(row[1]))


def _is_run(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("pace", [0, 1, 15, 20])
async def test_by_entry_while_rows_are_pushed_out(bench: Bench, pace: int) -> None:
    ring = Ring(bench.server, 1500, pace=pace)
    reading = Reading()
    numbers = await reading.run(bench)
    assert all(isinstance(selection, EntrySelection) for selection in ring.selections)
    assert len(reading.parts) > 10
    assert _is_run(numbers)
    # What was pushed out before the first answer was gone; what was there when the reading began is all read.
    assert numbers[0] == pace
    assert numbers[-1] >= 1499


async def test_rows_that_are_gone_before_they_can_be_read(bench: Bench) -> None:
    """The meter pushes out the rows of the first part, and a few more, before the second is asked for."""
    Ring(bench.server, 1500, pace=40)
    numbers = await Reading().run(bench)
    holes = [number for number, following in pairwise(numbers) if following != number + 1]
    assert holes == [40 + 63]
    assert numbers == sorted(numbers)
    assert numbers[-1] >= 1499


async def test_by_entry_while_rows_are_added_at_the_end(bench: Bench) -> None:
    Ring(bench.server, 1500, pace=3, capacity=5000)
    numbers = await Reading().run(bench)
    assert numbers == list(range(1500))


async def test_by_entry_from_a_meter_that_shows_the_newest_first(bench: Bench) -> None:
    ring = Ring(bench.server, 1500, newest_first=True)
    ring.pace = 3
    numbers = await Reading().run(bench)
    assert numbers[0] == 1502
    assert numbers == list(range(1502, 1502 - len(numbers), -1))
    assert len(numbers) >= 1400


async def test_rows_that_move_faster_than_they_are_read(bench: Bench) -> None:
    Ring(bench.server, 1500, pace=600)
    with pytest.raises(ProtocolError) as caught:
        await Reading().run(bench)
    assert caught.value.code == "profile-changed"


@pytest.mark.parametrize("pace", [0, 1, 40])
async def test_by_time_where_entries_cannot_be_selected(bench: Bench, pace: int) -> None:
    ring = Ring(bench.server, 1500, pace=pace)
    ring.refuses = (EntrySelection,)
    numbers = await Reading().run(bench)
    assert all(isinstance(selection, RangeSelection) for selection in ring.selections)
    assert _is_run(numbers)
    assert numbers[-1] >= 1499
    assert numbers[0] <= 2 * pace


@pytest.mark.parametrize("pace", [0, 7])
async def test_by_time_from_a_moment_on(bench: Bench, pace: int) -> None:
    ring = Ring(bench.server, 1500, pace=pace)
    start, end = ring.first + 300 * QUARTER, ring.first + 1200 * QUARTER
    reading = Reading(start, end)
    assert await reading.run(bench) == list(range(300, 1201))
    assert len(reading.parts) > 5


async def test_from_long_before_the_first_row(bench: Bench) -> None:
    ring = Ring(bench.server, 1500)
    start = ring.first - dt.timedelta(days=9000)
    assert await Reading(start, ring.first + 400 * QUARTER).run(bench) == list(range(401))
    assert len(ring.selections) < 20


@pytest.mark.parametrize("by", ["entry", "time"])
async def test_a_meter_that_was_off_for_a_year(bench: Bench, by: str) -> None:
    ring = Ring(bench.server, 1500, gap=(700, dt.timedelta(days=365)))
    reading = Reading(ring.first + QUARTER if by == "time" else None)
    assert await reading.run(bench) == list(range(1 if by == "time" else 0, 1500))
    assert len(ring.selections) < 200


def _local(moment: dt.datetime) -> CosemDateTime:
    return CosemDateTime.of(moment.astimezone(BERLIN).replace(tzinfo=None))


@pytest.mark.parametrize("by", ["entry", "time"])
async def test_local_time_that_comes_twice(bench: Bench, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Daylight saving ended on 26 October 2025 at 01:00 UTC; the meter tells no deviation."""
    monkeypatch.setattr(profile_parts, "_PART", 1024)
    ring = Ring(bench.server, 1500, stamp=_local, end=dt.datetime(2025, 11, 1, tzinfo=dt.UTC))
    if by == "time":
        ring.refuses = (EntrySelection,)
    assert await Reading().run(bench) == list(range(1500))


async def test_rows_of_one_moment_at_a_seam(bench: Bench) -> None:
    """Ten rows for each moment, as of a log: by time, the next part begins among those of the last moment."""
    start = utc_now().replace(minute=0, second=0, microsecond=0) - 1500 * QUARTER
    ring = Ring(bench.server, 1500, stamp=lambda moment: CosemDateTime.of(moment - (moment - start) % (10 * QUARTER)))
    ring.refuses = (EntrySelection,)
    assert await Reading().run(bench) == list(range(1500))


@pytest.mark.parametrize("kind", [EntrySelection, RangeSelection])
async def test_a_meter_that_takes_a_selection_and_gives_all(bench: Bench, kind: type) -> None:
    ring = Ring(bench.server, 1500)
    ring.refuses = tuple({EntrySelection, RangeSelection} - {kind})
    ring.gives_all = True
    assert await Reading().run(bench) == list(range(1500))


async def test_a_profile_that_can_only_be_read_whole(bench: Bench) -> None:
    ring = Ring(bench.server, 1500)
    ring.refuses = (EntrySelection, RangeSelection)
    reading = Reading()
    assert await reading.run(bench) == list(range(1500))
    assert len(reading.parts) == 1


@pytest.mark.parametrize("knows_selection", [True, False])
async def test_a_profile_that_is_too_long_to_be_read_whole(
    bench: Bench, knows_selection: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = Ring(bench.server, 16_000)
    ring.refuses = (EntrySelection, RangeSelection)
    if not knows_selection:
        monkeypatch.setattr(
            ClientAssociation, "conformance", property(lambda self: self._conformance & ~Conformance.SELECTIVE_ACCESS)
        )
    with pytest.raises(ProtocolError) as caught:
        await Reading().run(bench)
    assert caught.value.code == "transfer-too-long"
    assert "one piece only" in (caught.value.hint or "")
    assert ring.selections == []


@pytest.mark.parametrize("by", ["entry", "time"])
@pytest.mark.parametrize("lost_at", [9, 14])
async def test_a_lost_link_in_the_middle(bench: Bench, by: str, lost_at: int) -> None:
    """What was handed on already is not read again, and nothing is missing."""
    ring = Ring(bench.server, 1500, pace=1)
    if by == "time":
        ring.refuses = (EntrySelection,)
    reading = Reading()
    lines = [Breaking(bench, lost_at, delivered=True), bench.transport()]
    await perform(
        reading.command,
        bench.credential(Level.CONSUMER),
        lambda: bench.session(Level.CONSUMER, transport=lines.pop(0)),
        utc_now(),
    )
    assert lines == []
    assert _is_run(reading.numbers)
    assert reading.numbers[-1] >= 1499


async def test_the_progress_grows_to_the_whole(bench: Bench) -> None:
    Ring(bench.server, 1500)
    reading = Reading()
    await reading.run(bench)
    shares = [done / total for done, total in reading.told]
    assert all(0 <= share <= 1 for share in shares)
    assert reading.told[-1][0] == reading.told[-1][1]
    measured = [share for share, told in zip(shares, reading.told, strict=True) if told[1] == reading.told[-1][1]]
    assert measured == sorted(measured)
    # Half of the parts is half of the bar.
    halfway = shares[len(shares) // 2]
    assert 0.35 < halfway < 0.65


def test_a_year_of_quarters_of_an_hour_through_the_program(
    meterlink, field_meter: FieldMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """35,040 rows of six are 1.4 MB, far more than one answer may bring."""
    monkeypatch.setattr(profile_parts, "WHOLE", USUAL[0])
    monkeypatch.setattr(profile_parts, "_PART", USUAL[1])
    Ring(field_meter.server, 35_040, pace=1)
    with served(field_meter.server, "wrapper") as url:
        done = meterlink("read", f"{url}&security=none&client=17", "--profile", "load-profile", "--csv")
    assert (done.status, done.err) == (0, "")
    rows = list(csv.reader(io.StringIO(done.out)))[1:]
    numbers = [int(row[1]) for row in rows]
    assert _is_run(numbers)
    assert numbers[-1] >= 35_039
    times = [dt.datetime.fromisoformat(row[0]) for row in rows]
    assert {after - before for before, after in pairwise(times)} == {QUARTER}
