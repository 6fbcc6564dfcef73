"""Lines on which a sign-on of IEC 62056-21 has been made: mode E, where HDLC follows, and programming mode.

The state table is :class:`~meterlink.framing.iec62056_21.SignOn`; here its bytes are sent and its time is kept.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self, TypeVar

from meterlink.errors import LinkTimeout, MeterRefused, ProtocolError
from meterlink.framing import iec62056_21 as iec
from meterlink.transport.base import LineSettings, SerialTransport, Transport

_START: Final = LineSettings(iec.SIGN_ON_BAUD, 7, "E", 1)
_E = TypeVar("_E", iec.HdlcReady, iec.ProgrammingReady, iec.Answered)


class ModeE(Transport):
    """A transport whose :meth:`open` signs on in mode E: the bytes after it are HDLC, 8N1, at the speed agreed upon.

    ``address`` is the device address, ``wake_up`` what a sleeping meter needs before the request, ``max_baud`` the
    highest speed to agree to.
    """

    def __init__(
        self, serial: SerialTransport, *, address: str = "", wake_up: bytes = b"", max_baud: int = 19200
    ) -> None:
        self.url = serial.url
        self._serial = serial
        self._request = iec.request_message(address)
        self._wake_up = wake_up
        self._max_baud = max_baud

    async def open(self) -> None:
        """Open the line and sign on. Raises LinkTimeout ``no-answer``, ProtocolError ``sign-on``, and LinkError."""
        await self._serial.open()
        try:
            await self._serial.set_line(_START)
            table = iec.SignOn(
                request=self._request, wake_up=self._wake_up, want=iec.Want.HDLC, max_baud=self._max_baud
            )
            baud = await self._agree(table)
            await self._serial.set_line(LineSettings(baud))
        except BaseException:  # cancellation, too, must not leave the port open
            await self._serial.close()
            raise

    async def _agree(self, table: iec.SignOn) -> int:
        """Run the sign-on; return the speed. Not every meter confirms the choice: a silent one has taken it."""
        baud = iec.SIGN_ON_BAUD
        asked = False
        table.start(_now())
        while True:
            for event in await _step(self._serial, table):
                if isinstance(event, iec.ChangeSpeed):
                    baud, asked = event.baud, True
                elif isinstance(event, iec.HdlcReady):
                    return baud
                elif isinstance(event, iec.Failed):
                    if event.reason == "broken-off" and asked:
                        return baud
                    raise _failed(event)

    async def receive(self, timeout: float | None = None) -> bytes:
        """Return what the meter said, see :class:`Transport`."""
        return await self._serial.receive(timeout)

    async def send(self, data: bytes, timeout: float | None = None) -> None:
        """Send, see :class:`Transport`."""
        await self._serial.send(data, timeout)

    async def close(self) -> None:
        """Close the line."""
        await self._serial.close()


class Programming:
    """A meter in programming mode (IEC 62056-21, 6.3.11): passwords, reads, writes and commands. Use ``async with``.

    ``operand`` is what the meter asks to be used for the password, once it is open.
    """

    def __init__(self, serial: SerialTransport, *, address: str = "", wake_up: bytes = b"") -> None:
        self._serial = serial
        self._table = iec.SignOn(request=iec.request_message(address), wake_up=wake_up, want=iec.Want.PROGRAMMING)
        self.operand = ""

    async def open(self) -> None:
        """Open the line and sign on for programming. Raises as :meth:`ModeE.open` does."""
        await self._serial.open()
        try:
            await self._serial.set_line(_START)
            self._table.start(_now())
            ready = await self._until(iec.ProgrammingReady)
        except BaseException:  # cancellation, too, must not leave the port open
            await self._serial.close()
            raise
        self.operand = ready.operand

    async def command(self, name: str, data: str = "") -> str:
        """Send ``P0`` to ``P2``, ``R1``, ``W1``, ``E2`` and their like with a data set; return the answer's text.

        Raises MeterRefused ``programming-refused``, UsageError for a malformed command, LinkTimeout, ProtocolError.
        """
        self._table.command(name, data, _now())
        answer = await self._until(iec.Answered)
        if answer.refused:
            said = f": {answer.data}" if answer.data else ""
            raise MeterRefused(f"the meter refuses {name}{said}", code="programming-refused")
        return answer.data

    async def close(self) -> None:
        """Say the break (B0) where the meter listens, and close the line."""
        try:
            if self._table.state is iec.State.PROGRAMMING:
                self._table.command("B0", "", _now())
                await self._serial.send(self._table.data_to_send())
        finally:
            await self._serial.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _until(self, wanted: type[_E]) -> _E:
        while True:
            for event in await _step(self._serial, self._table):
                if isinstance(event, iec.ChangeSpeed):
                    await self._serial.send(self._table.data_to_send())
                    await self._serial.set_line(LineSettings(event.baud, 7, "E", 1))
                elif isinstance(event, wanted):
                    return event
                elif isinstance(event, iec.Failed):
                    raise _failed(event)


async def _step(serial: SerialTransport, table: iec.SignOn) -> list[iec.Event]:
    """Send what is due and wait for bytes or for the deadline."""
    if octets := table.data_to_send():
        await serial.send(octets)
    deadline = table.next_deadline
    wait = None if deadline is None else max(deadline - _now(), 0.0)
    try:
        return table.receive(await serial.receive(wait), _now())
    except LinkTimeout:
        return table.handle_timer(_now())


def _failed(event: iec.Failed) -> LinkTimeout | ProtocolError:
    if event.reason == "no-answer":
        return LinkTimeout(
            "the meter does not answer the sign-on",
            code="no-answer",
            hint="is the head centred on the optical port, and turned the right way?",
        )
    if event.reason == "no-hdlc":
        return ProtocolError(
            "the meter does not offer mode E: it speaks no HDLC here", code="sign-on", hint="leave sign-on=E out"
        )
    return ProtocolError(f"the sign-on failed: {event.reason}", code="sign-on", hint="try again; is the head steady?")


def _now() -> float:
    return asyncio.get_running_loop().time()
