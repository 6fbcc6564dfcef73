"""What the meter brings to an association: for each client row, the configuration of the security state table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from hil.meter.clients import ClientRow, Proof
from hil.meter.counting import ClientCounters
from hil.meter.general import GeneralKeys, carried
from hil.trust import MeterIdentity
from meterlink.cosem.association import AssociationConfig, PeerCheck
from meterlink.cosem.association.config import FULL_PROTECTION
from meterlink.errors import SecurityError
from meterlink.security.ciphered import Ciphering
from meterlink.security.control import SecurityPolicy
from meterlink.security.counters import SendCounter
from meterlink.security.hls import Mechanism
from meterlink.security.key_agreement import key_set_from
from meterlink.security.key_wrap import unwrap_key
from meterlink.security.keys import KeyId, KeySet, Secret
from meterlink.security.session import SecureSession
from meterlink.security.suites import Suite


@dataclass(frozen=True, kw_only=True)
class FieldKeys:
    """What was shared before: the password, the secret of the challenge-response mechanisms, a key set for each suite,
    the public keys of clients that send no certificate, by system title, and the security policy under the keys of a
    suite where it is not full protection.

    Counters live as long as their key: one for what the meter sends under a key, the same for all suites, which may
    share it (from 1: there are clients that take a first 0 for an old one), and for each unicast key, client SAP and
    system title what was last received, so that nothing recorded in one association can be played in the next.
    """

    password: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    keys: dict[Suite, KeySet]
    client_keys: dict[bytes, EllipticCurvePublicKey] = field(default_factory=dict)
    policies: dict[Suite, SecurityPolicy] = field(default_factory=dict)
    send_counters: dict[Suite, SendCounter] = field(
        default_factory=lambda: dict.fromkeys(Suite, SendCounter(1)), repr=False
    )
    receive_counters: ClientCounters = field(default_factory=ClientCounters, repr=False)
    general: GeneralKeys = field(default_factory=GeneralKeys)

    def policy(self, suite: Suite) -> SecurityPolicy:
        """Return what every message under the keys of ``suite`` must have."""
        return self.policies.get(suite, FULL_PROTECTION)

    def strengthen(self, suite: Suite, policy: SecurityPolicy) -> None:
        """Ask for more from the next association on. Raises SecurityError ``policy`` for less, or for what these keys
        cannot give."""
        if self.policy(suite) & ~policy or policy & ~FULL_PROTECTION:
            raise SecurityError("a security policy becomes stronger alone", code="policy")
        self.policies[suite] = policy

    def agreed(self, suite: Suite, sap: int, session: SecureSession) -> None:
        """Take the keys that were agreed on in an association of the client ``sap``, which goes on under them. What the
        meter sends is counted on: an older key may come back by transfer."""
        self.receive_counters.keep((session.keys.unicast, sap, session.peer_title), session.receive)
        self.keys[suite] = key_set_from(
            {KeyId.UNICAST: session.keys.unicast, KeyId.AUTHENTICATION: session.keys.authentication}, self.keys[suite]
        )
        session.send = self.send_counters[suite]

    def transfer(self, suite: Suite, wrapped: Mapping[KeyId, bytes]) -> None:
        """Take new keys, wrapped under the master key, for every association from the next one on.

        Raises SecurityError ``key-wrap`` when there is no master key, one does not unwrap, or one is of a wrong length;
        nothing is changed then.
        """
        old = self.keys[suite]
        if old.master is None:
            raise SecurityError("the meter has no master key", code="key-wrap")
        keys = {key_id: unwrap_key(old.master, key) for key_id, key in wrapped.items()}
        if any(len(key) != suite.key_length for key in keys.values()):
            raise SecurityError("a transferred key is of a wrong length", code="key-wrap")
        self.keys[suite] = key_set_from(keys, old)


def suite_of(row: ClientRow, identity: MeterIdentity) -> Suite:
    """Return the security suite of the associations on ``row``: that of the meter's certificate, or 0."""
    return Suite(identity.suite) if row.proof is Proof.ECDSA else Suite.SUITE_0


def configure(
    row: ClientRow, identity: MeterIdentity, field_keys: FieldKeys | None, check: PeerCheck, title: bytes
) -> AssociationConfig | None:
    """Return what the association with a client of ``row`` is to be, which says that its system title is ``title``
    (empty: it says nothing); None when the meter lacks the secrets for it."""
    if row.certificates:
        return _with_certificates(row, identity, check)
    if row.proof is Proof.NONE:
        return AssociationConfig(mechanism=Mechanism.NONE)
    if field_keys is None:
        return None
    config = _with_shared_keys(row, identity, field_keys, check, title)
    return config if row.general is None else carried(config, (row.sap, title), row.general, field_keys.general)


def _with_certificates(row: ClientRow, identity: MeterIdentity, check: PeerCheck) -> AssociationConfig:
    return AssociationConfig(
        mechanism=Mechanism(row.proof),
        ciphering=Ciphering.GLOBAL,
        suite=Suite(identity.suite),
        system_title=identity.system_title,
        certificate=identity.certificate_der,
        signer=identity.private_key,
        verify_peer=check,
    )


def _with_shared_keys(
    row: ClientRow, identity: MeterIdentity, field_keys: FieldKeys, check: PeerCheck, title: bytes
) -> AssociationConfig:
    ecdsa = row.proof is Proof.ECDSA
    suite = suite_of(row, identity)
    keys = field_keys.keys[suite] if row.ciphered or row.proof is Proof.GMAC else None
    return AssociationConfig(
        mechanism=Mechanism(row.proof),
        ciphering=Ciphering.GLOBAL if row.ciphered else None,
        suite=suite,
        system_title=identity.system_title,
        certificate=identity.certificate_der if ecdsa else None,
        signer=identity.private_key if ecdsa else None,
        secret=Secret(field_keys.password if row.proof is Proof.PASSWORD else field_keys.secret),
        keys=keys,
        policy=field_keys.policy(suite) if row.ciphered else FULL_PROTECTION,
        send_counter=None if keys is None else field_keys.send_counters[suite],
        receive_counters=None if keys is None else field_keys.receive_counters.of((keys.unicast, row.sap, title)),
        verify_peer=check if ecdsa else None,
    )
