"""What the demo prints: numbered steps that a person likes to read, plain when piped."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from certs.errors import CertsError
from meterlink.errors import MeterlinkError

_PLAIN_WIDTH: Final = 120
_PICTURE_WIDTH: Final = 100
_FONT_FACE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
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
    """The demo's voice. ``record`` keeps what is printed, so that it can be drawn as a picture; ``silent`` prints
    nothing."""

    def __init__(self, *, record: bool = False, silent: bool = False) -> None:
        width = None if sys.stdout.isatty() else _PLAIN_WIDTH
        self._consoles = [Console(highlight=False, emoji=False, width=width, quiet=silent)]
        if record:
            drawn = Console(
                file=io.StringIO(), record=True, force_terminal=True, highlight=False, emoji=False, width=_PICTURE_WIDTH
            )
            self._consoles.append(drawn)
        self._number = 0
        self._titles: list[str] = []
        self._began = time.monotonic()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a numbered heading; turn whatever goes wrong inside into :class:`StepFailed`."""
        self._number += 1
        self._titles.append(title)
        self._print(Text(" "))
        self._print(Text.assemble((f"{self._number}  ", "bold cyan"), (title, "bold")))
        try:
            yield
        except StepFailed:
            raise
        except Exception as error:  # whatever stops a step is told as the failure of that step
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
        here = Path.cwd()
        shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
        self._print(Text(" "))
        self._print(Text(f"All {self._number} steps done in {seconds:.1f} s.", style="bold green"))
        self._print(Text(f"Files: {shown}"))

    def as_json(self) -> dict[str, Any]:
        """Return the titles of the steps, all of them done, and the seconds they took."""
        return {"steps": self._titles, "seconds": round(time.monotonic() - self._began, 1)}

    def picture(self, title: str) -> str:
        """Return all that was printed as an SVG picture, without references to fonts on other people's servers."""
        return _FONT_FACE.sub("", self._consoles[-1].export_svg(title=title))

    def _print(self, thing: RenderableType, indent: str = "") -> None:
        for console in self._consoles:
            if isinstance(thing, Text) and not console.is_terminal:
                # Nobody looks at a pipe's width: a sentence stays one line.
                console.print(Text(indent).append_text(thing), soft_wrap=True)
            else:
                console.print(Padding(thing, (0, 0, 0, len(indent)), expand=False))

    def _indented(self, thing: RenderableType) -> None:
        self._print(thing, "   ")
