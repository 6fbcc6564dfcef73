"""A call that changes a meter: what is known of it when the session breaks, and how it is found out over a new one."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from certs.errors import CertsError
from certs.levels import Permission
from meterlink.cosem.data import Data
from meterlink.cosem.names import Method
from meterlink.errors import LinkError, LinkLost, MeterlinkError, MeterRefused, ProtocolError, RemoteError
from meterlink.session import Session

_R_co = TypeVar("_R_co", covariant=True)


class CallUncertain(LinkError):
    """The session broke while a method was called: it was done, or not."""

    default_code = "write-uncertain"


@dataclass(slots=True, eq=False)
class Course:
    """How far a call that changes a meter came, for who is stopped in the middle and has to say so. ``began`` is True
    once the call may have changed something, ``done`` once the meter said that it did."""

    began: bool = False
    done: bool = False


async def call_or_tell(
    session: Session,
    call: tuple[Method, Data],
    doing: str,
    hint: str,
    *,
    refused: str | None = None,
    course: Course | None = None,
) -> Data:
    """Call a method. ``doing`` says what that does (``a certificate was imported``), ``hint`` what to do when the
    session breaks, ``refused`` what may be wrong when the meter refuses without a reason. Raises MeterRefused, and
    :class:`CallUncertain` when a call that left ends neither in success nor in the meter's refusal, whatever the
    reason; cancellation goes on, and ``course`` tells how far the call came."""
    course = course or Course()
    course.began = True
    try:
        answer = await session.call(*call)
    except MeterRefused as error:
        course.began = False
        raise MeterRefused(error.message, code=error.code, hint=error.hint or refused) from error
    except Exception as error:
        if never_left(session, error):
            course.began = False
            raise
        why = reason(error)
        raise CallUncertain(f"the session broke while {doing} ({why}): it was done, or not", hint=hint) from error
    course.done = True
    return answer


def never_left(session: Session, error: Exception) -> bool:
    """Tell whether a request ended with ``error`` before any of it was sent."""
    return not session.in_exchange and not isinstance(error, LinkError | ProtocolError)


def reason(error: BaseException) -> str:
    """Return why something ended, in words that may be shown: those of a foreign exception may hold anything."""
    if isinstance(error, MeterlinkError | CertsError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return "stopped on request"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


@contextlib.contextmanager
def untold_raises(uncertain: LinkError) -> Iterator[None]:
    """Look what became of a write. A refusal to tell, or no answer, says nothing of it: ``uncertain`` is raised then.
    A link that is lost meanwhile is told as lost, so that it is looked up over another one."""
    try:
        yield
    except LinkLost:
        raise
    except (LinkError, RemoteError, CertsError) as error:
        raise uncertain from error


@dataclass(frozen=True, slots=True)
class FindOut(Generic[_R_co]):
    """Find out on a new link what became of a call that broke with ``uncertain``.

    ``look`` returns the result of a call that was done, None where it was not. ``what`` says what is not done then
    (``the certificate is not imported``), or is what is raised: for a call that the meter said was done.
    """

    name: ClassVar[str] = "cosem security"
    permission: ClassVar[Permission] = Permission.COMMISSION

    look: Callable[[Session], Awaitable[_R_co | None]]
    what: str | MeterlinkError
    uncertain: LinkError

    async def run(self, session: Session) -> _R_co:
        """Return the result. Raises LinkError ``write-lost`` (or ``what``) where the call was not done, and
        ``uncertain`` where the meter does not say."""
        with untold_raises(self.uncertain):
            found = await self.look(session)
        if found is None and isinstance(self.what, MeterlinkError):
            raise self.what
        if found is None:
            raise LinkError(
                f"the link broke before the call arrived; looked at over a new one, {self.what}",
                code="write-lost",
                hint="run the command again",
            )
        return found

    def resumed(self, error: LinkError) -> FindOut[_R_co] | None:
        """Return the same for a link that broke before it was found out, and for a meter that did not say."""
        return self if isinstance(error, LinkLost) or error is self.uncertain else None
