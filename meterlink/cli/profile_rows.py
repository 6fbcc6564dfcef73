"""The rows of a profile on standard output, as they come: a table, CSV or JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from rich.text import Text

from certs.cli.output import console, json_text, printable
from meterlink.cli.report import shown
from meterlink.cli.streams import Away, TableStream, csv_line, json_closing, json_opening, say, tell_notes
from meterlink.commands.read_profile import Column, ProfileHead, ProfileRow
from meterlink.errors import MeterlinkError
from meterlink.values import Value, value_as_json


class RowStream(Protocol):
    """Prints the rows of a profile."""

    def take(self, head: ProfileHead, rows: Iterable[ProfileRow]) -> None:
        """Print rows; the first call prints what stands above them."""

    def end(self, notes: Sequence[str], error: MeterlinkError | None = None) -> None:
        """Print what stands below them; ``error`` is why they break off."""


def _headings(columns: Sequence[Column]) -> list[str]:
    return [f"{column.name} [{column.unit}]" if column.unit else column.name for column in columns]


class CsvRows:
    """Rows as CSV, with a line of headings."""

    def __init__(self, away: Away) -> None:
        self._away = away
        self._begun = False

    def take(self, head: ProfileHead, rows: Iterable[ProfileRow]) -> None:
        """See :class:`RowStream`."""
        with self._away():
            say(self._lines(head, rows))

    def end(self, notes: Sequence[str], error: MeterlinkError | None = None) -> None:
        """Nothing stands below."""

    def _lines(self, head: ProfileHead, rows: Iterable[ProfileRow]) -> Iterator[str]:
        if not self._begun:
            self._begun = True
            yield csv_line(_headings(head.columns))
        for row in rows:
            yield csv_line([value_as_json(value) for value in row])


class JsonRows:
    """Rows as one JSON object, a line for each row."""

    def __init__(self) -> None:
        self._before = ""

    def take(self, head: ProfileHead, rows: Iterable[ProfileRow]) -> None:
        """See :class:`RowStream`."""
        say(self._lines(head, rows))

    def end(self, notes: Sequence[str], error: MeterlinkError | None = None) -> None:
        """Close the object, with the error in it; nothing was begun, nothing is closed."""
        if self._before:
            say(json_closing("\n  ]" if self._before == ",\n    " else "]", notes, error))

    def _lines(self, head: ProfileHead, rows: Iterable[ProfileRow]) -> Iterator[str]:
        if not self._before:
            self._before = "\n    "
            yield json_opening(head.as_json()) + '  "rows": ['
        for row in rows:
            yield self._before + json_text([value_as_json(value) for value in row])
            self._before = ",\n    "


class TableRows:
    """Rows as a table for people."""

    def __init__(self, away: Away) -> None:
        self._away = away
        self._table: TableStream | None = None

    def take(self, head: ProfileHead, rows: Iterable[ProfileRow]) -> None:
        """See :class:`RowStream`."""
        if self._table is None:
            headings = [printable(heading.replace("_", " ")) for heading in _headings(head.columns)]
            self._table = TableStream(headings, self._away)
        for row in rows:
            self._table.add([_cell(value) for value in row])
        self._table.flush()

    def end(self, notes: Sequence[str], error: MeterlinkError | None = None) -> None:
        """See :class:`RowStream`."""
        if self._table is not None:
            self._table.flush()
            console().print(Text(f"{self._table.count} rows", style="dim"))
            tell_notes(notes)


def _cell(value: Value) -> str:
    """Return a value as it stands in a narrow table: of a time the minutes, without the zone of the meter's clock."""
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M" if value.second == 0 else "%Y-%m-%d %H:%M:%S")
    return shown(value)
