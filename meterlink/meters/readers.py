"""Read a meter in the field over a transport: one dialogue for each way that meters are spoken to.

A dialogue gathers bytes and nothing else; what they mean is told by :func:`~meterlink.meters.decode.decode_capture`, so
that a reading over the line and a decoded recording of it are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from meterlink.errors import LinkTimeout, LinkUnavailable, MeterlinkError, ProtocolError, UsageError
from meterlink.framing import iec62056_21 as iec
from meterlink.framing.mbus.frame import Acknowledge, LongFrame
from meterlink.framing.mbus.reader import FrameReader
from meterlink.framing.mbus.requests import BROADCAST_ANSWERED, parse_address
from meterlink.meters.bus import MBus, has_more, wake_up
from meterlink.meters.decode import decode_capture
from meterlink.meters.profile import Dialogue, LinePlan, Profile
from meterlink.transport.base import LineSettings, SerialTransport, Transport
from meterlink.values import MeterReport

_OTHER_FAMILY: Final = "?profile=..."
_TRIES: Final = 2
"""A first request after power-up, or to a sleeping meter, may go unheard."""
_STEP_SILENCE: Final = 0.4
"""Pause that ends the answer to a step, in seconds: more than two characters and a converter's buffer."""
_MOST_TELEGRAMS: Final = 256
"""Telegrams after which a meter that always promises more is given up; a T330 with all its months sends 28."""
_NO_ANSWER_HINT: Final = (
    "is the head centred on the optical port, and turned the right way? Press the meter's button and try again"
)

Progress = Callable[[str], None]


