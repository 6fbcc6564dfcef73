"""How a client gets into an association: AARQ, AARE and, where the mechanism asks for it, the proof of both sides."""

from __future__ import annotations

from typing import Final

from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Aarq, AssociationResult
from meterlink.cosem.apdu import InitiateRequest, InitiateResponse, action
from meterlink.cosem.association.base import NO_BOUND, Association
from meterlink.cosem.association.config import AssociationConfig
from meterlink.cosem.association.events import ClientEvent, Send
from meterlink.cosem.association.exchange import unexpected
from meterlink.cosem.association.offer import association_refused, check_offer, rejected
from meterlink.cosem.association.proof import REPLY_TO_HLS, make_proof
from meterlink.cosem.association.states import Signal, State
from meterlink.cosem.data import Data, octet_string
from meterlink.errors import MeterNotTrusted, ProtocolError, SecurityError
from meterlink.framing.link import Role
from meterlink.security.hls import CHALLENGE_LENGTH, Mechanism
from meterlink.security.hls import Exchange as HlsExchange
from meterlink.security.keys import KeyRole, Secret

_CONFIRMED_HIGH: Final = 0xC0
"""Invoke-id-and-priority: confirmed service, high priority; the low half is the invoke id."""


class ClientOpening(Association):
    """The client's side of an association until it is in force."""

    def __init__(self, config: AssociationConfig) -> None:
        self._invoke = 0
        super().__init__(config, Role.CLIENT)

    def _reset(self) -> None:
        super()._reset()
        self._challenge = b""
        self._dedicated_key: bytes | None = None

    @property
    def server_title(self) -> bytes | None:
        """The meter's system title, where it gave one."""
        return self._peer_title

    @property
    def server_certificate(self) -> bytes | None:
        """The meter's certificate (DER), where it gave one."""
        return self._peer_certificate

    def open(self) -> bytes:
        """Return the AARQ. Raises LocalProtocolError unless the association is idle."""
        self._step(Signal.AARQ)
        self._reset()
        config = self._config
        if config.mechanism.is_high:
            self._challenge = config.random(CHALLENGE_LENGTH)
        if config.ciphering is not None and config.ciphering.role is KeyRole.DEDICATED and config.keys is not None:
            self._dedicated_key = Secret(config.random(config.suite.key_length))
        return Aarq(
            config.context,
            self._channel.seal_first(self._initiate(self._dedicated_key).to_bytes()),
            config.mechanism,
            config.system_title,
            config.certificate if config.mechanism is Mechanism.ECDSA else None,
            config.secret if config.mechanism is Mechanism.LOW else self._challenge or None,
        ).to_bytes()

    def _aare(self, aare: Aare) -> list[ClientEvent]:
        if self.state is not State.PENDING:
            raise ProtocolError("an AARE came that nothing asked for")
        if aare.result is not AssociationResult.ACCEPTED:
            raise rejected(aare)
        config = self._config
        check_offer(aare, config)
        self._peer_title = aare.system_title
        self._peer_certificate = aare.certificate
        if config.mechanism is Mechanism.ECDSA and config.verify_peer is not None:
            self._peer_key = config.verify_peer(aare.system_title or b"", aare.certificate or b"")
        self._channel.start(aare.system_title, self._peer_key)
        self._negotiated(self._channel.open(aare.user_information))
        self._channel.use_service_keys(self._dedicated_key)
        if not config.mechanism.is_high:
            self._machine.step(Signal.AARE_ACCEPT)
            return [self._associated()]
        self._machine.step(Signal.AARE_CHALLENGE)
        own, peer = config.system_title or b"", aare.system_title or b""
        self._hls = HlsExchange(own, peer, self._challenge, aare.challenge or b"")
        self._proof = make_proof(config, self._peer_key, self._channel.counter)
        answer = octet_string(self._proof.answer(self._hls))
        request = action.ActionRequestNormal(self._next_invoke(), REPLY_TO_HLS, answer)
        self._machine.step(Signal.PROOF)
        return [Send(self._outgoing(request.to_bytes()))]

    def _negotiated(self, plain: bytes) -> None:
        message = xdlms.decode(plain)
        if not isinstance(message, InitiateResponse):
            raise ProtocolError("the AARE carries no InitiateResponse")
        self._speak(message.conformance & self._config.conformance)
        self._max_send = message.max_pdu or NO_BOUND

    def _proved(self, message: xdlms.Apdu) -> list[ClientEvent]:
        if not isinstance(message, action.ActionResponseNormal):
            raise unexpected(message)
        self._check_invoke(message.invoke)
        if message.response.result:
            raise association_refused("authentication-failure")
        if self._proof is None or self._hls is None or not isinstance(message.response.data, Data):
            raise SecurityError("the meter does not prove who it is", code="authentication-failed")
        try:
            self._proof.check(self._hls, message.response.data.as_bytes())
        except SecurityError as error:
            if self._config.mechanism is not Mechanism.ECDSA:
                raise
            raise MeterNotTrusted(
                "the meter does not hold the key of its certificate", code=error.code, hint="Do not use this meter."
            ) from None
        self._machine.step(Signal.PROOF_ACCEPT)
        self._proof = self._hls = None
        return [self._associated()]

    def _initiate(self, dedicated_key: bytes | None) -> InitiateRequest:
        return InitiateRequest(self._config.conformance, self._config.max_pdu, dedicated_key)

    def _next_invoke(self) -> int:
        self._invoke = (self._invoke + 1) & 0x0F
        return _CONFIRMED_HIGH | self._invoke

    def _check_invoke(self, invoke: int) -> None:
        if invoke & 0x0F != self._invoke:
            raise ProtocolError("a response came to another request", code="response-unexpected")
