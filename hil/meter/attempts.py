"""How a meter bears wrong associations: the first few cost nothing, then each one makes the next wait longer.

An attempt that comes too early is refused unseen, without any cryptography, so that even a small meter can bear any
number of them. Who waits is told apart by port, client SAP and the system title that the client claims: a stranger who
tries in vain does not keep the technician beside him waiting. One who claims the technician's title can, on the same
port, for a minute at a time; there is no telling them apart before the cryptography that is to be spared.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FREE_ATTEMPTS: Final = 3
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
"""Seconds. The wait doubles from the first to the longest with every failure."""

FORGET_AFTER: Final = 600.0
"""Seconds without a failure after which a client starts afresh."""

_MAX_CLIENTS: Final = 256


@dataclass(frozen=True, slots=True)
class Claimant:
    """Whom an attempt is counted against. ``title`` is empty where the client proves itself with a shared secret:
    there a new name must not buy a new guess."""

    port: str
    client_sap: int
    title: bytes = b""


@dataclass(slots=True)
class _Record:
    failures: int
    last: float
    open_at: float


class Attempts:
    """Counts failed associations. Its memory is bounded: the client with a title that failed longest ago is forgotten
    first."""

    def __init__(self) -> None:
        self._records: OrderedDict[Claimant, _Record] = OrderedDict()

    def wait(self, claimant: Claimant, now: float) -> float:
        """Return how many seconds this client must still wait before an attempt is looked at; 0 for none."""
        record = self._records.get(claimant)
        if record is None:
            return 0.0
        if now - record.last > FORGET_AFTER:
            del self._records[claimant]
            return 0.0
        return max(0.0, record.open_at - now)

    def failed(self, claimant: Claimant, now: float) -> float:
        """Count a failure; return the seconds that the next attempt must wait."""
        record = self._records.pop(claimant, None) or _Record(0, now, now)
        record.failures += 1
        record.last = now
        excess = record.failures - FREE_ATTEMPTS
        pause = 0.0 if excess <= 0 else min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(excess - 1, 16))
        record.open_at = now + pause
        self._records[claimant] = record
        if len(self._records) > _MAX_CLIENTS:
            self._forget_one()
        return pause

    def _forget_one(self) -> None:
        """Forget the titled client that failed longest ago. A title is free to invent, so those without one, of whom
        there is one for each port and SAP, must not be washed out by them."""
        titled = (claimant for claimant in self._records if claimant.title)
        oldest = next(titled, None) or next(iter(self._records))
        del self._records[oldest]

    def succeeded(self, claimant: Claimant) -> None:
        """Forget the failures of a client that has proved itself."""
        self._records.pop(claimant, None)
