"""Which Bluetooth radio is meant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.scanner import BaseBleakScanner

AskPasskey = Callable[[], Awaitable[int | None]]
"""Gives the six digits that the meter shows; None gives up."""


@dataclass(frozen=True, slots=True)
class BleRadio:
    """A Bluetooth LE radio, as bleak is told of it.

    ``adapter`` names one of several of a Linux machine (``hci1``). ``scanner`` and ``client`` are bleak backends, for
    a radio that is not the system's, such as a simulated one; None means the backend of the platform. ``agent`` makes
    the context in which a pairing gets its passkey; None means the platform's way.
    """

    adapter: str | None = None
    scanner: type[BaseBleakScanner] | None = None
    client: type[BaseBleakClient] | None = None
    agent: Callable[[AskPasskey], AbstractAsyncContextManager[object]] | None = None
