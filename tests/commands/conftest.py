"""The program in this process, with a home of its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands_field import AUTHENTICATION, UNICAST, FieldMeter
from commands_security import MASTER, OTHER_AUTHENTICATION, OTHER_UNICAST, OneCertificate, shared

from certs.levels import Level
from meterlink.cli import acting
from meterlink.cli.main import main
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite


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


@pytest.fixture
def commissioning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The active certificate is one of Commissioning."""
    store = OneCertificate(Level.COMMISSIONING)
    monkeypatch.setattr(acting, "open_store", lambda: store)


@pytest.fixture
def meter(field_meter: FieldMeter) -> FieldMeter:
    """A meter of the field with a master key, and keys of their own for each suite."""
    keys = shared(field_meter).keys
    keys[Suite.SUITE_0] = KeySet(UNICAST, AUTHENTICATION, master=MASTER)
    keys[Suite.SUITE_1] = KeySet(OTHER_UNICAST, OTHER_AUTHENTICATION, master=MASTER)
    return field_meter


@pytest.fixture
def old(meter: FieldMeter, tmp_path: Path) -> Path:
    """The key file of suite 0."""
    return meter.key_file(tmp_path, master=MASTER.hex())


@pytest.fixture
def of_suite_1(meter: FieldMeter, tmp_path: Path) -> Path:
    """The key file of suite 1."""
    keys = {"unicast": OTHER_UNICAST.hex(), "authentication": OTHER_AUTHENTICATION.hex(), "master": MASTER.hex()}
    return meter.key_file(tmp_path, **keys)
