"""`meterlink find`: what is there to connect to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
from click.core import ParameterSource
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from certs.cli.output import console, emit, json_option, note, table, wants_json
from meterlink.cli.find_bus import find_on_bus
from meterlink.cli.seconds import Seconds
from meterlink.commands.field import Scan
from meterlink.errors import LinkError, UsageError
from meterlink.framing.mbus.requests import LAST_PRIMARY
from meterlink.meters.profile import profile_of_bluetooth_name
from meterlink.transport.ble_scan import Sighting
from meterlink.transport.discovery import SerialPort, scan_ble, serial_ports, strongest_first
from meterlink.transport.url import TransportUrl


@click.command()
@click.option("--ble", "only_ble", is_flag=True, help="Bluetooth LE alone.")
@click.option("--serial", "only_serial", is_flag=True, help="Serial ports alone.")
@click.option("--seconds", type=Seconds(0.5, 300), default=6.0, show_default=True, help="How long to listen.")
@click.option("--bus", metavar="URL", help="Search the M-Bus at this URL for meters instead.")
@click.option(
    "--by",
    type=click.Choice([kind.value for kind in Scan]),
    help="Search the M-Bus by this kind of address alone; the primary ones take minutes.",
)
@click.option(
    "--mask", default="FFFFFFFF", show_default=True, help="Secondary addresses to search: F stands for any digit."
)
@click.option(
    "--last",
    type=click.IntRange(0, LAST_PRIMARY),
    default=LAST_PRIMARY,
    show_default=True,
    help="Last primary address to search.",
)
@json_option
def find(
    only_ble: bool, only_serial: bool, seconds: float, bus: str | None, by: str | None, mask: str, last: int
) -> None:
    """List serial ports and Bluetooth LE meters, or the meters on an M-Bus, with the URL to reach each by."""
    ctx = click.get_current_context()
    given = {name for name in _OPTIONS.values() if _is_given(ctx, name)}
    of_a_bus = {"by", "mask", "last"}
    wrong = given & of_a_bus if bus is None else given - of_a_bus
    if wrong:
        options = ", ".join(sorted(option for option, name in _OPTIONS.items() if name in wrong))
        raise UsageError(f"{options}: {'only' if bus is None else 'not'} with --bus", hint="meterlink find --help")
    if bus is not None:
        find_on_bus(bus, (Scan.SECONDARY, Scan.PRIMARY) if by is None else (Scan(by),), mask, last)
        return
    ports = () if only_ble else serial_ports()
    meters: Sequence[Sighting] = ()
    if not only_serial:
        try:
            meters = asyncio.run(_listen(seconds))
        except LinkError as error:
            # Without Bluetooth the ports are still worth showing; who asked for Bluetooth alone gets the error.
            if only_ble:
                raise
            note(f"note: {error.message}" + (f" ({error.hint})" if error.hint else ""))
    result = {"ports": [_port_json(port) for port in ports], "meters": [_meter_json(meter) for meter in meters]}
    emit(result, lambda: _shown(ports, meters, only_ble=only_ble, only_serial=only_serial))


_OPTIONS: Final = {
    "--by": "by",
    "--mask": "mask",
    "--last": "last",
    "--ble": "only_ble",
    "--serial": "only_serial",
    "--seconds": "seconds",
}


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


async def _listen(seconds: float) -> list[Sighting]:
    """Listen, and show what is heard as a live table where somebody looks at a terminal."""
    heard: dict[str, Sighting] = {}
    screen = console(stderr=True)
    with Live(console=screen, transient=True, auto_refresh=False) as live:
        async for sighting in scan_ble(seconds):
            heard[sighting.address] = sighting
            if screen.is_terminal and not wants_json():
                live.update(_meters(strongest_first(heard.values())), refresh=True)
    return strongest_first(heard.values())


def _shown(
    ports: Sequence[SerialPort], meters: Sequence[Sighting], *, only_ble: bool, only_serial: bool
) -> RenderableType:
    parts: list[RenderableType] = []
    if not only_ble:
        parts.append(_ports(ports) if ports else Text("no serial port"))
    if not only_serial:
        parts.append(_meters(meters) if meters else Text("no Bluetooth LE device was heard"))
    return Group(*parts)


def _ports(ports: Iterable[SerialPort]) -> RenderableType:
    rows = [
        (port.url, port.description, port.usb, port.guess, "" if port.usable else "no permission: meterlink doctor")
        for port in ports
    ]
    return table(("Port", "Description", "USB", "Probably", ""), rows)


def _meters(meters: Iterable[Sighting]) -> RenderableType:
    rows = [(_url(meter), meter.address, f"{meter.rssi} dBm", _services(meter), _family(meter)) for meter in meters]
    return table(("Meter", "Address", "Signal", "Service", "Family"), rows)


def _url(meter: Sighting) -> str:
    return str(TransportUrl("ble", meter.name or meter.address, {}))


def _services(meter: Sighting) -> str:
    return ", ".join(service.name for service in meter.services)


def _family(meter: Sighting) -> str:
    known = profile_of_bluetooth_name(meter.name)
    return known.name if known is not None else ""


def _port_json(port: SerialPort) -> dict[str, Any]:
    return {
        "url": port.url,
        "device": port.device,
        "description": port.description,
        "usb": port.usb,
        "serial_number": port.serial_number,
        "guess": port.guess,
        "usable": port.usable,
    }


def _meter_json(meter: Sighting) -> dict[str, Any]:
    return {
        "url": _url(meter),
        "name": meter.name,
        "address": meter.address,
        "rssi": meter.rssi,
        "services": [service.name for service in meter.services],
        "family": _family(meter),
    }
