"""general-ciphering and general-signing as the protection of an association's services.

Both carry a transaction identifier: the client's grows with every request, and a response has that of its request. A
notification begins a transaction of the server's, from another range of numbers. Which of the two a message is says its
content, once that has verified. Where the security policy asks for signatures they go outside: what is signed is the
protected APDU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from meterlink.cosem.apdu import DataNotification, EventNotification
from meterlink.errors import LocalProtocolError, SecurityError
from meterlink.framing.link import Role
from meterlink.security.ciphered import GENERAL_SIGNING
from meterlink.security.control import SecurityControl
from meterlink.security.counters import ReceiveCounter, SendCounter
from meterlink.security.general_ciphering import GeneralCipher, KeyChoice
from meterlink.security.general_signing import GeneralSigner
from meterlink.security.session import SecureSession


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GeneralProtection:
    """How services are carried where they are not in the glo-, ded-, general-glo- or general-ded- form.

    ``choice`` is the key of general-ciphering; None leaves the ciphering as configured and adds signatures alone. The
    key agreement keys serve the choices ONE_PASS and STATIC. ``header_authenticated`` and ``signed_length`` choose
    between the two readings of the standard (see :mod:`meterlink.security.general_ciphering` and
    :mod:`~meterlink.security.general_signing`).

    A message under a key of its own, or one that is signed, is made fresh by its transaction identifier alone. Where
    keys outlive the association a client therefore says its ``first_transaction``, 0..2^63, larger than any before, or
    gives a call that sets it aside, made when it is needed; and a server keeps ``transactions`` from one
    association to the next. The other way round a server counts its notifications with ``pushes``, and a client keeps
    ``transactions`` (or the association's history does); where one is missing, no notification is sent or taken.
    """

    choice: KeyChoice | None = None
    agreement_key: EllipticCurvePrivateKey | None = field(default=None, repr=False)
    peer_agreement_key: EllipticCurvePublicKey | None = None
    header_authenticated: bool = True
    signed_length: bool = False
    first_transaction: int | Callable[[], int] | None = None
    transactions: ReceiveCounter | None = None
    pushes: SendCounter | None = None


ONE_TIME_KEYS: Final = frozenset({KeyChoice.WRAPPED, KeyChoice.ONE_PASS, KeyChoice.STATIC})
"""Choices where no invocation counter tells an old message from a new one."""

FIRST_PUSH: Final = 1 << 63
"""Transactions of notifications begin here, those of requests end here: in C(0e,2s) no two share a key."""

_NOTIFICATION_TAGS: Final = frozenset({bytes((DataNotification.TAG,)), bytes((EventNotification.TAG,))})


class GeneralLayer:
    """The protection of one association; lies around its :class:`~meterlink.security.session.SecureSession`.

    ``lasting`` says that keys outlive the association: then only a kept record tells old notifications from new ones.
    ``seen`` is the record of the transactions that the peer began, where one is kept.
    """

    def __init__(
        self,
        protection: GeneralProtection,
        role: Role,
        session: SecureSession,
        *,
        signing_key: EllipticCurvePrivateKey | None,
        peer_signing_key: EllipticCurvePublicKey | None,
        signed: tuple[bool, bool],
        lasting: bool,
        seen: ReceiveCounter | None,
    ) -> None:
        self._role = role
        self._session = session
        self._choice = protection.choice
        self._first = protection.first_transaction
        self._transaction = 0
        self._signs, self._must_be_signed = signed
        suite = session.control.suite
        needs_record = lasting and (any(signed) or protection.choice in ONE_TIME_KEYS)
        self._takes_pushes = not needs_record or seen is not None
        self._pushes = None if needs_record and protection.pushes is None else protection.pushes or SendCounter()
        self._seen = seen or ReceiveCounter()
        self._cipher = GeneralCipher(
            suite,
            session.keys,
            session.own_title,
            session.peer_title,
            signing_key=signing_key,
            agreement_key=protection.agreement_key,
            peer_signing_key=peer_signing_key,
            peer_agreement_key=protection.peer_agreement_key,
            header_authenticated=protection.header_authenticated,
            send=session.send,
            receive=session.receive,
            # A message that is signed and ciphered has one transaction, which the signature's counter has taken.
            transactions=ReceiveCounter() if self._must_be_signed else self._seen,
        )
        self._signer = None
        if any(signed):
            if signing_key is None or peer_signing_key is None:
                raise LocalProtocolError("signatures need the keys of both parties")
            self._signer = GeneralSigner(
                suite,
                session.own_title,
                session.peer_title,
                signing_key,
                peer_signing_key,
                protection.signed_length,
                self._seen,
            )

    def seal(self, apdu: bytes) -> bytes:
        """Return ``apdu`` protected: a client's begins a transaction, a server's answers the one under way."""
        if self._role is Role.CLIENT:
            self._transaction = self._following()
        return self._seal(apdu, self._transaction)

    def _following(self) -> int:
        first, self._first = self._first, None
        if first is None:
            return self._transaction + 1
        return max(first() if callable(first) else first, 1)

    def seal_push(self, apdu: bytes) -> bytes:
        """Return a server's notification protected; it begins a transaction. Raises LocalProtocolError where nothing
        would tell it from an older one."""
        if self._pushes is None:
            raise LocalProtocolError("notifications under these keys need a count that outlives the association")
        return self._seal(apdu, FIRST_PUSH + self._pushes.next())

    def settle(self) -> None:
        """Make the record of the peer's transactions outlive a power cut, where one is kept."""
        self._seen.settle()

    def _seal(self, apdu: bytes, transaction: int) -> bytes:
        if self._choice is not None:
            apdu = self._cipher.protect(
                apdu, choice=self._choice, transaction=transaction, control=self._session.control
            )
        elif self._session.control.authenticated or self._session.control.encrypted:
            apdu = self._session.protect(apdu)
        if self._signs and self._signer is not None:
            apdu = self._signer.sign(apdu, transaction=transaction)
        return apdu

    def open(self, data: bytes, least: SecurityControl) -> bytes:
        """Return the APDU in ``data``. Raises SecurityError for less protection, or another, than was configured."""
        signature = opened = None
        if data[:1] == bytes((GENERAL_SIGNING,)):
            if self._signer is None:
                raise SecurityError("a signed message came, and no key to check it with is known", code="no-key")
            signature, data = self._signer.verify(data)
        elif self._must_be_signed:
            raise SecurityError("a message came without a signature", code="downgrade")
        if self._choice is not None:
            opened = self._cipher.verify(data, least=least)
            if opened.key_choice is not self._choice:
                raise SecurityError("a message is protected with another key than agreed", code="downgrade")
            if signature is not None and signature.transaction_id != opened.header.transaction_id:
                raise SecurityError("signature and protection belong to two transactions", code="transaction")
            data = opened.apdu
        elif least.authenticated or least.encrypted:
            data = self._session.open(data).apdu
        answer_to = self._answered(data)
        if opened is not None:
            self._cipher.take(opened, answer_to)
        if signature is not None and self._signer is not None:
            counted = least.authenticated and self._choice not in ONE_TIME_KEYS
            self._signer.take(signature, answer_to, is_counted=counted)
        header = signature if opened is None else opened.header
        if self._role is Role.SERVER and header is not None:
            self._transaction = header.transaction_number
        return data

    def _answered(self, apdu: bytes) -> int | None:
        """Return the transaction that ``apdu`` must belong to, None where the peer began one. Raises SecurityError
        (``replay``) for a notification that nothing tells from an older one."""
        if self._role is Role.SERVER:
            return None
        if apdu[:1] not in _NOTIFICATION_TAGS:
            return self._transaction
        if not self._takes_pushes:
            raise SecurityError("a notification came, and nothing would tell it from an older one", code="replay")
        return None
