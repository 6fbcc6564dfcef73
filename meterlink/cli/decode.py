"""`meterlink decode`: a captured readout or telegram, offline."""

from __future__ import annotations

from pathlib import Path

import click

from certs.cli.output import confirm, emit, json_option, standard_input
from meterlink import samples
from meterlink.cli.report import as_renderable
from meterlink.cli.trace import MAX_TRACE, show_trace, write_redacted
from meterlink.commands.field import telegram_key
from meterlink.commands.secrets import meter_secrets
from meterlink.errors import UsageError
from meterlink.meters.decode import decode_capture
from meterlink.tracing import read_capture
from meterlink.tracing.capture import Framing

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option("--keys", type=_FILE, help="Key file that opens the protected messages of a trace.")
@click.option(
    "--redact", type=_FILE, help="Write the trace without serial numbers, system titles and keys to this file."
)
@click.option("--yes", is_flag=True, help="Write over a file that is there.")
@json_option
def decode(file: str, keys: Path | None, redact: Path | None, yes: bool) -> None:
    """Decode a captured text readout or M-Bus telegram, or explain a trace; `-` reads standard input.

    The key of an encrypted M-Bus telegram is taken from METERLINK_MBUS_KEY, 32 hex digits.

    A trace is what `--trace` wrote, or HDLC frames or TCP wrapper messages, as they are or in hex. `sample:uh50` and
    `sample:t550` are real readouts that come with the program.
    """
    data = _read(file)
    capture = read_capture(data)
    if redact is not None:
        _may_write(redact, file, yes=yes)
        write_redacted(capture, redact)
    elif capture is not None and capture.framing is not Framing.OTHER:
        show_trace(capture, keys)
    else:
        _show_readout(data if capture is None else capture.received, keys)


def _may_write(out: Path, file: str, *, yes: bool) -> None:
    """Raise UsageError where the copy would take the place of the trace itself; ask before any other file is lost."""
    if not out.is_file():
        return
    if file != "-" and Path(file).exists() and out.samefile(file):
        raise UsageError("the redacted copy would take the place of the trace", hint="name another file to --redact")
    confirm(f"Write over {out}?", yes=yes)


def _show_readout(data: bytes, keys: Path | None) -> None:
    shared = meter_secrets(keys).keys
    report = decode_capture(data, key=telegram_key(None if shared is None else bytes(shared.unicast)))
    emit(report.as_json(), lambda: as_renderable(report, with_tables=True))


def _read(file: str) -> bytes:
    if file.startswith("sample:"):
        return samples.read(file.removeprefix("sample:"))
    if file == "-":
        return standard_input(MAX_TRACE + 1)
    with Path(file).open("rb") as stream:
        return stream.read(MAX_TRACE + 1)  # one more than is decoded, so that a larger file is told, not cut
