"""What the verbs of `meterlink cosem security` share: the option for the object, and how they end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
from rich.console import RenderableType

from certs.cli.output import emit, note
from meterlink.cli.acting import notes_for
from meterlink.commands.connect import Target
from meterlink.commands.uncertain import CallUncertain, Course, reason
from meterlink.cosem.association.config import SECURITY_SETUP
from meterlink.errors import MeterlinkError, UsageError
from meterlink.values import Obis

_Verb = TypeVar("_Verb", bound=Callable[..., Any])


def instance_option(verb: _Verb) -> _Verb:
    """Give a click command the option ``--instance``, the object's logical name."""
    option = click.option(
        "--instance",
        metavar="OBIS",
        default=str(SECURITY_SETUP).partition("*")[0],
        show_default=True,
        callback=lambda _ctx, _param, text: _instance(text),
        help="The security setup that is meant.",
    )
    return option(verb)


def finish(target: Target, result: dict[str, Any], human: RenderableType | Callable[[], RenderableType]) -> None:
    """Print a result, and what the user should know of the session's security."""
    notes = notes_for(target)
    emit(result | {"notes": list(notes)}, human)
    for text in notes:
        note(f"note: {text}")


@contextlib.contextmanager
def told_when_stopped(what: str, hint: str) -> Iterator[Course]:
    """Yield the course of a call that changes a meter. Whatever stops the program once the call may have done that,
    Ctrl-C or a fault of this computer, is told as CallUncertain: ``what`` (``the meter may have the new keys``) says
    what may have changed, ``hint`` what to do."""
    course = Course()
    try:
        yield course
    except MeterlinkError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if not course.began:
            raise
        raise CallUncertain(f"stopped in the middle ({reason(error)}): {what}", hint=hint) from error


def _instance(text: str) -> Obis:
    try:
        return Obis.parse(text)
    except ValueError as error:
        raise UsageError(str(error), code="obis-invalid") from None
