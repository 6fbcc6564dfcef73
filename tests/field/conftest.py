"""The program in this process, with a home of its own."""

import pytest
from field_program import Program, program


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("METERLINK_MQTT_PASSWORD", raising=False)
    return tmp_path / "home"


@pytest.fixture
def meterlink(capsys: pytest.CaptureFixture[str]) -> Program:
    return program(capsys)
