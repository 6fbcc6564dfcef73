"""The measuring part against hand calculation, and the properties that every meter of heat must have."""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.meter.clock import MeterClock
from hil.meter.physics import Fault, Metrology, Totals
from hil.meter.plant import Conditions, HeatingPlant, SteadyPlant
from hil.meter.water import heat_coefficient

START = dt.datetime(2026, 1, 15, 11, 30, tzinfo=dt.UTC)
STEADY = SteadyPlant(Conditions(flow_rate=1.2, flow=70.0, ret=45.0))


def bench(plant=STEADY, **options) -> Metrology:
    options.setdefault("history", 0)
    return Metrology(plant, MeterClock(100.0, START), 100.0, START.timestamp(), **options)


def test_one_hour_at_steady_conditions_is_volume_times_difference_times_k():
    meter = bench()
    meter.advance(100.0 + 3600.0)
    assert meter.totals.volume == pytest.approx(1.2)
    assert meter.totals.energy == pytest.approx(1.2 * 25.0 * heat_coefficient(70.0, 45.0) * 1000)
    assert meter.live.power == pytest.approx(meter.totals.energy)
    assert meter.live.difference == 25.0
    assert meter.totals.operating_hours == pytest.approx(1.0)


@given(st.lists(st.floats(0.0, 500.0), max_size=12))
def test_how_often_one_asks_changes_nothing(steps):
    often, once = bench(HeatingPlant()), bench(HeatingPlant())
    now = 100.0
    for step in steps:
        now += step
        often.advance(now)
    once.advance(now)
    assert often.totals == once.totals
    assert often.live == once.live


def test_the_same_seed_gives_the_same_meter_and_another_seed_another():
    runs = [bench(HeatingPlant(seed), history=2).totals.energy for seed in (7, 7, 8)]
    assert runs[0] == runs[1] != runs[2]


def test_a_year_of_weather_stays_within_what_a_house_can_do():
    plant = HeatingPlant(3)
    start = START.timestamp()
    for hour in range(0, 365 * 24, 3):
        seen = plant.at(start + hour * 3600)
        assert 0 < seen.flow_rate < 1.5
        assert 55 < seen.flow < 95
        assert 25 < seen.ret < seen.flow


def test_history_fills_the_hourly_memory_with_growing_totals():
    meter = bench(HeatingPlant(), history=45, totals=Totals(energy=5e7, volume=1200.0))
    rows = list(meter.hourly)
    assert len(rows) == 45 * 24
    assert all(later.time - earlier.time == dt.timedelta(hours=1) for earlier, later in itertools.pairwise(rows))
    assert all(later.energy >= earlier.energy for earlier, later in itertools.pairwise(rows))
    assert rows[0].energy >= 5e7
    assert meter.maxima.power.value > 0


def test_maximum_is_the_mean_of_an_averaging_period_with_the_meters_time():
    meter = bench(averaging=15)
    meter.advance(100.0 + 900.0)
    assert meter.maxima.power.value == pytest.approx(meter.live.power)
    assert meter.maxima.power.time == START + dt.timedelta(minutes=15)
    meter.reset_maxima(1000.0)
    assert meter.maxima.power.time is None


def test_air_stops_the_volume_and_counts_missing_time():
    meter = bench()
    meter.set_fault(Fault.AIR, 100.0)
    meter.advance(100.0 + 3600.0)
    assert meter.totals.volume == meter.totals.energy == 0.0
    assert meter.totals.missing_hours == pytest.approx(1.0)
    meter.clear_fault(Fault.AIR, 3700.0)
    meter.advance(3700.0 + 3600.0)
    assert meter.totals.volume == pytest.approx(1.2)


def test_a_broken_sensor_counts_no_energy_and_is_reported_after_eight_hours():
    meter = bench(cycle=60.0)
    changes = []
    meter.on_faults = lambda before, after, time: changes.append((before, after, time))
    meter.set_fault(Fault.FLOW_SENSOR_OPEN, 100.0)
    meter.advance(100.0 + 9 * 3600.0)
    assert meter.totals.energy == 0.0
    assert meter.totals.volume == pytest.approx(9 * 1.2)
    assert meter.faults == Fault.FLOW_SENSOR_OPEN | Fault.LONG_TEMPERATURE_FAULT
    assert [after for _, after, _ in changes] == [Fault.FLOW_SENSOR_OPEN, meter.faults]


def test_cold_is_not_counted_as_heat():
    meter = bench(SteadyPlant(Conditions(1.0, 8.0, 14.0)))
    meter.advance(3700.0)
    assert meter.totals.energy == 0.0
    assert meter.live.difference == -6.0


def test_clock_counts_on_from_what_it_was_set_to_and_may_drift():
    clock = MeterClock(0.0, START, drift=100.0)
    assert clock.read(10_000.0) == START + dt.timedelta(seconds=10_001)
    clock.set(10_000.0, START)
    assert clock.read(10_000.0) == START
    with pytest.raises(ValueError, match="2000"):
        clock.set(0.0, dt.datetime(1999, 12, 31, tzinfo=dt.UTC))
    with pytest.raises(ValueError, match="zone"):
        clock.set(0.0, dt.datetime(2026, 1, 1))


def test_a_clock_set_back_stores_no_hour_twice():
    meter = bench(cycle=60.0)
    clock = meter._clock
    meter.advance(100.0 + 2 * 3600.0)
    stored = len(meter.hourly)
    clock.set(100.0 + 2 * 3600.0, START)
    meter.advance(100.0 + 2 * 3600.0 + 120.0)
    assert len(meter.hourly) == stored


def test_a_week_without_a_question_is_caught_up_and_comes_to_the_same():
    often, once = bench(HeatingPlant(), cycle=30.0), bench(HeatingPlant(), cycle=30.0)
    for day in range(1, 8):
        often.advance(100.0 + day * 86_400.0)
    once.advance(100.0 + 7 * 86_400.0)
    assert once.totals.volume == pytest.approx(often.totals.volume, rel=1e-3)
    assert once.totals.energy == pytest.approx(often.totals.energy, rel=1e-3)
    assert once.live == often.live
    assert len(once.hourly) == len(often.hourly) == 7 * 24
