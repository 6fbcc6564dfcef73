"""A Bluetooth radio in this process: simulated controllers that hear each other (bumble).

::

    async with Radio() as radio:
        async with MeterPeripheral(radio, factory, name="METER-1"):
            transport = open_transport("ble:METER-1", Context(ble=radio.ble))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

from bumble import hci
from bumble.controller import Controller
from bumble.device import Device, DeviceConfiguration
from bumble.keys import MemoryKeyStore
from bumble.link import LocalLink
from bumble.pairing import PairingConfig, PairingDelegate

from hil.bleak_backend import BumbleClient, BumbleScanner
from meterlink.transport.radio import AskPasskey, BleRadio

ACL_LENGTH: Final = 251
"""Octets per packet on the simulated air, as radios with data length extension have; bumble's own 27 costs four times
the throughput."""

CENTRAL_ADDRESS: Final = "C0:00:00:00:00:01"


class Radio:
    """The air, and a central on it that bleak can use through :attr:`ble`. Use it with ``async with``."""

    def __init__(self) -> None:
        self._link: Any = LocalLink()  # type: ignore[no-untyped-call]  # untyped in bumble
        self._controllers: dict[Any, Any] = {}
        self.signal: dict[str, int] = {}
        """How strong the device of an address is heard, in dBm; -50 where it is not told."""
        self._ask: AskPasskey | None = None
        self.central: Any = self.device("central", CENTRAL_ADDRESS)
        self.central.keystore = MemoryKeyStore()
        self.central.pairing_config_factory = self._pairing_config
        scanner = type("RadioScanner", (BumbleScanner,), {"central": self.central})
        client = type("RadioClient", (BumbleClient,), {"central": self.central, "scanner": scanner})
        self.ble = BleRadio(scanner=scanner, client=client, agent=self.agent)
        """What the transports take for the radio of the system."""

    def device(self, name: str, address: str, **settings: Any) -> Any:
        """Put a host with a controller of its own on the air and return it (a bumble ``Device``), not powered yet."""
        controller = _Controller(name, link=self._link)
        controller.signal = self.signal
        controller.le_acl_data_packet_length = ACL_LENGTH
        configuration = DeviceConfiguration(name=name, address=hci.Address(address), **settings)
        device: Any = Device.from_config_with_hci(configuration, controller, controller)
        self._controllers[device] = controller
        return device

    def remove(self, device: Any) -> None:
        """Take a host's controller off the air."""
        self._link.remove_controller(self._controllers.pop(device))

    def agent(self, ask: AskPasskey) -> AbstractAsyncContextManager[object]:
        """Return the context in which the central's pairings get their passkey from ``ask``."""
        return _Agent(self._set_ask, ask)

    def _set_ask(self, ask: AskPasskey | None) -> None:
        self._ask = ask

    def _pairing_config(self, connection: Any) -> Any:
        ask = self._ask
        delegate = PairingDelegate() if ask is None else _Keyboard(ask)
        return PairingConfig(sc=True, mitm=ask is not None, bonding=True, delegate=delegate)

    async def __aenter__(self) -> Self:
        await self.central.power_on()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.central.power_off()


class _Controller(Controller):
    """Hears every device as strong as it is told to."""

    signal: Mapping[str, int] = MappingProxyType({})

    def send_hci_packet(self, packet: Any) -> None:
        """Pass a packet to the host."""
        for report in getattr(packet, "reports", ()):
            report.rssi = self.signal.get(report.address.to_string(False), report.rssi)
        super().send_hci_packet(packet)


class _Agent(AbstractAsyncContextManager[None]):
    def __init__(self, use: Callable[[AskPasskey | None], None], ask: AskPasskey) -> None:
        self._use = use
        self._ask = ask

    async def __aenter__(self) -> None:
        self._use(self._ask)

    async def __aexit__(self, *_: object) -> None:
        self._use(None)


class _Keyboard(PairingDelegate):
    """A user with a keyboard: types the number that the other side shows."""

    def __init__(self, ask: Callable[[], Awaitable[int | None]]) -> None:
        super().__init__(PairingDelegate.KEYBOARD_INPUT_ONLY)
        self._ask = ask

    async def get_number(self) -> int | None:
        """Return the passkey, None to give up."""
        return await self._ask()
