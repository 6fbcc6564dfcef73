"""Long results on standard output, as they come: nothing of them is kept but what a screen or two hold.

A result that breaks off has an end all the same: JSON is closed, with the error in it, and the error stands on standard
error as always.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import click
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from certs.cli.output import console, json_text, printable
from meterlink import notation
from meterlink.cosem.data import Data
from meterlink.errors import MeterlinkError

_CHUNK: Final = 16_384
"""Characters that are written at a time."""

_ROWS: Final = 100
"""Rows of a table that are drawn at a time. Their columns never get narrower than those above."""

_NARROWEST: Final = 8
_GAP: Final = 2
"""Columns of the screen between two columns of a table."""

Away = Callable[[], AbstractContextManager[None]]
"""Takes a progress bar off the screen while something is printed."""


def say(pieces: Iterable[str]) -> None:
    """Write small pieces of text to standard output, many at a time."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            click.echo("".join(held), nl=False)
            held, size = [], 0
    click.echo("".join(held), nl=False)


def value_as_text(data: Data) -> Iterator[str]:
    """Yield the line that shows a COSEM value to people."""
    yield from notation.pieces(data)
    yield "\n"


def value_as_json_text(data: Data, more: Mapping[str, Any]) -> Iterator[str]:
    """Yield the JSON of a COSEM value with ``more`` keys behind it."""
    last = ""
    for piece in notation.json_pieces(data):
        yield last
        last = piece
    yield "".join(f", {json_text(key)}: {json_text(value)}" for key, value in more.items())
    yield last + "\n"


class TableStream:
    """A table that is printed while its rows come."""

    def __init__(self, headers: Sequence[str], away: Away = contextlib.nullcontext) -> None:
        self._headers = headers
        self._away = away
        self._rows: list[Sequence[str]] = []
        self._cells = [0] * len(headers)
        self._widths: list[int] = []
        self.count = 0

    def add(self, row: Sequence[str]) -> None:
        """Take a row. The cells are text; nothing in them is read as markup."""
        self._rows.append(row)
        self.count += 1
        if len(self._rows) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Print what is still held."""
        screen = console()
        is_first = not self._widths
        if not is_first and not self._rows:
            return
        self._cells = _widest(self._cells, self._rows)
        self._widths = _fitting(_widest(self._cells, [self._headers]), self._cells, screen.width)
        drawn = Table(box=None, pad_edge=False, header_style="bold", show_header=is_first)
        for header, width in zip(self._headers, self._widths, strict=True):
            drawn.add_column(Text(header), width=width, overflow="fold")
        for row in self._rows:
            drawn.add_row(*map(Text, row))
        with self._away():
            screen.print(drawn)
        self._rows = []


def _widest(widths: list[int], rows: Iterable[Sequence[str]]) -> list[int]:
    for row in rows:
        widths = [max(width, cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
    return widths


def _fitting(widths: list[int], cells: list[int], room: int) -> list[int]:
    """Make the widest columns narrower until all fit the screen: first those whose heading can be folded, then those
    whose ``cells`` must be."""
    for least in ([max(cell, _NARROWEST) for cell in cells], [_NARROWEST] * len(cells)):
        while sum(widths) + _GAP * (len(widths) - 1) > room:
            spare, index = max(
                (width - low, index) for index, (width, low) in enumerate(zip(widths, least, strict=True))
            )
            if spare <= 0:
                break
            widths[index] -= 1
    return widths


def csv_line(cells: Sequence[str | bool | int | None]) -> str:
    """Return a line of CSV; text that would steer a terminal is quoted as JSON writes it."""
    out = io.StringIO()
    plain = [printable(cell) if isinstance(cell, str) else cell for cell in cells]
    csv.writer(out, lineterminator="\n").writerow(plain)
    return out.getvalue()


def json_opening(head: Mapping[str, Any]) -> str:
    """Return the beginning of a JSON object with the keys of ``head``, and room for more."""
    return "{\n" + "".join(f"  {json_text(key)}: {json_text(value)},\n" for key, value in head.items())


def json_closing(end: str, notes: Sequence[str], error: MeterlinkError | None) -> Iterator[str]:
    """Yield the end of a JSON object: what closes its last value, the notes, and the error that it breaks off with."""
    yield f'{end},\n  "notes": {json_text(list(notes))}'
    if error is not None:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        yield f',\n  "error": {json_text(told)}'
    yield "\n}\n"


def tell_notes(notes: Sequence[str]) -> None:
    """Print notes for people."""
    for note in notes:
        console().print(Text(f"note: {note}", style="yellow"))
