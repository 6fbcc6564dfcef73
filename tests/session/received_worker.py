"""Accepts counters that grow, and records them in the store in the folder of its first argument, until it is killed;
prints each as soon as it is accepted. The second argument is the least that the store must have."""

import sys
from pathlib import Path

from meterlink.counter_file import FileCounterStore
from meterlink.security.counters import KeptCounter


def main() -> None:
    store = FileCounterStore(Path(sys.argv[1]))
    counter = KeptCounter(store, "key", "meter", store.received("key").least("meter"))
    number = max(counter.least, int(sys.argv[2]))
    while True:
        counter.accept(number)
        print(number, flush=True)
        number += 3


if __name__ == "__main__":
    main()
