"""general-ciphering and general-signing as the protection of an association's services.

Both carry a transaction identifier: the client's grows with every request, and a response has that of its request.
Where the security policy asks for signatures they go outside: what is signed is the protected APDU.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from meterlink.errors import LocalProtocolError, SecurityError
from meterlink.framing.link import Role
from meterlink.security.ciphered import GENERAL_SIGNING
from meterlink.security.control import SecurityControl
from meterlink.security.counters import ReceiveCounter
from meterlink.security.general_ciphering import GeneralCipher, KeyChoice
from meterlink.security.general_header import GeneralHeader
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
    keys outlive the association a client therefore says its ``first_transaction``, 0..2^63, larger than any before, and
    a server keeps ``transactions`` from one association to the next.
    """

    choice: KeyChoice | None = None
    agreement_key: EllipticCurvePrivateKey | None = field(default=None, repr=False)
    peer_agreement_key: EllipticCurvePublicKey | None = None
    header_authenticated: bool = True
    signed_length: bool = False
    first_transaction: int | None = None
    transactions: ReceiveCounter | None = None


ONE_TIME_KEYS: Final = frozenset({KeyChoice.WRAPPED, KeyChoice.ONE_PASS, KeyChoice.STATIC})
"""Choices where no invocation counter tells an old message from a new one."""


class GeneralLayer:
    """The protection of one association; lies around its :class:`~meterlink.security.session.SecureSession`."""

    def __init__(
        self,
        protection: GeneralProtection,
        role: Role,
        session: SecureSession,
        *,
        signing_key: EllipticCurvePrivateKey | None,
        peer_signing_key: EllipticCurvePublicKey | None,
        signed: tuple[bool, bool],
    ) -> None:
        self._role = role
        self._session = session
        self._choice = protection.choice
        self._transaction = (protection.first_transaction or 1) - 1
        self._signs, self._must_be_signed = signed
        suite = session.control.suite
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
            transactions=(None if self._must_be_signed else protection.transactions) or ReceiveCounter(),
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
                protection.transactions or ReceiveCounter(),
            )

    def seal(self, apdu: bytes) -> bytes:
        """Return ``apdu`` protected: a client's begins a transaction, a server's answers the one under way."""
        if self._role is Role.CLIENT:
            self._transaction += 1
        if self._choice is not None:
            apdu = self._cipher.protect(
                apdu, choice=self._choice, transaction=self._transaction, control=self._session.control
            )
        elif self._session.control.authenticated or self._session.control.encrypted:
            apdu = self._session.protect(apdu)
        if self._signs and self._signer is not None:
            apdu = self._signer.sign(apdu, transaction=self._transaction)
        return apdu

    def open(self, data: bytes, least: SecurityControl) -> bytes:
        """Return the APDU in ``data``. Raises SecurityError for less protection, or another, than was configured."""
        answer_to = self._transaction if self._role is Role.CLIENT else None
        is_signed = data[:1] == bytes((GENERAL_SIGNING,))
        if self._must_be_signed and not is_signed:
            raise SecurityError("a message came without a signature", code="downgrade")
        transaction = None
        if is_signed:
            if self._signer is None:
                raise SecurityError("a signed message came, and no key to check it with is known", code="no-key")
            header, _ = GeneralHeader.read(data, 1)
            data = self._signer.open(data, answer_to=answer_to)
            transaction = header.transaction_number
        if self._choice is not None:
            opened = self._cipher.open(data, least=least, answer_to=answer_to)
            if opened.key_choice is not self._choice:
                raise SecurityError("a message is protected with another key than agreed", code="downgrade")
            if transaction not in (None, opened.header.transaction_number):
                raise SecurityError("signature and protection belong to two transactions", code="transaction")
            transaction = opened.header.transaction_number
            data = opened.apdu
        elif least.authenticated or least.encrypted:
            data = self._session.open(data).apdu
        if self._role is Role.SERVER and transaction is not None:
            self._transaction = transaction
        return data
