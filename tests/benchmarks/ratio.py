"""Measure and compare: how often a second something can be done, ours beside the peers that are installed."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

OURS = "meterlink"
_PEERS = Path(__file__).parents[2] / ".venv-peers"


def rate(call: Callable[[], object], *, seconds: float = 0.2, rounds: int = 5) -> float:
    """Return how often a second ``call`` can be done: the best of ``rounds``, each of about ``seconds``."""
    call()
    count, spent = 1, 0.0
    while spent < seconds / 10:
        count *= 2
        spent = _time(call, count)
    count = max(1, int(count * seconds / spent))
    return count / min(_time(call, count) for _ in range(rounds))


def peer(name: str) -> ModuleType | None:
    """Return the module ``name`` of a peer, None where it is not installed.

    Peers have an environment of their own; it is looked at last, so that nothing of ours is taken from there.
    """
    for path in map(str, _PEERS.glob("lib/python*/site-packages")):
        if path not in sys.path:
            sys.path.append(path)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def show(title: str, rates: Mapping[str, float | None]) -> None:
    """Print the rate of everybody, and ours as a ratio to each."""
    ours = rates[OURS]
    if ours is None:
        raise ValueError("our own rate is missing")
    print(title)
    for name, value in rates.items():
        if value is None:
            print(f"  {name:<14} not installed")
        elif name == OURS:
            print(f"  {name:<14} {value:>12,.0f}/s")
        else:
            print(f"  {name:<14} {value:>12,.0f}/s   ours is {ours / value:.1f} times as fast")


def _time(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start
