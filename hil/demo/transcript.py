"""What the demo prints: numbered steps that a person likes to read, plain when piped."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from certs.errors import CertsError
from meterlink.errors import MeterlinkError

_PLAIN_WIDTH: Final = 120
_OURS: Final = (CertsError, MeterlinkError)


class StepFailed(Exception):
    """A step of the demo failed; ``reason`` is the error that stopped it."""

    exit_code = 1

    def __init__(self, number: int, title: str, reason: Exception) -> None:
        super().__init__(title)
        self.code = "demo-failed"
        cause = (
            f"{reason.code}: {reason.message}" if isinstance(reason, _OURS) else f"{type(reason).__name__}: {reason}"
        )
        self.message = f"step {number}, {title!r}, failed: {cause}"
        self.hint = reason.hint if isinstance(reason, _OURS) else None


class Transcript:
    """The demo's voice. ``record`` keeps what is printed, so that it can be drawn as a picture."""

    def __init__(self, *, record: bool = False) -> None:
        width = None if sys.stdout.isatty() and not record else _PLAIN_WIDTH
        self._console = Console(highlight=False, emoji=False, width=width, record=record)
        self._number = 0
        self._began = time.monotonic()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a numbered heading; turn whatever goes wrong inside into :class:`StepFailed`."""
        self._number += 1
        self._console.print()
        self._console.print(Text.assemble((f"{self._number}  ", "bold cyan"), (title, "bold")))
        try:
            yield
        except Exception as error:
            raise StepFailed(self._number, title, error) from error

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._indented(Text(text))

    def done(self, text: str) -> None:
        """Print something that worked."""
        self._indented(Text.assemble(("✓ ", "green"), text))

    def refused(self, text: str) -> None:
        """Print something that was refused, as it should be."""
        self._indented(Text.assemble(("✗ ", "yellow"), text))

    def show(self, thing: RenderableType) -> None:
        """Print a table or another renderable."""
        self._indented(thing)

    def end(self, folder: Path) -> None:
        """Print the closing lines."""
        seconds = time.monotonic() - self._began
        self._console.print()
        self._console.print(Text(f"All {self._number} steps done in {seconds:.1f} s.", style="bold green"))
        self._console.print(Text(f"Files: {folder}"), soft_wrap=True)

    def picture(self, title: str) -> str:
        """Return all that was printed as an SVG picture."""
        return self._console.export_svg(title=title)

    def _indented(self, thing: RenderableType) -> None:
        if isinstance(thing, Text) and not self._console.is_terminal:
            # Nobody looks at a pipe's width: a sentence stays one line.
            self._console.print(Text("   ").append_text(thing), soft_wrap=True)
        else:
            self._console.print(Padding(thing, (0, 0, 0, 3), expand=False))
