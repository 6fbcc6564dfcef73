"""A master on a wired M-Bus, or at the M-Bus of an optical head: runs the link's scripts over a transport."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import math
from typing import Final, Self, TypeVar

from meterlink.errors import DataError, LinkTimeout, MeterlinkError, ProtocolError
from meterlink.framing.mbus import master, requests, scan
from meterlink.framing.mbus.frame import LongFrame
from meterlink.framing.mbus.master import Collision, Exchanger, Outcome, Script, Silence
from meterlink.framing.mbus.requests import SecondaryAddress
from meterlink.framing.mbus.scan import ScanResult
from meterlink.mbus import commands, decode_telegram
from meterlink.meters.profile import LinePlan
from meterlink.transport.base import LineSettings, SerialTransport, Transport

_T = TypeVar("_T")
_DEFAULT_BAUD: Final = 2400

LOCAL_PATIENCE: Final = 0.1
"""Seconds granted beyond the standard's time on a line of this machine: a USB adapter hands octets on every 16 ms."""
REMOTE_PATIENCE: Final = 0.3
"""The same over a network or a radio link."""


class MBus:
    """Requests to meters on one line. ``baud`` is the line's speed, for the deadlines; ``patience`` the seconds that an
    answer may come later than the standard has it (None: what the way there usually needs); ``wake`` goes out before
    each request; ``key`` opens encrypted telegrams, which say only inside whether another one follows.

    Every method raises LinkError and its children for the transport, LinkTimeout ``no-answer`` when the meter does not
    answer, ProtocolError ``collision`` when what answers is no frame.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        baud: int | None = None,
        patience: float | None = None,
        wake: bytes = b"",
        key: bytes | None = None,
    ) -> None:
        line = transport.line if isinstance(transport, SerialTransport) else None
        if patience is None:
            is_local = line is not None and "//" not in transport.url
            patience = LOCAL_PATIENCE if is_local else REMOTE_PATIENCE
        if baud is None:
            baud = _DEFAULT_BAUD if line is None else line.baud
        self._transport = transport
        self._has_more = functools.partial(has_more, key=key)
        self._exchanger = Exchanger(baud, patience=patience, wake=wake)

    @classmethod
    def on(cls, transport: Transport, plan: LinePlan | None, key: bytes | None = None) -> Self:
        """Return the master for meters that are spoken to as ``plan`` says (None: as the standard has it)."""
        if plan is None:
            return cls(transport, key=key)
        return cls(transport, patience=plan.patience, wake=wake_up(transport, plan), key=key)

    async def run(self, script: Script[_T]) -> _T:
        """Run a script of the link to its end."""
        try:
            exchange = next(script)
            while True:
                exchange = script.send(await self._exchange(exchange))
        except StopIteration as stop:
            result: _T = stop.value
            return result

    async def read(self, address: int | SecondaryAddress) -> tuple[list[LongFrame], str]:
        """Return the telegrams of a meter's readout, at least one, and why it broke off (empty when it did not)."""
        at = await self._select(address)
        frames, outcome = await self.run(master.read_all(at, self._has_more))
        if not frames:
            raise _unanswered(outcome, f"the meter at {address} acknowledges and sends no data")
        broke_off = isinstance(outcome, (Silence, Collision)) or self._has_more(frames[-1])
        return frames, f"the readout broke off after {len(frames)} telegram(s)" if broke_off else ""

    async def read_alarms(self, address: int | SecondaryAddress) -> LongFrame | None:
        """Return the alarm telegram (REQ_UD1), None when the meter has none."""
        at = await self._select(address)
        octets = requests.request_data(at, True, alarms=True)
        outcome = await self._exchange(master.Exchange(octets, master.Expect.EITHER))
        if isinstance(outcome, master.Received):
            return outcome.frame
        if isinstance(outcome, master.Acknowledged):
            return None
        raise _unanswered(outcome, f"no answer to the request for alarms at {address}")

    async def send(self, address: int | SecondaryAddress, data: bytes, *, ci: int = requests.CI_DATA) -> None:
        """Send data; the meter must acknowledge."""
        at = await self._select(address)
        if not await self.run(master.send(at, data, ci=ci)):
            raise LinkTimeout(
                f"the meter at {address} did not acknowledge: the setting may have taken effect or not",
                code="write-uncertain",
                hint="read the meter to see",
            )

    async def set_clock(self, address: int | SecondaryAddress, moment: dt.datetime) -> None:
        """Set date and time, to the minute."""
        await self.send(address, commands.set_clock(moment))

    async def set_primary_address(self, address: int | SecondaryAddress, new: int) -> None:
        """Set the primary address, 0..250."""
        await self.send(address, commands.set_primary_address(new))

    async def set_identification(self, address: int | SecondaryAddress, number: str) -> None:
        """Set the eight digits of the secondary address."""
        await self.send(address, commands.set_identification(number))

    async def reset_application(self, address: int | SecondaryAddress, subcode: int | None = None) -> None:
        """Reset the application, or choose what the next readout brings."""
        at = await self._select(address)
        await self._acknowledged(requests.reset_application(at, subcode), f"application reset of {address}")

    async def set_baud(self, address: int | SecondaryAddress, baud: int) -> None:
        """Change the speed of the meter and, where the transport can, of the line; then make sure of it.

        When the meter does not answer at the new speed the line goes back to the old one.
        """
        at = await self._select(address)
        await self._acknowledged(requests.change_baud(at, baud), f"change of speed of {address}")
        before = self._exchanger.baud
        await self._set_speed(baud)
        try:
            await self._acknowledged(requests.reset_link(at), f"link reset at {baud} Bd")
        except LinkTimeout:
            await self._set_speed(before)
            raise

    async def scan_primary(self, report: scan.Report, hear: scan.Hear, first: int = 0, last: int = 250) -> ScanResult:
        """Find meters by primary address."""
        return await self.run(scan.scan_primary(first, last, report, hear))

    async def scan_secondary(self, report: scan.Report, hear: scan.Hear, mask: str = "FFFFFFFF") -> ScanResult:
        """Find meters by secondary address."""
        return await self.run(scan.scan_secondary(mask, report, hear))

    async def _select(self, address: int | SecondaryAddress) -> int:
        at = await self.run(master.select(address))
        if at is None:
            raise _unanswered(Silence(), f"no meter answers at {address}")
        return at

    async def _acknowledged(self, octets: bytes, what: str) -> None:
        outcome = await self._exchange(master.Exchange(octets, master.Expect.ACKNOWLEDGE))
        if not isinstance(outcome, master.Acknowledged):
            raise _unanswered(outcome, f"no acknowledgement: {what}")

    async def _set_speed(self, baud: int) -> None:
        if isinstance(self._transport, SerialTransport):
            line = self._transport.line
            await self._transport.set_line(LineSettings(baud, line.data_bits, line.parity, line.stop_bits))
        self._exchanger.baud = baud

    async def _exchange(self, exchange: master.Exchange) -> Outcome:
        loop = asyncio.get_running_loop()
        self._exchanger.begin(exchange, loop.time())
        while True:
            if octets := self._exchanger.data_to_send():
                await self._transport.send(octets)
            deadline = self._exchanger.next_deadline
            wait = None if deadline is None else max(deadline - loop.time(), 0.0)
            try:
                outcome = self._exchanger.receive(await self._transport.receive(wait), loop.time())
            except LinkTimeout:
                outcome = self._exchanger.handle_timer(loop.time())
            if outcome is not None:
                return outcome


def wake_up(transport: Transport, plan: LinePlan) -> bytes:
    """Return the wake-up, as long in time as the family wants it whatever speed the line has."""
    if not isinstance(transport, SerialTransport) or not plan.wake_up:
        return plan.wake
    count = math.ceil(plan.wake_up * plan.start.byte_time / transport.line.byte_time)
    return bytes((plan.wake_byte,)) * count


def has_more(frame: LongFrame, key: bytes | None = None) -> bool:
    """True when a telegram ends with the promise of another one (DIF 1F); ``key`` opens an encrypted one."""
    try:
        return decode_telegram(frame, key=key).content.more_follow
    except DataError:
        return False


def _unanswered(outcome: Outcome, message: str) -> MeterlinkError:
    if isinstance(outcome, Collision):
        return ProtocolError(
            f"{message}: what came is no telegram",
            code="collision",
            hint="do several meters have this address? Scan the bus by secondary address",
        )
    return LinkTimeout(message, code="no-answer", hint="check the address, the line's speed and the wiring")
