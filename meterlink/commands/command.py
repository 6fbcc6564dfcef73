"""What every command is: a name, the permission it asks for, and what it does once a session is open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import ClassVar, Final, Protocol, TypeVar, runtime_checkable

from certs.errors import CertsError
from certs.levels import Permission
from meterlink.errors import LinkError, LinkLost, LocalProtocolError, MeterlinkError
from meterlink.gate import ActiveCertificate, decide
from meterlink.session import Session

RECONNECTS: Final = 2
"""New connections made for one command after the first was lost. Somebody stands beside the meter: after a third loss
it is better to come closer than to try for ever."""

_R_co = TypeVar("_R_co", covariant=True)
_R = TypeVar("_R")


class Command(Protocol[_R_co]):
    """A command on a COSEM session; ``permission`` is what the gate asks the active certificate for."""

    name: ClassVar[str]
    permission: ClassVar[Permission]

    async def run(self, session: Session) -> _R_co:
        """Do it on an open session and return the result."""
        ...


@runtime_checkable
class Resumable(Protocol[_R_co]):
    """A command that changes something and knows how to go on when the link breaks in the middle."""

    def resumed(self, error: LinkError) -> Command[_R_co] | None:
        """Return what to run on a new link after one broke with ``error``, None where nothing can be done."""
        ...


async def perform(
    command: Command[_R],
    certificate: ActiveCertificate,
    open_session: Callable[[], Session],
    now: dt.datetime,
) -> _R:
    """Ask the gate, then open a session and run ``command`` on it.

    ``open_session`` is not called for a command that the gate refuses: nothing is opened and no byte is sent. When the
    connection is lost, up to :data:`RECONNECTS` new ones are made: what only reads is read again, a write is read back
    and never sent twice unasked. Raises NotPermitted, and whatever the session raises; when no new connection comes
    about, what is known of a write is told, not that.
    """
    decide(command.name, command.permission, certificate, now).enforce()
    uncertain: LinkError | None = None
    for reconnects_left in range(RECONNECTS, -1, -1):
        session = open_session()
        try:
            await session.open()
        except (MeterlinkError, CertsError) as error:
            if uncertain is None:
                raise
            if not reconnects_left:
                raise uncertain from error
            continue
        try:
            return await command.run(session)
        except LinkError as error:
            following = _following(command, error) if reconnects_left else None
            if following is None:
                if uncertain is not None and isinstance(error, LinkLost):
                    raise uncertain from error
                raise
            if isinstance(command, Resumable) and not isinstance(error, LinkLost):
                uncertain = error
            command = following
        finally:
            await session.close()
    raise LocalProtocolError("a command was neither done nor given up")


def _following(command: Command[_R], error: LinkError) -> Command[_R] | None:
    """Return what to run on a new link after ``error``; None to give up."""
    if isinstance(command, Resumable):
        resumed: Command[_R] | None = command.resumed(error)
        return resumed
    is_lost = isinstance(error, LinkLost)
    return command if is_lost and command.permission is Permission.READ else None
