"""The program in this process, with a home of its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands_field import FieldMeter

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


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("METERLINK_METER_PASSWORD", raising=False)
    return tmp_path / "home"


@pytest.fixture
def meterlink(capsys: pytest.CaptureFixture[str]) -> Program:
    def run(*words: object) -> Done:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Done(status, out, err)

    return run


@pytest.fixture
def field_meter() -> FieldMeter:
    return FieldMeter()
