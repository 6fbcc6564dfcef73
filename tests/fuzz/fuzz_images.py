"""Coverage-guided fuzzing of picture input with atheris: what the QR reader's child does with a file.

Anything but an answer or the child's own error is a crash. The decoders are C libraries, whose crashes the child is
there for; here they would show up too. Run it with ``python -m tests.fuzz.fuzz_images [seconds]`` where atheris is
installed.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from certs.qr import child

from PIL import Image

from certs.qr import drawing

OURS = re.compile("ML[A-Z][0-9]:")
TEXT = "MLT1:FUZZ"
KNOWN_ERRORS = {"image-unreadable", "image-too-large"}


def one(data: bytes) -> None:
    """Answer one request; a code that is read must be the seeds' own, for nothing else can have been drawn."""
    answer = child.answer(data, OURS)
    if "error" in answer:
        assert answer["error"] in KNOWN_ERRORS, answer
    else:
        codes = answer["codes"]
        assert isinstance(codes, list)
        assert all(text == TEXT for _, text in codes if OURS.match(text)), answer


def write_seeds(folder: Path) -> None:
    """Write one small picture of every kind that is read."""
    code = drawing.draw(TEXT).resize((120, 120))
    for format_ in (*child.FORMATS, "PDF"):
        file = io.BytesIO()
        code.save(file, format_)
        (folder / format_.lower()).write_bytes(file.getvalue())


def main() -> None:
    """Fuzz for the seconds given on the command line, one minute without."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    # What the child sets up for itself, less the bound on memory, which the fuzzer needs to find its own faults.
    Image.MAX_IMAGE_PIXELS = child.MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    with tempfile.TemporaryDirectory() as found, tempfile.TemporaryDirectory() as seeds:
        write_seeds(Path(seeds))
        limits = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=20", "-rss_limit_mb=1024"]
        atheris.Setup([sys.argv[0], *limits, found, seeds], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
