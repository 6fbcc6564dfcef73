"""The user's store at the terminal: opening it, asking for passphrases, telling what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

import click

from certs.cli import output
from certs.entries import Notice
from certs.errors import KeyStoreError
from certs.store import Store

BACKUP_VARIABLE: Final = "METERLINK_BACKUP_PASSPHRASE"


def open_store() -> Store:
    """Open the user's store. In a terminal its passphrase is asked for when it is needed."""
    return Store.open(ask=ask_passphrase if output.interactive() else None)


def tell(notices: Iterable[Notice]) -> None:
    """Print what the user should know beside the result."""
    for notice in notices:
        output.warn(notice.code, notice.message, notice.hint)


def ask_passphrase(new: bool) -> str:
    """Ask for the passphrase of the keys on this device, twice when it is a new one."""
    text = "New passphrase for the keys on this device" if new else "Passphrase of the keys on this device"
    return _prompt(text, new=new)


def backup_passphrase(*, new: bool) -> str:
    """Return a backup's passphrase: from the environment, else asked for.

    Raises :class:`KeyStoreError` ``passphrase-needed`` without a terminal.
    """
    given = os.environ.get(BACKUP_VARIABLE)
    if given:
        return given
    if not output.interactive():
        hint = f"Set {BACKUP_VARIABLE}, or run this in a terminal."
        raise KeyStoreError("passphrase-needed", "the backup's passphrase is needed", hint)
    return _prompt("New passphrase for the backup" if new else "Passphrase of the backup", new=new)


def _prompt(text: str, *, new: bool) -> str:
    return str(click.prompt(text, hide_input=True, confirmation_prompt=new, err=True))
