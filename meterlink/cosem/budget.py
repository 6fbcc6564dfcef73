"""What the values of one message may cost, whatever its octets announce."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from meterlink.errors import ProtocolError

MAX_VALUES: Final = 200_000
"""Most values that one message may hold, those that compact arrays unfold to included: a profile of 28,000 rows of
six."""

MAX_MEMORY: Final = 6 << 20
"""Octets that the values of one message may take as Python objects. Long runs of elements of one shape stay as they
came (:mod:`meterlink.cosem.items`) and count with the octets of their encoding."""

MAX_MIXTURES: Final = 16
"""Sets of shapes that are looked for in one message where elements have them in turn: each must be compiled first."""

REFERENCE: Final = 8
"""Octets of an element's place in its container."""

CONTAINER: Final = 160
"""Octets of an array or structure, without its elements."""

TOO_LONG_HINT: Final = "no usual object has such a value; of a profile `meterlink read --profile` reads it in parts"


@dataclass(slots=True)
class Budget:
    """What is left for the message that is being read: values, and octets of memory."""

    values: int = field(default_factory=lambda: MAX_VALUES)
    memory: int = field(default_factory=lambda: MAX_MEMORY)
    mixtures: int = MAX_MIXTURES

    def count(self, values: int) -> None:
        """Take so many values. Raises ProtocolError ``too-many-values``."""
        self.values -= values
        if self.values < 0:
            raise ProtocolError("too many values in one message", code="too-many-values", hint=TOO_LONG_HINT)

    def hold(self, octets: int) -> None:
        """Take so many octets of memory. Raises ProtocolError ``too-many-values``."""
        self.memory -= octets
        if self.memory < 0:
            raise ProtocolError(
                "the values of one message take too much memory", code="too-many-values", hint=TOO_LONG_HINT
            )
