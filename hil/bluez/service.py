"""org.bluez: the adapter, the pairing agents, and the way of a call to what it is for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

from bumble import att, core
from bumble.pairing import PairingConfig, PairingDelegate
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from hil.bluez.devices import Devices
from hil.bluez.gatt import Gatt
from hil.bluez.names import (
    ADAPTER,
    AGENT,
    CHARACTERISTIC,
    DESCRIPTOR,
    DEVICE,
    HCI0,
    OBJECT_MANAGER,
    PROPERTIES,
    BusError,
    from_att,
)
from hil.bluez.tree import ObjectTree
from hil.radio import CENTRAL_ADDRESS, Radio

Answer = tuple[str, list[Any]] | None
"""Signature and body of a reply; None for an empty one."""
Method = Callable[[Message], Awaitable[Answer]]

_AGENT_MANAGER: Final = "org.bluez.AgentManager1"


class BluezService:
    """org.bluez on the system bus of this process, with the central of a simulated radio as its adapter.

    Use it with ``async with``, inside :func:`~hil.bluez.private_bus` and the radio.
    """

    def __init__(self, radio: Radio) -> None:
        self._central = radio.central
        self._bus = MessageBus(bus_type=BusType.SYSTEM)
        self._tree = ObjectTree(self._bus)
        self._gatt = Gatt(self._tree)
        self._devices = Devices(self._tree, self._gatt, self._central)
        self._scanners: dict[str, frozenset[str]] = {}
        self._filters: dict[str, frozenset[str]] = {}
        self._agent: tuple[str, str] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._methods = self._table()

    def _table(self) -> dict[tuple[str, str], Method]:
        devices, gatt = self._devices, self._gatt
        return {
            (OBJECT_MANAGER, "GetManagedObjects"): self._get_objects,
            (PROPERTIES, "Get"): self._get_property,
            (PROPERTIES, "Set"): self._set_property,
            (_AGENT_MANAGER, "RegisterAgent"): self._register_agent,
            (_AGENT_MANAGER, "RequestDefaultAgent"): self._accept,
            (_AGENT_MANAGER, "UnregisterAgent"): self._unregister_agent,
            (ADAPTER, "SetDiscoveryFilter"): self._set_filter,
            (ADAPTER, "StartDiscovery"): self._start_discovery,
            (ADAPTER, "StopDiscovery"): self._stop_discovery,
            (ADAPTER, "RemoveDevice"): devices.remove,
            (DEVICE, "Connect"): devices.connect,
            (DEVICE, "Disconnect"): devices.disconnect,
            (DEVICE, "Pair"): devices.pair,
            (CHARACTERISTIC, "ReadValue"): gatt.read_value,
            (CHARACTERISTIC, "WriteValue"): gatt.write_value,
            (CHARACTERISTIC, "StartNotify"): gatt.start_notify,
            (CHARACTERISTIC, "StopNotify"): gatt.stop_notify,
            (DESCRIPTOR, "ReadValue"): gatt.read_value,
            (DESCRIPTOR, "WriteValue"): gatt.write_value,
        }

    async def start(self) -> None:
        """Appear on the bus."""
        await self._bus.connect()
        self._bus.add_message_handler(self._called)
        await self._bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="AddMatch",
                signature="s",
                body=["type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"],
            )
        )
        self._tree.add(
            HCI0,
            ADAPTER,
            Address=Variant("s", CENTRAL_ADDRESS),
            AddressType=Variant("s", "random"),
            Name=Variant("s", "simulated"),
            Alias=Variant("s", "simulated"),
            Powered=Variant("b", True),
            Discovering=Variant("b", False),
            UUIDs=Variant("as", []),
            Roles=Variant("as", ["central"]),
        )
        self._central.on("advertisement", self._heard)
        self._central.pairing_config_factory = self._pairing_config
        await self._bus.request_name("org.bluez")

    async def stop(self) -> None:
        """Leave the bus."""
        self._central.remove_listener("advertisement", self._heard)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._devices.stop()
        self._bus.disconnect()
        await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # untyped in dbus-fast

    # -- calls

    def _called(self, message: Message) -> bool | None:
        if message.member == "NameOwnerChanged" and not message.body[2]:
            self._caller_left(message.body[0])
            return None
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        method = self._methods.get((message.interface or "", message.member or ""))
        if method is None:
            return None
        task = asyncio.get_running_loop().create_task(self._answer(method, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, method: Method, message: Message) -> None:
        try:
            signature, body = await method(message) or ("", [])
            reply = Message.new_method_return(message, signature, body)
        except BusError as error:
            reply = error.reply_to(message)
        except att.ATT_Error as error:
            reply = from_att(error).reply_to(message)
        except core.BaseBumbleError as error:
            reply = BusError("Failed", str(error)).reply_to(message)
        except asyncio.CancelledError:
            # bumble cancels the requests that are pending when a link breaks.
            reply = BusError("Failed", "Operation cancelled").reply_to(message)
        with contextlib.suppress(OSError, EOFError):
            self._bus.send(reply)

    def _caller_left(self, caller: str) -> None:
        self._gatt.forget(caller)
        self._scanners.pop(caller, None)
        if self._agent is not None and self._agent[0] == caller:
            self._agent = None

    async def _accept(self, message: Message) -> Answer:
        return None

    async def _get_objects(self, message: Message) -> Answer:
        return "a{oa{sa{sv}}}", [self._tree.objects]

    async def _get_property(self, message: Message) -> Answer:
        return "v", [self._tree.properties(message.path or "", message.body[0])[message.body[1]]]

    async def _set_property(self, message: Message) -> Answer:
        interface, name, value = message.body
        self._tree.properties(message.path or "", interface)
        self._tree.change(message.path or "", interface, **{name: value})
        return None

    # -- pairing agents

    async def _register_agent(self, message: Message) -> Answer:
        self._agent = (message.sender or "", message.body[0])
        return None

    async def _unregister_agent(self, message: Message) -> Answer:
        self._agent = None
        return None

    def _pairing_config(self, connection: Any) -> Any:
        agent = self._agent
        if agent is None:
            return PairingConfig(sc=True, mitm=False, bonding=True, delegate=PairingDelegate())
        return PairingConfig(sc=True, mitm=True, bonding=True, delegate=_AskAgent(self._bus, agent))

    # -- discovery

    async def _set_filter(self, message: Message) -> Answer:
        wanted = message.body[0].get("UUIDs")
        self._filters[message.sender or ""] = frozenset(uuid.lower() for uuid in (wanted.value if wanted else ()))
        return None

    async def _start_discovery(self, message: Message) -> Answer:
        caller = message.sender or ""
        if caller in self._scanners:
            raise BusError("InProgress", "Operation already in progress")
        first = not self._scanners
        self._scanners[caller] = self._filters.get(caller, frozenset())
        if first:
            await self._central.start_scanning()
            self._tree.change(HCI0, ADAPTER, Discovering=Variant("b", True))
        return None

    async def _stop_discovery(self, message: Message) -> Answer:
        if self._scanners.pop(message.sender or "", None) is None:
            raise BusError("Failed", "No discovery started")
        if not self._scanners:
            await self._central.stop_scanning()
            self._tree.change(HCI0, ADAPTER, Discovering=Variant("b", False))
        return None

    def _heard(self, advertisement: Any) -> None:
        if self._scanners:
            self._devices.heard(advertisement, list(self._scanners.values()))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class _AskAgent(PairingDelegate):
    """Gets the passkey from the agent that a program registered."""

    def __init__(self, bus: MessageBus, agent: tuple[str, str]) -> None:
        super().__init__(PairingDelegate.KEYBOARD_INPUT_ONLY)
        self._bus = bus
        self._agent = agent

    async def get_number(self) -> int | None:
        """Return the passkey, None when the agent gives none."""
        reply = await self._bus.call(
            Message(
                destination=self._agent[0],
                path=self._agent[1],
                interface=AGENT,
                member="RequestPasskey",
                signature="o",
                body=[f"{HCI0}/dev"],
            )
        )
        return int(reply.body[0]) if reply.message_type is MessageType.METHOD_RETURN else None
