"""`meterlink configure` for meters on an M-Bus."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rich.console import Group
from rich.text import Text

from certs.cli.output import emit, note
from certs.clock import now
from meterlink.cli.acting import NOT_ENFORCED, SessionOptions, way_to
from meterlink.cli.report import shown
from meterlink.commands.configure_field import FieldChange, configure_field_meter, parse_field_setting
from meterlink.commands.connect import Target
from meterlink.commands.field import telegram_key, with_line, with_patience
from meterlink.commands.secrets import meter_secrets


def configure_field(target: Target, settings: tuple[str, ...], options: SessionOptions) -> None:
    """Set ``NAME=VALUE`` of a meter on an M-Bus, and print what became of it.

    Raises what :func:`~meterlink.commands.configure_field.configure_field_meter` raises.
    """
    wanted = tuple(parse_field_setting(target.profile, text, now) for text in settings)
    keys = meter_secrets(options.keys).keys
    key = telegram_key(None if keys is None else bytes(keys.unicast))
    address = target.url.options.get("address", "")
    family = with_patience(target.profile, target.url)
    patience = None if family.line is None else family.line.patience
    target = replace(target, url=with_line(target.url, family), profile=family)
    with way_to(target, options) as (credential, transport):
        job = configure_field_meter(transport, wanted, credential, now(), address=address, key=key, patience=patience)
        changes = asyncio.run(job)
    result = {"changes": [change.as_json() for change in changes], "notes": [NOT_ENFORCED]}
    emit(result, lambda: Group(*(Text(_line(change)) for change in changes)))
    note(f"note: {NOT_ENFORCED}")


def _line(change: FieldChange) -> str:
    name = change.name.replace("_", " ")
    if not change.confirmed:
        return f"{name}: {shown(change.wanted)}, acknowledged; the meter's readout does not show it"
    return f"{name}: {shown(change.after)} (was {shown(change.before) or 'not shown'})"
