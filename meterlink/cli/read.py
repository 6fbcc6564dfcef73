"""`meterlink read`."""

from __future__ import annotations

import click

from certs.cli.output import emit, json_option
from meterlink.cli.acting import act
from meterlink.cli.report import as_renderable
from meterlink.commands.connect import target_of
from meterlink.commands.objects import find_object
from meterlink.commands.read import Read


@click.command()
@click.argument("url")
@click.option("--object", "names", metavar="NAME|OBIS", multiple=True, help="Read this object alone; may be repeated.")
@json_option
def read(url: str, names: tuple[str, ...]) -> None:
    """Read a meter: all that its family names, or the objects asked for."""
    target = target_of(url)
    objects = tuple(find_object(target.profile, name) for name in names)
    report = act(target, Read(target.profile, objects))
    emit(report.as_json(), lambda: as_renderable(report))
