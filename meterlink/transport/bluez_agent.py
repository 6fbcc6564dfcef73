"""A pairing agent for Linux: BlueZ asks it for the passkey that the meter shows.

bleak can start a pairing but brings no agent, and without one BlueZ pairs only where no passkey is asked for.
Interface: BlueZ, doc/org.bluez.Agent.rst.
"""

from __future__ import annotations

import importlib
import sys
from types import TracebackType
from typing import Any, Final, Self

from meterlink.errors import LinkUnavailable
from meterlink.transport.radio import AskPasskey

AGENT_PATH: Final = "/org/meterlink/agent"


def has_agent() -> bool:
    """True where pairing goes through BlueZ."""
    return sys.platform == "linux"


class PasskeyAgent:
    """While the body runs, BlueZ gets its passkeys from ``ask``. Raises LinkUnavailable when BlueZ cannot be told."""

    def __init__(self, ask: AskPasskey) -> None:
        self._ask = ask
        self._agent: Any = None

    async def __aenter__(self) -> Self:
        # dbus-fast is there on Linux alone, where bleak brings it.
        module = importlib.import_module("meterlink.transport.bluez_agent_service")
        self._agent = module.AgentService(self._ask)
        try:
            await self._agent.start()
        except (OSError, EOFError, module.DBusError) as error:
            await self._agent.stop()
            raise LinkUnavailable(
                f"BlueZ does not take a pairing agent: {error}",
                code="ble-unavailable",
                hint="pair first with bluetoothctl, then try again",
            ) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._agent.stop()
