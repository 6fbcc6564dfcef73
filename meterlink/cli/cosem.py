"""`meterlink cosem`: services on any object, and image transfer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import click

from certs.cli.output import confirm, emit, json_option, note, wants_json
from meterlink import notation
from meterlink.cli.acting import SessionOptions, act, notes_for, session_options
from meterlink.cli.cosem_security import security
from meterlink.cli.progress import bar
from meterlink.cli.streams import say, value_as_json_text, value_as_text
from meterlink.commands.connect import Target, target_of
from meterlink.commands.image import TransferImage, Transferred
from meterlink.commands.low_level import UNENFORCED, CallMethod, GetAttribute, SetAttribute, class_of, index_of
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.errors import UsageError
from meterlink.values import Obis

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_MAX_IMAGE: Final = 64 << 20
_IDENTIFICATION_LENGTH: Final = 16


@click.group()
def cosem() -> None:
    """Services of COSEM on any object: for whoever knows the meter's objects.

    CLASS is a number or a name (register), OBIS a code (1-0:1.8.0), INDEX a number or a name (scaler_unit). A VALUE is
    written TYPE:VALUE, such as u16:5, text:abc, octets:00ff, at:2026-11-22T14:30:00+01:00, [u8:1,u8:2] or
    {u8:1,null}; docs/cosem.md has all of them.
    """


cosem.add_command(security)


@cosem.command()
@click.argument("url")
@click.argument("class_name", metavar="CLASS")
@click.argument("obis")
@click.argument("index")
@session_options
@json_option
def get(url: str, class_name: str, obis: str, index: str, keys: Path | None, trace: Path | None) -> None:
    """Read an attribute."""
    target = target_of(url)
    class_id = class_of(class_name)
    attribute = Attribute(class_id, _obis(obis), index_of(class_id, index, of_methods=False))
    _show(target, act(target, GetAttribute(attribute), SessionOptions(keys, trace)))


@cosem.command(name="set")
@click.argument("url")
@click.argument("class_name", metavar="CLASS")
@click.argument("obis")
@click.argument("index")
@click.argument("value")
@session_options
@json_option
def set_(url: str, class_name: str, obis: str, index: str, value: str, keys: Path | None, trace: Path | None) -> None:
    """Write an attribute; asks for the permission to commission."""
    target = target_of(url)
    class_id = class_of(class_name)
    attribute = Attribute(class_id, _obis(obis), index_of(class_id, index, of_methods=False))
    command = SetAttribute(attribute, notation.read(value))
    act(target, command, SessionOptions(keys, trace), unenforced=UNENFORCED)
    emit({"set": str(attribute), "notes": list(notes_for(target))}, f"{attribute} set")
    _tell(target)


@cosem.command()
@click.argument("url")
@click.argument("class_name", metavar="CLASS")
@click.argument("obis")
@click.argument("index")
@click.argument("value", required=False)
@session_options
@json_option
def call(
    url: str, class_name: str, obis: str, index: str, value: str | None, keys: Path | None, trace: Path | None
) -> None:
    """Call a method, with VALUE as its parameter; asks for the permission to commission."""
    target = target_of(url)
    class_id = class_of(class_name)
    method = Method(class_id, _obis(obis), index_of(class_id, index, of_methods=True))
    argument = None if value is None else notation.read(value)
    _show(target, act(target, CallMethod(method, argument), SessionOptions(keys, trace), unenforced=UNENFORCED))


@cosem.command()
@click.argument("url")
@click.argument("file", type=_FILE)
@click.option("--identification", metavar="TEXT", help="Names the image to the meter. Default: a digest of the file.")
@click.option("--activate", is_flag=True, help="Put the image in force once it is verified.")
@click.option("--yes", is_flag=True, help="Do not ask before a firmware is activated.")
@session_options
@json_option
def image(
    url: str,
    file: Path,
    identification: str | None,
    activate: bool,
    yes: bool,
    keys: Path | None,
    trace: Path | None,
) -> None:
    """Transfer new firmware and let the meter verify it; run it again to go on after a broken link."""
    target = target_of(url)
    data = _image(file)
    question = f"Put the firmware {file.name} in force on the meter at {target.url}?"
    name = identification.encode() if identification else hashlib.sha256(data).digest()[:_IDENTIFICATION_LENGTH]
    with bar("image") as shown:

        def ask() -> None:
            with shown.away():
                confirm(question, yes=yes)

        command = TransferImage(data, name, activate, progress=shown.tell)
        done = act(target, command, SessionOptions(keys, trace), ask=ask if activate else None)
    emit(
        {"blocks": done.blocks, "sent": done.sent, "status": _status(done), "notes": list(notes_for(target))},
        f"{done.sent} of {done.blocks} blocks sent, {_status(done)}",
    )
    _tell(target)


def _image(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(_MAX_IMAGE + 1)
    if len(data) > _MAX_IMAGE:
        raise UsageError(f"{file} is larger than {_MAX_IMAGE} bytes", code="image", hint="is this the right file?")
    return data


def _status(done: Transferred) -> str:
    return done.status.name.lower().replace("_", " ")


def _obis(text: str) -> Obis:
    try:
        return Obis.parse(text)
    except ValueError as error:
        raise UsageError(str(error), code="obis-invalid") from None


def _show(target: Target, value: Data) -> None:
    if wants_json():
        say(value_as_json_text(value, {"notes": list(notes_for(target))}))
    else:
        say(value_as_text(value))
    _tell(target)


def _tell(target: Target) -> None:
    for text in notes_for(target):
        note(f"note: {text}")
