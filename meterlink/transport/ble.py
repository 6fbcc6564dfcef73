"""``ble:NAME-or-ADDRESS``: a meter, or a head, on Bluetooth LE.

The rules come from what BlueZ was seen to do. Every operation has a deadline of its own and ends with the link, because
bleak has none and an operation on a link that is gone may never return. Notifications go through a synchronous callback
into a bounded buffer. After a loss the old client is disconnected before a new one is made; BlueZ would deliver
everything twice otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Final

from bleak import BleakClient

from meterlink.errors import LinkLost, LinkTimeout, LinkUnavailable
from meterlink.transport.base import Transport
from meterlink.transport.ble_errors import PAIRING_NEEDED, explain_connect, pairing_hint, pairing_needed
from meterlink.transport.ble_find import find_meter
from meterlink.transport.ble_pipe import LINK_FAILURES, GattPipe, WriteKind, find_service
from meterlink.transport.ble_scan import Sighting, radio_lock
from meterlink.transport.bluez_agent import PasskeyAgent, has_agent
from meterlink.transport.gatt_services import BY_NAME, GattService, custom_service
from meterlink.transport.head import on_bridge
from meterlink.transport.patience import drive
from meterlink.transport.radio import AskPasskey, BleRadio
from meterlink.transport.stream import StreamTransport
from meterlink.transport.url import Context, Options, TransportUrl

PAIRING_TIMEOUT: Final = 60.0
"""Seconds for a pairing: a person reads six digits and types them."""

DISCONNECT_TIMEOUT: Final = 5.0
"""Seconds for the disconnection; afterwards the client is left to itself."""

ATTEMPTS: Final = 3
"""Tries to connect: the first packet of a connection is easily lost, and the link with it."""


@dataclass(frozen=True, slots=True)
class BleSettings:
    """How to find and use a meter. Times are in seconds.

    ``settle`` is how long to look for a second meter that may be meant.
    ``service`` None takes the first of the known ones that the meter has. ``pair`` pairs before anything else;
    without it a meter that demands pairing is paired with when there is somebody to ask for the passkey.
    """

    service: GattService | None = None
    write: WriteKind = "auto"
    scan_timeout: float = 10.0
    settle: float = 1.5
    connect_timeout: float = 20.0
    subscribe_timeout: float = 10.0
    pair: bool = False


class BleTransport(StreamTransport):
    """A byte stream over Bluetooth LE.

    ``target`` is a name, a part of it such as the serial number, an address, or empty for the strongest meter. Once
    found, it is the same meter every time the transport is opened again.
    """

    def __init__(
        self,
        target: str,
        settings: BleSettings | None = None,
        radio: BleRadio | None = None,
        ask_passkey: Callable[[str], Awaitable[int | None]] | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(url or f"ble:{target}")
        self._target = target
        self._settings = settings or BleSettings()
        self._radio = radio or BleRadio()
        self._ask_passkey = ask_passkey
        self._meter: Sighting | None = None
        self._client: BleakClient | None = None
        """What :meth:`_close` must disconnect, connected or not."""
        self._linked: BleakClient | None = None
        """The client whose disconnection is the loss of the link; one that is still connecting is tried again."""
        self._pipe: GattPipe | None = None

    @property
    def meter(self) -> Sighting | None:
        """The meter that was found, None before."""
        return self._meter

    async def _open(self) -> None:
        async with radio_lock():
            wanted = self._target if self._meter is None else self._meter.address
            self._meter = await find_meter(
                wanted, self._settings.service, self._radio, self._settings.scan_timeout, self._settings.settle
            )
            client = await self._connect(self._meter)
        name = self._meter.name or self._meter.address
        if self._settings.pair:
            await self._pair(client, name)
        # A link that broke already took its services with it: that is a loss, not a meter without a serial service.
        if (lost := self._buffer.error) is not None:
            raise lost
        service = find_service(client, self._settings.service, name)
        pipe = GattPipe(client, service, name, self._settings.write, self._on_data, self._lost)
        self._pipe = pipe
        try:
            await self._bounded(pipe.start, self._settings.subscribe_timeout, _silent(name))
        except LinkUnavailable as error:
            if error.code != PAIRING_NEEDED or self._settings.pair or self._ask_passkey is None:
                raise
            await self._pair(client, name)
            await self._bounded(pipe.start, self._settings.subscribe_timeout, _silent(name))

    async def _connect(self, meter: Sighting) -> BleakClient:
        loop = asyncio.get_running_loop()
        name, end = meter.name or meter.address, loop.time() + self._settings.connect_timeout
        for attempt in range(ATTEMPTS):
            self._client = client = BleakClient(meter.device, self._on_disconnected, **self._client_arguments())
            try:
                # An attempt that is stuck seldom comes loose, a new one often works at once.
                await drive(client.connect(), max((end - loop.time()) / (ATTEMPTS - attempt), 0.1))
            except TimeoutError:
                await self._disconnect()
                if attempt == ATTEMPTS - 1:
                    raise LinkTimeout(
                        f"{name} was heard, but let nobody connect within {self._settings.connect_timeout:g} s",
                        hint="go closer; is another phone connected to it?",
                    ) from None
            except LINK_FAILURES as error:
                failure = explain_connect(name, error)
                await self._disconnect()
                if attempt == ATTEMPTS - 1 or failure.code != LinkUnavailable.default_code:
                    raise failure from None
                await asyncio.sleep(0.25 * 2**attempt)
            else:
                self._linked = client
                if not client.is_connected:
                    self._on_disconnected(client)
                return client
        raise AssertionError("the last attempt returns or raises")

    def _client_arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"timeout": self._settings.connect_timeout}
        if self._radio.adapter is not None:
            arguments["bluez"] = {"adapter": self._radio.adapter}
        if self._radio.client is not None:
            arguments["backend"] = self._radio.client
        return arguments

    async def _pair(self, client: BleakClient, name: str) -> None:
        try:
            async with self._agent(name):
                await drive(client.pair(), PAIRING_TIMEOUT)
        except TimeoutError:
            raise LinkTimeout(f"the pairing with {name} was not done within {PAIRING_TIMEOUT:g} s") from None
        except NotImplementedError:
            raise pairing_needed(name) from None
        except LINK_FAILURES as error:
            raise LinkUnavailable(
                f"{name} refused the pairing ({error})",
                code="pairing-failed",
                hint=f"was the passkey right? {pairing_hint()}",
            ) from None

    def _agent(self, name: str) -> AbstractAsyncContextManager[object]:
        ask = _passkey_of(self._ask_passkey, name)
        if self._radio.agent is not None:
            return self._radio.agent(ask)
        return PasskeyAgent(ask) if has_agent() else _NoAgent()

    def _on_disconnected(self, client: BleakClient) -> None:
        # Also called for our own disconnection, and for a client that never got so far.
        if client is self._linked:
            self._lost(LinkLost(f"the Bluetooth link to {self.url} broke", hint="go closer to the meter and try again"))

    def _on_data(self, data: bytes) -> None:
        self._buffer.feed(data)

    def _on_full(self, full: bool) -> None:
        if self._pipe is not None:
            self._pipe.pause(full)

    async def _send(self, data: bytes) -> None:
        if self._pipe is None:
            raise LinkLost(f"{self.url} is closed")
        await self._pipe.send(data)

    async def _close(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            await pipe.stop()
        await self._disconnect()

    async def _disconnect(self) -> None:
        """Disconnect even a link that is gone: only this frees what bleak and BlueZ hold for it.

        Not a client that never connected: it has nothing to free, and bleak would wait for the end of a link that never
        was.
        """
        client, linked = self._client, self._linked
        self._client = self._linked = None
        if client is None or not (client is linked or client.is_connected):
            return
        try:
            await drive(client.disconnect(), DISCONNECT_TIMEOUT)
        except (TimeoutError, *LINK_FAILURES):
            # It could not be told to go; the link supervision of the radio ends it within seconds.
            return


class _NoAgent(AbstractAsyncContextManager[None]):
    """The system asks for the passkey by itself."""

    async def __aexit__(self, *_: object) -> None:
        return None


def _passkey_of(ask: Callable[[str], Awaitable[int | None]] | None, name: str) -> AskPasskey:
    async def passkey() -> int | None:
        return None if ask is None else await ask(name)

    return passkey


def _silent(name: str) -> str:
    return f"{name} did not answer a subscription (it may want to be paired with: {pairing_hint()})"


def open_ble(url: TransportUrl, options: Options, context: Context) -> Transport:
    """Open ``ble:TARGET``.

    Keys: ``service`` (a name of the table, or a UUID with ``write`` and ``notify``), ``response`` (auto, always,
    never), ``scan`` and ``connect`` (seconds), ``pair`` (yes or no), ``passkey``, ``adapter``; ``line`` and ``baud`` of
    a serial bridge.
    """
    kinds: dict[str, WriteKind] = {"auto": "auto", "always": "request", "never": "command"}
    passkey = options.integer("passkey", -1, 0, 999_999)
    settings = BleSettings(
        service=_service(options),
        write=kinds[options.choice("response", "auto", tuple(kinds))],
        scan_timeout=options.number("scan", 10.0, 0.1, 600.0),
        connect_timeout=options.number("connect", 20.0, 0.1, 600.0),
        pair=options.flag("pair", passkey >= 0),
    )
    adapter = options.text("adapter") or None
    radio = context.ble or BleRadio()
    if adapter is not None:
        radio = replace(radio, adapter=adapter)
    ask = context.ask_passkey if passkey < 0 else _known(passkey)
    return on_bridge(BleTransport(url.target, settings, radio, ask, str(url)), options)


def _service(options: Options) -> GattService | None:
    name, write, notify = options.text("service"), options.text("write"), options.text("notify")
    if not name:
        return None
    return BY_NAME.get(name.lower()) or custom_service(name, write, notify)


def _known(passkey: int) -> Callable[[str], Awaitable[int | None]]:
    async def give(name: str) -> int | None:
        return passkey

    return give
