"""Who is on the bus? Scans by primary and by secondary address, as scripts (EN 13757-7, 8.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from meterlink.framing.mbus import requests
from meterlink.framing.mbus.frame import LongFrame
from meterlink.framing.mbus.master import Acknowledged, Collision, Exchange, Expect, Received, Script, Silence
from meterlink.framing.mbus.requests import SecondaryAddress

_DIGITS: Final = 8
_LONG_HEADER: Final = 8


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: ``done`` of 1.0, what is being asked for, how many meters were found so far."""

    done: float
    asking: str
    found: int


@dataclass(frozen=True, slots=True)
class Heard:
    """Somebody answered at ``address``: one meter, or (``alone`` false) several at once that cannot be told apart."""

    address: str
    alone: bool


Report = Callable[[Progress], None]
Hear = Callable[[Heard], None]


@dataclass(frozen=True, slots=True)
class ScanResult:
    """``found``: addresses of single meters. ``unresolved``: addresses at which several meters answer at once."""

    found: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()


@dataclass(slots=True)
class _Findings:
    report: Report
    hear: Hear
    found: list[str] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    may_be_selected: bool = True

    def tell(self, done: float, asking: str) -> None:
        self.report(Progress(min(done, 1.0), asking, len(self.found)))

    def add(self, address: str, *, alone: bool = True) -> None:
        known = self.found if alone else self.unresolved
        if address not in known:
            known.append(address)
            self.hear(Heard(address, alone))

    def result(self) -> ScanResult:
        return ScanResult(tuple(self.found), tuple(self.unresolved))


def _silent(told: Progress | Heard) -> None:
    """Report to nobody."""


def scan_primary(
    first: int = 0, last: int = requests.LAST_PRIMARY, report: Report = _silent, hear: Hear = _silent
) -> Script[ScanResult]:
    """Ask at every primary address ``first..last``. An answer that is no frame is several meters at one address.

    ``hear`` is told of each meter as it is found.
    """
    findings = _Findings(report, hear)
    for address in range(first, last + 1):
        findings.tell((address - first) / (last - first + 1), str(address))
        outcome = yield Exchange(requests.reset_link(address), Expect.ACKNOWLEDGE, retries=1)
        if isinstance(outcome, Acknowledged):
            # Two meters that answer E5 together look like one: only their telegrams collide.
            outcome = yield Exchange(requests.request_data(address, True), Expect.DATA, retries=1)
            if isinstance(outcome, Silence):
                # The E5 names nobody: it may have been the late answer of the address before.
                outcome = yield Exchange(requests.reset_link(address), Expect.ACKNOWLEDGE, retries=1)
        if not isinstance(outcome, Silence):
            findings.add(str(address), alone=not isinstance(outcome, Collision))
    findings.tell(1.0, "")
    return findings.result()


def scan_secondary(mask: str = "F" * _DIGITS, report: Report = _silent, hear: Hear = _silent) -> Script[ScanResult]:
    """Find meters by their eight digits, dividing where several answer.

    ``mask`` limits the search: digits are kept, ``F`` is searched. Meters with the same number are told apart by
    manufacturer, version and medium only as far as one of them can be heard; the rest is ``unresolved``. ``hear`` is
    told of each meter as it is found.
    """
    findings = _Findings(report, hear)
    wildcards = [place for place, digit in enumerate(SecondaryAddress(mask.upper()).number) if digit == "F"]
    yield from _search(mask.upper(), wildcards, 0.0, 1.0, findings)
    findings.tell(1.0, "")
    return findings.result()


def _search(mask: str, wildcards: list[int], done: float, share: float, findings: _Findings) -> Script[None]:
    findings.tell(done, mask)
    if findings.may_be_selected:
        # Whoever was selected before must not answer along. A selection that nobody answered left nobody selected:
        # a meter lets go when a selection does not fit it.
        yield Exchange(requests.reset_link(requests.NETWORK), Expect.ACKNOWLEDGE, retries=0)
    outcome = yield Exchange(requests.select(SecondaryAddress(mask)), Expect.ACKNOWLEDGE, retries=1)
    findings.may_be_selected = not isinstance(outcome, Silence)
    if isinstance(outcome, Silence):
        return
    if isinstance(outcome, Acknowledged):
        telegram = yield Exchange(requests.request_data(requests.NETWORK, True), Expect.DATA, retries=1)
        address = _address_of(telegram.frame) if isinstance(telegram, Received) else None
        if address is not None:
            findings.add(address)
            return
        if isinstance(telegram, Silence) and not wildcards:
            findings.add(mask)
            return
    if not wildcards:
        findings.add(mask, alone=False)
        return
    place, *rest = wildcards
    for digit in range(10):
        narrower = f"{mask[:place]}{digit}{mask[place + 1 :]}"
        yield from _search(narrower, rest, done + share * digit / 10, share / 10, findings)


def _address_of(frame: LongFrame) -> str | None:
    """Return the secondary address in a telegram's long header, None where it has none."""
    if frame.ci != 0x72 or len(frame.data) < _LONG_HEADER:
        return None
    return str(SecondaryAddress.from_bytes(frame.data))
