"""`meterlink configure` for meters on an M-Bus."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rich.console import Group
from rich.text import Text

from certs.cli.output import confirm, emit, note
from certs.clock import now
from certs.levels import Permission
from meterlink.cli.acting import NOT_ENFORCED, SessionOptions, way_to
from meterlink.cli.report import in_usual_unit, shown
from meterlink.commands.configure_field import (
    NAME,
    FieldChange,
    FieldSetting,
    configure_field_meter,
    one_meter,
    parse_field_setting,
)
from meterlink.commands.connect import Target
from meterlink.commands.field import telegram_key, with_line, with_patience
from meterlink.commands.secrets import meter_secrets
from meterlink.commands.user_data import UserData
from meterlink.gate import decide
from meterlink.values import Reading


def configure_field(target: Target, settings: tuple[str, ...], options: SessionOptions, *, yes: bool) -> None:
    """Set ``NAME=VALUE`` of a meter on an M-Bus, and print what became of it. Of user data, the user is shown what they
    say and asked first; ``yes`` answers.

    Raises what :func:`~meterlink.commands.configure_field.configure_field_meter` raises, and UsageFault for an answer
    that is no, or that nobody can give.
    """
    wanted = tuple(parse_field_setting(target.profile, text, now) for text in settings)
    keys = meter_secrets(options.keys).keys
    key = telegram_key(None if keys is None else bytes(keys.unicast))
    address = target.url.options.get("address", "")
    family = with_patience(target.profile, target.url)
    target = replace(target, url=with_line(target.url, family), profile=family)
    with way_to(target, options) as (credential, transport):
        # Nobody is asked about what will be refused.
        decide(NAME, Permission.CONFIGURE, credential, now()).enforce()
        one_meter(address)
        for setting in wanted:
            _ask(setting, address, yes=yes)
        job = configure_field_meter(transport, wanted, credential, now(), address=address, key=key, plan=family.line)
        changes = asyncio.run(job)
    result = {"changes": [change.as_json() for change in changes], "notes": [NOT_ENFORCED]}
    emit(result, lambda: Group(*(Text(_line(change)) for change in changes)))
    note(f"note: {NOT_ENFORCED}")


def _ask(setting: FieldSetting, address: str, *, yes: bool) -> None:
    """Show what user data say, and ask before they are written: nothing can take them back."""
    data = setting.make()
    if not isinstance(data, UserData):
        return
    for record in data.records:
        name = record.name.replace("_", " ")
        note(f"  {record.source}: {name} = {record.note or ' '.join(in_usual_unit(record.value, record.unit)).strip()}")
    confirm(
        f"Write {_count(data.records)} ({len(data.octets)} octets) into the meter at {address}? "
        "Whether it takes them cannot be read back.",
        yes=yes,
    )


def _count(records: tuple[Reading, ...]) -> str:
    return "1 record" if len(records) == 1 else f"{len(records)} records"


def _line(change: FieldChange) -> str:
    name = change.name.replace("_", " ")
    if change.records:
        return f"{name}: {_count(change.records)} acknowledged; no readout shows whether the meter took them"
    if not change.confirmed:
        return f"{name}: {shown(change.wanted)}, acknowledged; the meter's readout does not show it"
    return f"{name}: {shown(change.after)} (was {shown(change.before) or 'not shown'})"
