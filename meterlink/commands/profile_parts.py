"""The rows of a profile, fetched whole or in parts (IC 7, Profile generic; IEC 62056-6-2, 4.3.6).

A long profile does not fit one answer, and a meter goes on capturing while it is read: rows are added at one end and,
once the buffer is full, pushed out at the other, so that entry 100 is another row a minute later. Each part therefore
begins with rows that the part before ended with, and what follows the last of these is new: nothing is lost at a seam,
and nothing comes twice.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final

from meterlink.commands.objects import moment_of
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.data import Data
from meterlink.cosem.names import AnySelection, Attribute, CaptureObject, EntrySelection, RangeSelection
from meterlink.cosem.objects.profile import decode_rows
from meterlink.errors import MeterRefused, ProtocolError
from meterlink.session import Session
from meterlink.values import Obis

Row = tuple[Data, ...]
Take = Callable[[Iterable[Row]], None]
"""Takes the rows of a part, which are read as it walks over them."""

WHOLE: Final = 128 * 1024
"""Octets of rows that are asked for at once, by the estimate of a profile's length."""

_PART: Final = 64 * 1024
"""Octets of a part of a longer profile. At 9600 bit/s it takes more than a minute: the request for it does not
count."""

_FIRST_ROWS: Final = 64
"""Rows of the first part: how long a row is, is known only then."""

_OVERLAPS: Final = (16, 256)
"""Entries by which a part overlaps the one before, and by which it does when these rows have moved on meanwhile."""

_TAIL: Final = 64
"""Rows that are kept to find the seam."""

_AMBIGUOUS: Final = dt.timedelta(hours=2)
"""Local time without a deviation comes twice when daylight saving ends; so far a part goes back then."""

_WIDEST: Final = 4
"""A span without rows is followed by one twice as long, up to so many times the usual one."""

_MOST_EMPTY: Final = 500
"""After so many spans without rows the rest is asked for at once."""

_NO_SELECTION: Final = frozenset({"scope-of-access-violated", "service-not-supported", "other-reason"})
"""Refusals of meters that cannot select a part of a profile."""

_TOO_LONG: Final = frozenset({"transfer-too-long", "too-many-values"})

_BUFFER: Final = 2
_PROFILE_GENERIC: Final = 7
_FIRST_MOMENT: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_LAST_MOMENT: Final = dt.datetime(2099, 12, 31, tzinfo=dt.UTC)
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Layout:
    """What is known of a profile before its rows are read: its name and columns, the indexes of ``clocks`` among them,
    the capture period in seconds (0 where events capture), and the rows in use."""

    obis: Obis
    columns: tuple[CaptureObject, ...]
    clocks: tuple[int, ...]
    period: int
    entries: int

    @property
    def clock(self) -> int | None:
        """The column that says when a row was captured; None without one."""
        return self.clocks[0] if self.clocks else None

    def attribute(self, selection: AnySelection | None = None) -> Attribute:
        """Return the buffer, or the part of it that ``selection`` names."""
        return Attribute(_PROFILE_GENERIC, self.obis, _BUFFER, selection)

    def rows(self, buffer: Data) -> Iterator[Row]:
        """Yield the rows in a buffer. Raises ProtocolError."""
        return decode_rows(buffer, len(self.columns), clock_columns=self.clocks, capture_period=self.period)

    def moment(self, row: Row) -> dt.datetime | None:
        """Return when a row was captured; None where that is not wholly told. Raises ProtocolError."""
        if self.clock is None or row[self.clock].value is None:
            return None
        return moment_of(row[self.clock])

    def key(self, row: Row) -> tuple[object, ...]:
        """Return what tells whether two rows are the same one: a time may be written in several ways, and what is no
        number is not even equal to itself."""
        moment = self.moment(row)
        return tuple(
            moment
            if moment is not None and index == self.clock
            else repr(cell.value)
            if isinstance(cell.value, float)
            else cell
            for index, cell in enumerate(row)
        )


