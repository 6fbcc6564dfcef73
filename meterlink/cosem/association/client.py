"""The client's side of an association, without I/O: APDUs in, events out."""

from __future__ import annotations

from typing import Final

from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Rlre, Rlrq
from meterlink.cosem.apdu import (
    ConfirmedServiceError,
    ExceptionResponse,
    GeneralBlock,
    InitiateResponse,
)
from meterlink.cosem.apdu.errors import KEYS_REFUSED
from meterlink.cosem.association.agreement import AGREED, key_agreement, offers_from_data, offers_to_data
from meterlink.cosem.association.base import NO_BOUND
from meterlink.cosem.association.client_opening import ClientOpening
from meterlink.cosem.association.events import (
    ClientEvent,
    KeysAgreed,
    Notification,
    Released,
    Response,
    Send,
)
from meterlink.cosem.association.exchange import ActionExchange, Exchange, GetExchange, SetExchange, unexpected
from meterlink.cosem.association.offer import association_ended, association_refused
from meterlink.cosem.association.states import Signal, State
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.results import refusal
from meterlink.errors import (
    LocalProtocolError,
    MeterRefused,
    ProtocolError,
    SecurityError,
)
from meterlink.security.key_agreement import EphemeralAgreement, key_set_from

_AARE: Final = bytes((Aare.TAG,))
_RLRE: Final = bytes((Rlre.TAG,))
_BLOCK: Final = bytes((GeneralBlock.TAG,))

_REFUSALS: Final = frozenset({bytes((ExceptionResponse.TAG,)), bytes((ConfirmedServiceError.TAG,))})

_PROTECTED_PUSHES: Final = frozenset({b"\xca", b"\xd2", b"\xdb", b"\xdc", b"\xdd", b"\xdf"})
"""Tags of the APDUs that protect a notification: glo- and ded-event-notification, and the general ones."""


