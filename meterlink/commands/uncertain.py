"""A call that changes a meter: what is known of it when the session breaks, and how it is found out over a new one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from certs.levels import Permission
from meterlink.cosem.data import Data
from meterlink.cosem.names import Method
from meterlink.errors import LinkError, LinkLost, MeterRefused, ProtocolError
from meterlink.session import Session

_R_co = TypeVar("_R_co", covariant=True)


class CallUncertain(LinkError):
    """The session broke while a method was called: it was done, or not."""

    default_code = "write-uncertain"


async def call_or_tell(
    session: Session, call: tuple[Method, Data], doing: str, hint: str, *, refused: str | None = None
) -> Data:
    """Call a method. ``doing`` says what that does (``a certificate was imported``), ``hint`` what to do when the
    session breaks, ``refused`` what may be wrong when the meter refuses without a reason. Raises MeterRefused, and
    :class:`CallUncertain` when the call ends neither in success nor in the meter's refusal."""
    try:
        return await session.call(*call)
    except MeterRefused as error:
        raise MeterRefused(error.message, code=error.code, hint=error.hint or refused) from error
    except (LinkError, ProtocolError) as error:
        raise CallUncertain(f"the session broke while {doing} ({error.message}): it was done, or not", hint=hint) from (
            error
        )


@dataclass(frozen=True, slots=True)
class FindOut(Generic[_R_co]):
    """Find out on a new link what became of a call.

    ``look`` returns the result of a call that was done, None where it was not. ``what`` says what is not done then
    (``the certificate is not imported``).
    """

    name: ClassVar[str] = "cosem security"
    permission: ClassVar[Permission] = Permission.COMMISSION

    look: Callable[[Session], Awaitable[_R_co | None]]
    what: str

    async def run(self, session: Session) -> _R_co:
        """Return the result. Raises LinkError ``write-lost`` where the call was not done."""
        found = await self.look(session)
        if found is None:
            raise LinkError(
                f"the link broke before the call arrived; looked at over a new one, {self.what}",
                code="write-lost",
                hint="run the command again",
            )
        return found

    def resumed(self, error: LinkError) -> FindOut[_R_co] | None:
        """Return the same for a link that broke before it was found out."""
        return self if isinstance(error, LinkLost) else None
