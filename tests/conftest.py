"""Fixtures for every area."""

from ble_air import air

__all__ = ["air"]
