"""The one place of this package that reads the clock. Everything else is given ``now``."""

from __future__ import annotations

import datetime as dt

UTC = dt.UTC


def now() -> dt.datetime:
    """Return the present as an aware datetime in UTC."""
    return dt.datetime.now(UTC)


def show(moment: dt.datetime) -> str:
    """Return ``moment`` as people compare it with a clock on the wall: ``2026-11-22 23:51 UTC``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