def _silent(message: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class _Asking:
    """What :func:`read_capture` was called with, for a dialogue."""

    address: str
    key: bytes | None = field(repr=False)
    progress: Progress


async def read_meter(
    transport: Transport,
    profile: Profile,
    *,
    address: str = "",
    key: bytes | None = None,
    progress: Progress = _silent,
) -> MeterReport:
    """Read everything that the meter gives.

    ``transport`` is open. ``address`` is a device address of IEC 62056-21, or an M-Bus address, where there may be
    several meters; ``key`` opens encrypted telegrams. ``progress`` is told what is being waited for.

    Raises LinkError and its children, LinkTimeout ``no-answer``, ProtocolError, UsageError for an address that is none
    or a profile that cannot be read this way.
    """
    capture, notes = await read_capture(transport, profile, address=address, key=key, progress=progress)
    # A generic profile says how to ask, not who answers: that is found out.
    hint = None if profile.name.startswith("generic") else profile
    report = decode_capture(capture, hint=hint, key=key)
    return replace(report, notes=(*notes, *report.notes))


async def read_capture(
    transport: Transport,
    profile: Profile,
    *,
    address: str = "",
    key: bytes | None = None,
    progress: Progress = _silent,
) -> tuple[bytes, tuple[str, ...]]:
    """Return what the meter said, as a capture that can be stored and decoded later, and notes about it.

    Raises what :func:`read_meter` raises for the line.
    """
    plan = profile.line
    if plan is None:
        raise UsageError(
            f"{profile.title} is not read this way",
            code="profile",
            hint=f"its profile has no [line]; name another family: {_OTHER_FAMILY}",
        )
    try:
        async with asyncio.timeout(plan.deadline * max(len(plan.requests), 1)):
            return await _DIALOGUES[plan.dialogue](transport, plan, _Asking(address, key, progress))
    except TimeoutError:
        raise LinkTimeout(
            f"the readout did not end within {plan.deadline:g} s", code="no-answer", hint=_NO_ANSWER_HINT
        ) from None


async def _read_text(transport: Transport, plan: LinePlan, asking: _Asking) -> tuple[bytes, tuple[str, ...]]:
    """Each request in turn, woken anew; the first one decides whether there is a meter at all."""
    captured = b""
    notes: list[str] = []
    for request in plan.requests or (iec.request_message(asking.address),):
        asking.progress(f"asking for {request.decode('ascii').strip()}")
        try:
            captured += await _sign_on(transport, plan, request)
        except MeterlinkError as error:
            if not captured and request == plan.requests[-1]:
                raise
            notes.append(f"the request {request.decode('ascii').strip()} was not answered: {error.message}")
    return captured, tuple(notes)


async def _read_sign_on(transport: Transport, plan: LinePlan, asking: _Asking) -> tuple[bytes, tuple[str, ...]]:
    """The standard's own sign-on, with a device address where there is one."""
    asking.progress("signing on")
    return await _sign_on(transport, plan, iec.request_message(asking.address)), ()


async def _sign_on(transport: Transport, plan: LinePlan, request: bytes) -> bytes:
    """Run one sign-on up to the end of its readout. A wrong block check is worth one more try, as is silence."""
    best = b""
    for attempt in range(_TRIES):
        await _set_line(transport, plan.start)
        table = iec.SignOn(request=request, wake_up=wake_up(transport, plan), character_time=plan.silence)
        result = await _drive(transport, table, plan)
        if isinstance(result, iec.ReadoutReceived):
            if result.valid is not False:
                return result.data
            best = result.data
        elif result.reason == "incomplete" and b"(" in result.data:
            best = best or result.data
        elif attempt + 1 == _TRIES and not best:
            raise _no_readout(result)
    return best


async def _drive(transport: Transport, table: iec.SignOn, plan: LinePlan) -> iec.ReadoutReceived | iec.Failed:
    loop = asyncio.get_running_loop()
    table.start(loop.time())
    while True:
        if octets := table.data_to_send():
            await transport.send(octets)
        deadline = table.next_deadline
        wait = None if deadline is None else max(deadline - loop.time(), 0.0)
        try:
            events = table.receive(await transport.receive(wait), loop.time())
        except LinkTimeout:
            events = table.handle_timer(loop.time())
        for event in events:
            if isinstance(event, iec.Unnamed):
                await _set_line(transport, plan.data)
            elif isinstance(event, iec.ChangeSpeed):
                if octets := table.data_to_send():
                    await transport.send(octets)
                await _set_line(transport, replace(plan.data, baud=event.baud))
            elif isinstance(event, (iec.ReadoutReceived, iec.Failed)):
                return event


async def _read_burst(transport: Transport, plan: LinePlan, asking: _Asking) -> tuple[bytes, tuple[str, ...]]:
    """One request, then telegrams unasked. Wake-up and request go out in one write: the meter hears no other."""
    for _ in range(_TRIES):
        asking.progress("waking the meter")
        await _set_line(transport, plan.start)
        await transport.send(wake_up(transport, plan) + plan.requests[0])
        captured, complete = await _gather(transport, plan, _time_to_send(plan, plan.requests[0]), asking)
        if captured:
            return captured, () if complete else ("the meter stopped before its last telegram",)
    raise LinkTimeout("the meter does not answer", code="no-answer", hint=_NO_ANSWER_HINT)


async def _read_steps(transport: Transport, plan: LinePlan, asking: _Asking) -> tuple[bytes, tuple[str, ...]]:
    """Several requests, each woken anew; after the last one the line changes and the telegrams come."""
    *steps, last = plan.requests
    await _set_line(transport, plan.start)
    answered = 0
    for number, step in enumerate(steps, start=1):
        asking.progress(f"step {number} of {len(plan.requests)}")
        answered += await _step(transport, plan, step)
    if steps and not answered:
        raise LinkTimeout("the meter does not answer", code="no-answer", hint=_NO_ANSWER_HINT)
    asking.progress(f"step {len(plan.requests)} of {len(plan.requests)}: waiting for the telegrams")
    await transport.send(wake_up(transport, plan) + last)
    await asyncio.sleep(plan.settle)
    await _set_line(transport, plan.data)
    captured, complete = await _gather(transport, plan, 0.0, asking)
    if not captured:
        raise LinkTimeout("the meter answers, but sends no telegrams", code="no-answer", hint=_NO_ANSWER_HINT)
    return captured, () if complete else ("the meter stopped before its last telegram",)


async def _step(transport: Transport, plan: LinePlan, request: bytes) -> bool:
    """Send one request and wait for the end of its answer; True when there was one."""
    for _ in range(_TRIES):
        await transport.send(wake_up(transport, plan) + request)
        reader = FrameReader()
        wait = _time_to_send(plan, request) + plan.silence
        heard = False
        while True:
            try:
                items = reader.receive(await transport.receive(wait))
            except LinkTimeout:
                break
            heard = heard or bool(items) or reader.pending > 0
            if any(isinstance(item, (Acknowledge, LongFrame)) for item in items):
                return True
            if heard:
                wait = _STEP_SILENCE
        if heard and reader.flush():
            return True
    return False


async def _gather(transport: Transport, plan: LinePlan, lead: float, asking: _Asking) -> tuple[bytes, bool]:
    """Collect telegrams until the last one says that it is, or the meter falls silent. Return them and which it was."""
    reader = FrameReader()
    captured = b""
    wait = lead + plan.silence
    count = 0
    while True:
        try:
            items = reader.receive(await transport.receive(wait))
        except LinkTimeout:
            captured += b"".join(item.to_bytes() for item in reader.flush() if isinstance(item, LongFrame))
            return captured, False
        for item in items:
            if isinstance(item, LongFrame):
                captured += item.to_bytes()
                count += 1
                asking.progress(f"{count} telegram(s)")
                if not has_more(item, asking.key):
                    return captured, True
                if count == _MOST_TELEGRAMS:
                    return captured, False
        wait = plan.silence


async def _read_bus(transport: Transport, plan: LinePlan, asking: _Asking) -> tuple[bytes, tuple[str, ...]]:
    """The standard's requests on a bus."""
    at = parse_address(asking.address) if asking.address else BROADCAST_ANSWERED
    if isinstance(transport, SerialTransport) and transport.line == LineSettings():
        # Nobody chose a line: take the bus's usual one. (A bus has even parity at every speed.)
        await _set_line(transport, plan.start)
    asking.progress(f"asking {at}")
    frames, problem = await MBus.on(transport, plan, asking.key).read(at)
    return b"".join(frame.to_bytes() for frame in frames), (problem,) if problem else ()


async def _set_line(transport: Transport, settings: LineSettings) -> None:
    """Change the line where there is one that can. A head with a fixed speed is used as it is."""
    if isinstance(transport, SerialTransport) and transport.line != settings:
        try:
            await transport.set_line(settings)
        except LinkUnavailable as error:
            if error.code != "line-settings":
                raise


def _time_to_send(plan: LinePlan, request: bytes) -> float:
    return (plan.wake_up + len(request)) * plan.start.byte_time


def _no_readout(failed: iec.Failed) -> MeterlinkError:
    if failed.reason == "no-answer":
        return LinkTimeout("the meter does not answer", code="no-answer", hint=_NO_ANSWER_HINT)
    shown = failed.data.strip(b"\x00")[:24].hex(" ")
    return ProtocolError(
        f"the meter answers, but not with a readout ({failed.reason}): {shown}",
        code=failed.reason,
        hint=f"is it another family? Its name goes into the URL: {_OTHER_FAMILY}",
    )


_Dialogue = Callable[[Transport, LinePlan, _Asking], Awaitable[tuple[bytes, tuple[str, ...]]]]

_DIALOGUES: Final[Mapping[Dialogue, _Dialogue]] = MappingProxyType(
    {
        "text": _read_text,
        "sign-on": _read_sign_on,
        "burst": _read_burst,
        "steps": _read_steps,
        "bus": _read_bus,
    }
)
"""The ways to speak to a meter; ``[line] dialogue`` of a profile names one."""
