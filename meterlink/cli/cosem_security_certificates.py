"""`meterlink cosem security csr`, `import`, `export` and `remove`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs import clock, files
from certs.cli.asking import open_store
from certs.cli.output import confirm, json_option
from certs.errors import ProfileError
from certs.loading import UNREADABLE, load_der, load_pem
from certs.profile import system_title_text
from meterlink.cli.acting import SessionOptions, act, session_options
from meterlink.cli.cosem_security_options import finish, instance_option, told_when_stopped
from meterlink.commands.connect import target_of
from meterlink.commands.security_certificates import (
    LOOK_FOR_IT,
    ExportCertificate,
    ImportCertificate,
    RemoveCertificate,
    RequestCertificate,
)
from meterlink.commands.security_words import (
    ENTITIES,
    KEY_USES,
    USES,
    Wanted,
    certificate_json,
    info_json,
)
from meterlink.errors import UsageError
from meterlink.values import Obis

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_MAX_CERTIFICATE: Final = 64 * 1024
_PUBLIC: Final = 0o644
_NOT_NEW: Final = "this is the key that the meter uses already: without generate-key-pair before, nothing is renewed"

_Verb = TypeVar("_Verb", bound=Callable[..., Any])

_form_option = click.option("--der", is_flag=True, help="Write DER instead of PEM.")


def wanted_options(verb: _Verb) -> _Verb:
    """Give a click command the options that say which certificate is meant."""
    for option in (
        click.option("--issuer", default="", help="A part of the issuer's name, where more than one is meant."),
        click.option("--serial", metavar="HEX", help="The serial number, instead of --entity and --use."),
        click.option("--title", metavar="HEX", help="The system title in the certificate."),
        click.option("--use", type=click.Choice(tuple(USES)), default=KEY_USES[0], show_default=True, help="Its use."),
        click.option(
            "--entity",
            type=click.Choice(tuple(ENTITIES)),
            default="server",
            show_default=True,
            help="Whose it is; server is the meter.",
        ),
    ):
        verb = option(verb)
    return verb


@click.command()
@click.argument("url")
@click.option("--use", type=click.Choice(KEY_USES), default=KEY_USES[0], show_default=True, help="What the key is for.")
@click.option("--out", type=_FILE, required=True, help="File for the request.")
@_form_option
@click.option("--yes", is_flag=True, help="Write over a file that is there.")
@instance_option
@session_options
@json_option
def csr(
    url: str, use: str, out: Path, der: bool, yes: bool, instance: Obis, keys: Path | None, trace: Path | None
) -> None:
    """Have the meter make a certificate signing request (PKCS#10) for its newest key.

    It is written when it holds: made by whoever holds the key, for this meter's system title, on its suite's curve.
    """
    target = target_of(url)
    command = RequestCertificate(USES[use], instance)
    made = act(target, command, SessionOptions(keys, trace), ask=partial(_ask_to_overwrite, out, yes=yes))
    request = made.request
    _write(out, request.csr, der=der)
    facts = {
        "system_title": system_title_text(request.system_title),
        "suite": request.suite,
        "fingerprint": request.fingerprint,
        "new_key": None if made.is_certified is None else not made.is_certified,
    }
    lines = [
        f"Request:      {out}",
        f"System title: {facts['system_title']}",
        f"Fingerprint:  {request.fingerprint}",
        *([f"note: {_NOT_NEW}"] if made.is_certified else []),
        "Have it certified: meterlink authority issue-meter --csr FILE --fingerprint F",
    ]
    finish(target, {"file": str(out), **facts}, "\n".join(lines))


@click.command("import")
@click.argument("url")
@click.argument("file", metavar="CERTFILE", type=_FILE)
@click.option("--entity", type=click.Choice(tuple(ENTITIES)), default="server", show_default=True, help="Whose it is.")
@instance_option
@session_options
@json_option
def import_(url: str, file: Path, entity: str, instance: Obis, keys: Path | None, trace: Path | None) -> None:
    """Give the meter a certificate: the first one in CERTFILE, PEM or DER.

    The meter's own (--entity server) is checked before: it must be for this meter, and hold in its trust domain. From
    the next session on the meter uses it.
    """
    target = target_of(url)
    certificate = _read(file)
    now = clock.now()
    domain = open_store().active().domain if target.enforces_certificates else None
    with told_when_stopped("the meter may have the certificate", LOOK_FOR_IT) as course:
        command = ImportCertificate(certificate, now, ENTITIES[entity], domain, instance, course)
        act(target, command, SessionOptions(keys, trace))
    body = certificate_json(certificate)
    finish(
        target, {"imported": body}, f"imported {body['serial']} of {body['subject']}, until {body['not_after'][:10]}"
    )


@click.command()
@click.argument("url")
@wanted_options
@click.option("--out", type=_FILE, required=True, help="File for the certificate.")
@_form_option
@click.option("--yes", is_flag=True, help="Write over a file that is there.")
@instance_option
@session_options
@json_option
def export(
    url: str,
    entity: str,
    use: str,
    title: str | None,
    serial: str | None,
    issuer: str,
    out: Path,
    der: bool,
    yes: bool,
    instance: Obis,
    keys: Path | None,
    trace: Path | None,
) -> None:
    """Get a certificate out of the meter."""
    target = target_of(url)
    wanted = _wanted(entity, use, title, serial, issuer)
    command = ExportCertificate(wanted, instance)
    certificate = act(target, command, SessionOptions(keys, trace), ask=partial(_ask_to_overwrite, out, yes=yes))
    _write(out, certificate, der=der)
    body = certificate_json(certificate)
    finish(target, {"file": str(out), **body}, f"{out}: {body['serial']} of {body['subject']}")


@click.command()
@click.argument("url")
@wanted_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@instance_option
@session_options
@json_option
def remove(
    url: str,
    entity: str,
    use: str,
    title: str | None,
    serial: str | None,
    issuer: str,
    yes: bool,
    instance: Obis,
    keys: Path | None,
    trace: Path | None,
) -> None:
    """Have the meter forget a certificate."""
    target = target_of(url)
    wanted = _wanted(entity, use, title, serial, issuer)
    ask = partial(confirm, f"Remove {wanted} from the meter at {target.url}?", yes=yes)
    with told_when_stopped("the meter may not have the certificate any more", LOOK_FOR_IT) as course:
        removed = act(target, RemoveCertificate(wanted, instance, course), SessionOptions(keys, trace), ask=ask)
    body = info_json(removed)
    finish(target, {"removed": body}, f"removed {body['serial']} of {body['subject']}")


def _wanted(entity: str, use: str, title: str | None, serial: str | None, issuer: str) -> Wanted:
    number = None
    if serial is not None:
        try:
            number = int(serial.replace(":", ""), 16)
        except ValueError:
            number = 0
        if number <= 0:
            raise UsageError(f"--serial {serial} is no serial number in hex", hint="as `cosem security show` shows it")
    try:
        octets = bytes.fromhex(title or "")
    except ValueError:
        raise UsageError(f"--title {title} is not written in hex") from None
    return Wanted(ENTITIES[entity], USES[use], octets, number, issuer)


def _read(file: Path) -> x509.Certificate:
    data = files.read(file, _MAX_CERTIFICATE)
    try:
        return load_pem(data)[0] if b"-----BEGIN" in data else load_der(data)
    except UNREADABLE:
        hint = "give the file that `meterlink authority issue-meter` wrote"
        raise ProfileError("certificate-format", f"{file} holds no certificate, PEM or DER", hint) from None


def _ask_to_overwrite(out: Path, *, yes: bool) -> None:
    if out.exists():
        confirm(f"Write over {out}?", yes=yes)


def _write(out: Path, content: x509.Certificate | x509.CertificateSigningRequest, *, der: bool) -> None:
    files.write(out, content.public_bytes(Encoding.DER if der else Encoding.PEM), mode=_PUBLIC)
