"""The server's side of an association, without I/O: APDUs in, events out. Nothing that a client sends raises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Aarq, AssociationResult, Context, Diagnostic, Rlre, Rlrq
from meterlink.cosem.apdu import (
    DataNotification,
    EventNotification,
    ExceptionResponse,
    InitiateRequest,
    InitiateResponse,
    action,
    get,
)
from meterlink.cosem.apdu import set as set_
from meterlink.cosem.apdu.errors import ServiceError, StateError
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.association.acceptance import Rejected, check_challenge, judge, negotiate, read_aarq
from meterlink.cosem.association.agreement import AGREED, key_agreement, offers_from_data, offers_to_data
from meterlink.cosem.association.base import NO_BOUND, Association
from meterlink.cosem.association.config import AssociationConfig
from meterlink.cosem.association.events import Closed, KeysAgreed, Refused, Released, Send, ServerEvent
from meterlink.cosem.association.proof import REPLY_TO_HLS, make_proof
from meterlink.cosem.association.services import ServerServices
from meterlink.cosem.association.states import Signal, State
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.data import NULL, Data, octet_string
from meterlink.cosem.results import ActionResponse, ActionResult, DataAccessResult
from meterlink.errors import LocalProtocolError, ProtocolError, SecurityError
from meterlink.framing.link import Role
from meterlink.security.hls import CHALLENGE_LENGTH
from meterlink.security.hls import Exchange as HlsExchange
from meterlink.security.key_agreement import EphemeralAgreement, key_set_from

_AARQ: Final = bytes((Aarq.TAG,))
_RLRQ: Final = bytes((Rlrq.TAG,))

_SERVICES: Final = {
    get.GetRequestNormal.TAG: int(Conformance.GET),
    set_.SetRequestNormal.TAG: int(Conformance.SET),
    action.ActionRequestNormal.TAG: int(Conformance.ACTION),
}
_MULTIPLE: Final = int(Conformance.MULTIPLE_REFERENCES)

_LISTS: Final = (
    get.GetRequestWithList,
    set_.SetRequestWithList,
    set_.SetRequestWithListFirstBlock,
    action.ActionRequestWithList,
    action.ActionRequestWithListFirstBlock,
)


class ServerAssociation(Association):
    """One association, from the server's side: one client SAP on one link.

    :meth:`receive` takes what the client sends. An indication asks for :meth:`respond_get`, :meth:`respond_set` or
    :meth:`respond_action`, which make the response. Keys and challenges are forgotten with the association.
    """

    def __init__(self, config: AssociationConfig) -> None:
        super().__init__(config, Role.SERVER)

    def _reset(self) -> None:
        super()._reset()
        self._services = ServerServices(self._config.max_transfer)
        self._follows = False

    @property
    def context(self) -> Context:
        """The application context."""
        return self._config.context

    @property
    def max_receive(self) -> int:
        """The largest APDU that we receive, in octets, 0 for no bound."""
        return self._config.max_pdu

    @property
    def peer_title(self) -> bytes | None:
        """The client's system title, where it gave one."""
        return self._peer_title

    def respond_get(self, results: Sequence[Data | DataAccessResult]) -> bytes:
        """Return the response to a GET, one result for each attribute. A long one goes in blocks by itself.

        Raises LocalProtocolError when no response is due.
        """
        blocks = self._speaks(Conformance.BLOCK_TRANSFER_WITH_GET)
        return self._respond(lambda: self._services.get_response(results, self._room(blocks), blocks))

    def respond_set(self, results: Sequence[DataAccessResult]) -> bytes:
        """Return the response to a SET, one result for each attribute. Raises as :meth:`respond_get`."""
        return self._respond(lambda: self._services.set_response(results))

    def respond_action(self, responses: Sequence[ActionResponse]) -> bytes:
        """Return the response to an ACTION, one for each method. Raises as :meth:`respond_get`."""
        blocks = self._speaks(Conformance.BLOCK_TRANSFER_WITH_ACTION)
        return self._respond(lambda: self._services.action_response(responses, self._room(blocks), blocks))

    def notify(self, message: DataNotification | EventNotification) -> bytes:
        """Return a notification as it goes out. Raises LocalProtocolError where none may be sent."""
        if self._channel.needs_keys:
            raise LocalProtocolError("nothing is sent before keys are agreed on")
        if not self._machine.allows(Signal.NOTIFICATION):
            raise LocalProtocolError(f"no notification is possible while the association is {self.state.value}")
        sealed = self._channel.seal_push(message.to_bytes())
        self._step(Signal.NOTIFICATION)
        return sealed

    def receive(self, data: bytes) -> list[ServerEvent]:
        """Take one APDU of the client; return what it means and what to send. Never raises for what a client sends."""
        try:
            return self._receive(data)
        except SecurityError as error:
            return self._violation(error)
        except ProtocolError as error:
            unknown = error.code == "apdu-unknown"
            reason = ServiceError.SERVICE_NOT_SUPPORTED if unknown else ServiceError.OTHER_REASON
            state = StateError.SERVICE_UNKNOWN if unknown else StateError.SERVICE_NOT_ALLOWED
            return [self._exception(state, reason), Refused(error.code, error.message)]

    def _receive(self, data: bytes) -> list[ServerEvent]:
        if self.state is State.CLOSED:
            return [Refused("closed", "a message came on a closed association")]
        if data[:1] == _AARQ:
            return self._aarq(data)
        outer = self._outer(data)
        if isinstance(outer, Rlrq):
            return self._rlrq(outer)
        if self.state is State.IDLE:
            return self._not_allowed("a message came before the association")
        if not isinstance(outer, bytes):
            return [] if outer is None else [Send(outer.to_bytes())]
        message = xdlms.decode(self._channel.open(outer))
        if self.state is State.CHALLENGED:
            return self._prove(message)
        if not isinstance(message, xdlms.Request):
            return self._not_allowed(f"a {type(message).__name__} came, which a server does not take")
        if not self._machine.allows(Signal.REQUEST):
            return self._not_allowed("a request came while a response was due")
        return self._request(message)

    def _outer(self, data: bytes) -> bytes | Rlrq | GeneralBlock | None:
        """Read what is not protected itself: a release request, or a block, which gives the whole APDU, a block to
        send, or nothing yet. After key agreement there is no harmless junk."""
        try:
            if data[:1] == _RLRQ:
                return Rlrq.from_bytes(data)
            if self._general_blocks:
                whole = self._general.receive(data)
                if whole is data:
                    self._general.forget()
                self._follows = whole is not data
                return whole
        except ProtocolError as error:
            if self._channel.agreed:
                raise SecurityError(error.message, code="malformed") from None
            raise
        return data

    # opening and releasing

    def _aarq(self, data: bytes) -> list[ServerEvent]:
        if self._channel.is_protected:
            raise SecurityError("an AARQ came within a protected association", code="unprotected")
        if not self._machine.allows(Signal.AARQ):
            return self._not_allowed("an AARQ came within an association")
        self._machine.step(Signal.AARQ)
        self._reset()
        try:
            aare = self._accept(read_aarq(data))
        except Rejected as rejected:
            self._machine.step(Signal.AARE_REJECT)
            self._reset()
            return [
                Send(rejected.to_aare(self._config).to_bytes()),
                Refused(rejected.code, rejected.message),
            ]
        if self._config.mechanism.is_high:
            self._machine.step(Signal.AARE_CHALLENGE)
            return [Send(aare.to_bytes())]
        self._machine.step(Signal.AARE_ACCEPT)
        return [Send(aare.to_bytes()), self._associated()]

    def _accept(self, aarq: Aarq) -> Aare:
        config = self._config
        self._peer_key = judge(aarq, config)
        self._peer_title, self._peer_certificate = aarq.system_title, aarq.certificate
        self._channel.start(aarq.system_title, self._peer_key)
        try:
            plain = self._channel.open(aarq.user_information)
        except SecurityError as error:
            raise Rejected(Diagnostic.AUTHENTICATION_FAILURE, error.code, error.message) from None
        initiate = negotiate(plain, config)
        self._speak(initiate.conformance & config.conformance)
        self._max_send = initiate.max_pdu or NO_BOUND
        challenge = self._challenge(aarq) if config.mechanism.is_high else None
        information = self._channel.seal(self._initiate_response().to_bytes())
        try:
            self._channel.use_service_keys(initiate.dedicated_key)
        except ValueError:
            raise Rejected(
                Diagnostic.AUTHENTICATION_FAILURE, "key-length", "the dedicated key has a wrong length"
            ) from None
        return Aare(
            config.context,
            AssociationResult.ACCEPTED,
            Diagnostic.AUTHENTICATION_REQUIRED if challenge else Diagnostic.NULL,
            information,
            config.mechanism,
            config.system_title,
            config.certificate if self._peer_key is not None else None,
            challenge,
        )

    def _challenge(self, aarq: Aarq) -> bytes:
        """Return our challenge, and keep what is needed to judge the answer. Raises Rejected."""
        config = self._config
        challenge = config.random(CHALLENGE_LENGTH)
        own, peer = config.system_title or b"", aarq.system_title or b""
        self._hls = HlsExchange(own, peer, challenge, aarq.secret or b"")
        check_challenge(self._hls, config.mechanism)
        self._proof = make_proof(config, self._peer_key, self._channel.counter)
        return challenge

    def _prove(self, message: xdlms.Apdu) -> list[ServerEvent]:
        if not isinstance(message, action.ActionRequestNormal) or message.method != REPLY_TO_HLS:
            return self._not_allowed("a request came before the client had proved who it is")
        if self._proof is None or self._hls is None:
            raise LocalProtocolError("there is no proof to check")
        self._machine.step(Signal.PROOF)
        try:
            self._proof.check(self._hls, (message.parameters or NULL).as_bytes())
            answer = octet_string(self._proof.answer(self._hls))
        except ProtocolError as error:
            refused = ActionResponse(ActionResult.OTHER_REASON)
            response = self._channel.seal(action.ActionResponseNormal(message.invoke, refused).to_bytes())
            self._machine.step(Signal.PROOF_REJECT)
            self._reset()
            return [Send(response), Refused(error.code, error.message)]
        self._proof = self._hls = None
        self._machine.step(Signal.PROOF_ACCEPT)
        accepted = ActionResponse(ActionResult.SUCCESS, answer)
        response = action.ActionResponseNormal(message.invoke, accepted).to_bytes()
        return [Send(self._outgoing(response, follows=self._follows)), self._associated()]

    def _rlrq(self, rlrq: Rlrq) -> list[ServerEvent]:
        if not self._machine.allows(Signal.RLRQ):
            return self._not_allowed("an RLRQ came without an association")
        plain = rlrq.user_information[:1] in (b"", bytes((InitiateRequest.TAG,)))
        protected = self._channel.agreed or (self._channel.is_protected and not plain)
        if protected:
            self._channel.open(rlrq.user_information)
        self._machine.step(Signal.RLRQ)
        information = self._channel.seal(self._initiate_response().to_bytes()) if protected else b""
        self._machine.step(Signal.RLRE)
        self._reset()
        return [Send(Rlre(user_information=information).to_bytes()), Released()]

    def _initiate_response(self) -> InitiateResponse:
        return InitiateResponse(self._conformance, self._config.max_pdu)

    # in force

    def _request(self, message: xdlms.Request) -> list[ServerEvent]:
        agreement = (
            isinstance(message, action.ActionRequestNormal)
            and self._config.ciphering is not None
            and self._peer_key is not None
            and message.method == key_agreement(self._config.security_setup)
        )
        if self._channel.needs_keys and not agreement:
            raise SecurityError("a request came before keys were agreed on", code="unprotected")
        if not self._speaks(_SERVICES[message.TAG] | (_MULTIPLE if isinstance(message, _LISTS) else 0)):
            return self._not_allowed("a service came that was not agreed on", ServiceError.SERVICE_NOT_SUPPORTED)
        self._machine.step(Signal.REQUEST)
        if agreement and isinstance(message, action.ActionRequestNormal):
            return self._agree(message)
        try:
            outcome = self._services.request(message, self._room(True))
        except ProtocolError:
            # What is refused is answered at once: no response is due any more.
            self._machine.step(Signal.RESPONSE)
            raise
        if isinstance(outcome, xdlms.Response):
            return [Send(self._respond(outcome.to_bytes))]
        return [outcome]

    def _agree(self, message: action.ActionRequestNormal) -> list[ServerEvent]:
        config = self._config
        if config.signer is None or self._peer_key is None or not self._peer_title or not config.system_title:
            raise LocalProtocolError("keys are agreed on with a known peer only")
        offers = offers_from_data(message.parameters or NULL)
        asked = {offer.key_id for offer in offers}
        if asked != set(AGREED):
            # One key alone would leave the other in force while its counters begin again: nonces would repeat.
            raise SecurityError("other keys than unicast and authentication are offered", code="key-agreement")
        agreement = EphemeralAgreement(suite=config.suite, key_ids=AGREED, signing_key=config.signer)
        keys = agreement.agree(
            offers, peer_public_key=self._peer_key, party_u=self._peer_title, party_v=config.system_title
        )
        answer = ActionResponse(ActionResult.SUCCESS, offers_to_data(agreement.offers))
        # The answer still goes out as the request came in; the new keys serve from the next message on.
        response = self._respond(action.ActionResponseNormal(message.invoke, answer).to_bytes)
        return [Send(response), KeysAgreed(config.suite, self._channel.install(key_set_from(keys), self._peer_title))]

    def _respond(self, make: Callable[[], bytes]) -> bytes:
        if self.state is not State.BUSY:
            raise LocalProtocolError("a response was made where none is due")
        response = self._outgoing(make(), follows=self._follows)
        self._machine.step(Signal.RESPONSE)
        return response

    def _room(self, blocks: bool) -> int:
        """Return how long a response may be: without blocks of its own, general block transfer may still carry it."""
        if not blocks and self._general_blocks:
            return self._config.max_transfer
        return self._max_send - self._channel.overhead

    # refusing

    def _not_allowed(
        self, message: str, reason: ServiceError = ServiceError.OPERATION_NOT_POSSIBLE
    ) -> list[ServerEvent]:
        return [self._exception(StateError.SERVICE_NOT_ALLOWED, reason), Refused("state", message)]

    def _violation(self, error: SecurityError) -> list[ServerEvent]:
        """Break the association off. What is said goes out plain, and is no more than that it was not deciphered: the
        keys are forgotten first."""
        counter = self._channel.expected_counter if error.code == "replay" and not self._channel.agreed else None
        self._machine.step(Signal.VIOLATION)
        self._reset()
        reason = ServiceError.DECIPHERING_ERROR if counter is None else ServiceError.INVOCATION_COUNTER_ERROR
        exception = ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, reason, counter)
        return [Send(exception.to_bytes()), Refused(error.code, error.message), Closed(error.code)]

    def _exception(self, state: StateError, reason: ServiceError) -> Send:
        exception = ExceptionResponse(state, reason).to_bytes()
        # With shared keys it goes out plain: few clients know the general form that a protected one would take.
        return Send(self._channel.seal(exception) if self._channel.agreed else exception)
