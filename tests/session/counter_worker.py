"""Takes counters from the store in the folder of its first argument until it is killed, and prints each."""

import sys
from pathlib import Path

from meterlink.counter_file import FileCounterStore
from meterlink.security.counters import SendCounter


def main() -> None:
    counter = SendCounter(1, store=FileCounterStore(Path(sys.argv[1])), name="key", block=4)
    while True:
        print(counter.next(), flush=True)


if __name__ == "__main__":
    main()
