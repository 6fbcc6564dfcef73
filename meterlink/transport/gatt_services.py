"""GATT services that carry a byte stream, as modules and meters have them.

Bluetooth LE has no serial port profile; every maker of modules has a service of its own. Sources: the makers' data
sheets (Nordic UART Service; JNHuaMao HM-10; Microchip Transparent UART; u-blox Low Energy Serial Port Service; Telit
Terminal I/O; Silicon Labs SPP example; Laird VSP). The pairs FFF0 and FF00 are used by many makers, in either order of
their characteristics, so the properties decide and not the position.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar
from uuid import UUID

from meterlink.errors import UsageError

_BASE: Final = "-0000-1000-8000-00805f9b34fb"
_TELIT: Final = "-0000-1000-8000-008025000000"


@dataclass(frozen=True, slots=True)
class Credits:
    """Flow control by credits: a side may send one packet for each credit it was given.

    ``grant`` is the characteristic we write credits to, ``granted`` the one that tells us of ours; one octet each.
    """

    grant: str
    granted: str


@dataclass(frozen=True, slots=True)
class GattService:
    """One byte pipe: the UUIDs of the service, of the characteristic we write, and of the one that notifies us."""

    name: str
    label: str
    service: str
    write: str
    notify: str
    credits: Credits | None = None


def _short(number: str) -> str:
    return f"0000{number}{_BASE}"


SERVICES: Final[tuple[GattService, ...]] = (
    GattService(
        "nus",
        "Nordic UART",
        "6e400001-b5a3-f393-e0a9-e50e24dcca9e",
        "6e400002-b5a3-f393-e0a9-e50e24dcca9e",
        "6e400003-b5a3-f393-e0a9-e50e24dcca9e",
    ),
    GattService("hm10", "HM-10", _short("ffe0"), _short("ffe1"), _short("ffe1")),
    GattService("fff0", "UART FFF0", _short("fff0"), _short("fff2"), _short("fff1")),
    GattService("ff00", "UART FF00", _short("ff00"), _short("ff02"), _short("ff01")),
    GattService(
        "microchip",
        "Microchip Transparent UART",
        "49535343-fe7d-4ae5-8fa9-9fafd205e455",
        "49535343-8841-43f4-a8d4-ecbe34729bb3",
        "49535343-1e4d-4bd9-ba61-23c647249616",
    ),
    GattService(
        "ublox",
        "u-blox Serial Port",
        "2456e1b9-26e2-8f83-e744-f34f01e9d701",
        "2456e1b9-26e2-8f83-e744-f34f01e9d703",
        "2456e1b9-26e2-8f83-e744-f34f01e9d703",
        Credits("2456e1b9-26e2-8f83-e744-f34f01e9d704", "2456e1b9-26e2-8f83-e744-f34f01e9d704"),
    ),
    GattService(
        "telit",
        "Telit Terminal I/O",
        _short("fefb"),
        "00000001" + _TELIT,
        "00000002" + _TELIT,
        Credits("00000003" + _TELIT, "00000004" + _TELIT),
    ),
    GattService(
        "silabs",
        "Silicon Labs SPP",
        "4880c12c-fdcb-4077-8920-a450d7f9b907",
        "fec26ec4-6d71-4442-9f81-55bc21d658d6",
        "fec26ec4-6d71-4442-9f81-55bc21d658d6",
    ),
    GattService(
        "laird",
        "Laird VSP",
        "569a1101-b87f-490c-92cb-11ba5ea5167c",
        "569a2001-b87f-490c-92cb-11ba5ea5167c",
        "569a2000-b87f-490c-92cb-11ba5ea5167c",
    ),
)
"""In the order of choice, where a meter has several."""

BY_NAME: Final = {service.name: service for service in SERVICES}
BY_UUID: Final = {service.service: service for service in SERVICES}


class Characteristic(Protocol):
    """What this module asks of a characteristic; bleak's has it."""

    @property
    def uuid(self) -> str:
        """The UUID, 128 bits in lower case."""
        ...

    @property
    def properties(self) -> Iterable[str]:
        """The names of the properties, as bleak calls them."""
        ...


_C = TypeVar("_C", bound=Characteristic)

_WRITABLE: Final = frozenset({"write", "write-without-response"})
_NOTIFYING: Final = frozenset({"notify", "indicate"})


def known_services(uuids: Iterable[str]) -> tuple[GattService, ...]:
    """Return the byte pipes among advertised or discovered services, in the order of choice."""
    present = {uuid.lower() for uuid in uuids}
    return tuple(service for service in SERVICES if service.service in present)


def choose_pipe(service: GattService, characteristics: Iterable[_C]) -> tuple[_C, _C] | None:
    """Return the characteristics to write to and to be notified by, or None.

    The ones of the table are taken where their properties allow it; else the only ones that can do it.
    """
    found = tuple(characteristics)
    write = _pick(found, service.write, service.notify, _WRITABLE)
    notify = _pick(found, service.notify, service.write, _NOTIFYING)
    return None if write is None or notify is None else (write, notify)


def _pick(found: tuple[_C, ...], first: str, second: str, wanted: frozenset[str]) -> _C | None:
    able = [characteristic for characteristic in found if wanted & set(characteristic.properties)]
    for uuid in (first, second):
        for characteristic in able:
            if characteristic.uuid == uuid:
                return characteristic
    return able[0] if len(able) == 1 else None


def normalize_uuid(text: str) -> str:
    """Return a UUID of 16, 32 or 128 bits as 128 bits in lower case. Raises UsageError ``url-invalid``."""
    word = text.strip().lower().removeprefix("0x")
    try:
        if len(word) in (4, 8):
            return f"{int(word, 16):08x}{_BASE}"
        return str(UUID(word))
    except ValueError:
        raise UsageError(
            f"{text!r} is not a UUID", code="url-invalid", hint="give 4 or 32 hex digits, as ffe0"
        ) from None


def custom_service(service: str, write: str, notify: str) -> GattService:
    """Return a user's own pipe by its UUIDs; ``write`` and ``notify`` may be empty: then the properties decide."""
    return GattService(
        "custom",
        "as given",
        normalize_uuid(service),
        normalize_uuid(write) if write else "",
        normalize_uuid(notify) if notify else "",
    )