@dataclass(slots=True)
class Course:
    """How far the reading of a profile is, so that it can go on over another link."""

    delivered: int = 0
    """Rows that were handed on."""

    next_entry: int = 1
    """The entry behind the last row that came, as the rows stood then, counted from 1."""

    tail: deque[tuple[object, ...]] = field(default_factory=lambda: deque(maxlen=_TAIL))
    """The keys of the last rows that were handed on."""

    last_moment: dt.datetime | None = None
    """The time of the last of them that has one."""

    refused: set[str] = field(default_factory=set)
    """The ways of selecting that the meter does not know."""

    octets_of_row: int = 0
    """Octets that a row takes on the way, as the last part showed; 0 before the first."""

    @property
    def rows_at_once(self) -> int:
        """The number of rows that make a part."""
        return max(_PART // self.octets_of_row, 1) if self.octets_of_row else _FIRST_ROWS

    @property
    def alike(self) -> int:
        """How many of the last rows have the time of the last one."""
        return sum(1 for key in self.tail if self.last_moment in key)

    def after_seam(self, layout: Layout, rows: Iterator[Row], expected: int) -> Iterator[Row] | None:
        """Return those of ``rows`` that come after the last one that was handed on, None where that is not among them.

        ``expected`` is its place if nothing moved.
        """
        if not self.tail:
            return rows
        head = list(islice(rows, expected + 1 + _TAIL))
        keys = [layout.key(row) for row in head]
        # Rows that are all alike fit in several places; what did not move is the best guess then.
        places = sorted(range(len(keys)), key=lambda place: abs(place - expected))
        for place in places:
            if all(keys[place - back] == self.tail[-1 - back] for back in range(min(place + 1, len(self.tail)))):
                return chain(head[place + 1 :], rows)
        return None

    def count(self, layout: Layout, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield ``rows`` and take each as handed on."""
        for row in rows:
            self.delivered += 1
            self.tail.append(layout.key(row))
            self.last_moment = layout.moment(row) or self.last_moment
            yield row


class PartReader:
    """Reads the rows of a profile from ``start`` to ``end``, both included; None leaves that end open.

    A meter that cannot select by time gives rows outside of these, too. ``course`` is where an earlier reading stopped.
    """

    def __init__(
        self, session: Session, layout: Layout, course: Course, start: dt.datetime | None, end: dt.datetime | None
    ) -> None:
        self._session = session
        self._layout = layout
        self._course = course
        self._start = start
        self._end = end

    async def read(self, octets: int, take: Take) -> None:
        """Read all rows, the oldest first as the meter gives them, and hand them on part by part; ``octets`` is about
        how many they are.

        Raises MeterRefused, and ProtocolError: ``transfer-too-long`` or ``too-many-values`` for what the meter gives in
        one piece only, and ``profile-changed`` where the rows move faster than they can be read.
        """
        selects = Conformance.SELECTIVE_ACCESS in self._session.association.conformance
        for way in self._ways(octets) if selects else ():
            if way.__name__ in self._course.refused:
                continue
            try:
                await way(take)
                return
            except MeterRefused as refused:
                if refused.code not in _NO_SELECTION or self._course.delivered:
                    raise
                self._course.refused.add(way.__name__)
        await self._piece(None, take)

    def _ways(self, octets: int) -> list[Callable[[Take], Awaitable[None]]]:
        """Return the ways of selecting that are tried before all is asked for in one piece, the best first."""
        layout, is_part = self._layout, self._start is not None or self._end is not None
        if octets <= WHOLE:
            return [self._range] if is_part and layout.clock is not None else []
        # By entry wherever all rows are wanted: that knows neither gaps nor clocks that were set.
        ways: list[Callable[[Take], Awaitable[None]]] = [] if is_part and layout.period else [self._by_entry]
        return [*ways, self._by_span] if layout.clock is not None and layout.period else ways

    async def _piece(self, selection: AnySelection | None, take: Take) -> None:
        take(self._course.count(self._layout, self._layout.rows(await self._get(selection))))

    async def _get(self, selection: AnySelection | None) -> Data:
        before = self._session.octets_received
        try:
            buffer = await self._session.get(self._layout.attribute(selection))
        except ProtocolError as error:
            if error.code not in _TOO_LONG:
                raise
            hint = "the meter gives this profile in one piece only, and it is too long for that"
            if selection is not None:
                hint = "read a shorter time with --from and --to"
            raise ProtocolError(error.message, code=error.code, hint=hint) from None
        if rows := len(buffer.as_items()):
            self._course.octets_of_row = max((self._session.octets_received - before) // rows, 1)
        return buffer

    async def _range(self, take: Take) -> None:
        await self._piece(self._span(self._start or _FIRST_MOMENT, self._end or _LAST_MOMENT), take)

    def _span(self, start: dt.datetime, end: dt.datetime) -> RangeSelection:
        clock = self._layout.clock or 0
        return RangeSelection.by_time(start, end, self._layout.columns[clock])

    async def _by_entry(self, take: Take) -> None:
        course, layout = self._course, self._layout
        while course.next_entry <= layout.entries:
            before = course.delivered
            rows = await self._next_entries()
            take(course.count(layout, rows))
            if course.delivered == before:
                return

    async def _next_entries(self) -> Iterator[Row]:
        course, layout = self._course, self._layout
        for overlap in _OVERLAPS if course.tail else (0,):
            first = max(course.next_entry - overlap, 1)
            last = min(course.next_entry + course.rows_at_once - 1, layout.entries)
            buffer = await self._get(EntrySelection(first, last))
            rows = course.after_seam(layout, layout.rows(buffer), course.next_entry - 1 - first)
            if rows is None and first == 1 and self._are_younger(buffer):
                rows = layout.rows(buffer)  # the meter pushed out even the row of the seam
            if rows is not None:
                course.next_entry = first + len(buffer.as_items())
                return rows
        raise ProtocolError(
            "the rows of the profile changed while they were read", code="profile-changed", hint="read it again"
        )

    def _are_younger(self, buffer: Data) -> bool:
        """Tell whether all rows in ``buffer`` were captured after those that were handed on."""
        last = self._course.last_moment
        moments = [self._layout.moment(row) for row in islice(self._layout.rows(buffer), 1)]
        naive = [moment.replace(tzinfo=None) for moment in moments if moment is not None]
        return last is not None and bool(naive) and naive[0] > last.replace(tzinfo=None)

    async def _by_span(self, take: Take) -> None:
        course, layout = self._course, self._layout
        position, until, final = await self._bounds()
        wider, empty = 1, 0
        while True:
            before = course.delivered
            buffer = await self._get(self._span(position, until))
            gone_back = 0 if position.tzinfo else int(_AMBIGUOUS.total_seconds()) // layout.period
            rows = course.after_seam(layout, layout.rows(buffer), gone_back + course.alike - 1)
            # Without a seam the rows before it are gone from the meter, and all that came are new.
            take(course.count(layout, layout.rows(buffer) if rows is None else rows))
            if until == final or (not before and self._is_more(until)):
                return
            if course.delivered > before and course.last_moment is not None:
                position, wider, empty = course.last_moment, 1, 0
                if position.tzinfo is None:
                    position, final = position - _AMBIGUOUS, final.replace(tzinfo=None)
            else:
                position, wider, empty = until, min(2 * wider, _WIDEST), empty + 1
            until = final if empty > _MOST_EMPTY else self._end_of_span(position, final, wider)

    def _end_of_span(self, position: dt.datetime, final: dt.datetime, wider: int) -> dt.datetime:
        length = dt.timedelta(seconds=self._layout.period * self._course.rows_at_once * wider)
        return final if final - position <= length else position + length

    def _is_more(self, until: dt.datetime) -> bool:
        """Tell whether the meter gave rows far behind the span: it does not select, and gave all."""
        last = self._course.last_moment
        if last is None:
            return False
        return last.replace(tzinfo=None) - until.replace(tzinfo=None) > 2 * _DAY

    async def _bounds(self) -> tuple[dt.datetime, dt.datetime, dt.datetime]:
        """Return where the first span begins and ends, and where the last one ends."""
        course, layout = self._course, self._layout
        now = max(await self._meter_time(), dt.datetime.now(dt.UTC))
        start = course.last_moment or self._start or _FIRST_MOMENT
        start = start if start.tzinfo else start.astimezone()
        final = max(min(self._end or _LAST_MOMENT, now + _DAY), start)
        # Unless the meter stood still at times, no row is older than this: what lies before takes one request.
        age = dt.timedelta(seconds=min(layout.period * (layout.entries + 1), (now - _FIRST_MOMENT).total_seconds()))
        oldest = now - age
        until = oldest if start < oldest < final else self._end_of_span(start, final, 1)
        return start, until, final

    async def _meter_time(self) -> dt.datetime:
        """Return what the meter's clock shows, _FIRST_MOMENT where that cannot be told."""
        clock = self._layout.columns[self._layout.clock or 0]
        try:
            moment = moment_of(await self._session.get(Attribute(clock.class_id, clock.instance, clock.index)))
        except MeterRefused:
            moment = None
        if moment is None or not _FIRST_MOMENT.year < moment.year < _LAST_MOMENT.year:
            return _FIRST_MOMENT
        return moment if moment.tzinfo else moment.astimezone()
