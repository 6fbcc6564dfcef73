"""Why a meter refuses: result codes of the services, by their names in the standard (Green Book, 9.5)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Self

from meterlink.cosem.data import Data
from meterlink.errors import MeterRefused

_HINTS = {
    "read-write-denied": "The association in use may not do this; another certificate level may.",
    "scope-of-access-violated": "The association in use may not do this; another certificate level may.",
    "object-undefined": "This meter has no such object.",
    "object-unavailable": "This meter has no such object at the moment.",
    "temporary-failure": "Try again later.",
}


def refusal(code: str, what: str) -> MeterRefused:
    """Return the error for a refusal called ``code`` in the standard."""
    return MeterRefused(f"the meter refused {what}: {code.replace('-', ' ')}", code=code, hint=_HINTS.get(code))


class _Result(enum.IntEnum):
    @property
    def code(self) -> str:
        """The name in the standard, such as ``read-write-denied``."""
        return self.name.lower().replace("_", "-")

    def error(self, what: str) -> MeterRefused:
        """Return the error that says that the meter refused ``what`` (``GET of 1-0:1.8.0*255``)."""
        return refusal(self.code, what)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        # A code that the standard does not know still is a refusal, and no reason to drop the link.
        return cls(250) if isinstance(value, int) and 0 < value < 256 else None


class DataAccessResult(_Result):
    """Result of reading or writing an attribute. A number that is none of these reads as OTHER_REASON."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_GET_ABORTED = 15
    NO_LONG_GET_IN_PROGRESS = 16
    LONG_SET_ABORTED = 17
    NO_LONG_SET_IN_PROGRESS = 18
    DATA_BLOCK_NUMBER_INVALID = 19
    OTHER_REASON = 250


class ActionResult(_Result):
    """Result of calling a method. A number that is none of these reads as OTHER_REASON."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_ACTION_ABORTED = 15
    NO_LONG_ACTION_IN_PROGRESS = 16
    OTHER_REASON = 250


@dataclass(frozen=True, slots=True)
class ActionResponse:
    """What a method gave: its result, and return parameters (or why they cannot be had), None when it has none."""

    result: ActionResult
    data: Data | DataAccessResult | None = None
