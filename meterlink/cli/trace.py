"""A trace for people, and a copy of it for sharing."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rich.console import Group
from rich.text import Text

from certs import files
from certs.cli.output import emit
from meterlink.commands.secrets import meter_secrets
from meterlink.errors import DataError
from meterlink.tracing import Capture, Explained, explain, redact
from meterlink.transport.replay import FileSink

_SHARED: Final = 0o644

MAX_TRACE: Final = 32 << 20
"""Longest trace that is read, in bytes."""

_ARROWS: Final = {"sent": "→", "received": "←"}
_STYLES: Final = {"hdlc": "dim", "wrapper": "dim", "line": "dim", "apdu": "bold"}
_INDENT: Final = 2


def show_trace(capture: Capture, keys: Path | None) -> None:
    """Print the explanation of a trace; ``keys`` is the key file that opens it."""
    lines = list(explain(capture, meter_secrets(keys).keys))
    trace = {"url": capture.url, "framing": capture.framing.value}
    emit({"trace": trace, "steps": [line.as_json() for line in lines]}, lambda: _shown(lines))


def write_redacted(capture: Capture | None, file: Path) -> None:
    """Write a copy of a trace that can be shared, whole or not at all: a recording as one, octets in hex.

    Raises DataError ``redact-unknown`` for what is no trace, StoreError when it cannot be written.
    """
    if capture is None:
        raise DataError(
            "this is no trace: nothing is written",
            code="redact-unknown",
            hint="give what --trace wrote, or HDLC frames or TCP wrapper messages",
        )
    clean = redact(capture)
    stream = io.StringIO()
    if capture.is_directed:
        sink = FileSink(stream, clean.url, capture.started or dt.datetime.fromtimestamp(0, dt.UTC))
        for entry in clean.entries:
            sink(entry)
    else:
        stream.write(clean.received.hex(" ") + "\n")
    if file.exists() and not file.is_file():  # a pipe or a device is written to, not replaced
        file.write_text(stream.getvalue(), "utf-8")
    else:
        files.write(file.resolve(), stream.getvalue().encode(), mode=_SHARED)  # a link stays one
    emit({"redacted": str(file)}, f"{file} has no serial numbers, system titles, certificates, passwords and keys")


def _shown(lines: Iterable[Explained]) -> Group:
    return Group(*(text for line in lines for text in _line(line)))


def _line(line: Explained) -> Iterable[Text]:
    head = Text(f"{line.t:9.3f} {_ARROWS[line.direction]} ", overflow="ignore", no_wrap=True)
    inner = line.layer == "apdu"
    head.append(" " * _INDENT * (line.depth + inner) + line.name, style=_STYLES[line.layer])
    if not inner:
        head.append("".join(f"  {name} {value}" for name, value in line.fields), style="dim")
    yield head
    if inner:
        margin = " " * (len("000000000 > ") + _INDENT * (line.depth + 2))
        for name, value in line.fields:
            yield Text(f"{margin}{name}: ", style="dim", overflow="ignore", no_wrap=True).append(value, style="not dim")
