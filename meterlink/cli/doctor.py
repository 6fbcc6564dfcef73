"""`meterlink doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import asyncio
import getpass
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import click
import keyring
from keyring.backends.fail import Keyring as NoKeyring
from rich.table import Table
from rich.text import Text
from serial.tools import list_ports

from certs.cli.output import emit, json_option
from certs.errors import CertsError
from certs.qr import reader_info
from certs.store import Store
from meterlink._version import __version__
from meterlink.errors import LinkError
from meterlink.transport.discovery import scan_ble

Status = Literal["ok", "note", "missing"]
_MOMENT: Final = 0.2
"""Seconds; long enough to learn whether one may listen at all."""

_STYLES: Final = {"ok": "green", "note": "yellow", "missing": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: ``note`` is something to know, ``missing`` keeps a part of the program from working."""

    name: str
    status: Status
    detail: str
    fix: str = ""


@click.command()
@json_option
def doctor() -> None:
    """Look at this machine and say what is missing, with the command that mends it."""
    findings = list(examine())
    emit({"findings": [asdict(finding) for finding in findings]}, lambda: _table(findings))


def examine() -> Iterator[Finding]:
    """Look at every part in turn."""
    yield Finding("meterlink", "ok", f"{__version__}, Python {platform.python_version()}, {platform.system()}")
    yield _store()
    yield from _qr_readers()
    yield _key_ring()
    yield from _serial_ports()
    yield _bluetooth()
    yield _simulator()


def _store() -> Finding:
    try:
        active = next(entry for entry in Store.open().entries() if entry.active)
    except CertsError as error:
        return Finding("certificate store", "missing", str(error), error.hint or "")
    until = f", until {active.not_after:%Y-%m-%d}" if active.not_after else ""
    return Finding("certificate store", "ok", f"active: {active.level.value}, {active.organization}{until}")


def _qr_readers() -> Iterator[Finding]:
    info = reader_info()
    if info.has_zbar:
        yield Finding("QR reader pyzbar", "ok", "with libzbar")
    else:
        detail = "libzbar is missing; zxing-cpp reads the codes alone"
        yield Finding("QR reader pyzbar", "note", detail, _install("libzbar0"))
    if info.readers == () or info.readers == ("pyzbar",):
        fix = "pip install --force-reinstall zxing-cpp"
        yield Finding("QR reader zxing-cpp", "missing", "the package does not load", fix)
    else:
        yield Finding("QR reader zxing-cpp", "ok", "bundled library")


def _key_ring() -> Finding:
    backend = keyring.get_keyring()
    if isinstance(backend, NoKeyring):
        detail = "none here; private keys are protected by a passphrase"
        return Finding("key ring", "note", detail, "set METERLINK_PASSPHRASE where nobody can be asked")
    return Finding("key ring", "ok", type(backend).__module__)


def _serial_ports() -> Iterator[Finding]:
    ports = sorted(list_ports.comports())
    if not ports:
        yield Finding("serial ports", "note", "none found; plug the optical head or adapter in")
    for port in ports:
        if os.access(port.device, os.R_OK | os.W_OK):
            yield Finding(f"port {port.device}", "ok", port.description)
        else:
            fix = f"sudo usermod -a -G {_group_of(port.device)} {getpass.getuser()}   (then log in again)"
            yield Finding(f"port {port.device}", "missing", "no permission to open it", fix)


def _group_of(device: str) -> str:
    try:
        return Path(device).group()
    except (OSError, KeyError, NotImplementedError):
        return "dialout"


def _bluetooth() -> Finding:
    """Listen for a moment: that finds what is missing, be it adapter, service, power or permission."""
    try:
        asyncio.run(_listen_for_a_moment())
    except LinkError as error:
        plugged_in = sys.platform != "linux" or any(Path("/sys/class/bluetooth").glob("hci*"))
        if not plugged_in:
            return Finding("Bluetooth", "note", "no adapter found; plug one in, or use an optical head")
        fix = _install("bluez") if sys.platform == "linux" and shutil.which("bluetoothctl") is None else error.hint
        return Finding("Bluetooth", "missing", error.message, fix or "")
    return Finding("Bluetooth", "ok", "an adapter is here, on, and may be used")


async def _listen_for_a_moment() -> None:
    async for _ in scan_ble(_MOMENT):
        pass


def _simulator() -> Finding:
    if importlib.util.find_spec("bumble") is None:
        return Finding("simulated radio", "note", "the extra `sim` is not installed", "pip install 'meterlink[sim]'")
    return Finding("simulated radio", "ok", f"bumble {importlib.metadata.version('bumble')}")


def _install(package: str) -> str:
    return f"sudo apt-get install {package}"


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        table.add_row(Text(finding.status, style=_STYLES[finding.status]), finding.name, Text(finding.detail))
        if finding.fix:
            table.add_row("", "", Text(finding.fix, style="dim"))
    return table
