"""What a value that was read back says of a write: every way that a clock can have gone on."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.commands.verdict import Seen, Span, Verdict, judge

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
seconds = st.floats(0, 60)


def at(value: object, begin: float, length: float = 0.0) -> Seen:
    return Seen(value, Span(begin, begin + length))  # type: ignore[arg-type]


@pytest.mark.parametrize(("has", "verdict"), [("new", Verdict.NEW), ("old", Verdict.LOST), ("third", Verdict.LOST)])
def test_a_value_that_stands_still(has: str, verdict: Verdict) -> None:
    assert judge(at("old", 0), at("new", 1), at(has, 2)) is verdict


def test_the_same_value_again_is_there() -> None:
    assert judge(at("same", 0), at("same", 1), at("same", 2)) is Verdict.NEW


@given(st.integers(-86400, 86400), seconds, seconds, seconds, seconds, st.booleans())
def test_a_clock_is_never_called_new_when_it_is_old(
    error: int, read: float, written: float, lost: float, again: float, arrived: bool
) -> None:
    """The meter's clock, played: wrong by ``error``; each act takes a while, and happens somewhere within it."""
    right = NOON + dt.timedelta(seconds=error)
    write_at, read_at = read + written, read + written + lost + again
    went_on = dt.timedelta(seconds=read_at - (write_at if arrived else 0))
    shown = ((right if arrived else NOON) + went_on).replace(microsecond=0)
    verdict = judge(at(NOON, 0, read), at(right, read, written + lost), at(shown, read + written + lost, again))
    assert verdict is not (Verdict.LOST if arrived else Verdict.NEW)


def test_a_local_time_without_deviation_is_left_open() -> None:
    assert judge(at(NOON, 0), at(NOON, 1), at(NOON.replace(tzinfo=None), 2)) is Verdict.OPEN
