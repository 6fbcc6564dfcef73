"""`meterlink decode`: a captured readout or telegram, offline."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from certs.cli.output import emit, json_option
from meterlink import samples
from meterlink.cli.report import as_renderable
from meterlink.meters.decode import MAX_CAPTURE, decode_capture


@click.command()
@click.argument("file", metavar="FILE|-")
@json_option
def decode(file: str) -> None:
    """Decode a captured text readout or M-Bus telegram; `-` reads standard input.

    `sample:uh50` and `sample:t550` are real readouts that come with the program.
    """
    report = decode_capture(_read(file))
    emit(report.as_json(), lambda: as_renderable(report))


def _read(file: str) -> bytes:
    if file.startswith("sample:"):
        return samples.read(file.removeprefix("sample:"))
    if file == "-":
        return sys.stdin.buffer.read(MAX_CAPTURE + 1)
    with Path(file).open("rb") as stream:
        return stream.read(MAX_CAPTURE + 1)  # one more than is decoded, so that a larger file is told, not cut
