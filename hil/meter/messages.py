"""What passes between the links of a line and the association above them: whole messages (APDUs)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class Reply:
    """What goes back: APDUs, and whether the link is dropped after them."""

    apdus: list[bytes] = field(default_factory=list)
    close: bool = False


class MessageHandler(Protocol):
    """The meter's end of one client's link."""

    def receive(self, apdu: bytes, now: float) -> Reply:
        """Take one APDU; return the answer. Never raises for what a client sends."""
        ...

    def link_lost(self) -> None:
        """The link is down. Nothing else is called after this."""
        ...


Wrap = Callable[[MessageHandler], MessageHandler]
"""Puts something between a link and the association, such as faults."""
