"""general-ciphering and general-signing on a meter of the field: its key agreement key, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from hil.meter.clients import GeneralForm
from meterlink.cosem.association import AssociationConfig, GeneralProtection, SecurityPolicy
from meterlink.security.counters import ReceiveCounter, SendCounter

_SIGNED = SecurityPolicy.SIGNED_REQUEST | SecurityPolicy.SIGNED_RESPONSE


@dataclass(frozen=True, kw_only=True)
class GeneralKeys:
    """The key agreement keys of the meter and of its client, the last transaction of each client SAP, and the number of
    notifications sent: they live as long as the keys, so that nothing recorded is taken again."""

    agreement_key: EllipticCurvePrivateKey | None = field(default=None, repr=False)
    client_agreement_key: EllipticCurvePublicKey | None = None
    transactions: dict[int, ReceiveCounter] = field(default_factory=dict, repr=False)
    pushes: SendCounter = field(default_factory=SendCounter, repr=False)


def carried(config: AssociationConfig, sap: int, form: GeneralForm, keys: GeneralKeys) -> AssociationConfig:
    """Return ``config`` with its services carried as ``form`` says."""
    protection = GeneralProtection(
        choice=form.choice,
        agreement_key=keys.agreement_key,
        peer_agreement_key=keys.client_agreement_key,
        header_authenticated=form.header_authenticated,
        signed_length=form.signed_length,
        transactions=keys.transactions.setdefault(sap, ReceiveCounter()),
        pushes=keys.pushes,
    )
    return replace(config, general=protection, policy=config.policy | _SIGNED if form.signed else config.policy)
