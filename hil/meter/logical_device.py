"""The COSEM logical device: objects, clients, keys and security log of one meter, shared by its associations."""

from __future__ import annotations

from collections.abc import Mapping

from hil.meter.attempts import Attempts
from hil.meter.clients import ClientRow
from hil.meter.credentials import FieldKeys
from hil.meter.device import HeatMeter
from hil.meter.eventlog import EventCode
from hil.meter.keystore import KeyStore
from hil.meter.model import ObjectModel, build_model
from hil.trust import MeterIdentity


class LogicalDevice:
    """Logical device 1 of a heat meter, the only one it has."""

    def __init__(
        self,
        meter: HeatMeter,
        identity: MeterIdentity,
        clients: Mapping[int, ClientRow],
        field_keys: FieldKeys | None,
    ) -> None:
        self.meter = meter
        self.keys = KeyStore(identity, None if field_keys is None else field_keys.client_keys)
        self.clients = clients
        self.field_keys = field_keys
        self.attempts = Attempts()
        self.model: ObjectModel = build_model(meter)

    def log_security(self, now: float, code: EventCode, client_sap: int) -> None:
        """Add a row to the security log."""
        self.meter.security_events.add(self.meter.clock.read(now), code, client_sap)
