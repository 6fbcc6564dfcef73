"""A large order: 1,000 tokens with their codes and drafts, then 1,000 requests issued and answered. Bound: 60 s."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from certs import keys, request
from certs.authority import Authority, answers
from certs.levels import Level

COUNT = 1000
BOUND = 60.0


def run(count: int = COUNT) -> list[dict[str, object]]:
    """Return the seconds of each part."""
    now = dt.datetime.now(dt.UTC)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with Authority.init(
            place / "home", name="Benchmark", mail="a@example.org", passphrase="benchmark", now=now
        ) as authority:
            began = time.perf_counter()
            ordered = authority.order(
                organization="Stadtwerke Süd", level=Level.COMMISSIONING, count=count, mail="b@example.org", now=now
            )
            answers.write_tokens(ordered, authority.domain, place / "tokens")
            order_seconds = time.perf_counter() - began
            requests = [
                request.build_request(item.text, item.token, f"Tablet {number}", keys.generate(1)).public_bytes(
                    Encoding.PEM
                )
                for number, item in enumerate(ordered)
            ]
            began = time.perf_counter()
            serials, written = [], []
            for data in requests:
                issued = authority.issue(data, now)
                written.append(answers.write_answer(issued, authority.domain, place / "answers", synced=False))
                serials.append(issued.serial)
            answers.settle(place / "answers", written)
            authority.mark_answered(serials, now)
            issue_seconds = time.perf_counter() - began
    return [
        {"part": f"{count} tokens ordered and written", "seconds": order_seconds},
        {"part": f"{count} requests issued and answered", "seconds": issue_seconds},
    ]


def main() -> None:
    """Print the seconds of each part and their share of the bound."""
    began = time.process_time()
    rows = run()
    processor = time.process_time() - began
    total = 0.0
    for row in rows:
        seconds = row["seconds"]
        assert isinstance(seconds, float)
        total += seconds
        print(f"{row['part']:<40} {seconds:>6.1f} s")
    print(f"{'together':<40} {total:>6.1f} s, {total / BOUND:.0%} of the bound of {BOUND:.0f} s")
    print(f"{'of that, processor time':<40} {processor:>6.1f} s (the rest waits for the disk, or for other programs)")


if __name__ == "__main__":
    main()
