"""An asyncio protocol for small messages, for both ends of a TCP connection."""

from __future__ import annotations

import abc
import asyncio
from typing import Final

_CHUNK: Final = 65536


class StreamProtocol(asyncio.BufferedProtocol, abc.ABC):
    """Hands received bytes to :meth:`data_received`, as :class:`asyncio.Protocol` does.

    That one has the event loop allocate 256 KiB for every read, which takes as long again as the rest of a round trip
    of two short messages. Here one buffer serves the whole connection.
    """

    def __init__(self) -> None:
        self._chunk = bytearray(_CHUNK)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where the next bytes go; called by the event loop."""
        return self._chunk

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the event loop has read."""
        self.data_received(bytes(memoryview(self._chunk)[:nbytes]))

    @abc.abstractmethod
    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
