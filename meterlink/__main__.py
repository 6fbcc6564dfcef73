"""`python -m meterlink`, and what the command `meterlink` calls."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the program and return its exit status, also where Ctrl-C comes before it is loaded."""
    try:
        from meterlink.cli.main import main as run  # noqa: PLC0415  # takes a moment, in which Ctrl-C may come
    except KeyboardInterrupt:
        print("error: interrupted: Stopped on request.", file=sys.stderr)
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
