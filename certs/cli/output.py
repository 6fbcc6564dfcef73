"""What a command prints: a result for people or as JSON, and errors as ``error: CODE: message`` with a hint.

Everything with ``code``, ``message``, ``hint`` and ``exit_code`` can be rendered, so every floor uses this module.
A command takes :func:`json_option` and prints with :func:`emit`; the program runs through :func:`run`.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from certs.errors import CertsError

EXIT_INTERNAL: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it
EXIT_PIPE: Final = 141  # 128 + SIGPIPE

_JSON_KEY: Final = "meterlink.json"
_PIPE_WIDTH: Final = 240  # wide enough that no table of ours is cut when nobody looks at it in a terminal

_Command = TypeVar("_Command", bound=Callable[..., Any])


@runtime_checkable
class Renderable(Protocol):
    """An error that can be shown to a user."""

    code: str
    message: str
    hint: str | None
    exit_code: int


class UsageFault(CertsError):
    """What was asked on the command line cannot be meant, or wants an answer that nobody is there to give."""

    exit_code = EXIT_USAGE


def json_option(command: _Command) -> _Command:
    """Give a click command the option ``--json``. :func:`emit` and the error rendering look it up themselves."""

    def remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[_JSON_KEY] = True

    option = click.option(
        "--json", is_flag=True, is_eager=True, expose_value=False, callback=remember, help="Print JSON."
    )
    return option(command)


def wants_json() -> bool:
    """Tell whether the running command was called with ``--json``."""
    ctx = click.get_current_context(silent=True)
    return bool(ctx is not None and ctx.meta.get(_JSON_KEY, False))


def emit(result: Any, human: RenderableType | Callable[[], RenderableType]) -> None:
    """Print ``result`` as JSON with ``--json``, else ``human`` (a string, a rich renderable, or a call giving one).

    A string is printed as it is; nothing in it is read as markup.
    """
    if wants_json():
        click.echo(json_text(result, indent=2))
        return
    shown = human() if callable(human) else human
    console().print(Text(shown) if isinstance(shown, str) else shown, soft_wrap=isinstance(shown, str))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return ``value`` as JSON; in ASCII alone where it holds anything but visible characters, so that no text from
    outside steers the terminal that it is shown in."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text if text.replace("\n", "").isprintable() else json.dumps(value, indent=indent)


def printable(text: str) -> str:
    """Return a text from outside as it can be shown to people: as it is, or quoted as JSON writes it in ASCII where it
    holds anything but visible characters, such as those that steer a terminal or turn the direction of writing."""
    return text if text.isprintable() else json.dumps(text)


def _lines(text: str) -> str:
    """Return a text of ours, in lines of its own, that may hold a name from outside."""
    return "\n".join(map(printable, text.split("\n")))


def console(*, stderr: bool = False) -> Console:
    """Return a console on the present stdout (or stderr): colours in a terminal, plain and wide in a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream is not None and stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> Table:
    """Return a plain table. The cells are text, shown by :func:`printable`; nothing in them is read as markup."""
    made = Table(title=title, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def note(text: str) -> None:
    """Print a remark for people on stderr; with ``--json`` nothing (put it into the result instead)."""
    if not wants_json():
        click.echo(_lines(text), err=True)


def warn(code: str, message: str, hint: str | None = None) -> None:
    """Print a warning on stderr, as text or as one line of JSON. The command goes on."""
    if wants_json():
        click.echo(json.dumps({"warning": {"code": code, "message": message, "hint": hint}}), err=True)
        return
    click.echo(f"warning: {code}: {_lines(message)}", err=True)
    if hint:
        click.echo(f"hint: {_lines(hint)}", err=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a question that guards something. ``yes`` (the option ``--yes``) answers it.

    Raises :class:`UsageFault` ``confirmation-needed`` without a terminal, ``declined`` when the answer is no.
    """
    if yes:
        return
    if wants_json() or not interactive():
        raise UsageFault("confirmation-needed", question, "Give --yes to answer it without a terminal.")
    if not click.confirm(question, err=True):
        raise UsageFault("declined", "Nothing was changed.", "Answer yes, or give --yes, to go on.")


def interactive() -> bool:
    """Tell whether a person can be asked: stdin and stderr are a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def standard_input(limit: int) -> bytes:
    """Return what stdin has, at most ``limit`` octets; nothing where it is closed."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read(limit)


def render_error(error: Renderable, *, as_json: bool) -> None:
    """Print an error on stderr in the form of the interface."""
    if as_json:
        body = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
        click.echo(json_text(body), err=True)
        return
    click.echo(f"error: {error.code}: {_lines(error.message)}", err=True)
    if error.hint:
        click.echo(f"hint: {_lines(error.hint)}", err=True)


def run(command: click.Command, args: Sequence[str] | None = None, *, prog_name: str = "meterlink") -> int:
    """Run a click program and return its exit status. Errors are rendered; nothing shows a traceback.

    A usage error is rendered as code ``usage``; Ctrl-C ends with 130; an error that nobody expected is rendered as
    ``internal`` with exit 1, and with its traceback when ``METERLINK_TRACEBACK`` is set.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    as_json = "--json" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or a file that knows no arrow or degree sign gets a question mark, not nothing.
            stream.reconfigure(errors="replace")
    try:
        result = command.main(arguments, prog_name=prog_name, standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit:  # click's way to end where nobody reads our output any more
        return EXIT_PIPE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_USAGE
    except click.UsageError as error:
        return _fail(_usage_fault(error), as_json)
    except click.ClickException as error:
        return _fail(UsageFault("usage", error.format_message()), as_json)
    except (click.Abort, KeyboardInterrupt):
        return _fail(_Shown("interrupted", "Stopped on request.", None, EXIT_INTERRUPTED), as_json)
    except Exception as error:  # the last line of defence: a user must never see a traceback
        if isinstance(error, Renderable):
            return _fail(error, as_json)
        if os.environ.get("METERLINK_TRACEBACK"):
            raise
        return _fail(_unexpected(error), as_json)
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


class _Shown:
    """An error made only to be shown."""

    def __init__(self, code: str, message: str, hint: str | None, exit_code: int) -> None:
        self.code = code
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def _usage_fault(error: click.UsageError) -> UsageFault:
    hint = f"{error.ctx.command_path} --help" if error.ctx is not None else None
    return UsageFault("usage", error.format_message(), hint)


def _unexpected(error: Exception) -> _Shown:
    if isinstance(error, OSError):
        code, hint, exit_code = _OS_FAULTS.get(error.errno or 0, ("file", None, EXIT_INTERNAL))
        where = f" ({error.filename})" if error.filename else ""
        return _Shown(code, f"{error.strerror or type(error).__name__}{where}", hint, exit_code)
    # Only the kind is shown: the text of a foreign exception may hold what must not be printed.
    hint = "This is a fault of the program; METERLINK_TRACEBACK=1 shows where."
    return _Shown("internal", f"unexpected {type(error).__name__}", hint, EXIT_INTERNAL)


_DISK_FULL: Final = ("disk-full", "Free some space; what was there before is unchanged.", EXIT_INTERNAL)
_OS_FAULTS: Final[dict[int, tuple[str, str | None, int]]] = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EACCES: ("file", "Check the permissions, or choose another place.", EXIT_USAGE),
    errno.EPERM: ("file", "Check the permissions, or choose another place.", EXIT_USAGE),
    errno.EROFS: ("file", "This place can only be read; choose another one.", EXIT_USAGE),
    errno.ENOENT: ("file", "Check the name.", EXIT_USAGE),
    errno.ENOTDIR: ("file", "Check the name.", EXIT_USAGE),
    errno.EISDIR: ("file", "This is a folder; name a file.", EXIT_USAGE),
}
"""What the operating system refuses: code, hint, exit status (2 where another name would help)."""


def _fail(error: Renderable, as_json: bool) -> int:
    render_error(error, as_json=as_json)
    return error.exit_code
