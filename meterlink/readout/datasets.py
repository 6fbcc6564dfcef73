"""The data sets of a data block: ``address(value*unit)`` (IEC 62056-21, 6.5).

Meters of the field stretch the rule: several values stand in one pair of parentheses, joined by ``&``, addresses have
three parts, and sets follow one another without a line end. What cannot be read is handed on as damaged text: nothing
that a meter sent is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ADDRESS = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.:*_-]{0,30}[0-9A-Za-z])?\Z")


@dataclass(frozen=True, slots=True)
class DataValue:
    """One value as the meter wrote it; ``unit`` is what followed the ``*``, empty for none."""

    text: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.text}*{self.unit}" if self.unit else self.text


@dataclass(frozen=True, slots=True)
class DataSet:
    """One address with its values. ``raw`` is the text inside the parentheses, ``line`` counts from 1."""

    address: str
    values: tuple[DataValue, ...]
    raw: str
    line: int

    @property
    def is_empty(self) -> bool:
        """True when nothing stands in the parentheses."""
        return not self.raw.strip(" &")


@dataclass(frozen=True, slots=True)
class DamagedText:
    """Text of the data block that is no data set: a parenthesis or an address was lost."""

    raw: str
    line: int


def read_datasets(body: str) -> list[DataSet | DamagedText]:
    """Read every data set of a data block, in order. Never raises; blank lines are passed over.

    A pair of parentheses without an address belongs to the address before it (6.5.3), in the same line.
    """
    found: list[DataSet | DamagedText] = []
    for number, line in enumerate(re.split(r"\r\n|\n|\r", body), start=1):
        _read_line(line.strip(" \t"), number, found)
    return found


def _read_line(line: str, number: int, found: list[DataSet | DamagedText]) -> None:
    position = 0
    address = ""
    while position < len(line):
        opening = line.find("(", position)
        closing = line.find(")", position)
        if opening < 0 or closing < opening:
            # No further set begins here: text without parentheses, or a closing one too many.
            end = len(line) if closing < 0 or opening < 0 else closing + 1
            _add_damaged(line[position:end], number, found)
            position = end
            continue
        again = line.find("(", opening + 1)
        if 0 <= again < closing or closing < 0:
            # The closing parenthesis was lost. Where the value ends cannot be told: both sets are damaged.
            end = len(line) if closing < 0 else closing + 1
            _add_damaged(line[position:end], number, found)
            position = end
            continue
        address = line[position:opening].strip() or address
        raw = line[opening + 1 : closing]
        if _ADDRESS.match(address):
            found.append(DataSet(address, _split_values(raw), raw, number))
        else:
            _add_damaged(line[position : closing + 1], number, found)
        position = closing + 1


def _add_damaged(text: str, number: int, found: list[DataSet | DamagedText]) -> None:
    if text.strip():
        found.append(DamagedText(text.strip(), number))


def _split_values(raw: str) -> tuple[DataValue, ...]:
    values = []
    for part in raw.split("&"):
        text, _, unit = part.partition("*")
        values.append(DataValue(text.strip(), unit.strip()))
    return tuple(values)
