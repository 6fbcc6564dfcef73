"""What can be set on the meter and stays set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from meterlink.cosem.dates import CosemDate

AVERAGING_PERIODS: Final = (5, 10, 15, 30, 60)
"""Minutes over which maxima can be averaged."""


@dataclass(slots=True)
class Settings:
    """What was set: the property number (the secondary address on a bus, up to eight digits), the day of the year on
    which totals are stored, whether the meter is sealed, and whether it is in test mode."""

    property_number: str = "00000000"
    set_day: CosemDate = field(default_factory=lambda: CosemDate(month=1, day=1))
    sealed: bool = True
    test_mode: bool = False
    test_energy: float = 0.0
    """Total energy in Wh when the test mode began."""
    test_volume: float = 0.0
    """Total volume in m³ when the test mode began."""
