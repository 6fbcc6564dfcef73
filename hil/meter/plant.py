"""The heating plant around a meter: what flows past its sensors at a moment of real time."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final, Protocol

_DAY: Final = 86_400.0
_YEAR: Final = 365.2425 * _DAY
_COLDEST_DAY: Final = 17 * _DAY
"""17 January: when it is coldest on average in Central Europe."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the sensors see: ``flow_rate`` in m³/h, ``flow`` and ``ret`` temperatures in °C."""

    flow_rate: float
    flow: float
    ret: float


class Plant(Protocol):
    """Gives the conditions at ``time``, seconds since 1970 in UTC. The same time gives the same conditions."""

    def at(self, time: float) -> Conditions:
        """Return what the sensors see."""
        ...


@dataclass(frozen=True, slots=True)
class SteadyPlant:
    """A test bench: the same conditions for ever."""

    conditions: Conditions

    def at(self, time: float) -> Conditions:
        """Return what the sensors see."""
        return self.conditions


class HeatingPlant:
    """A house substation in Central Europe.

    Outdoor temperature follows the year and the day with weather on top; flow temperature follows a heating curve, flow
    rate the heat that the house loses, with a morning and an evening peak of domestic hot water. ``seed`` picks the
    weather, ``nominal_flow`` (qp, m³/h) the size of the house.
    """

    def __init__(self, seed: int = 1, nominal_flow: float = 1.5) -> None:
        self._nominal_flow = nominal_flow
        # A digest, and no generator: the weather of a seed is the same under every version of Python.
        digest = hashlib.sha256(f"meterlink heating plant {seed}".encode()).digest()
        self._phases = [2 * math.pi * octet / 256 for octet in digest[:8]]

    def at(self, time: float) -> Conditions:
        """Return what the sensors see."""
        outdoor = self._outdoor(time)
        demand = max(0.0, min(1.0, (17.0 - outdoor) / 29.0))
        hot_water = self._hot_water(time)
        load = min(1.0, demand * (0.92 + 0.08 * self._wave(time, 5_400.0, 6)) + hot_water)
        flow = 62.0 + 28.0 * demand + 0.6 * self._wave(time, 1_300.0, 4)
        spread = 14.0 + 18.0 * demand - 4.0 * hot_water
        flow_rate = self._nominal_flow * (0.03 + 0.62 * load) * (1.0 + 0.02 * self._wave(time, 97.0, 5))
        return Conditions(flow_rate=flow_rate, flow=flow, ret=flow - spread)

    def _outdoor(self, time: float) -> float:
        season = -10.0 * math.cos(2 * math.pi * (time - _COLDEST_DAY) / _YEAR)
        day = -3.5 * math.cos(2 * math.pi * (time / _DAY - 0.12))
        weather = 2.6 * self._wave(time, 5.3 * _DAY, 0) + 1.9 * self._wave(time, 11.7 * _DAY, 1)
        return 9.5 + season + day + weather

    def _hot_water(self, time: float) -> float:
        hour = time % _DAY / 3600.0
        morning = math.exp(-(((hour - 6.0) / 0.8) ** 2))
        evening = math.exp(-(((hour - 18.5) / 1.3) ** 2))
        return 0.22 * max(morning, evening) * (0.8 + 0.2 * self._wave(time, 2.1 * _DAY, 2))

    def _wave(self, time: float, period: float, phase: int) -> float:
        """Return a slow oscillation of -1..1; a second, incommensurate period keeps it from repeating."""
        angle = 2 * math.pi * time / period + self._phases[phase]
        return 0.7 * math.sin(angle) + 0.3 * math.sin(2.618 * angle + self._phases[7])
