"""What can happen to a unit (a chunk of bytes, a frame, a message) on its way.

An impairment takes one unit and returns what arrives of it: pairs of a delay in seconds and bytes. Chance comes from a
generator with a seed, so that every run can be repeated.
"""

from __future__ import annotations

import abc
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

Arrival = tuple[float, bytes]
"""A delay in seconds from now, and the bytes that arrive then."""

Choice = Callable[[int], bool]
"""Says whether the unit of this number (from 0) is hit."""


class Impairment(Protocol):
    """One kind of fault on one direction of a line."""

    def __call__(self, unit: bytes) -> list[Arrival]:
        """Return what arrives of ``unit``: nothing, one thing or several."""
        ...


def nth(*numbers: int) -> Choice:
    """Hit the units of these numbers, counted from 0."""
    hit = frozenset(numbers)
    return lambda number: number in hit


def from_nth(first: int) -> Choice:
    """Hit every unit from this number on."""
    return lambda number: number >= first


def by_chance(share: float, seed: int) -> Choice:
    """Hit this share (0..1) of all units; the same seed hits the same ones."""
    generator = random.Random(seed)  # noqa: S311 - a repeatable fault, no secret
    return lambda _: generator.random() < share


@dataclass
class _Chosen(abc.ABC):
    """Base: counts units and alters those that are chosen."""

    choice: Choice
    _count: int = field(default=0, init=False, repr=False)

    def __call__(self, unit: bytes) -> list[Arrival]:
        number, self._count = self._count, self._count + 1
        return list(self.alter(unit)) if self.choice(number) else [(0.0, unit)]

    @abc.abstractmethod
    def alter(self, unit: bytes) -> Iterable[Arrival]:
        """Return what arrives of a unit that was hit."""


@dataclass
class Lose(_Chosen):
    """The unit never arrives."""

    def alter(self, unit: bytes) -> Iterable[Arrival]:
        """Return nothing."""
        return ()


@dataclass
class Double(_Chosen):
    """The unit arrives twice, the second time ``after`` seconds later."""

    after: float = 0.0

    def alter(self, unit: bytes) -> Iterable[Arrival]:
        """Return the unit twice."""
        return ((0.0, unit), (self.after, unit))


@dataclass
class Delay(_Chosen):
    """The unit arrives ``seconds`` late; what comes after it may overtake it."""

    seconds: float = 1.0

    def alter(self, unit: bytes) -> Iterable[Arrival]:
        """Return the unit, late."""
        return ((self.seconds, unit),)


@dataclass
class Truncate(_Chosen):
    """Only the first ``keep`` octets arrive (negative: all but the last ones)."""

    keep: int = -1

    def alter(self, unit: bytes) -> Iterable[Arrival]:
        """Return the beginning of the unit."""
        return ((0.0, unit[: self.keep]),)


@dataclass
class FlipBit(_Chosen):
    """One bit arrives changed: bit ``position`` of the unit (counted from its first octet's lowest bit; modulo its
    length)."""

    position: int = 0

    def alter(self, unit: bytes) -> Iterable[Arrival]:
        """Return the unit with one bit changed."""
        if not unit:
            return ((0.0, unit),)
        octet, bit = divmod(self.position % (len(unit) * 8), 8)
        altered = bytearray(unit)
        altered[octet] ^= 1 << bit
        return ((0.0, bytes(altered)),)


@dataclass
class Replace(_Chosen):
    """Another unit arrives: ``make`` gets the real one and returns the other."""

    make: Callable[[bytes], bytes] = bytes

    def alter(self, unit: bytes) -> Iterable[Arrival]:
        """Return what ``make`` makes of the unit."""
        return ((0.0, self.make(unit)),)


@dataclass
class Noise(_Chosen):
    """Random octets arrive before the unit: up to ``longest`` of them."""

    longest: int = 16
    seed: int = 1

    def __post_init__(self) -> None:
        self._generator = random.Random(self.seed)  # noqa: S311 - a repeatable fault, no secret

    def alter(self, unit: bytes) -> Iterable[Arrival]:
        """Return noise and then the unit."""
        return ((0.0, self._generator.randbytes(self._generator.randint(1, self.longest)) + unit),)


@dataclass
class Swap:
    """The unit arrives after the one that follows it."""

    choice: Choice
    _count: int = field(default=0, init=False, repr=False)
    _held: bytes | None = field(default=None, init=False, repr=False)

    def __call__(self, unit: bytes) -> list[Arrival]:
        """Return what arrives now: the unit, nothing while it is held back, or both the wrong way round."""
        if self._held is not None:
            first, self._held = self._held, None
            self._count += 1
            return [(0.0, unit), (0.0, first)]
        number, self._count = self._count, self._count + 1
        if self.choice(number):
            self._held = unit
            return []
        return [(0.0, unit)]
