"""`meterlink configure`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from certs.cli.output import emit, json_option, note
from certs.clock import now
from meterlink.cli.acting import SessionOptions, act, notes_for, session_options
from meterlink.cli.configure_field import configure_field
from meterlink.cli.report import shown
from meterlink.commands.configure import Change, Configure, parse_setting
from meterlink.commands.connect import target_of


@click.command()
@click.argument("url")
@click.argument("settings", metavar="NAME=VALUE...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask before user data are written.")
@session_options
@json_option
def configure(url: str, settings: tuple[str, ...], yes: bool, keys: Path | None, trace: Path | None) -> None:
    """Set objects of a meter and read them back: clock=now, property-number=12345678, set-day=12-31,
    averaging-period=15; of a meter on an M-Bus clock=now, primary-address=5, secondary-address=12345678, and
    user-data=HEX for records that its description gives.

    Every value is checked before anything is sent.
    """
    target = target_of(url)
    if not target.speaks_cosem:
        configure_field(target, settings, SessionOptions(keys, trace), yes=yes)
        return
    wanted = tuple(parse_setting(target.profile, text, now) for text in settings)
    changes = act(target, Configure(wanted), SessionOptions(keys, trace))
    notes = list(notes_for(target))
    emit(
        {"changes": [change.as_json() for change in changes], "notes": notes},
        lambda: Text("\n".join(map(_line, changes))),
    )
    for text in notes:
        note(f"note: {text}")


def _line(change: Change) -> str:
    name = change.name.replace("_", " ")
    return f"{name}: {shown(change.after.value)} (was {shown(change.before.value)})"
