# The annotations of the agent's methods are D-Bus signatures, read as the class is made: no postponed evaluation here.
"""The pairing agent as a D-Bus service (Linux)."""

import asyncio
from typing import Final

from dbus_fast import BusType, DBusError, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusObjectPath, DBusUInt16, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method

from meterlink.transport.bluez_agent import AGENT_PATH
from meterlink.transport.radio import AskPasskey

__all__ = ["AgentService", "DBusError"]

CALL_TIMEOUT: Final = 10.0
"""Seconds that BlueZ gets to answer."""

_REJECTED: Final = "org.bluez.Error.Rejected"


class _Agent(ServiceInterface):
    """org.bluez.Agent1. The names of the methods are BlueZ's."""

    def __init__(self, ask: AskPasskey) -> None:
        super().__init__("org.bluez.Agent1")
        self._ask = ask

    @dbus_method()
    async def RequestPasskey(self, device: DBusObjectPath) -> DBusUInt32:  # noqa: N802
        """Give the passkey that the meter shows."""
        passkey = await self._ask()
        if passkey is None:
            raise DBusError(_REJECTED, "no passkey was given")
        return passkey

    @dbus_method()
    def RequestConfirmation(self, device: DBusObjectPath, passkey: DBusUInt32) -> None:  # noqa: N802
        """Refuse: nobody compared the numbers."""
        raise DBusError(_REJECTED, "a number to compare is not supported")

    @dbus_method()
    def RequestAuthorization(self, device: DBusObjectPath) -> None:  # noqa: N802
        """Agree: it was us who began the pairing."""

    @dbus_method()
    def DisplayPasskey(  # noqa: N802
        self, device: DBusObjectPath, passkey: DBusUInt32, entered: DBusUInt16
    ) -> None:
        """Show nothing: the meter has no keys to type a number on."""

    @dbus_method()
    def Cancel(self) -> None:  # noqa: N802
        """Nothing to take back: the question ends with the pairing."""

    @dbus_method()
    def Release(self) -> None:  # noqa: N802
        """BlueZ forgets the agent."""


class AgentService:
    """The agent on a bus connection of its own."""

    def __init__(self, ask: AskPasskey) -> None:
        self._bus = MessageBus(bus_type=BusType.SYSTEM)
        self._agent = _Agent(ask)
        self._registered = False

    async def start(self) -> None:
        """Register as the default agent. Raises ``OSError``, ``EOFError`` or ``DBusError``."""
        await self._bus.connect()
        self._bus.export(AGENT_PATH, self._agent)
        await self._manager("RegisterAgent", "os", [AGENT_PATH, "KeyboardOnly"])
        self._registered = True
        await self._manager("RequestDefaultAgent", "o", [AGENT_PATH])

    async def stop(self) -> None:
        """Take the agent back and leave the bus."""
        try:
            if self._registered:
                await self._manager("UnregisterAgent", "o", [AGENT_PATH])
        except (OSError, EOFError, DBusError):
            pass  # BlueZ drops the agents of a connection that closes
        finally:
            connected = self._bus.connected
            self._bus.disconnect()
            if connected:
                await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # untyped in dbus-fast

    async def _manager(self, member: str, signature: str, body: list[str]) -> None:
        async with asyncio.timeout(CALL_TIMEOUT):
            reply = await self._bus.call(
                Message(
                    destination="org.bluez",
                    path="/org/bluez",
                    interface="org.bluez.AgentManager1",
                    member=member,
                    signature=signature,
                    body=body,
                )
            )
        if reply.message_type is MessageType.ERROR:
            raise DBusError(reply.error_name or "org.freedesktop.DBus.Error.Failed", str(reply.body))
