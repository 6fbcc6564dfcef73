"""`meterlink find --bus`: which meters are on an M-Bus."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import click

from certs.cli.output import emit, wants_json
from certs.clock import now
from meterlink.cli.acting import SessionOptions, way_to
from meterlink.cli.progress import Bar, bar
from meterlink.commands.connect import Target
from meterlink.commands.field import Scan, on_a_bus, scan_bus, with_line, with_patience
from meterlink.errors import LinkError
from meterlink.framing.mbus.scan import Heard, Progress
from meterlink.meters.profile import profile
from meterlink.transport.url import parse_url

_PROFILE: Final = "generic-mbus"
_STEPS: Final = 10_000
"""Steps of the progress bar, for a progress that is told as a share of one."""
_ROW: Final = "{:<9}  {:<16}  {}"


def find_on_bus(url: str, kinds: tuple[Scan, ...], mask: str, last: int) -> None:
    """Search the M-Bus at ``url`` by ``kinds`` of addresses (secondary ones that match ``mask``, primary ones up to
    ``last``) and print the meters, as they are found, with the URL to read each by.

    What was found before Ctrl-C, or before the line was lost, is printed, too. Raises UsageError for what is no bus or
    no mask, NotPermitted, and LinkError.
    """
    target = _bus(url)
    with way_to(target, SessionOptions()) as (credential, transport), bar("searching") as shown:
        results = _Results(url, kinds, shown)
        try:
            asyncio.run(
                scan_bus(
                    transport, credential, now(), kinds=kinds, mask=mask, last=last,
                    plan=target.profile.line, report=results.report, hear=results.hear,
                )
            )  # fmt: skip
        except (KeyboardInterrupt, LinkError):
            results.end(complete=False)
            raise
        results.end(complete=True)


def _bus(text: str) -> Target:
    url = parse_url(text)
    family = with_patience(profile(url.options.get("profile", _PROFILE)), url)
    on_a_bus(family)
    options = {key: value for key, value in url.options.items() if key != "address"}
    return Target(with_line(replace(url, options=MappingProxyType(options)), family), family)


def _meter_url(text: str, address: str) -> str:
    url = parse_url(text)
    options = {"profile": _PROFILE, **url.options, "address": address}
    return str(replace(url, options=MappingProxyType(options)))


class _Results:
    """What a search finds: a row for each meter at once, for people; all of it at the end, as JSON."""

    def __init__(self, url: str, kinds: tuple[Scan, ...], shown: Bar) -> None:
        self._url = url
        self._kinds = kinds
        self._bar = shown
        self._meters: list[tuple[Scan, str]] = []
        self._unresolved: list[tuple[Scan, str]] = []

    def report(self, kind: Scan, told: Progress) -> None:
        """Show how far the search is."""
        share = (self._kinds.index(kind) + told.done) / len(self._kinds)
        self._bar.tell(int(share * _STEPS), _STEPS, f"searching: {kind.value} {told.asking}")

    def hear(self, kind: Scan, heard: Heard) -> None:
        """Take in what was heard, and print it for people."""
        (self._meters if heard.alone else self._unresolved).append((kind, heard.address))
        if wants_json():
            return
        with self._bar.away():
            if not heard.alone:
                click.echo(f"note: several meters answer at the {kind.value} address {heard.address}")
                return
            if len(self._meters) == 1:
                click.echo(_ROW.format("By", "Address", "URL"))
            click.echo(_ROW.format(kind.value, heard.address, _meter_url(self._url, heard.address)))

    def end(self, *, complete: bool) -> None:
        """Print what is left to be said; ``complete`` says whether the search came to its end."""
        if wants_json():
            meters = [
                {"by": kind.value, "address": address, "url": _meter_url(self._url, address)}
                for kind, address in self._meters
            ]
            unresolved = [{"by": kind.value, "address": address} for kind, address in self._unresolved]
            emit({"meters": meters, "unresolved": unresolved, "complete": complete}, "")
        elif not self._meters and not self._unresolved:
            with self._bar.away():
                click.echo("no meter answers" if complete else "no meter answered up to here")
