"""Everything that a meter shows on standard output, as it comes: a table or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from certs.cli.output import console, json_text
from meterlink import notation
from meterlink.cli.report import heading
from meterlink.cli.streams import Away, TableStream, json_closing, json_opening, say, tell_notes
from meterlink.commands.read_all import Inventory, ReadAttribute, ShownObject
from meterlink.errors import MeterlinkError, MeterRefused

_LONGEST_SHOWN: Final = 120
"""Characters of a value that are shown to people; ``--json`` has all of them."""


class InventoryStream(Inventory, Protocol):
    """Prints what a meter shows."""

    def end(self, notes: Sequence[str], error: MeterlinkError | None = None) -> None:
        """Print what stands below; ``error`` is why it breaks off."""


class TableInventory:
    """Objects and attributes as a table for people."""

    def __init__(self, away: Away) -> None:
        self._away = away
        self._table: TableStream | None = None

    def begin(self, meter: dict[str, str]) -> None:
        """See :class:`~meterlink.commands.read_all.Inventory`."""
        self._table = TableStream(("Object", "OBIS", "Class", "Attribute", "Value"), self._away)
        with self._away():
            console().print(heading(meter))

    def show(self, item: ShownObject) -> None:
        """See :class:`~meterlink.commands.read_all.Inventory`."""
        code = str(item.listed.obis)
        self._add("" if item.name == code else item.name.replace("_", " "), code, item.class_name, "", "")

    def add(self, attribute: ReadAttribute) -> None:
        """See :class:`~meterlink.commands.read_all.Inventory`."""
        value = attribute.value
        text = f"({value.code})" if isinstance(value, MeterRefused) else notation.shortened(value, _LONGEST_SHOWN)
        self._add("", "", "", f"{attribute.index} {attribute.name}", text)

    def end(self, notes: Sequence[str], error: MeterlinkError | None = None) -> None:
        """See :class:`InventoryStream`."""
        if self._table is not None:
            self._table.flush()
            tell_notes(notes)

    def _add(self, *cells: str) -> None:
        if self._table is not None:
            self._table.add(cells)


class JsonInventory:
    """Objects and attributes as one JSON object, a line for each attribute."""

    def __init__(self) -> None:
        self._objects = self._attributes = 0
        self._begun = False

    def begin(self, meter: dict[str, str]) -> None:
        """See :class:`~meterlink.commands.read_all.Inventory`."""
        self._begun = True
        say([json_opening({"meter": meter}) + '  "objects": ['])

    def show(self, item: ShownObject) -> None:
        """See :class:`~meterlink.commands.read_all.Inventory`."""
        before = self._end_of_object() + "," if self._objects else ""
        say([before, "\n    ", json_text(item.as_json())[:-1], ', "attributes": ['])
        self._objects, self._attributes = self._objects + 1, 0

    def add(self, attribute: ReadAttribute) -> None:
        """See :class:`~meterlink.commands.read_all.Inventory`."""
        say(self._attribute(attribute))
        self._attributes += 1

    def end(self, notes: Sequence[str], error: MeterlinkError | None = None) -> None:
        """Close the object, with the error in it; nothing was begun, nothing is closed."""
        if self._begun:
            end = self._end_of_object() + "\n  ]" if self._objects else "]"
            say(json_closing(end, notes, error))

    def _attribute(self, attribute: ReadAttribute) -> Iterator[str]:
        yield ",\n      " if self._attributes else "\n      "
        yield json_text({"index": attribute.index, "name": attribute.name})[:-1] + ", "
        if isinstance(attribute.value, MeterRefused):
            yield f'"error": {json_text(attribute.value.code)}}}'
            return
        pieces = notation.json_pieces(attribute.value)
        yield next(pieces).removeprefix("{")
        yield from pieces

    def _end_of_object(self) -> str:
        return "\n    ]}" if self._attributes else "]}"
