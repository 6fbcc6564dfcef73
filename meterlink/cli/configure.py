"""`meterlink configure`."""

from __future__ import annotations

import click
from rich.text import Text

from certs.cli.output import emit, json_option
from certs.clock import now
from meterlink.cli.acting import act
from meterlink.cli.report import shown
from meterlink.commands.configure import Change, Configure, parse_setting
from meterlink.commands.connect import target_of


@click.command()
@click.argument("url")
@click.argument("settings", metavar="NAME=VALUE...", nargs=-1, required=True)
@json_option
def configure(url: str, settings: tuple[str, ...]) -> None:
    """Set objects of a meter, for example `clock=now`, and read them back."""
    target = target_of(url)
    wanted = tuple(parse_setting(target.profile, text, now) for text in settings)
    changes = act(target, Configure(wanted))
    emit({"changes": [change.as_json() for change in changes]}, lambda: Text("\n".join(map(_line, changes))))


def _line(change: Change) -> str:
    return f"{change.name}: {shown(change.after.value)} (was {shown(change.before.value)})"
