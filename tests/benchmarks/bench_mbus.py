"""M-Bus: captured telegrams of real meters to Python objects, beside the peers.

Over the telegrams that everybody decodes: a peer that gives up early must not be fast by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from meterlink.framing.mbus.frame import LongFrame, read_frame
from meterlink.mbus import Telegram, decode_telegram
from tests.benchmarks.ratio import OURS, peer, rate, show

CAPTURES = Path(__file__).parent.parent / "data"

Decode = Callable[[bytes], object]


def ours(data: bytes) -> Telegram:
    """Octets to a telegram whose records all have their values."""
    found = read_frame(data)
    if isinstance(found, tuple) and isinstance(found[0], LongFrame):
        return decode_telegram(found[0])
    raise ValueError("no telegram")


def pymeterbus() -> Decode | None:
    """pyMeterBus: to its telegram object, every record interpreted."""
    meterbus = peer("meterbus")
    if meterbus is None:
        return None

    def decode(data: bytes) -> object:
        telegram = meterbus.load(data)
        return [record.interpreted for record in telegram.records]

    return decode


def pymbusparser() -> Decode | None:
    """pymbusparser, written in Rust: to its dictionary."""
    module = peer("pymbusparser")
    if module is None:
        return None
    parse: Decode = module.parse
    return parse


def telegrams() -> list[bytes]:
    """Return the captured telegrams: wired meters of many makes, and a T330's readout."""
    found = [bytes.fromhex(re.sub(r"\s", "", path.read_text())) for path in sorted((CAPTURES / "mbus").glob("*.hex"))]
    readout = (CAPTURES / "heat" / "t330" / "readout.bin").read_bytes()
    position = 0
    while position < len(readout):
        length = readout[position + 1] + 6
        found.append(readout[position : position + length])
        position += length
    return found


def rates() -> dict[str, float | None]:
    """Return telegrams a second for everybody, over the telegrams that everybody decodes."""
    decoders: dict[str, Decode | None] = {OURS: ours, "pyMeterBus": pymeterbus(), "pymbusparser": pymbusparser()}
    present = [decode for decode in decoders.values() if decode is not None]
    common = [data for data in telegrams() if all(_can(decode, data) for decode in present)]

    def all_of(decode: Decode) -> Callable[[], None]:
        def run() -> None:
            for data in common:
                decode(data)

        return run

    return {name: None if decode is None else rate(all_of(decode)) * len(common) for name, decode in decoders.items()}


def main() -> None:
    """Print the rates and the ratios."""
    show("telegrams to Python objects", rates())


def _can(decode: Decode, data: bytes) -> bool:
    try:
        decode(data)
    except Exception:  # noqa: BLE001  # peers raise whatever they like; such a telegram is left out for everybody
        return False
    return True
