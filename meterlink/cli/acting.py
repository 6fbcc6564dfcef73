"""How a verb acts on a meter: the active certificate, the gate, the session, and what the user is told on the way."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import click

from certs.cli.asking import open_store, tell
from certs.cli.output import interactive
from certs.clock import now
from meterlink.commands.command import Command, perform
from meterlink.commands.connect import Target, certificate_session
from meterlink.session import Session
from meterlink.transport.url import Context, open_transport

_R = TypeVar("_R")


def act(target: Target, command: Command[_R]) -> _R:
    """Run ``command`` on the meter at ``target`` with the active certificate.

    Raises what the gate or the session raises.
    """
    store = open_store()
    tell(store.notices())
    credential = store.active()
    context = Context(ask_passkey=_ask_passkey if interactive() else None)

    def session() -> Session:
        return certificate_session(target, open_transport(target.url, context), credential, now)

    return asyncio.run(perform(command, credential, session, now()))


async def _ask_passkey(meter: str) -> int | None:
    question = f"Passkey that {meter} shows (empty to give up)"
    answer = await asyncio.to_thread(click.prompt, question, default="", show_default=False, err=True)
    return int(answer) if answer.isdigit() else None
