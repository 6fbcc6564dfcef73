"""The program in this process, with a home of its own."""

from program import home, meterlink

__all__ = ["home", "meterlink"]
