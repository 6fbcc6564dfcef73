"""THREATS, row 25: pictures that were made to do harm, and what reading costs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from PIL import Image
from qr_support import LEAF, TOKEN, outcome, png, png_of_declared_size, refusal

from certs.qr import Reader, drawing, reading

ROW_25 = {
    "empty": "image-unreadable",
    "noise": "image-unreadable",
    "text": "image-unreadable",
    "truncated JPEG": "image-unreadable",
    "truncated PNG": "image-unreadable",
    "corrupted PNG": "image-unreadable",
    "TIFF": "image-unreadable",
    "40,000 x 40,000": "image-too-large",
    "header of 41 megapixels": "image-too-large",
    "too many bytes": "image-too-large",
}

# Runs in a process of its own, so that what is counted is that of the readers' children and of nothing else. Processor
# time is counted, not the clock on the wall: other work may run beside.
MEASURE = """
import json, pathlib, resource, sys
from certs.errors import ImageError
from certs.qr import read_one
def spent():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
results = {}
for file in sys.argv[1:]:
    began = spent()
    try:
        code = read_one(pathlib.Path(file))
    except ImageError as error:
        code = error.code
    results[pathlib.Path(file).name] = [code, spent() - began]
print(json.dumps([results, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""


def measure(files: list[Path]) -> tuple[dict[str, tuple[str, float]], int]:
    """Read each file; return code and processor seconds of each, and the largest memory of a child in bytes."""
    run = subprocess.run([sys.executable, "-c", MEASURE, *map(str, files)], capture_output=True, check=True)
    results, memory = json.loads(run.stdout)
    return {name: (code, seconds) for name, (code, seconds) in results.items()}, memory


def test_row_25_hostile_pictures_are_refused_in_time_and_memory(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ROW_25]
    for file in files:
        file.write_bytes(hostile(file.name))
    results, memory = measure(files)
    assert {name: code for name, (code, _) in results.items()} == ROW_25
    assert max(seconds for _, seconds in results.values()) < 1.0
    assert memory < 300_000_000


def hostile(name: str) -> bytes:
    jpeg = drawing.jpeg(TOKEN)
    rng = random.Random(25)
    match name:
        case "empty":
            return b""
        case "noise":
            return rng.randbytes(10_000_000)
        case "text":
            return b"-----BEGIN CERTIFICATE-----\n"
        case "truncated JPEG":
            return jpeg[: len(jpeg) // 2]
        case "truncated PNG":
            whole = png(drawing.draw(TOKEN).convert("RGB"))
            return whole[: len(whole) // 2]
        case "corrupted PNG":
            whole = bytearray(png(drawing.draw(TOKEN)))
            whole[60:90] = rng.randbytes(30)
            return bytes(whole)
        case "TIFF":
            return png(drawing.draw(TOKEN), "TIFF")
        case "40,000 x 40,000":
            return png_of_declared_size(40_000, 40_000, 1)
        case "header of 41 megapixels":
            return png_of_declared_size(4100, 10_000, 1)
        case _:
            return bytes(reading.MAX_FILE + 1)


def test_row_25_the_largest_pictures_stay_within_the_memory(tmp_path: Path) -> None:
    """40 megapixels, grey and in four channels: read, or refused as too large, never more than the bound."""
    large = Image.new("L", (4000, 10_000), 255)
    large.paste(drawing.draw(TOKEN), (2000, 8000))
    (tmp_path / "grey").write_bytes(png(large))
    (tmp_path / "colour").write_bytes(png(Image.new("RGBA", (6300, 6300), (0, 0, 0, 0))))
    results, memory = measure([tmp_path / "grey", tmp_path / "colour"])
    assert results["grey"][0] == TOKEN
    assert results["colour"][0] == "image-too-large"
    assert memory < 300_000_000


def test_row_25_flipped_bits_raise_nothing_but_our_errors(reader: Reader) -> None:
    rng = random.Random(26)
    outcomes: set[str] = set()
    for original in (drawing.jpeg(TOKEN), png(drawing.draw(TOKEN)), png(drawing.draw(TOKEN), "GIF")):
        for _ in range(10):
            damaged = bytearray(original)
            for _ in range(rng.randrange(1, 20)):
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            outcomes.add(outcome(reader, bytes(damaged)))
    assert outcomes <= {"image-unreadable", "image-too-large", "no-qr", TOKEN}
    assert "image-unreadable" in outcomes


def test_row_25_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert refusal(tmp_path) == "image-unreadable"
    assert refusal(tmp_path / "missing.jpg") == "image-unreadable"
    assert refusal(tmp_path / "fifo") == "image-unreadable"
    assert refusal(tmp_path / ("x" * 300)) == "image-unreadable"


def test_the_start_of_the_child_is_quick(tmp_path: Path) -> None:
    """400 ms with its start."""
    (tmp_path / "leaf").write_bytes(drawing.jpeg(LEAF))
    results, _ = measure([tmp_path / "leaf"])
    assert results["leaf"][0] == LEAF
    assert results["leaf"][1] < 0.4
