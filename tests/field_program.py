"""The program in this process: the same code as the process, without its second of start-up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from meterlink.cli.main import main


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def code(self) -> str:
        """The code of the error."""
        return self.err.partition("error: ")[2].partition(":")[0]


Program = Callable[..., Done]


def program(capsys: pytest.CaptureFixture[str]) -> Program:
    def run(*words: object) -> Done:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Done(status, out, err)

    return run
