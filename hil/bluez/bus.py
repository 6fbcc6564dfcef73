"""A system message bus of our own."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

VARIABLE: Final = "DBUS_SYSTEM_BUS_ADDRESS"
"""Where programs look for the system bus."""

_CONFIGURATION: Final = """\
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"""


@asynccontextmanager
async def private_bus() -> AsyncIterator[str]:
    """Run a message bus, make it the system bus of this process, and give its address.

    Raises ``FileNotFoundError`` where there is no dbus-daemon (Debian: package dbus).
    """
    with tempfile.TemporaryDirectory(prefix="meterlink-bus-") as folder:
        address = f"unix:path={folder}/socket"
        configuration = Path(folder, "bus.conf")
        configuration.write_text(_CONFIGURATION.format(socket=f"{folder}/socket"))  # noqa: ASYNC240  # a few bytes
        daemon = await asyncio.create_subprocess_exec(
            "dbus-daemon",
            f"--config-file={configuration}",
            "--nofork",
            "--nopidfile",
            "--print-address",
            stdout=asyncio.subprocess.PIPE,
        )
        before = os.environ.get(VARIABLE)
        try:
            assert daemon.stdout is not None
            await daemon.stdout.readline()  # the address: the bus listens
            os.environ[VARIABLE] = address
            yield address
        finally:
            if before is None:
                os.environ.pop(VARIABLE, None)
            else:
                os.environ[VARIABLE] = before
            if daemon.returncode is None:
                daemon.terminate()
            await daemon.communicate()
