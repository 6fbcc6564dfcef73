"""Rows of a Profile generic buffer (IEC 62056-6-2, 4.3.6), with null-data compression undone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator

from meterlink.cosem.data import Data, Tag
from meterlink.cosem.dates import CosemDateTime
from meterlink.errors import ProtocolError


def decode_rows(
    buffer: Data, columns: int, *, clock_columns: Collection[int] = (), capture_period: int = 0
) -> Iterator[tuple[Data, ...]]:
    """Yield the rows of ``buffer``, each of ``columns`` values.

    Null-data stands for the value of the row before; in a clock column (index 0 .. columns-1) for that value plus
    ``capture_period`` seconds. A null in the first row stays null: it was never captured. Raises ProtocolError
    (``unexpected-type``) for a row of another shape, and for a null after a time that is not fully specified or that
    leads beyond the calendar.
    """
    before: tuple[Data, ...] = ()
    clocks = frozenset(clock_columns)
    for item in buffer.as_items():
        row = item.as_structure(columns)
        if before and any(value.tag is Tag.NULL_DATA for value in row):
            row = tuple(
                _carried(last, capture_period if index in clocks else 0) if value.tag is Tag.NULL_DATA else value
                for index, (value, last) in enumerate(zip(row, before, strict=True))
            )
        before = row
        yield row


def _carried(last: Data, seconds: int) -> Data:
    if not seconds or last.tag is Tag.NULL_DATA:
        return last
    stamp = last.as_date_time()
    moment = stamp.as_datetime()
    if moment is None:
        raise ProtocolError("a row without time follows one whose time is not fully specified", code="unexpected-type")
    try:
        following = CosemDateTime.of(moment + dt.timedelta(seconds=seconds), status=stamp.status)
    except OverflowError:
        raise ProtocolError(
            f"a row without time follows one of {moment}, {seconds} s later: there is no such time",
            code="unexpected-type",
        ) from None
    return Data(last.tag, following.to_bytes() if isinstance(last.value, bytes) else following)
