"""A simulated meter on its lines.

One :class:`MeterServer` is one physical meter. Every line and every connection gets a handler of its own
(:mod:`hil.meter.ports`); all of them work on the one device, and none disturbs another.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from hil.meter.clients import CERTIFICATE_CLIENTS, ClientRow
from hil.meter.credentials import FieldKeys
from hil.meter.device import HeatMeter, MeterOptions
from hil.meter.logical_device import LogicalDevice
from hil.meter.messages import Wrap
from hil.meter.objects.association import SERVER_SAP
from hil.meter.ports import LineHandler
from hil.trust import MeterIdentity
from hil.wire import WireHandler
from meterlink.framing.hdlc import HdlcParameters, HdlcServerPort
from meterlink.framing.wrapper import WrapperServerPort

PHYSICAL_ADDRESS: Final = 16
"""Lower HDLC address."""

_MOST_PER_FRAME: Final = HdlcParameters(2030, 2030, 7, 7)
"""What the meter agrees to at most; a client that proposes nothing gets the standard's 128 octets and one frame."""


class MeterServer:
    """One simulated meter.

    ``now`` is monotonic time in seconds and ``time`` the real time (aware) at that moment; every handler must be driven
    by the same monotonic clock. ``identity`` is the meter's own certificate with its key and the domain it trusts.
    ``clients`` says who may talk to it; ``field_keys`` are the secrets for clients without certificates.
    """

    def __init__(
        self,
        now: float,
        time: dt.datetime,
        identity: MeterIdentity,
        *,
        options: MeterOptions | None = None,
        clients: Mapping[int, ClientRow] = CERTIFICATE_CLIENTS,
        field_keys: FieldKeys | None = None,
    ) -> None:
        self.meter = HeatMeter(now, time, options)
        self._device = LogicalDevice(self.meter, identity, clients, field_keys)

    @property
    def identity(self) -> MeterIdentity:
        """The certificate in force, with its key and domain."""
        return self._device.keys.identity

    def replace_identity(self, identity: MeterIdentity) -> None:
        """Put another identity in force, such as the same one with a fresher revocation list in its domain."""
        self._device.keys.identity = identity

    def hdlc_line(self, port: str = "optical", wrap: Wrap | None = None) -> WireHandler:
        """Return the meter's end of a line with HDLC: all clients of that line.

        ``port`` names it in the count of failed attempts, ``wrap`` puts something around every client's association.
        """
        links = HdlcServerPort(server_uppers=(SERVER_SAP,), server_lower=PHYSICAL_ADDRESS, parameters=_MOST_PER_FRAME)
        return LineHandler(self._device, links, port, wrap)

    def wrapper_connection(self, port: str = "tcp", wrap: Wrap | None = None) -> WireHandler:
        """Return the meter's end of one TCP connection. Connections of one ``port`` share the count of failed
        attempts; ``wrap`` as for :meth:`hdlc_line`."""
        return LineHandler(self._device, WrapperServerPort(server_saps=(SERVER_SAP,)), port, wrap)
