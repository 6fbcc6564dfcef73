"""What became of a write whose session broke, judged by what was read back over a new one."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Final

from meterlink.values import Value

_SLACK: Final = dt.timedelta(seconds=2)
"""A clock is read and set to the second, so two of them may differ by nearly two and be the same."""


class Verdict(enum.Enum):
    """Whether the meter has the new value. OPEN: what it has fits the old value as well as the new one."""

    NEW = "new"
    LOST = "lost"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Span:
    """When something was done: not before ``begin`` and not after ``end``, in seconds of one monotonic clock."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A value and the time at which the meter had it, or was to take it."""

    value: Value
    span: Span


def judge(before: Seen, intended: Seen, after: Seen) -> Verdict:
    """Return what ``after`` says of the write of ``intended`` over ``before``.

    A clock goes on, so it is held against where the old and the new time would be by now. When both fit, because the
    clock was hardly wrong, nothing is said.
    """
    if not isinstance(after.value, dt.datetime):
        return Verdict.NEW if after.value == intended.value else Verdict.LOST
    if not isinstance(intended.value, dt.datetime) or not _comparable(after.value, intended.value):
        return Verdict.OPEN
    if not _fits(intended, after):
        return Verdict.LOST
    return Verdict.OPEN if _fits(before, after) else Verdict.NEW


def _fits(then: Seen, after: Seen) -> bool:
    """Tell whether a clock that had ``then`` can show ``after``."""
    if not isinstance(then.value, dt.datetime) or not isinstance(after.value, dt.datetime):
        return False
    if not _comparable(then.value, after.value):
        return True  # nothing can be excluded
    gone = after.value - then.value
    least = dt.timedelta(seconds=after.span.begin - then.span.end) - _SLACK
    most = dt.timedelta(seconds=after.span.end - then.span.begin) + _SLACK
    return least <= gone <= most


def _comparable(one: dt.datetime, other: dt.datetime) -> bool:
    """A meter that leaves its deviation open gives a local time that cannot be held against a known one."""
    return (one.tzinfo is None) == (other.tzinfo is None)
