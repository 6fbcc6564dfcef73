"""The byte stream under every protocol: what a transport does, and what it promises.

A transport knows nothing of meters. It moves bytes, in order, without loss or doubling, or it raises; it never blocks
past the timeout it was given.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self


class Transport(abc.ABC):
    """A bidirectional byte stream to one meter.

    One task may read while another writes; two readers or two writers at once are a fault of the caller. All times
    are seconds. Cancelling an operation leaves the stream usable: bytes that arrived stay in the buffer, a write may
    have been sent in part. Errors are :class:`~meterlink.errors.LinkError` and its children, never the library's own.
    """

    url: str
    """The URL this transport was opened from, without secrets, for messages."""

    @abc.abstractmethod
    async def open(self) -> None:
        """Open the stream. Raises :class:`~meterlink.errors.LinkUnavailable` or
        :class:`~meterlink.errors.LinkTimeout`."""

    @abc.abstractmethod
    async def receive(self, timeout: float | None = None) -> bytes:
        """Return at least one byte that arrived, as many as are there (at most 64 KiB).

        ``timeout`` None waits without end. Raises :class:`~meterlink.errors.LinkTimeout` when nothing came in time and
        :class:`~meterlink.errors.LinkLost` when the stream ended (every byte that came before is returned first).
        """

    @abc.abstractmethod
    async def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send all of ``data``; return when the operating system or the peer has taken it.

        Raises :class:`~meterlink.errors.LinkTimeout` or :class:`~meterlink.errors.LinkLost`.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Close the stream and free everything it holds. A pending ``receive`` or ``send`` raises LinkLost. Safe to
        call twice."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


Parity = Literal["N", "E", "O"]


@dataclass(frozen=True, slots=True)
class LineSettings:
    """Settings of a serial line: ``baud`` in bit/s, ``data_bits`` 7 or 8, ``stop_bits`` 1 or 2."""

    baud: int = 9600
    data_bits: int = 8
    parity: Parity = "N"
    stop_bits: int = 1

    @property
    def byte_time(self) -> float:
        """Seconds that one character takes on the line, start bit included."""
        bits = 1 + self.data_bits + (self.parity != "N") + self.stop_bits
        return bits / self.baud

    def __str__(self) -> str:
        return f"{self.baud} {self.data_bits}{self.parity}{self.stop_bits}"


class SerialTransport(Transport):
    """A transport with a line whose settings can change in the middle: a serial port, an optical head, RFC 2217."""

    @property
    @abc.abstractmethod
    def line(self) -> LineSettings:
        """The settings in force."""

    @abc.abstractmethod
    async def set_line(self, settings: LineSettings) -> None:
        """Change the settings after everything sent so far has left the line."""
