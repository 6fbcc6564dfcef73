"""Read a meter in the field that knows no certificates, and look for such meters: the gate alone decides."""

from __future__ import annotations

import datetime as dt
import enum
import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from certs.levels import Permission
from meterlink.errors import DataError, ProtocolError, UsageError
from meterlink.framing.mbus.scan import Heard, ScanResult
from meterlink.framing.mbus.scan import Progress as ScanProgress
from meterlink.gate import ActiveCertificate, decide
from meterlink.meters.bus import MBus
from meterlink.meters.profile import LinePlan, Profile
from meterlink.meters.readers import Progress, read_meter
from meterlink.transport.base import Transport
from meterlink.transport.url import TransportUrl
from meterlink.values import MeterReport

NAME: Final = "read"
BUS_DIALOGUE: Final = "bus"
"""``[line] dialogue`` of families on a wired M-Bus: they have addresses and take settings."""

KEY_VARIABLE: Final = "METERLINK_MBUS_KEY"
"""Environment variable with the key of a meter that encrypts its telegrams, 32 hex digits."""

_KEY_LENGTH: Final = 16
_WITH_A_LINE: Final = frozenset({"serial", "optical", "rfc2217"})
_LINE_KEYS: Final = ("baud", "bits", "parity", "stop")
_SHORT_LINE: Final = "line"
_PATIENCE: Final = "patience"
_MOST_PATIENCE: Final = 60.0

OpenTransport = Callable[[], Transport]


class Scan(enum.Enum):
    """By which addresses a line is searched."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True)
class BusScan:
    """What a scan found: by kind, addresses of single meters, and addresses at which several answer at once."""

    results: tuple[tuple[Scan, ScanResult], ...]


async def read_field_meter(
    profile: Profile,
    transport: Transport,
    certificate: ActiveCertificate,
    now: dt.datetime,
    *,
    address: str = "",
    key: bytes | None = None,
    progress: Progress | None = None,
) -> MeterReport:
    """Ask the gate, then open ``transport``, read the meter of the family ``profile`` and close.

    ``address`` and ``key`` are those of :func:`~meterlink.meters.readers.read_meter`. Raises NotPermitted before
    anything is opened, what the reader raises for the line, and ProtocolError for what the meter said and nobody
    understands, with the decoder's code.
    """
    decide(NAME, Permission.READ, certificate, now).enforce()
    async with transport:
        try:
            return await read_meter(transport, profile, address=address, key=key, progress=progress or _silent)
        except DataError as error:
            raise answered_wrongly(error) from error


async def scan_bus(
    open_transport: OpenTransport,
    certificate: ActiveCertificate,
    now: dt.datetime,
    *,
    kinds: tuple[Scan, ...] = (Scan.SECONDARY, Scan.PRIMARY),
    mask: str = "FFFFFFFF",
    last: int = 250,
    plan: LinePlan | None = None,
    report: Callable[[Scan, ScanProgress], None],
    hear: Callable[[Scan, Heard], None],
) -> BusScan:
    """Ask the gate, then open a transport and search the M-Bus on it by each of ``kinds``.

    ``mask`` limits the secondary addresses (``F`` is searched), ``last`` the primary ones. ``plan`` is how they are
    spoken to. ``hear`` is told of each meter as it is found. Raises NotPermitted before
    anything is opened, UsageError for a mask that is none, and LinkError.
    """
    decide("find", Permission.READ, certificate, now).enforce()
    results: list[tuple[Scan, ScanResult]] = []
    async with open_transport() as transport:
        bus = MBus.on(transport, plan)
        for kind in kinds:
            told = functools.partial(report, kind), functools.partial(hear, kind)
            by_primary = kind is Scan.PRIMARY
            found = await (bus.scan_primary(*told, last=last) if by_primary else bus.scan_secondary(*told, mask))
            results.append((kind, found))
    return BusScan(tuple(results))


def telegram_key(shared: bytes | None, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """Return the key that opens encrypted telegrams: from the environment, else ``shared``, from the key file.

    Raises UsageError ``mbus-key``, which never holds what was given.
    """
    text = environment.get(KEY_VARIABLE)
    if text is None:
        return shared
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_LENGTH:
        raise UsageError(f"{KEY_VARIABLE} holds no key", code="mbus-key", hint="a key is written as 32 hex digits")
    return key


def with_line(url: TransportUrl, profile: Profile) -> TransportUrl:
    """Return ``url`` with the settings that the line of the family begins with, where it gives none itself.

    A wired bus stays at the speed it was opened with; other families set their line while they are read.
    """
    plan = profile.line
    if plan is None or plan.dialogue != BUS_DIALOGUE or url.scheme not in _WITH_A_LINE or _SHORT_LINE in url.options:
        return url
    start = plan.start
    usual = dict(zip(_LINE_KEYS, map(str, (start.baud, start.data_bits, start.parity, start.stop_bits)), strict=True))
    return replace(url, options=MappingProxyType({**usual, **url.options}))


def with_patience(profile: Profile, url: TransportUrl) -> Profile:
    """Return the family with the patience that the URL asks for. Raises UsageError ``url-invalid``."""
    text = url.options.get(_PATIENCE)
    if text is None or profile.line is None:
        return profile
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MOST_PATIENCE:
        raise UsageError(
            f"{_PATIENCE}={text} is not a number of seconds 0..{_MOST_PATIENCE:g}",
            code="url-invalid",
            hint=f"for example {_PATIENCE}=0.5",
        )
    return replace(profile, line=replace(profile.line, patience=seconds))


def is_on_a_bus(profile: Profile) -> bool:
    """Return whether the family is spoken to by the requests of an M-Bus."""
    return profile.line is not None and profile.line.dialogue == BUS_DIALOGUE


def on_a_bus(profile: Profile) -> None:
    """Make sure that the family is one on an M-Bus. Raises UsageError ``profile``."""
    if not is_on_a_bus(profile):
        raise UsageError(
            f"{profile.title} is not spoken to by the requests of an M-Bus",
            code="profile",
            hint="name the family in the URL: ?profile=generic-mbus",
        )


def answered_wrongly(error: DataError) -> ProtocolError:
    """Return the error for an answer that does not decode: it is the meter's or the line's, not the user's."""
    hint = error.hint if error.code == "wrong-key" else "read again; shade the head from bright light, check the wiring"
    return ProtocolError(f"the meter's answer cannot be used: {error.message}", code=error.code, hint=hint)


def _silent(message: str) -> None:
    """Report to nobody."""
