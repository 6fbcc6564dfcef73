"""Reading degraded QR codes: rate and time of this program's reader beside plain pyzbar and plain zxing-cpp.

The time of the reader is that of the whole exchange with its child process; its start is measured apart.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Sequence

import zxingcpp
from PIL import Image

from certs.qr import Reader, child, drawing, read_one
from tests.benchmarks import qr_degraded
from tests.benchmarks.qr_degraded import Case

ROUNDS = 3
PHOTO = "photo"
"""Cases with this in their name are scenes of about one megapixel."""


def plain_pyzbar(data: bytes) -> list[str]:
    """Read with pyzbar as its manual shows it."""
    if child.pyzbar is None:
        return []
    with Image.open(io.BytesIO(data)) as picture:
        return [symbol.data.decode("utf-8", "replace") for symbol in child.pyzbar.decode(picture)]


def plain_zxing(data: bytes) -> list[str]:
    """Read with zxing-cpp as its manual shows it."""
    with Image.open(io.BytesIO(data)) as picture:
        return [code.text for code in zxingcpp.read_barcodes(picture)]


def measure(name: str, read: Callable[[bytes], Sequence[str]], cases: Sequence[Case]) -> dict[str, object]:
    """Return how many of ``cases`` a reader reads, how many it reads wrongly, and its times in milliseconds."""
    right = wrong = 0
    times: list[float] = []
    photo_times: list[float] = []
    for case in cases:
        began = time.perf_counter()
        texts = read(case.data)
        spent = (time.perf_counter() - began) * 1000
        times.append(spent)
        if PHOTO in case.name:
            photo_times.append(spent)
        right += case.text in texts
        wrong += any(text.startswith("ML") and text != case.text for text in texts)
    return {
        "reader": name,
        "rate": right / len(cases),
        "wrong": wrong,
        "median_ms": statistics.median(times),
        "megapixel_median_ms": statistics.median(photo_times),
        "worst_ms": max(times),
    }


def start_to_answer() -> float:
    """Return the median milliseconds of reading one picture with the start of the child."""
    data = drawing.jpeg(qr_degraded.texts()["leaf"])
    times = []
    for _ in range(7):
        began = time.perf_counter()
        read_one(data)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def run(rounds: int = ROUNDS) -> list[dict[str, object]]:
    """Return one row per reader, this program's first."""
    cases = list(qr_degraded.cases(seed=2026, rounds=rounds))
    with Reader() as reader:
        reader.start()
        rows = [measure("meterlink", lambda data: [code.text for code in reader.scan(data)], cases)]
    rows.append(measure("plain pyzbar", plain_pyzbar, cases))
    rows.append(measure("plain zxing-cpp", plain_zxing, cases))
    return rows


def main() -> None:
    """Print the table."""
    rows = run()
    print(f"{'reader':<16} {'rate':>7} {'wrong':>6} {'median':>9} {'1 Mpx':>9} {'worst':>9}")
    for row in rows:
        print(
            f"{row['reader']:<16} {row['rate']:>7.1%} {row['wrong']:>6} {row['median_ms']:>6.1f} ms "
            f"{row['megapixel_median_ms']:>6.1f} ms {row['worst_ms']:>6.1f} ms"
        )
    print(f"with the start of the child process: {start_to_answer():.0f} ms")


if __name__ == "__main__":
    main()
