"""The root of the command line: it finds the verbs. Errors and exit statuses are those of :mod:`certs.cli.output`."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from collections.abc import Sequence
from typing import Any, Final

import click

from certs.cli.output import run
from meterlink._version import __version__
from meterlink.errors import UsageError

_VERBS: Final = {
    "authority": "certs.cli.authority:authority",
    "certs": "certs.cli.technician:certs",
    "configure": "meterlink.cli.configure:configure",
    "cosem": "meterlink.cli.cosem:cosem",
    "decode": "meterlink.cli.decode:decode",
    "doctor": "meterlink.cli.doctor:doctor",
    "find": "meterlink.cli.find:find",
    "read": "meterlink.cli.read:read",
}
"""Verb -> where it stands. A verb is imported when it is called, so that `certs list` does not wait for Bluetooth."""

_ENTRY_POINTS: Final = "meterlink.commands"


class _Root(click.Group):
    """A group whose verbs are loaded when they are needed; packages above this one add theirs by entry point."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_VERBS, *(entry.name for entry in _extra_verbs())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _VERBS.get(cmd_name)
        if place is not None:
            module, _, name = place.partition(":")
            return _as_command(getattr(importlib.import_module(module), name))
        for entry in _extra_verbs():
            if entry.name == cmd_name:
                return _as_command(_load(entry))
        return None


def _as_command(verb: Any) -> click.Command:
    if not isinstance(verb, click.Command):
        raise TypeError(f"{verb!r} is not a click command")
    return verb


def _extra_verbs() -> Sequence[importlib.metadata.EntryPoint]:
    return tuple(importlib.metadata.entry_points(group=_ENTRY_POINTS))


def _load(entry: importlib.metadata.EntryPoint) -> Any:
    try:
        return entry.load()
    except ImportError as error:
        raise UsageError(
            f"`{entry.name}` needs a package that is not installed: {error.name or error}",
            code="extra-missing",
            hint="pip install 'meterlink[sim,authority]'",
        ) from error


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="meterlink")
def root() -> None:
    """Talk to heat meters; what you may do is what the active certificate grants.

    Exit status: 0 ok, 1 a fault of ours, 2 usage, 3 not permitted, 4 certificate, 5 link, 6 the meter refused or
    answered wrongly.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with ``arguments`` (default: those of the process) and return its exit status."""
    # Libraries warn of lost links through logging; without a handler Python would print that between our lines.
    logging.getLogger().addHandler(logging.NullHandler())
    return run(root, arguments)
