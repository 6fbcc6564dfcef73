"""general-signing: an APDU, plain or protected, with the sender's signature (IEC 62056-5-3, 7.3.13).

::

    DF | header | content | signature

The signature covers the header, each field with its length, and the content. Implementations disagree whether the
content's length is covered, too; no standard example says. Without it is what more of them do, and what is done unless
``content_length`` is set; both parties must do the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from meterlink.errors import SecurityError
from meterlink.security import signing
from meterlink.security.ciphered import GENERAL_SIGNING
from meterlink.security.counters import ReceiveCounter
from meterlink.security.general_header import GeneralHeader, transaction_id
from meterlink.security.octets import octet_string, read_octet_string
from meterlink.security.suites import Suite


@dataclass(slots=True, eq=False)
class GeneralSigner:
    """Signs our APDUs and opens the peer's; the same for client and server.

    ``transactions`` holds that questions come with growing transaction identifiers: a signature alone would verify as
    often as it is played.
    """

    suite: Suite
    own_title: bytes
    peer_title: bytes
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    peer_public_key: ec.EllipticCurvePublicKey
    content_length: bool = False
    transactions: ReceiveCounter = field(default_factory=ReceiveCounter)

    def sign(self, apdu: bytes, *, transaction: int) -> bytes:
        """Return ``apdu`` signed. ``transaction`` is 0..2^64-1: never the same twice for a question, that of the
        question for an answer."""
        header = GeneralHeader(transaction_id(transaction), self.own_title, self.peer_title)
        signature = signing.sign(self._covered(header, apdu), suite=self.suite, private_key=self.private_key)
        return bytes((GENERAL_SIGNING,)) + header.to_bytes() + octet_string(apdu) + octet_string(signature)

    def open(self, data: bytes, *, answer_to: int | None = None) -> bytes:
        """Return the APDU that the peer signed; ``answer_to`` is the transaction of our question, None where the peer
        began it.

        Raises :class:`~meterlink.errors.SecurityError`: ``unprotected``, ``signature``, ``reflected``,
        ``system-title``, ``transaction``, ``replay``, ``malformed``.
        """
        header, apdu = self.verify(data)
        self.take(header, answer_to)
        return apdu

    def verify(self, data: bytes) -> tuple[GeneralHeader, bytes]:
        """Return the header and the APDU that the peer signed. Raises as :meth:`open` but for the question whether they
        are new: :meth:`take` is due before anything of them is believed."""
        if data[:1] != bytes((GENERAL_SIGNING,)):
            raise SecurityError("this message is not signed", code="unprotected")
        header, at = GeneralHeader.read(data, 1)
        apdu, at = read_octet_string(data, at)
        signature, at = read_octet_string(data, at)
        if at != len(data):
            raise SecurityError("octets follow a signed message", code="malformed")
        header.check(own_title=self.own_title, peer_title=self.peer_title)
        signing.verify(self._covered(header, apdu), signature, suite=self.suite, public_key=self.peer_public_key)
        return header, apdu

    def take(self, header: GeneralHeader, answer_to: int | None, *, is_counted: bool = False) -> None:
        """Accept a message that verified as new; ``is_counted`` says that what is signed has an invocation counter that
        grew, which makes up for an answer that names no transaction. Raises
        :class:`~meterlink.errors.SecurityError`: ``transaction``, ``replay``."""
        header.check_answer(answer_to, may_be_silent=is_counted)
        if answer_to is None:
            self.transactions.accept(header.transaction_number)

    def _covered(self, header: GeneralHeader, apdu: bytes) -> bytes:
        return header.to_bytes() + (octet_string(apdu) if self.content_length else apdu)
