"""Profile generic (IC 7): a buffer of rows, read whole, by time or by entry (Blue Book, 4.3.6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hil.meter.clock import MeterClock
from hil.meter.objects.base import Attribute, Context, CosemObject, Refusal, constant
from meterlink.cosem.data import Data, array, enum_, structure, u32
from meterlink.cosem.names import CLOCK, AnySelection, CaptureObject, EntrySelection, RangeSelection
from meterlink.cosem.results import DataAccessResult

_FIFO: Final = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One captured row; the first column is always the time."""

    time: dt.datetime
    cells: tuple[Data, ...]


class Profile(CosemObject):
    """A profile whose rows come from ``rows``, oldest first, and whose first column is the clock.

    ``period`` is the capture period in seconds, 0 for rows that events cause; ``capacity`` the rows it can hold.
    """

    def __init__(
        self,
        name: str,
        columns: Sequence[CaptureObject],
        rows: Callable[[Context], Sequence[Row]],
        clock: MeterClock,
        *,
        period: int,
        capacity: int,
    ) -> None:
        self._columns = tuple(columns)
        self._rows = rows
        self._clock = clock
        attributes = {
            2: Attribute(lambda context: _buffer(self._rows(context)), select=self._select),
            3: constant(array(column.to_data() for column in self._columns)),
            4: constant(u32(period)),
            5: constant(enum_(_FIFO)),
            6: constant(self._columns[0].to_data()),
            7: Attribute(lambda context: u32(len(self._rows(context)))),
            8: constant(u32(capacity)),
        }
        super().__init__(7, name, attributes, version=1)

    def _select(self, context: Context, selection: AnySelection) -> Data:
        rows = self._rows(context)
        if isinstance(selection, RangeSelection):
            return self._by_time(rows, selection)
        if isinstance(selection, EntrySelection):
            return self._by_entry(rows, selection)
        raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)

    def _by_time(self, rows: Sequence[Row], selection: RangeSelection) -> Data:
        if selection.column != CLOCK:
            raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        start, end = self._moment(selection.start), self._moment(selection.end)
        try:
            chosen = [self._columns.index(column) for column in selection.columns] or range(len(self._columns))
        except ValueError:
            raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED) from None
        return _buffer([row for row in rows if start <= row.time <= end], chosen)

    def _by_entry(self, rows: Sequence[Row], selection: EntrySelection) -> Data:
        last = selection.last or len(rows)
        last_column = selection.last_column or len(self._columns)
        if selection.first < 1 or not 1 <= selection.first_column <= last_column <= len(self._columns):
            raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        return _buffer(rows[selection.first - 1 : last], range(selection.first_column - 1, last_column))

    def _moment(self, value: Data) -> dt.datetime:
        moment = value.as_date_time().as_datetime()
        if moment is None:
            raise Refusal(DataAccessResult.OTHER_REASON)
        return moment if moment.tzinfo else moment.replace(tzinfo=self._clock.zone)


def _buffer(rows: Sequence[Row], chosen: Sequence[int] | None = None) -> Data:
    if chosen is None:
        return array(structure(*row.cells) for row in rows)
    return array(structure(*(row.cells[index] for index in chosen)) for row in rows)
