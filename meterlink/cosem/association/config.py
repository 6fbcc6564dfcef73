"""What one side brings to an association."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from meterlink.cosem.acse import Context
from meterlink.cosem.association.general_protection import GeneralProtection
from meterlink.cosem.conformance import SUPPORTED, Conformance
from meterlink.errors import UsageError
from meterlink.security.ciphered import Ciphering
from meterlink.security.control import SecurityPolicy
from meterlink.security.counters import ReceiveCounter, SendCounter
from meterlink.security.hls import Mechanism
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite
from meterlink.values import Obis

PeerCheck = Callable[[bytes, bytes], EllipticCurvePublicKey]
"""Takes the peer's system title and certificate (DER, empty when it sent none); returns its public key, or raises to
refuse the peer: :class:`~meterlink.errors.MeterlinkError` or :class:`~certs.errors.CertsError`."""

ReceiveCounters = tuple[ReceiveCounter, ...]
"""One for each :class:`~meterlink.security.keys.KeyRole`, in its order."""


class PeerHistory(Protocol):
    """What came from peers in earlier associations, under keys that stay."""

    def messages(self, peer_title: bytes) -> ReceiveCounters:
        """Return the counters of what the peer sends under the shared keys."""
        ...

    def transactions(self, peer_title: bytes) -> ReceiveCounter:
        """Return the record of the transactions that the peer began, see
        :class:`~meterlink.cosem.association.GeneralProtection`."""
        ...


CURRENT_ASSOCIATION: Final = Obis(0, 0, 40, 0, 0)
SECURITY_SETUP: Final = Obis(0, 0, 43, 0, 0)

FULL_PROTECTION: Final = (
    SecurityPolicy.AUTHENTICATED_REQUEST
    | SecurityPolicy.ENCRYPTED_REQUEST
    | SecurityPolicy.AUTHENTICATED_RESPONSE
    | SecurityPolicy.ENCRYPTED_RESPONSE
)

MAX_TRANSFER: Final = 512 * 1024
"""Octets of one value or parameter, all its blocks together, unless the configuration says otherwise. As Python
objects a value takes up to forty times its octets."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AssociationConfig:
    """What one side of an association brings: the same for client and server (a server has one per client SAP).

    ``mechanism`` is how the sides prove who they are; ``ciphering`` how APDUs are protected, None for the application
    context without ciphering. ``keys`` were shared before; without them, and with ciphering, they come by key agreement
    after mechanism ECDSA, and until then nothing but the agreement is sent or served. ``policy`` is what is sent and
    the least that is accepted. ``secret`` is the password or the secret of mechanisms MD5, SHA1 and SHA256.
    ``certificate`` is our own (DER), ``signer`` its key, ``verify_peer`` judges the peer's. ``general`` carries
    services with general-ciphering; where the policy asks for signatures they go with general-signing.

    ``send_counter`` comes with ``keys`` and lives as long as they do: a counter used twice under one key gives the key
    away. ``receive_counters`` (one for each KeyRole) should, too, or what was recorded can be played to a later
    association; a client finds them by the peer's system title in its ``history``. ``max_pdu`` is the largest APDU that
    we receive, 0..65535 octets, 0 for no bound; ``max_transfer`` bounds a value that comes in blocks.

    Raises UsageError when the parts do not fit together.
    """

    mechanism: Mechanism = Mechanism.NONE
    ciphering: Ciphering | None = None
    suite: Suite = Suite.SUITE_1
    system_title: bytes | None = None
    certificate: bytes | None = field(default=None, repr=False)
    signer: EllipticCurvePrivateKey | None = field(default=None, repr=False)
    secret: bytes | None = field(default=None, repr=False)
    keys: KeySet | None = None
    policy: SecurityPolicy = FULL_PROTECTION
    send_counter: SendCounter | None = field(default=None, repr=False)
    receive_counters: ReceiveCounters | None = field(default=None, repr=False)
    history: Callable[[KeySet], PeerHistory] | None = field(default=None, repr=False)
    """Looks up what came under keys that outlive the association; called with the shared ones before each association
    is asked for, and with those that are agreed on when they are put in force."""
    verify_peer: PeerCheck | None = field(default=None, repr=False)
    general: GeneralProtection | None = None
    security_setup: Obis = SECURITY_SETUP
    conformance: Conformance = SUPPORTED
    max_pdu: int = 0xFFFF
    max_transfer: int = MAX_TRANSFER
    random: Callable[[int], bytes] = field(default=secrets.token_bytes, repr=False)
    """Source of challenges and dedicated keys. Anything but the default is for tests with vectors."""

    def __post_init__(self) -> None:
        for wrong, message in (
            (self.mechanism is Mechanism.HIGH, "mechanism 2 is the manufacturer's own and not known here"),
            (self._needs_title and len(self.system_title or b"") != 8, "a system title of 8 octets is needed"),
            (self._needs_secret and not self.secret, "a password or secret is needed"),
            (self.mechanism is Mechanism.GMAC and self.keys is None, "mechanism GMAC needs keys"),
            (self._is_ecdsa and self.suite is Suite.SUITE_0, "mechanism ECDSA needs security suite 1 or 2"),
            (self._is_ecdsa and self.signer is None, "mechanism ECDSA needs a private key"),
            (self._is_ecdsa and self.verify_peer is None, "mechanism ECDSA needs a judge of the peer"),
            (bool(self.keys) and self.send_counter is None, "shared keys need a send counter that lives as long"),
            (bool(self.keys) and not self._keys_fit, "the keys do not have the length of the security suite"),
            (self.ciphering is not None and not self.keys and not self._is_ecdsa, "ciphering needs keys"),
            (self.signs and not self._is_ecdsa, "signatures need mechanism ECDSA"),
            (self.ciphering is None and (self.signs or self.general is not None), "a policy needs ciphering"),
            (not 0 <= self.max_pdu <= 0xFFFF, "max_pdu is 0..65535"),
        ):
            if wrong:
                raise UsageError(f"the association cannot be as configured: {message}")

    @property
    def context(self) -> Context:
        """The application context."""
        return Context.LOGICAL_NAMES if self.ciphering is None else Context.LOGICAL_NAMES_CIPHERED

    @property
    def _is_ecdsa(self) -> bool:
        return self.mechanism is Mechanism.ECDSA

    @property
    def signs(self) -> bool:
        """True where the policy asks for signatures."""
        return bool(self.policy & (SecurityPolicy.SIGNED_REQUEST | SecurityPolicy.SIGNED_RESPONSE))

    @property
    def _needs_title(self) -> bool:
        return self.mechanism >= Mechanism.GMAC or self.ciphering is not None

    @property
    def _needs_secret(self) -> bool:
        return self.mechanism in (Mechanism.LOW, Mechanism.MD5, Mechanism.SHA1, Mechanism.SHA256)

    @property
    def _keys_fit(self) -> bool:
        return self.keys is not None and self.keys.fits(self.suite)
