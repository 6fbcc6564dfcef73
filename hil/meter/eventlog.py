"""The meter's memory of what happened to it: two rings, one for measuring and settings, one for security."""

from __future__ import annotations

import datetime as dt
import enum
from collections import deque
from dataclasses import dataclass
from typing import Final

CAPACITY: Final = 256
"""Rows that each ring keeps; the oldest goes first."""


class EventCode(enum.IntEnum):
    """What happened. The numbers are this meter's own, as event codes are in every meter."""

    POWER_UP = 1
    CLOCK_SET_FROM = 2
    """The row's time is the clock's before it was set; the next row is ``CLOCK_SET_TO``."""
    CLOCK_SET_TO = 3
    SETTING_CHANGED = 4
    MAXIMA_RESET = 5
    MISSING_TIME_RESET = 6
    TEST_MODE_ON = 7
    TEST_MODE_OFF = 8
    SEALED = 9
    UNSEALED = 10
    FIRMWARE_ACTIVATED = 11
    FAULT_SET = 16
    """Detail: the error flags that came, as bits."""
    FAULT_CLEARED = 17
    """Detail: the error flags that went, as bits."""

    ASSOCIATION_REFUSED = 64
    """Certificate, level, mechanism or context did not fit. Detail: client SAP."""
    AUTHENTICATION_FAILED = 65
    """The response to the challenge was wrong. Detail: client SAP."""
    ATTEMPTS_SLOWED = 66
    """Too many failed attempts; further ones are refused unseen for a while. Detail: client SAP."""
    MESSAGE_REFUSED = 67
    """A message after authentication was plain, altered, or played again. Detail: client SAP."""
    ACCESS_DENIED = 68
    """A client asked for what its certificate does not allow. Detail: client SAP."""
    AUTHENTICATED = 69
    """Detail: client SAP."""


@dataclass(slots=True)
class Event:
    """One row: the meter's time, the code, a number whose meaning the code gives, and how often it happened.

    The same security event again within a quarter of an hour counts up and makes no new row, so that nobody can wash
    the log out by repeating one thing.
    """

    time: dt.datetime
    code: EventCode
    detail: int = 0
    count: int = 1


_SAME: Final = dt.timedelta(minutes=15)
_MAX_COUNT: Final = 0xFFFF_FFFF


class EventLog:
    """A ring of events, oldest first."""

    def __init__(self) -> None:
        self.rows: deque[Event] = deque(maxlen=CAPACITY)

    def add(self, time: dt.datetime, code: EventCode, detail: int = 0) -> None:
        """Add an event, or count the same security event up when it came less than a quarter of an hour ago."""
        for row in reversed(self.rows):
            if not dt.timedelta(0) <= time - row.time < _SAME:
                break
            if row.code == code and row.detail == detail and code >= EventCode.ASSOCIATION_REFUSED:
                row.count = min(row.count + 1, _MAX_COUNT)
                return
        self.rows.append(Event(time, code, detail))

    def count(self, code: EventCode) -> int:
        """Return how often ``code`` happened, as far as the ring reaches back."""
        return sum(row.count for row in self.rows if row.code == code)
