"""Enumerations whose members are keys of the tables that every message goes through."""

from __future__ import annotations

import enum


class TableKey(enum.Enum):
    """An enumeration for the keys of a table.

    The members of an enumeration are compared by identity, so hashing them by it is right; the standard library hashes
    their names instead, in Python, which costs a message some thirty calls.
    """

    __hash__ = object.__hash__
