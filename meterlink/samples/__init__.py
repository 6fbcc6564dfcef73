"""Readouts of real meters that ship with the package: for the demonstration and for trying ``meterlink decode``.

``SOURCES.md`` beside them says where each comes from and under which licence.
"""

from __future__ import annotations

from importlib import resources
from types import MappingProxyType
from typing import Final

from meterlink.errors import UsageError

_FILES: Final = MappingProxyType({"uh50": "uh50.txt", "t550": "t550.txt", "uh50-bad-digit": "uh50-bad-digit.txt"})


def names() -> tuple[str, ...]:
    """Return the names of the samples."""
    return tuple(_FILES)


def read(name: str) -> bytes:
    """Return a sample as it was captured. Raises UsageError ``unknown-sample``."""
    if name not in _FILES:
        raise UsageError(f"no sample is called {name!r}", code="unknown-sample", hint=f"known are {', '.join(_FILES)}")
    return resources.files(__package__).joinpath(_FILES[name]).read_bytes()
