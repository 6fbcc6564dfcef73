"""The program in this process, with a home of its own, and as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from done import Done

from meterlink.cli.main import main

Program = Callable[..., Done]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is not there yet, and none of the passwords that the surroundings may hold."""
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "home"))
    for secret in ("METERLINK_METER_PASSWORD", "METERLINK_MQTT_PASSWORD"):
        monkeypatch.delenv(secret, raising=False)
    return tmp_path / "home"


@pytest.fixture
def meterlink(capsys: pytest.CaptureFixture[str]) -> Program:
    """The same code as the process, without its second of start-up."""

    def run(*words: object) -> Done:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Done(status, out, err)

    return run


@contextmanager
def start(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program as a process of its own, which does not outlive the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "meterlink", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # A background job inherits SIGINT ignored, and would pass that on: here it must mean what it means to a user.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()
