"""Bounded attempts and the event log that nobody can wash out."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from hil.meter.attempts import FORGET_AFTER, FREE_ATTEMPTS, LONGEST_WAIT, Attempts, Claimant
from hil.meter.eventlog import CAPACITY, EventCode, EventLog

MALLORY = Claimant("tcp", 34, b"MALLORY1")
ALICE = Claimant("tcp", 34, b"ALICE001")
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_the_first_failures_cost_nothing_then_the_wait_doubles_up_to_a_bound():
    attempts = Attempts()
    waits = [attempts.failed(MALLORY, 0.0) for _ in range(FREE_ATTEMPTS + 9)]
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert attempts.wait(MALLORY, 10.0) == LONGEST_WAIT - 10.0
    assert attempts.wait(MALLORY, 60.0) == 0.0


def test_others_do_not_wait():
    attempts = Attempts()
    for _ in range(10_000):
        attempts.failed(MALLORY, 0.0)
    assert attempts.wait(ALICE, 0.0) == 0.0
    assert attempts.wait(Claimant("optical", 34, b"MALLORY1"), 0.0) == 0.0


def test_success_and_time_forgive():
    attempts = Attempts()
    for _ in range(8):
        attempts.failed(MALLORY, 0.0)
        attempts.failed(ALICE, 0.0)
    attempts.succeeded(ALICE)
    assert attempts.failed(ALICE, 1.0) == 0.0
    assert attempts.wait(MALLORY, FORGET_AFTER + 1) == 0.0
    assert attempts.failed(MALLORY, FORGET_AFTER + 1) == 0.0


@given(st.lists(st.binary(min_size=8, max_size=8), max_size=400, unique=True))
def test_memory_is_bounded_whatever_names_are_claimed(titles):
    attempts = Attempts()
    for title in titles:
        attempts.failed(Claimant("tcp", 32, title), 0.0)
    assert len(attempts._records) <= 256


def test_repeating_one_event_counts_up_and_keeps_the_rows_of_others():
    log = EventLog()
    log.add(START, EventCode.AUTHENTICATED, 34)
    for number in range(10_000):
        log.add(START + dt.timedelta(milliseconds=number), EventCode.ASSOCIATION_REFUSED, 35)
    assert log.rows[0].code is EventCode.AUTHENTICATED
    assert len(log.rows) == 2
    assert log.count(EventCode.ASSOCIATION_REFUSED) == 10_000


def test_the_ring_keeps_the_newest():
    log = EventLog()
    for number in range(CAPACITY + 5):
        log.add(START + dt.timedelta(hours=number), EventCode.CLOCK_SET_TO, number)
    assert len(log.rows) == CAPACITY
    assert log.rows[0].detail == 5
