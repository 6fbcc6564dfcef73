"""A progress bar on standard error, where somebody looks at a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from certs.cli.output import console, wants_json


class Bar:
    """A bar that can make room for what is printed meanwhile. Without a terminal it shows nothing."""

    def __init__(self, progress: Progress | None, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def tell(self, done: int, total: int | None, label: str | None = None) -> None:
        """Show how far it is, and what is being done where ``label`` says so."""
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total, description=label)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Take the bar off the screen while something else is printed."""
        if self._progress is None:
            yield
            return
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()


@contextlib.contextmanager
def bar(label: str) -> Iterator[Bar]:
    """Yield a bar; without a terminal, or with ``--json``, one that shows nothing."""
    screen = console(stderr=True)
    if not screen.is_terminal or wants_json():
        yield Bar(None, TaskID(0))
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    # The result goes to standard output, which may be a file: it must not pass through this screen.
    with Progress(
        *columns, TimeRemainingColumn(), console=screen, transient=True, redirect_stdout=False
    ) as progress:  # fmt: skip
        yield Bar(progress, progress.add_task(label, total=None))
