"""The program as a process of its own that says how much memory it took: FILE, then the words of the command line.

Writes the exit status and VmHWM, the most that was resident at any moment, in kB.
"""

import sys
from pathlib import Path

from meterlink.cli.main import main

status = main(sys.argv[2:])
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
Path(sys.argv[1]).write_text(f"{status} {peak}")
