"""The master's side of the link, without I/O: one request, one outcome (EN 13757-2, 5.5).

What takes several requests is written as a script: a generator that yields :class:`Exchange` and is sent the
:class:`Outcome`. Any driver, with or without asyncio, can run one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, TypeVar

from meterlink.errors import LocalProtocolError
from meterlink.framing.mbus import requests
from meterlink.framing.mbus.frame import Acknowledge, LongFrame, Rejected
from meterlink.framing.mbus.reader import FrameReader

ANSWER_BITS: Final = 330
ANSWER_EXTRA: Final = 0.05
"""A meter begins to answer between 11 bit times and 330 bit times plus 50 ms after the end of the request (5.5.2)."""
CHARACTER_BITS: Final = 11
"""Start bit, eight data bits, parity, stop bit."""
MAX_TELEGRAMS: Final = 64
"""Telegrams of one readout after which a meter that always promises more is given up."""
MAX_HEARD: Final = 4096
"""Octets that are no frame after which a line that never falls silent is given up."""


class Expect(enum.Enum):
    """What a request is answered with."""

    ACKNOWLEDGE = "acknowledge"
    DATA = "data"
    EITHER = "either"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request: its octets, what is awaited, how often it is repeated when nothing or garbage comes."""

    octets: bytes
    expect: Expect
    retries: int = 2


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The meter answered E5."""


@dataclass(frozen=True, slots=True)
class Received:
    """The meter answered with a telegram."""

    frame: LongFrame


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing came."""


@dataclass(frozen=True, slots=True)
class Collision:
    """Something came that is no frame: several meters spoke at once, or the line is disturbed."""

    data: bytes


Outcome = Acknowledged | Received | Silence | Collision

_T = TypeVar("_T")
Script = Generator[Exchange, Outcome, _T]


class Exchanger:
    """Runs one exchange at a time over a line of ``baud`` bit/s.

    An answer is waited for as long as the standard lets a meter take at this speed (:attr:`answer_time`), and for
    ``patience`` seconds more: what converters, radio links and networks add. ``gap`` seconds between two octets end a
    telegram. ``wake`` goes out in one piece with each request, before it.
    """

    def __init__(self, baud: int = 2400, *, patience: float = 0.3, gap: float = 0.15, wake: bytes = b"") -> None:
        self.baud = baud
        self._wake = wake
        self._patience = patience
        self._gap = gap
        self._reader = FrameReader()
        self._exchange: Exchange | None = None
        self._left = 0
        self._heard = bytearray()
        self._to_send = b""
        self._deadline: float | None = None
        self._answer_by = 0.0

    @property
    def answer_time(self) -> float:
        """Seconds after the end of a request within which a meter begins to answer."""
        return ANSWER_BITS / self.baud + ANSWER_EXTRA

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` must be called at the latest."""
        return self._deadline

    def begin(self, exchange: Exchange, now: float) -> None:
        """Send a request. Raises LocalProtocolError while another one is under way."""
        if self._exchange is not None:
            raise LocalProtocolError("a request is still under way")
        self._exchange = exchange
        self._left = exchange.retries
        self._send(now)

    def data_to_send(self) -> bytes:
        """Return, once, the bytes that must go on the line now."""
        octets, self._to_send = self._to_send, b""
        return octets

    def receive(self, data: bytes, now: float) -> Outcome | None:
        """Take bytes from the line; return the outcome when there is one. Never raises for what comes."""
        if self._exchange is None:
            return None
        items = self._reader.receive(data)
        # What the head itself said, and wake-up octets, are dropped by the reader: they must not look like a collision.
        for item in items:
            if isinstance(item, Rejected):
                self._heard += item.data
                continue
            expect = self._exchange.expect
            if isinstance(item, Acknowledge) and expect in (Expect.ACKNOWLEDGE, Expect.EITHER):
                return self._end(Acknowledged())
            if isinstance(item, LongFrame) and expect in (Expect.DATA, Expect.EITHER):
                return self._end(Received(item))
            self._heard += item.to_bytes()
        if len(self._heard) > MAX_HEARD:
            return self._end(Collision(bytes(self._heard[:MAX_HEARD])))
        # What is dropped (an echo, a wake-up) leaves the meter its time; an answer that has begun must go on.
        begun = self._heard or self._reader.pending
        self._deadline = now + self._gap if begun else max(now + self._gap, self._answer_by)
        return None

    def handle_timer(self, now: float) -> Outcome | None:
        """Let time pass: repeat the request, or give up."""
        if self._exchange is None or self._deadline is None or now < self._deadline:
            return None
        for item in self._reader.flush():
            if isinstance(item, LongFrame) and self._exchange.expect in (Expect.DATA, Expect.EITHER):
                return self._end(Received(item))
            self._heard += item.data if isinstance(item, Rejected) else item.to_bytes()
        if self._exchange.expect is Expect.NOTHING:
            return self._end(Silence())
        if self._left:
            self._left -= 1
            self._send(now)
            return None
        return self._end(Collision(bytes(self._heard)) if self._heard else Silence())

    def _send(self, now: float) -> None:
        assert self._exchange is not None
        self._reader.flush()
        self._heard.clear()
        self._to_send = self._wake + self._exchange.octets
        on_the_line = len(self._to_send) * CHARACTER_BITS / self.baud
        wait = 0.0 if self._exchange.expect is Expect.NOTHING else self.answer_time + self._patience
        self._deadline = self._answer_by = now + on_the_line + wait

    def _end(self, outcome: Outcome) -> Outcome:
        self._exchange = None
        self._deadline = None
        return outcome


def select(address: int | requests.SecondaryAddress) -> Script[int | None]:
    """Make a meter ready to be asked; return the address to ask it at, None when nobody answers."""
    if isinstance(address, int):
        outcome = yield Exchange(requests.reset_link(address), Expect.ACKNOWLEDGE)
        return address if isinstance(outcome, Acknowledged) else None
    # A meter that was selected before must let go, or two would answer. None of them need be there to answer this.
    yield Exchange(requests.reset_link(requests.NETWORK), Expect.ACKNOWLEDGE, retries=0)
    outcome = yield Exchange(requests.select(address), Expect.ACKNOWLEDGE)
    return requests.NETWORK if isinstance(outcome, Acknowledged) else None


def read_all(address: int, more_follow: Callable[[LongFrame], bool]) -> Script[tuple[list[LongFrame], Outcome]]:
    """Ask for telegrams until ``more_follow`` says that one was the last; return them and the last outcome.

    The frame count bit toggles with each telegram that came whole, so that a repeated request brings the same again.
    """
    frames: list[LongFrame] = []
    toggle = True
    outcome: Outcome = Silence()
    for _ in range(MAX_TELEGRAMS):
        outcome = yield Exchange(requests.request_data(address, toggle), Expect.EITHER)
        if not isinstance(outcome, Received):
            break
        frames.append(outcome.frame)
        toggle = not toggle
        if not more_follow(outcome.frame):
            break
    return frames, outcome


def send(address: int, data: bytes, *, ci: int = requests.CI_DATA) -> Script[bool]:
    """Send data to a meter; True when it acknowledged."""
    outcome = yield Exchange(requests.send_data(address, data, True, ci=ci), Expect.ACKNOWLEDGE)
    return isinstance(outcome, Acknowledged)
