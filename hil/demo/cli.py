"""The verb `demo`."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import click

from certs.cli.output import emit, json_option, wants_json
from hil.demo.story import tell
from hil.demo.transcript import Transcript


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("meterlink-demo"),
    show_default=True,
    help="Folder for the demo's files; every run makes a new one inside.",
)
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Also draw the transcript as SVG.")
@json_option
def demo(out: Path, svg: Path | None) -> None:
    """Show the whole product at work: certificates, a simulated meter on Bluetooth and on a serial line, real readouts.

    Nothing is needed but this program: no hardware, no network. Your own certificates are not touched.
    """
    folder = _new_folder(out)
    transcript = Transcript(record=svg is not None, silent=wants_json())
    asyncio.run(tell(transcript, folder))
    transcript.end(folder)
    if svg is not None:
        svg.write_text(transcript.picture("meterlink demo"), encoding="utf-8")
    if wants_json():
        emit(transcript.as_json() | {"folder": str(folder)}, "")


def _new_folder(out: Path) -> Path:
    stamp = f"{dt.datetime.now():%Y-%m-%d-%H%M%S}"
    for number in range(1, 100):
        folder = out / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder.resolve()
    raise click.UsageError(f"no new folder can be made in {out}")
