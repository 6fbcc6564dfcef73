"""How a verb acts on a meter: the active certificate, the gate, the session, and what the user is told on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from certs.cli.asking import open_store, tell
from certs.cli.output import interactive, warn
from certs.clock import now
from certs.entries import Credential
from certs.levels import Permission
from meterlink.cli.trace_file import trace_file
from meterlink.commands.command import Command, perform
from meterlink.commands.connect import Target, meter_session
from meterlink.commands.secrets import MeterSecrets, meter_secrets
from meterlink.commands.shared import forgets_counters, is_replayable, unprotected_parts
from meterlink.commands.turns import IN_USE
from meterlink.counter_file import FileCounterStore
from meterlink.errors import UsageError
from meterlink.gate import decide
from meterlink.session import Session
from meterlink.transport.base import Transport
from meterlink.transport.replay import Sink, record
from meterlink.transport.url import Context, open_transport

NOT_ENFORCED: Final = (
    "this meter does not enforce certificates: whether the command is permitted was decided on this device alone"
)
"""What the user is told of a meter that knows no certificates."""

REPLAYABLE: Final = (
    "answers that another program or computer got with these keys could be played back here; those that this one got "
    "could not. ciphering=ded tells all of them apart, where the meter speaks it"
)
"""What the user is told of keys that stay, without a challenge."""

FORGOTTEN: Final = (
    "the meter's counters were not compared with those of earlier sessions: nothing told its answers from recorded ones"
)
"""What the user is told of ``meter-counter``."""

_FILE: Final = click.Path(dir_okay=False, path_type=Path)

_R = TypeVar("_R")
_Verb = TypeVar("_Verb", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Options of every verb that talks to a meter: the key file, and the file that takes what crosses the wire."""

    keys: Path | None = None
    trace: Path | None = None


def session_options(verb: _Verb) -> _Verb:
    """Give a click command the options ``--keys`` and ``--trace``, as parameters of these names."""
    keys = click.option("--keys", type=_FILE, help="Key file for a meter without certificates, see docs/cosem.md.")
    trace = click.option("--trace", type=_FILE, help="Write what crosses the wire into this file.")
    return keys(trace(verb))


def notes_for(target: Target) -> tuple[str, ...]:
    """Return what the user should know of the security of a session with ``target``."""
    if target.enforces_certificates:
        return ()
    options = target.url.options
    notes = [NOT_ENFORCED, *unprotected_parts(options)]
    if forgets_counters(options):
        notes.append(FORGOTTEN)
    elif is_replayable(options):
        notes.append(REPLAYABLE)
    return tuple(notes)


def act(
    target: Target,
    command: Command[_R],
    options: SessionOptions | None = None,
    *,
    unenforced: Sequence[Permission] = (),
    ask: Callable[[], None] | None = None,
) -> _R:
    """Run ``command`` on the meter at ``target`` with the active certificate.

    ``unenforced`` is what a meter that does not enforce certificates asks for beside the command's own permission.
    ``ask`` asks the user whether it is meant, and raises where it is not: once it is sure that it would be permitted.
    Raises UsageError ``profile`` for a meter that sends readouts and has no objects, and what the gate or the session
    raises.
    """
    options = options or SessionOptions()
    if not target.speaks_cosem:
        raise UsageError(
            f"{target.profile.title} has no COSEM objects: this cannot be done with it",
            code="profile",
            hint="name another family in the URL (?profile=cosem-heat), or see docs/reading-heat-meters.md",
        )
    secrets = meter_secrets(options.keys)
    with way_to(target, options) as (credential, transport):
        session = sessions(target, transport, credential, secrets)
        for permission in (command.permission, *(() if target.enforces_certificates else unenforced)):
            decide(command.name, permission, credential, now()).enforce()
        if ask is not None:
            ask()
        # Not the result of the coroutine: asyncio.run writes that out in full when it gives Ctrl-C back.
        results: list[_R] = []

        async def run() -> None:
            results.append(await perform(command, credential, session, now()))

        asyncio.run(run())
        return results[0]


def sessions(
    target: Target, transport: Callable[[], Transport], credential: Credential, secrets: MeterSecrets
) -> Callable[[], Session]:
    """Return a call that makes a session with ``target``, each over a ``transport`` of its own. The user is told when
    it waits for another one with the same keys."""
    waits = partial(warn, IN_USE)
    counters = FileCounterStore()
    return lambda: meter_session(target, transport(), credential, now, secrets, counters, waits)


@contextlib.contextmanager
def way_to(target: Target, options: SessionOptions) -> Iterator[tuple[Credential, Callable[[], Transport]]]:
    """Yield the active certificate and a call that makes a transport to the meter, not opened yet and recorded where
    ``--trace`` asks for it: the file is opened with the first one, so that what is refused or declined before leaves an
    older trace as it is. The user is told what is wrong with the store."""
    store = open_store()
    tell(store.notices())
    credential = store.active()
    context = Context(ask_passkey=_ask_passkey if interactive() else None)
    with contextlib.ExitStack() as stack:
        sinks: list[Sink] = []

        def transport() -> Transport:
            if options.trace is not None and not sinks:
                sinks.append(stack.enter_context(trace_file(options.trace, str(target.url))))
            made = open_transport(target.url, context)
            return record(made, sinks[0]) if sinks else made

        yield credential, transport


async def _ask_passkey(meter: str) -> int | None:
    question = f"Passkey that {meter} shows (empty to give up)"
    answer = await asyncio.to_thread(click.prompt, question, default="", show_default=False, err=True)
    return int(answer) if answer.isdigit() else None
