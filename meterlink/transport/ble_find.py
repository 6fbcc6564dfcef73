"""Which of the devices on the air is the meter that is meant."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from meterlink.errors import LinkUnavailable
from meterlink.transport.ble_scan import Sighting, listen
from meterlink.transport.gatt_services import GattService
from meterlink.transport.radio import BleRadio

_ADDRESS: Final = re.compile(
    r"[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE
)


def is_address(target: str) -> bool:
    """True for a Bluetooth address, and for the UUID that macOS gives in its place."""
    return _ADDRESS.fullmatch(target) is not None


async def find_meter(
    target: str, service: GattService | None, radio: BleRadio, timeout: float, settle: float
) -> Sighting:
    """Listen until the meter is heard.

    ``target`` is an address, a name, or a part of a name such as the serial number. Empty, it means the strongest
    device that advertises ``service``, or any known byte pipe where that is None. ``settle`` is how long to go on
    listening after the first candidate, where a second one would matter; times are in seconds. Raises LinkUnavailable
    ``meter-not-found`` and ``meter-ambiguous``.
    """
    candidates: dict[str, Sighting] = {}
    async with listen(radio) as sightings:
        try:
            async with asyncio.timeout(timeout) as deadline:
                async for candidate in sightings:
                    if not _is_wanted(candidate, target.casefold(), service):
                        continue
                    if target and target.casefold() in (candidate.name.casefold(), candidate.address.casefold()):
                        return candidate
                    if not candidates:
                        _shorten(deadline, settle)
                    candidates[candidate.address] = candidate
        except TimeoutError:
            pass
    if not candidates:
        raise _not_found(target, timeout)
    if target and len(candidates) > 1:
        names = ", ".join(sorted(f"{sighting.name} ({sighting.address})" for sighting in candidates.values()))
        raise LinkUnavailable(
            f"several meters are called {target!r}: {names}",
            code="meter-ambiguous",
            hint="give the whole name or the address",
        )
    return max(candidates.values(), key=lambda sighting: sighting.rssi)


def _is_wanted(sighting: Sighting, target: str, service: GattService | None) -> bool:
    if is_address(target):
        return target == sighting.address.casefold()
    if target:
        return target in sighting.name.casefold()
    return bool(sighting.services) if service is None else service in sighting.services


def _shorten(deadline: asyncio.Timeout, settle: float) -> None:
    end, settled = deadline.when(), asyncio.get_running_loop().time() + settle
    deadline.reschedule(settled if end is None else min(settled, end))


def _not_found(target: str, timeout: float) -> LinkUnavailable:
    what = f"no meter {target!r}" if target else "no meter"
    return LinkUnavailable(
        f"{what} was heard on Bluetooth within {timeout:g} s",
        code="meter-not-found",
        hint="go closer, wake the meter, see that no phone is connected to it; 'meterlink find --ble' lists all",
    )
