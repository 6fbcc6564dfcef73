"""Sentences that reports carry for the user."""

from __future__ import annotations

from typing import Final

ENFORCES_NOTHING: Final = (
    "This meter knows no certificates and enforces nothing itself: what you may do is decided by meterlink alone, "
    "from the active certificate."
)

BATTERY_COST: Final = "Every readout costs the meter some of its battery: read no more often than you need."
