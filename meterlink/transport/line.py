"""Line settings in a URL."""

from __future__ import annotations

from meterlink.errors import UsageError
from meterlink.transport.base import LineSettings, Parity
from meterlink.transport.url import Options


def line_options(options: Options, default: LineSettings) -> LineSettings:
    """Read the keys ``baud``, ``bits``, ``parity`` and ``stop``, or ``line`` in the short form ``7E1``."""
    short = options.text("line")
    if short:
        default = _short_form(default.baud, short)
    parity: Parity = options.choice("parity", default.parity, ("N", "E", "O"))  # type: ignore[assignment]  # as listed
    return LineSettings(
        options.integer("baud", default.baud, 50, 4_000_000),
        options.integer("bits", default.data_bits, 7, 8),
        parity,
        options.integer("stop", default.stop_bits, 1, 2),
    )


def _short_form(baud: int, text: str) -> LineSettings:
    parities: dict[str, Parity] = {"N": "N", "E": "E", "O": "O"}
    if len(text) == 3 and text[0] in "78" and text[1].upper() in parities and text[2] in "12":
        return LineSettings(baud, int(text[0]), parities[text[1].upper()], int(text[2]))
    raise UsageError(
        f"line={text} is not of the form 7E1", code="url-invalid", hint="give line=8N1, 7E1, 8E1 or the like"
    )