class ClientAssociation(ClientOpening):
    """One association, from the client's side.

    A method that returns bytes makes the next APDU to send. :meth:`receive` takes what comes back; when it raises, the
    association is closed and the link must be dropped. Keys and challenges are forgotten with the association.
    """

    def _reset(self) -> None:
        super()._reset()
        self._exchange: Exchange | None = None
        self._agreement: EphemeralAgreement | None = None

    @property
    def room(self) -> int:
        """Octets of a request, before protection, that fit one APDU; 0 before the association."""
        return max(self._max_send - self._channel.overhead, 0)

    def agree_keys(self) -> bytes:
        """Return the ACTION that agrees on new keys with the meter; the answer gives :class:`KeysAgreed`.

        Raises LocalProtocolError when the association was not made with mechanism ECDSA or is busy.
        """
        config = self._config
        if config.signer is None or self._peer_key is None or config.ciphering is None:
            raise LocalProtocolError("keys are agreed on after mechanism ECDSA, in a context with ciphering")
        self._step(Signal.REQUEST)
        self._agreement = EphemeralAgreement(suite=config.suite, key_ids=AGREED, signing_key=config.signer)
        parameters = offers_to_data(self._agreement.offers)
        # The agreement is never cut into blocks: it must be whole before a byte of it is believed.
        self._exchange = ActionExchange(
            self._next_invoke(),
            ((key_agreement(config.security_setup), parameters),),
            NO_BOUND,
            blocks=False,
            limit=config.max_transfer,
        )
        return self._outgoing(self._exchange.first().to_bytes())

    def get(self, *attributes: Attribute) -> bytes:
        """Return the GET of ``attributes``: one goes alone, several go as a list.

        Raises LocalProtocolError while nothing may be asked, MeterRefused (``service-not-supported``) for a service
        that the meter does not speak.
        """
        if not attributes:
            raise LocalProtocolError("no attribute is asked for")
        self._require(Conformance.GET, len(attributes))
        for attribute in attributes:
            if attribute.selection is not None:
                self._require(Conformance.SELECTIVE_ACCESS, 1)
        return self._begin(GetExchange(self._next_invoke(), attributes, self._config.max_transfer))

    def set(self, *items: tuple[Attribute, Data]) -> bytes:
        """Return the SET of attributes to values, in blocks where it is too long for one APDU. Raises as :meth:`get`,
        and UsageError when the values are too long for the meter."""
        if not items:
            raise LocalProtocolError("no attribute is to be written")
        self._require(Conformance.SET, len(items))
        blocks = self._speaks(Conformance.BLOCK_TRANSFER_WITH_SET)
        return self._begin(SetExchange(self._next_invoke(), items, self._longest(blocks), blocks))

    def action(self, *items: tuple[Method, Data | None]) -> bytes:
        """Return the ACTION on methods with their parameters (None for a method without). Raises as :meth:`set`."""
        if not items:
            raise LocalProtocolError("no method is to be called")
        self._require(Conformance.ACTION, len(items))
        blocks = self._speaks(Conformance.BLOCK_TRANSFER_WITH_ACTION)
        limit = self._config.max_transfer
        return self._begin(ActionExchange(self._next_invoke(), items, self._longest(blocks), blocks, limit))

    def release(self) -> bytes:
        """Return the RLRQ; in a ciphered association it carries a protected InitiateRequest, so that nobody else can
        release it. Raises LocalProtocolError while a response is due."""
        self._step(Signal.RLRQ)
        if not self._channel.is_protected:
            return Rlrq().to_bytes()
        return Rlrq(user_information=self._channel.seal(self._initiate(None).to_bytes())).to_bytes()

    def receive_push(self, data: bytes) -> list[ClientEvent]:
        """Take what came outside the numbered sequence of the link, as pushes do (UI frames).

        Nobody asked for it, it may be meant for others, and a part that was lost is not sent again: what is no sound
        notification of our meter is dropped, and nothing else changes.
        """
        try:
            whole = self._general.receive_push(data)
            if self.state is State.CLOSED or whole is None or not self._may_be_ours(whole[:1]):
                return []
            plain = self._channel.open(whole)
            message = xdlms.decode(plain)
        except ProtocolError:
            return []
        if not isinstance(message, xdlms.Notification):
            return []
        return self._notification(message, protected=plain is not whole)

    def receive(self, data: bytes) -> list[ClientEvent]:
        """Take one APDU of the meter; return what it means.

        Raises AssociationRefused, what the judge of the peer raises, SecurityError and ProtocolError; the association
        is closed then.
        """
        sound = False
        try:
            events = self._receive(data)
            sound = True
        finally:
            if not sound:
                self._machine.step(Signal.VIOLATION)
                self._reset()
        return events

    def _receive(self, data: bytes) -> list[ClientEvent]:
        state, tag = self._machine.state, data[:1]
        if state is State.CLOSED:
            raise ProtocolError("the association is closed")
        if tag == _AARE:
            return self._aare(Aare.from_bytes(data))
        if tag == _RLRE:
            return self._rlre(Rlre.from_bytes(data))
        # Before the association blocks carry what a meter pushes; our own conformance says whether they are welcome.
        if tag == _BLOCK and Conformance.GENERAL_BLOCK_TRANSFER in (self._conformance or self._config.conformance):
            following = self._general.receive(data)
            if not isinstance(following, bytes):
                return [] if following is None else [Send(following.to_bytes())]
            data, tag = following, following[:1]
        if tag in _REFUSALS:
            self._general.forget()
            return self._exception(xdlms.decode(data))
        if not self._may_be_ours(tag):
            return []
        plain = self._channel.open(data)
        message = xdlms.decode(plain)
        if isinstance(message, xdlms.Notification):
            return self._notification(message, protected=plain is not data)
        self._general.forget()
        if isinstance(message, xdlms.Refusal):
            return self._refused(message)
        if state is State.PROVING:
            return self._proved(message)
        return self._response(message)

    # in force

    def _begin(self, exchange: Exchange) -> bytes:
        if self._channel.needs_keys:
            raise LocalProtocolError("nothing is asked before keys are agreed on")
        request = self._outgoing(exchange.first().to_bytes())
        self._machine.step(Signal.REQUEST)
        self._exchange = exchange
        return request

    def _response(self, message: xdlms.Apdu) -> list[ClientEvent]:
        exchange = self._exchange
        if exchange is None or self._machine.state is not State.BUSY or not isinstance(message, xdlms.Response):
            raise unexpected(message)
        self._check_invoke(message.invoke)
        self._machine.step(Signal.RESPONSE)
        following = exchange.feed(message)
        if following is not None:
            self._machine.step(Signal.REQUEST)
            return [Send(self._outgoing(following.to_bytes()))]
        self._exchange = None
        if self._agreement is not None:
            return [self._agreed(self._agreement, exchange.results[0])]
        return [Response(exchange.results)]

    def _agreed(self, agreement: EphemeralAgreement, answer: Data | MeterRefused) -> KeysAgreed:
        config = self._config
        self._agreement = None
        if isinstance(answer, MeterRefused):
            raise association_refused(answer.code)
        if self._peer_key is None or self._peer_title is None or config.system_title is None:
            raise LocalProtocolError("keys are agreed on with a known peer only")
        keys = agreement.agree(
            offers_from_data(answer),
            peer_public_key=self._peer_key,
            party_u=config.system_title,
            party_v=self._peer_title,
        )
        return KeysAgreed(config.suite, self._channel.install(key_set_from(keys), self._peer_title))

    def _exception(self, message: xdlms.Apdu) -> list[ClientEvent]:
        """Take a refusal that came without protection. After key agreement nothing plain is believed; with shared keys
        it ends a GET like any other refusal: meters that cannot decipher a request have no other way to say so. Where
        something is changed, anybody could make what was done look refused, so there it breaks the session."""
        if self._channel.agreed:
            raise SecurityError("the meter answers without protection", code="unprotected")
        asked = self.state is State.BUSY
        if asked and self._channel.is_protected and not isinstance(self._exchange, GetExchange):
            raise SecurityError("a refusal came without protection", code="unprotected")
        if not isinstance(message, xdlms.Refusal):
            raise unexpected(message)
        if asked and isinstance(message, ExceptionResponse) and message.service in KEYS_REFUSED:
            raise association_ended(message.service.code)
        return self._refused(message)

    def _refused(self, message: xdlms.Refusal) -> list[ClientEvent]:
        if self.state in (State.PENDING, State.PROVING):
            service = message.service.code if isinstance(message, ExceptionResponse) else message.code
            raise association_refused(service)
        exchange = self._exchange
        if self.state is not State.BUSY or exchange is None:
            raise unexpected(message)
        self._machine.step(Signal.RESPONSE)
        self._exchange = None
        error = message.error(exchange.what)
        if self._agreement is not None:
            raise association_refused(error.code)
        return [Response((error,) * exchange.count)]

    def _may_be_ours(self, tag: bytes) -> bool:
        """Return False for what meters push under keys that this association does not have, or not yet."""
        return tag not in _PROTECTED_PUSHES or self._channel.is_protected

    def _notification(self, message: xdlms.Notification, *, protected: bool) -> list[ClientEvent]:
        if self._config.ciphering is not None and not self._channel.is_protected:
            return []  # it comes before there are keys: nothing says who sent it
        self._machine.step(Signal.NOTIFICATION)
        return [Notification(message, protected)]

    def _rlre(self, rlre: Rlre) -> list[ClientEvent]:
        if self.state is not State.RELEASING:
            raise ProtocolError("an RLRE came that nothing asked for")
        plain = rlre.user_information[:1] in (b"", bytes((InitiateResponse.TAG,)))
        if self._channel.agreed or (self._channel.is_protected and not plain):
            self._channel.open(rlre.user_information)
        self._machine.step(Signal.RLRE)
        self._reset()
        return [Released()]

    # tools

    def _longest(self, blocks: bool) -> int:
        """Return how long a request may be: without blocks of its own, general block transfer may still carry it."""
        if not blocks and self._general_blocks:
            return self._config.max_transfer
        return self.room

    def _require(self, service: Conformance, count: int) -> None:
        if not self._machine.allows(Signal.REQUEST):
            raise LocalProtocolError(f"nothing may be asked while the association is {self.state.value}")
        wanted = service if count == 1 else service | Conformance.MULTIPLE_REFERENCES
        if not self._speaks(wanted):
            missing = wanted & ~self._conformance
            raise refusal("service-not-supported", f"{missing.name}: it does not speak this service")
