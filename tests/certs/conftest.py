"""A device of a technician, and authorities, for every file here; one that needs others has its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from authority_support import PASSPHRASE, found
from certs_support import PASSPHRASE as KEY_PASSPHRASE
from certs_support import Device

from certs.authority import Authority
from certs.qr import Reader


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "home")


@pytest.fixture
def in_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands find the device, and neither a screen nor a mail server."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "METERLINK_SMTP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("METERLINK_PASSPHRASE", KEY_PASSPHRASE)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with found(tmp_path_factory.mktemp("authority") / "home") as authority:
        yield authority


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "home"
    found(path).close()
    return path


@pytest.fixture
def own(template: Path, tmp_path: Path) -> Iterator[Authority]:
    """An authority that a test may change for good: a copy, because sealing keys takes its time."""
    shutil.copytree(template, tmp_path / "home")
    with Authority.open(tmp_path / "home", PASSPHRASE, actor="operator") as authority:
        yield authority


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as reader:
        yield reader
