"""Faults do what they say, on every chunking of the stream."""

from hypothesis import given
from hypothesis import strategies as st

from hil.faults.impairments import (
    Delay,
    Double,
    FlipBit,
    Lose,
    Noise,
    Replace,
    Swap,
    Truncate,
    by_chance,
    from_nth,
    nth,
)
from hil.faults.line import FaultyLine
from hil.faults.splitters import HdlcFrames, Octets, WrapperMessages

SNRM = bytes.fromhex("7ea00a000200232193711a7e")
WRAPPED = bytes.fromhex("000100100001000301 0203".replace(" ", ""))


class Echo:
    """A handler that answers everything with itself."""

    next_deadline = None

    def __init__(self):
        self.got = []
        self.is_closed = False

    def receive(self, data, now):
        self.got.append(data)
        return data

    def handle_timer(self, now):
        return b""

    def closed(self, now):
        self.is_closed = True


def arrivals(impairment, *units):
    return [arrival for unit in units for arrival in impairment(unit)]


def test_each_impairment_hits_the_chosen_unit_alone():
    units = (b"ab", b"cd", b"ef")
    assert arrivals(Lose(nth(1)), *units) == [(0, b"ab"), (0, b"ef")]
    assert arrivals(Double(nth(0), after=0.5), *units)[:3] == [(0, b"ab"), (0.5, b"ab"), (0, b"cd")]
    assert arrivals(Delay(nth(2), seconds=3), *units)[-1] == (3, b"ef")
    assert arrivals(Truncate(nth(0)), *units)[0] == (0, b"a")
    assert arrivals(FlipBit(nth(0), position=9), *units)[0] == (0, b"a\x60")
    assert arrivals(Replace(nth(0), make=bytes.upper), *units)[0] == (0, b"AB")
    assert arrivals(Swap(nth(0)), *units) == [(0, b"cd"), (0, b"ab"), (0, b"ef")]
    assert arrivals(Lose(from_nth(1)), *units) == [(0, b"ab")]
    noisy = arrivals(Noise(nth(0)), *units)[0][1]
    assert noisy.endswith(b"ab")
    assert len(noisy) > 2


def test_chance_is_repeatable_and_about_as_often_as_said():
    runs = [[by_chance(0.3, seed)(number) for number in range(1)] for seed in (1, 1)]
    choice, again = by_chance(0.3, 5), by_chance(0.3, 5)
    hits = [choice(number) for number in range(1000)]
    assert hits == [again(number) for number in range(1000)]
    assert 250 < sum(hits) < 350
    assert runs[0] == runs[1]


@given(st.lists(st.integers(1, 12), max_size=20))
def test_hdlc_frames_are_found_in_any_chunking(cuts):
    stream = SNRM + SNRM + b"\x00noise" + SNRM
    split, units, position = HdlcFrames(), [], 0
    for cut in [*cuts, len(stream)]:
        units += split(stream[position : position + cut])
        position += cut
    assert b"".join(units) == stream[: sum(map(len, units))] == stream
    assert units.count(SNRM) >= 2


@given(st.lists(st.integers(1, 7), max_size=20))
def test_wrapper_messages_are_found_in_any_chunking(cuts):
    stream = WRAPPED * 3
    split, units, position = WrapperMessages(), [], 0
    for cut in [*cuts, len(stream)]:
        units += split(stream[position : position + cut])
        position += cut
    assert units == [WRAPPED] * 3


def test_a_line_without_faults_is_a_line():
    echo = Echo()
    line = FaultyLine(echo, split=Octets)
    assert line.receive(b"abc", 0.0) == b"abc"
    assert line.next_deadline is None
    line.closed(1.0)
    assert echo.is_closed


def test_a_delay_becomes_a_deadline_and_then_bytes():
    line = FaultyLine(Echo(), to_meter=[Delay(nth(0), seconds=2.0)], from_meter=[Delay(nth(0), seconds=1.0)])
    assert line.receive(b"x", 10.0) == b""
    assert line.next_deadline == 12.0
    assert line.handle_timer(12.0) == b""
    assert line.next_deadline == 13.0
    assert line.handle_timer(13.0) == b"x"
    assert line.next_deadline is None


def test_faults_on_one_way_leave_the_other_alone():
    echo = Echo()
    line = FaultyLine(echo, from_meter=[Lose(from_nth(0))])
    assert line.receive(b"set", 0.0) == b""
    assert echo.got == [b"set"]
