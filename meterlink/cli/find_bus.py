"""`meterlink find --bus`: which meters are on an M-Bus."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from certs.cli.output import emit, table
from certs.clock import now
from meterlink.cli.acting import SessionOptions, way_to
from meterlink.cli.progress import progress
from meterlink.commands.connect import Target
from meterlink.commands.field import BusScan, Scan, on_a_bus, scan_bus, with_line
from meterlink.framing.mbus.scan import Progress
from meterlink.meters.profile import profile
from meterlink.transport.url import parse_url

_PROFILE: Final = "generic-mbus"
_STEPS: Final = 10_000
"""Steps of the progress bar, for a progress that is told as a share of one."""


def find_on_bus(url: str, kinds: tuple[Scan, ...], mask: str, last: int) -> None:
    """Search the M-Bus at ``url`` by ``kinds`` of addresses (secondary ones that match ``mask``, primary ones up to
    ``last``) and print the meters with the URL to read each by.

    Raises UsageError for what is no bus or no mask, NotPermitted, and LinkError.
    """
    target = _bus(url)
    with way_to(target, SessionOptions()) as (credential, transport), progress("searching") as tell:

        def report(kind: Scan, told: Progress) -> None:
            share = (kinds.index(kind) + told.done) / len(kinds)
            tell(int(share * _STEPS), _STEPS)

        scan = asyncio.run(scan_bus(transport, credential, now(), kinds=kinds, mask=mask, last=last, report=report))
    emit(_as_json(url, scan), lambda: _shown(url, scan))


def _bus(text: str) -> Target:
    url = parse_url(text)
    family = profile(url.options.get("profile", _PROFILE))
    on_a_bus(family)
    options = {key: value for key, value in url.options.items() if key != "address"}
    return Target(with_line(replace(url, options=MappingProxyType(options)), family), family)


def _meter_url(text: str, address: str) -> str:
    url = parse_url(text)
    options = {"profile": _PROFILE, **url.options, "address": address}
    return str(replace(url, options=MappingProxyType(options)))


def _as_json(url: str, scan: BusScan) -> dict[str, Any]:
    return {
        "meters": [
            {"by": kind.value, "address": address, "url": _meter_url(url, address)}
            for kind, result in scan.results
            for address in result.found
        ],
        "unresolved": [
            {"by": kind.value, "address": address} for kind, result in scan.results for address in result.unresolved
        ],
    }


def _shown(url: str, scan: BusScan) -> RenderableType:
    rows = [
        (kind.value, address, _meter_url(url, address)) for kind, result in scan.results for address in result.found
    ]
    parts: list[RenderableType] = [table(("By", "Address", "URL"), rows) if rows else Text("no meter answers")]
    for kind, result in scan.results:
        parts += [
            Text(f"note: several meters answer at the {kind.value} address {address}", style="yellow")
            for address in result.unresolved
        ]
    return Group(*parts)
