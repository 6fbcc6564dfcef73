"""A byte stream over one GATT service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Literal

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError

from meterlink.errors import LinkError, LinkLost, LinkUnavailable
from meterlink.transport.ble_credits import CreditWindow
from meterlink.transport.ble_errors import explain_operation, is_busy
from meterlink.transport.gatt_services import SERVICES, GattService, choose_pipe

MAX_VALUE: Final = 512
"""Longest attribute value (Core Specification, Vol 3, Part F, 3.2.9); some systems name a longer one for a write."""

MIN_CHUNK: Final = 20
"""What fits in the smallest ATT_MTU of 23."""

REQUEST_EVERY: Final = 8
"""Of so many chunks one is a write request, which the meter answers: it keeps us from running ahead of it."""

BUSY_WAIT: Final = 0.01
"""Seconds until a write is tried again that BlueZ refused because of one that was cancelled but is still under way."""

WriteKind = Literal["auto", "request", "command"]
LINK_FAILURES: Final = (BleakError, OSError, EOFError, AssertionError)
"""What bleak raises when an operation fails. EOFError comes from the message bus; AssertionError where its BlueZ
backend finds the link gone in the middle of something."""


class GattPipe:
    """Writes to one characteristic and is fed by another.

    ``feed`` gets what the meter notifies, ``lost`` is called when the pipe ends by itself. ``kind`` says how to write:
    ``request`` waits for the meter's answer to every chunk, ``command`` for none, ``auto`` for every eighth and the
    last, so that a sender knows that the meter has taken it all.
    """

    def __init__(
        self,
        client: BleakClient,
        service: GattService,
        meter: str,
        kind: WriteKind,
        feed: Callable[[bytes], None],
        lost: Callable[[LinkError], None],
    ) -> None:
        self._client = client
        self._service = service
        self._meter = meter
        self._feed = feed
        self._lost = lost
        self._write, self._notify = self._choose()
        able = set(self._write.properties)
        self._can_request = "write" in able
        self._can_command = "write-without-response" in able
        self._kind: WriteKind = kind
        self._window = CreditWindow() if service.credits is not None else None
        self._granter: asyncio.Task[None] | None = None

    def _choose(self) -> tuple[BleakGATTCharacteristic, BleakGATTCharacteristic]:
        found = self._client.services.get_service(self._service.service)
        pipe = None if found is None else choose_pipe(self._service, found.characteristics)
        if pipe is None:
            raise LinkUnavailable(
                f"{self._meter} has the service {self._service.label} not, or nothing in it to write to and be told by",
                code="no-byte-pipe",
                hint="name another one with ?service=, or by UUIDs: ?service=UUID&write=UUID&notify=UUID",
            )
        return pipe

    async def start(self) -> None:
        """Subscribe. Raises LinkError, with code ``pairing-needed`` where the meter wants that first."""
        try:
            if self._service.credits is not None:
                await self._client.start_notify(self._service.credits.granted, self._on_credits)
            # A synchronous callback: bleak would run coroutines as tasks, which overtake each other.
            await self._client.start_notify(self._notify, self._on_data)
        except LINK_FAILURES as error:
            raise explain_operation(self._meter, error) from None
        if self._window is not None and self._granter is None:
            self._granter = asyncio.get_running_loop().create_task(self._grant(self._window))

    async def stop(self) -> None:
        """End what runs in the background. The subscriptions end with the connection."""
        if self._granter is not None:
            self._granter.cancel()
            await asyncio.wait({self._granter})
            self._granter = None

    def pause(self, full: bool) -> None:
        """Hold the meter back (True) or let it go on (False), where its service can do that."""
        if self._window is not None:
            self._window.let(not full)

    async def send(self, data: bytes) -> None:
        """Write all of it, in chunks that fit. Raises LinkError."""
        rest, count = memoryview(data), 0
        while rest:
            # Asked for each time: the MTU may grow while the connection is young.
            size = min(max(self._write.max_write_without_response_size, MIN_CHUNK), MAX_VALUE)
            chunk, rest = rest[:size], rest[size:]
            count += 1
            if self._window is not None:
                await self._window.take()
            await self._put(bytes(chunk), self._as_request(count, last=not rest))

    def _as_request(self, count: int, *, last: bool) -> bool:
        if not (self._can_request and self._can_command):
            return self._can_request
        if self._kind == "auto":
            return last or count % REQUEST_EVERY == 0
        return self._kind == "request"

    async def _put(self, chunk: bytes, request: bool) -> None:
        while True:
            try:
                await self._client.write_gatt_char(self._write, chunk, response=request)
            except LINK_FAILURES as error:
                if not is_busy(error):
                    raise explain_operation(self._meter, error) from None
            else:
                return
            await asyncio.sleep(BUSY_WAIT)

    def _on_data(self, characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        self._feed(bytes(data))
        if self._window is not None:
            self._window.received()

    def _on_credits(self, characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        if self._window is not None and not self._window.add(data):
            self._lost(LinkLost(f"{self._meter} hung up"))

    async def _grant(self, window: CreditWindow) -> None:
        assert self._service.credits is not None
        characteristic = self._client.services.get_characteristic(self._service.credits.grant)
        if characteristic is None:
            self._lost(LinkLost(f"{self._meter} takes no credits", code="no-byte-pipe"))
            return
        request = "write" in characteristic.properties
        # A link that fails here fails for everybody, who are told by the disconnection.
        with contextlib.suppress(*LINK_FAILURES):
            while True:
                await self._client.write_gatt_char(characteristic, bytes([await window.next_grant()]), response=request)


def find_service(client: BleakClient, wanted: GattService | None, meter: str) -> GattService:
    """Return the byte pipe to use on a connected meter: the one wanted, or the first of the table it has."""
    if wanted is not None:
        return wanted
    present = {service.uuid for service in client.services}
    for service in SERVICES:
        if service.service in present:
            return service
    raise LinkUnavailable(
        f"{meter} has no known serial service",
        code="no-byte-pipe",
        hint="name its UUIDs: ?service=UUID&write=UUID&notify=UUID",
    )
