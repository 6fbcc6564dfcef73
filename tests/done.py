"""What a command did, as its user sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Done:
    """The exit status, and what was printed where."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What ``--json`` printed."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error as ``--json`` tells it, which is the last line."""
        return json.loads(self.err.strip().splitlines()[-1])["error"]

    @property
    def code(self) -> str:
        """The code of the error as people are told it."""
        return self.err.partition("error: ")[2].partition(":")[0]
