"""Line settings as text."""

from __future__ import annotations

from meterlink.errors import UsageError
from meterlink.transport.base import LineSettings, Parity
from meterlink.transport.url import Options


def line_options(options: Options, default: LineSettings) -> LineSettings:
    """Read the keys ``baud``, ``bits``, ``parity`` and ``stop``, or ``line`` in the short form ``7E1``."""
    short = options.text("line")
    if short:
        formed = _parse_form(default.baud, short)
        if formed is None:
            raise UsageError(
                f"line={short} is not of the form 7E1", code="url-invalid", hint="give line=8N1, 7E1, 8E1 or the like"
            )
        default = formed
    parity: Parity = options.choice("parity", default.parity, ("N", "E", "O"))  # type: ignore[assignment]  # as listed
    return LineSettings(
        options.integer("baud", default.baud, 50, 4_000_000),
        options.integer("bits", default.data_bits, 7, 8),
        parity,
        options.integer("stop", default.stop_bits, 1, 2),
    )


def parse_line(text: str) -> LineSettings:
    """Read settings as they are shown: ``300 7E1``. Raises ``ValueError``."""
    baud, _, form = text.partition(" ")
    settings = _parse_form(int(baud), form)
    if settings is None or settings.baud <= 0:
        raise ValueError(f"{text!r} is not of the form 300 7E1")
    return settings


def _parse_form(baud: int, form: str) -> LineSettings | None:
    parities: dict[str, Parity] = {"N": "N", "E": "E", "O": "O"}
    if len(form) == 3 and form[0] in "78" and form[1].upper() in parities and form[2] in "12":
        return LineSettings(baud, int(form[0]), parities[form[1].upper()], int(form[2]))
    return None
