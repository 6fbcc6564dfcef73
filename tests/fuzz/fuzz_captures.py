"""Coverage-guided fuzzing of the capture decoders with atheris: anything but our own error is a crash.

Run it with ``python -m tests.fuzz.fuzz_captures [seconds]`` where atheris is installed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from meterlink.errors import DataError
    from meterlink.meters.decode import decode_capture

SEEDS = Path(__file__).parent.parent / "data"


def one(data: bytes) -> None:
    """Decode one input."""
    try:
        decode_capture(data, key=bytes(16)).as_json()
    except DataError:
        return


def main() -> None:
    """Fuzz for the seconds given on the command line, one minute without."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    seeds = [str(SEEDS / "heat" / "iec-text"), str(SEEDS / "heat" / "t330")]
    # The first folder is where the fuzzer keeps what it finds: not among the captures.
    with tempfile.TemporaryDirectory() as found:
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", found, *seeds], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
