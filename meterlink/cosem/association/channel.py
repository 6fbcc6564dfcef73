"""What lies between the state table and the link: the protection of APDUs, as the association was made.

Three things can be true: the context knows no ciphering, and all APDUs are plain; it does and keys are there, and all
APDUs are protected as the policy says; it does and keys are still to be agreed on, and the caller lets nothing through
but the agreement.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from meterlink.cosem.association.config import AssociationConfig, PeerHistory
from meterlink.cosem.association.general_protection import ONE_TIME_KEYS, GeneralLayer, GeneralProtection
from meterlink.errors import LocalProtocolError, ProtocolError, SecurityError, UsageError
from meterlink.framing.link import Role
from meterlink.security.ciphered import Ciphering, Opened, is_ciphered, wrap
from meterlink.security.control import SecurityControl, SecurityPolicy
from meterlink.security.counters import ReceiveCounter, SendCounter
from meterlink.security.keys import KeyRole, KeySet
from meterlink.security.session import SecureSession, receive_counters

_OVERHEAD: Final = 1 + 9 + 5 + 5 + 12
"""Octets that protection adds at most: tag, system title, length, security control and counter, authentication tag."""

_GENERAL_OVERHEAD: Final = (1 + 9 + 9 + 9 + 2 + 5) + (4 + 3 + 96 + 96) + (1 + 9 + 9 + 9 + 2 + 5 + 3 + 96)
"""Octets that general-ciphering and general-signing add to that: the header, an ephemeral key with its signature, and
the header of the signature with it."""

_MIRRORED: Final = {
    Ciphering.GLOBAL: (Ciphering.GLOBAL, Ciphering.GENERAL_GLOBAL),
    Ciphering.GENERAL_GLOBAL: (Ciphering.GLOBAL, Ciphering.GENERAL_GLOBAL),
    Ciphering.DEDICATED: (Ciphering.DEDICATED, Ciphering.GENERAL_DEDICATED),
    Ciphering.GENERAL_DEDICATED: (Ciphering.DEDICATED, Ciphering.GENERAL_DEDICATED),
}
"""The forms that the same key carries: a server answers in the one that it was asked in."""


class Channel:
    """The protection of one association, in either role."""

    def __init__(self, config: AssociationConfig, role: Role) -> None:
        _check_transactions(config, role)
        self._config = config
        self._role = role
        self._session: SecureSession | None = None
        self._general: GeneralLayer | None = None
        self._peer_key: EllipticCurvePublicKey | None = None
        self._count = config.send_counter or SendCounter()
        self._history: PeerHistory | None = None
        self.agreed = False
        """True once keys were agreed on in this association: from then on there is no way back to less."""

    @property
    def counter(self) -> SendCounter:
        """The counter of what we protect with the shared unicast key."""
        return self._count

    @property
    def is_protected(self) -> bool:
        """True when keys are in force."""
        return self._session is not None

    @property
    def needs_keys(self) -> bool:
        """True while the context wants ciphering and there are no keys yet."""
        return self._config.ciphering is not None and self._session is None

    @property
    def expected_counter(self) -> int | None:
        """The least counter that we accept from the peer under the shared unicast key."""
        return None if self._session is None else self._session.receive[KeyRole.UNICAST].least

    @property
    def overhead(self) -> int:
        """Octets that protection adds to an APDU at most."""
        if self._session is None:
            return 0
        return _OVERHEAD if self._general is None else _OVERHEAD + _GENERAL_OVERHEAD

    def seal_first(self, apdu: bytes) -> bytes:
        """Protect the client's InitiateRequest: the peer is not known yet, only our side of the keys is needed."""
        keys, title = self._config.keys, self._config.system_title
        if self._config.ciphering is None or keys is None or title is None:
            return apdu
        # Before the request is out: what another process records later may have been sent after the answer to it.
        self._history = None if self._config.history is None else self._config.history(keys)
        # A dedicated key in it is never sent as it is, whatever the policy: who knows it could work out the
        # authentication key from a message that is authenticated alone.
        dedicated = self._config.ciphering.role is KeyRole.DEDICATED
        control = SecurityControl(self._config.suite) if dedicated else self._initiate_control()
        return wrap(
            apdu,
            ciphering=Ciphering.GLOBAL,
            control=control,
            system_title=title,
            counter=self._count.next(),
            keys=keys,
        )

    def start(self, peer_title: bytes | None, peer_key: EllipticCurvePublicKey | None) -> None:
        """Put the shared keys in force, where there are any and the context has ciphering: the peer is known, with its
        signing key where it has one.

        InitiateRequest and InitiateResponse are always protected with the global key.
        """
        config = self._config
        self._peer_key = peer_key
        if config.ciphering is None or config.keys is None:
            return
        received = config.receive_counters if self._history is None else self._history.messages(peer_title or b"")
        received = received or receive_counters()
        self._session = self._make(config.keys, peer_title or b"", self._count, received)
        self._session.control = self._initiate_control()

    def use_service_keys(self, dedicated_key: bytes | None) -> None:
        """The initiate phase is over: services use the configured form, with the dedicated key where there is one.

        Raises ``ValueError`` when the dedicated key does not have the length of the others.
        """
        if self._session is None:
            return
        session, ciphering = self._session, self._config.ciphering or Ciphering.GLOBAL
        if dedicated_key is not None:
            keys = session.keys.with_dedicated(dedicated_key)
            receive = (*session.receive[: KeyRole.DEDICATED], ReceiveCounter())
            self._session = self._make(keys, session.peer_title, SendCounter(), receive)
            if ciphering.role is None:
                ciphering = Ciphering.DEDICATED
        elif ciphering.role is not None:
            ciphering = Ciphering.GLOBAL
        self._session.ciphering = ciphering
        self._session.control = self._sent()
        self._general = self._make_general(self._session)

    def install(self, keys: KeySet, peer_title: bytes) -> SecureSession:
        """Put agreed keys in force and return what protects with them: everything authenticated and encrypted, counters
        from 0. ``keys`` are new, all of them: a counter must never begin again under a key that was used."""
        self.settle()
        self.agreed = True
        self._history = None if self._config.history is None else self._config.history(keys)
        received = receive_counters() if self._history is None else self._history.messages(peer_title)
        session = self._session = self._make(keys, peer_title, SendCounter(), received)
        full = SecurityControl(self._config.suite, authenticated=True, encrypted=True)
        session.control, session.least = full, full
        wanted = self._config.ciphering
        general = wanted in (Ciphering.GENERAL_GLOBAL, Ciphering.GENERAL_DEDICATED)
        session.ciphering = Ciphering.GENERAL_GLOBAL if general else Ciphering.GLOBAL
        self._general = self._make_general(session)
        return session

    def seal(self, apdu: bytes) -> bytes:
        """Return ``apdu`` as it goes out. Raises SecurityError when the counter is used up."""
        session = self._session
        if self._general is not None:
            return self._general.seal(apdu)
        if session is None or not (session.control.authenticated or session.control.encrypted):
            return apdu
        return session.protect(apdu)

    def seal_push(self, apdu: bytes) -> bytes:
        """Return a notification as it goes out. Raises as :meth:`seal`, and LocalProtocolError where nothing would tell
        it from an older one."""
        return self.seal(apdu) if self._general is None else self._general.seal_push(apdu)

    def settle(self) -> None:
        """The association ends: make the record of what was accepted outlive a power cut, where one is kept."""
        for counter in () if self._session is None else self._session.receive:
            counter.settle()
        if self._general is not None:
            self._general.settle()

    def open(self, data: bytes) -> bytes:
        """Return the plain APDU in what came in. Raises SecurityError when its protection is not what it must be.

        The broadcast key is not taken: every meter of a group knows it, so it proves nothing of the peer.
        """
        session = self._session
        if session is None:
            if is_ciphered(data):
                raise SecurityError("a protected message came and no keys are in force", code="no-key")
            return data
        least = session.least or session.control
        try:
            if self._general is not None:
                return self._general.open(data, least)
            if not (least.authenticated or least.encrypted or is_ciphered(data)):
                return data
            opened = session.open(data)
        except SecurityError:
            raise
        except ProtocolError as error:
            # Octets that do not even have the form of a protected message are not one.
            raise SecurityError(error.message, code="malformed") from None
        if opened.control.broadcast:
            raise SecurityError("a message within an association is protected with the broadcast key", code="downgrade")
        self._mirror(opened)
        return opened.apdu

    def _mirror(self, opened: Opened) -> None:
        session = self._session
        if self._role is Role.SERVER and session and opened.ciphering in _MIRRORED[session.ciphering]:
            session.ciphering = opened.ciphering

    def _make(
        self,
        keys: KeySet,
        peer_title: bytes,
        send: SendCounter,
        receive: tuple[ReceiveCounter, ...],
    ) -> SecureSession:
        title = self._config.system_title
        if title is None:
            raise LocalProtocolError("there is no system title to protect messages with")
        return SecureSession(
            keys, title, peer_title, control=self._sent(), least=self._least(), send=send, receive=receive
        )

    def _make_general(self, session: SecureSession) -> GeneralLayer | None:
        """Return the layer for general-ciphering and general-signing, None where neither is wanted."""
        config = self._config
        requests = SecurityPolicy.SIGNED_REQUEST in config.policy
        responses = SecurityPolicy.SIGNED_RESPONSE in config.policy
        if config.general is None and not (requests or responses):
            return None
        return GeneralLayer(
            config.general or GeneralProtection(),
            self._role,
            session,
            signing_key=config.signer,
            peer_signing_key=self._peer_key,
            signed=(requests, responses) if self._role is Role.CLIENT else (responses, requests),
            lasting=not self.agreed or self._history is not None,
            seen=self._seen(session),
        )

    def _seen(self, session: SecureSession) -> ReceiveCounter | None:
        general = self._config.general
        kept = None if general is None else general.transactions
        return kept if kept or self._history is None else self._history.transactions(session.peer_title)

    def _sent(self) -> SecurityControl:
        return self._controls()[0]

    def _least(self) -> SecurityControl:
        return self._controls()[1]

    def _controls(self) -> tuple[SecurityControl, SecurityControl]:
        policy, suite = self._config.policy, self._config.suite
        request, response = policy.least_request(suite), policy.least_response(suite)
        return (request, response) if self._role is Role.CLIENT else (response, request)

    def _initiate_control(self) -> SecurityControl:
        sent = self._sent()
        if sent.authenticated or sent.encrypted:
            return sent
        # A policy that asks for nothing says nothing about the association itself, which carries a dedicated key.
        return SecurityControl(self._config.suite)


def _check_transactions(config: AssociationConfig, role: Role) -> None:
    """Refuse a configuration under which a message of one association could be played to the next. Raises UsageError.

    Agreed keys are new in every association, and with them every message.
    """
    general = config.general or GeneralProtection()
    if config.keys is None or not (config.signs or general.choice in ONE_TIME_KEYS):
        return
    if role is Role.CLIENT and general.first_transaction is None:
        raise UsageError("signatures and one-time keys need a first transaction identifier, larger than any before")
    if role is Role.SERVER and general.transactions is None:
        raise UsageError("signatures and one-time keys need a record of transactions that outlives the association")
