"""general-ciphering and general-signing on a meter of the field: its key agreement key, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from hil.meter.clients import GeneralForm
from hil.meter.counting import ClientCounters
from meterlink.cosem.association import AssociationConfig, GeneralProtection, SecurityPolicy
from meterlink.security.counters import SendCounter

_SIGNED = SecurityPolicy.SIGNED_REQUEST | SecurityPolicy.SIGNED_RESPONSE


@dataclass(frozen=True, kw_only=True)
class GeneralKeys:
    """The key agreement keys of the meter and of its client, the last transaction of each client SAP and system title,
    and the number of notifications sent: they live as long as the keys, so that nothing recorded is taken again."""

    agreement_key: EllipticCurvePrivateKey | None = field(default=None, repr=False)
    client_agreement_key: EllipticCurvePublicKey | None = None
    transactions: ClientCounters = field(default_factory=lambda: ClientCounters(1), repr=False)
    pushes: SendCounter = field(default_factory=SendCounter, repr=False)


def carried(
    config: AssociationConfig, client: tuple[int, bytes], form: GeneralForm, keys: GeneralKeys
) -> AssociationConfig:
    """Return ``config`` with its services carried as ``form`` says, for the client with this SAP and system title."""
    (transactions,) = keys.transactions.of(client)
    protection = GeneralProtection(
        choice=form.choice,
        agreement_key=keys.agreement_key,
        peer_agreement_key=keys.client_agreement_key,
        header_authenticated=form.header_authenticated,
        signed_length=form.signed_length,
        transactions=transactions,
        pushes=keys.pushes,
    )
    return replace(config, general=protection, policy=config.policy | _SIGNED if form.signed else config.policy)
