"""The demo's sessions with the meter: what a Consumer may and may not, and what a Commissioning certificate opens."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

from certs.clock import now
from certs.entries import Credential
from hil.demo.transcript import Transcript
from meterlink.cli.report import as_renderable, shown
from meterlink.commands.command import perform
from meterlink.commands.configure import Configure, parse_setting
from meterlink.commands.connect import certificate_session, target_of
from meterlink.commands.read import Read
from meterlink.errors import AssociationRefused, LocalProtocolError, MeterRefused, NotPermitted, SecurityError
from meterlink.session import Session
from meterlink.tracing import apdus_over_hdlc
from meterlink.transport.replay import Entry, FileSink, record
from meterlink.transport.url import Context, open_transport

_COMMISSIONING_SAP: Final = 34
_CLOCK_TOLERANCE: Final = dt.timedelta(seconds=5)


async def read_as_consumer(tell: Transcript, context: Context, place: str, url: str, credential: Credential) -> None:
    """Read the meter and show what it says."""
    target = target_of(url)

    def session() -> Session:
        return certificate_session(target, open_transport(target.url, context), credential, now)

    report = await perform(Read(target.profile), credential, session, now())
    tell.done(f"Read over {place}, {url}:")
    tell.show(as_renderable(report))


async def refuse_consumer(tell: Transcript, context: Context, url: str, credential: Credential) -> None:
    """Try to set the clock as Consumer: with the gate, without it, and on another level's SAP. Each must be refused."""
    target = target_of(url)
    set_clock = Configure((parse_setting(target.profile, "clock=now", now),))
    wire: list[Entry] = []

    def session() -> Session:
        return certificate_session(target, record(open_transport(target.url, context), wire.append), credential, now)

    try:
        await perform(set_clock, credential, session, now())
    except NotPermitted as refusal:
        _must(not wire, "the gate let bytes through")
        tell.refused(f"Setting the clock, refused by the gate, 0 bytes sent: {refusal.message}")
    else:
        _must(False, "the gate let a Consumer set the clock")

    async with session() as open_session:
        try:
            await set_clock.run(open_session)
        except MeterRefused as refusal:
            tell.refused(f"The same without the gate, refused by the meter itself: {refusal.code}")
        else:
            _must(False, "the meter let a Consumer set its clock")

    elsewhere = target_of(f"{url}{'&' if '?' in url else '?'}client={_COMMISSIONING_SAP}")
    intruder = certificate_session(elsewhere, open_transport(elsewhere.url, context), credential, now)
    try:
        await intruder.open()
    except AssociationRefused as refusal:
        tell.refused(f"A Consumer certificate on the SAP of Commissioning: {refusal.code}")
    else:
        await intruder.close()
        _must(False, "the meter let a Consumer in on the SAP of Commissioning")


async def set_clock(
    tell: Transcript, context: Context, place: str, url: str, credential: Credential, folder: Path
) -> None:
    """Set the clock and read it back; check on the recorded wire that all is protected once keys are agreed."""
    target = target_of(url)
    wire: list[Entry] = []

    def session() -> Session:
        return certificate_session(target, record(open_transport(target.url, context), wire.append), credential, now)

    settings = (parse_setting(target.profile, "clock=now", now),)
    (change,) = await perform(Configure(settings), credential, session, now())
    after = change.after.value
    _must(isinstance(after, dt.datetime) and abs(after - now()) < _CLOCK_TOLERANCE, "the clock was not set")
    tell.done(f"{place}: mutual ECDSA authentication, key agreement, encrypted session")
    tell.done(f"The clock was {shown(change.before.value)}, now it is {shown(after)}")
    protected = _protected_tail(wire)
    name = f"session-{url.partition(':')[0]}.jsonl"
    with (folder / name).open("w", encoding="utf-8") as file:
        sink = FileSink(file, url, now())
        for entry in wire:
            sink(entry)
    tell.done(f"On the wire, {name}: all {protected} APDUs after key agreement are encrypted and authenticated")


def _protected_tail(wire: list[Entry]) -> int:
    """Return how many APDUs came after the key agreement. Raises SecurityError unless each of them is protected."""
    apdus = list(apdus_over_hdlc(wire))
    first = next((number for number, apdu in enumerate(apdus) if apdu.is_protected), len(apdus))
    tail = apdus[first:]
    if not tail or not all(apdu.is_protected for apdu in tail):
        raise SecurityError("an APDU crossed the wire in the clear after key agreement", code="unprotected")
    return len(tail)


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LocalProtocolError(otherwise, code="demo")
