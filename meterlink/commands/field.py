"""Read a meter in the field that knows no certificates: the gate alone decides."""

from __future__ import annotations

import datetime as dt
from typing import Final

from certs.levels import Permission
from meterlink.gate import ActiveCertificate, decide
from meterlink.meters.profile import Profile
from meterlink.meters.readers import Progress, read_meter
from meterlink.transport.base import Transport
from meterlink.values import MeterReport

NAME: Final = "read"


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
    anything is opened, and what the reader raises.
    """
    decide(NAME, Permission.READ, certificate, now).enforce()
    async with transport:
        return await read_meter(transport, profile, address=address, key=key, progress=progress or _silent)


def _silent(message: str) -> None:
    """Report to nobody."""
