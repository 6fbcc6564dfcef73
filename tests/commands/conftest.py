"""The program in this process, with a home of its own; meters with keys of their own."""

from pathlib import Path

import pytest
from commands_field import AUTHENTICATION, UNICAST, FieldMeter
from commands_security import MASTER, OTHER_AUTHENTICATION, OTHER_UNICAST, OneCertificate, shared
from program import home, meterlink

from certs.levels import Level
from meterlink.cli import acting
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite

__all__ = ["commissioning", "field_meter", "home", "meter", "meterlink", "of_suite_1", "old"]


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
