"""What every command is: a name, the permission it asks for, and what it does once a session is open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import ClassVar, Protocol, TypeVar

from certs.levels import Permission
from meterlink.gate import ActiveCertificate, decide
from meterlink.session import Session

_R_co = TypeVar("_R_co", covariant=True)
_R = TypeVar("_R")


class Command(Protocol[_R_co]):
    """A command on a COSEM session; ``permission`` is what the gate asks the active certificate for."""

    name: ClassVar[str]
    permission: ClassVar[Permission]

    async def run(self, session: Session) -> _R_co:
        """Do it on an open session and return the result."""
        ...


async def perform(
    command: Command[_R],
    certificate: ActiveCertificate,
    open_session: Callable[[], Session],
    now: dt.datetime,
) -> _R:
    """Ask the gate, then open a session and run ``command`` on it.

    ``open_session`` is not called for a command that the gate refuses: nothing is opened and no byte is sent. Raises
    NotPermitted, and whatever the session raises.
    """
    decide(command.name, command.permission, certificate, now).enforce()
    async with open_session() as session:
        return await command.run(session)
