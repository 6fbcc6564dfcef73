"""A progress bar on standard error, where somebody looks at a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from certs.cli.output import console, wants_json
from meterlink.commands.read_all import Progress as Report


@contextlib.contextmanager
def progress(label: str) -> Iterator[Report]:
    """Yield what is to be told of the progress; without a terminal, or with ``--json``, it shows nothing."""
    screen = console(stderr=True)
    if not screen.is_terminal or wants_json():
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=screen, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
