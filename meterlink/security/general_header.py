"""The five fields in front of general-ciphering and general-signing (IEC 62056-5-3, 7.3.13), and what they are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from meterlink.errors import SecurityError
from meterlink.security.octets import octet_string, read_octet_string
from meterlink.security.suites import SYSTEM_TITLE_LENGTH

TRANSACTION_ID_LENGTH: Final = 8
"""Octets of the transaction identifiers that we make; any length up to it is read."""


@dataclass(frozen=True, slots=True)
class GeneralHeader:
    """Who sends what to whom. An answer has the ``transaction_id`` of the question; titles have 8 octets, the
    recipient's may be empty (anybody), ``date_time`` 12 or none."""

    transaction_id: bytes
    originator: bytes
    recipient: bytes
    date_time: bytes = b""
    other_information: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the five octet strings."""
        fields = (self.transaction_id, self.originator, self.recipient, self.date_time, self.other_information)
        return b"".join(octet_string(field) for field in fields)

    @classmethod
    def read(cls, data: bytes, at: int) -> tuple[GeneralHeader, int]:
        """Read the five fields at offset ``at``; return them and the offset behind.

        Raises :class:`~meterlink.errors.ProtocolError` (``malformed``).
        """
        fields = []
        for _ in range(5):
            field, at = read_octet_string(data, at)
            fields.append(field)
        return cls(*fields), at

    def check(self, *, own_title: bytes, peer_title: bytes) -> None:
        """Refuse a header that is not the peer's to us. Raises :class:`~meterlink.errors.SecurityError`: ``reflected``,
        ``system-title``, ``transaction``."""
        if self.originator == own_title:
            raise SecurityError("a message names us as its sender", code="reflected")
        if self.originator != peer_title or len(peer_title) != SYSTEM_TITLE_LENGTH:
            raise SecurityError("a message names another system title than the peer's", code="system-title")
        if self.recipient not in (own_title, b""):
            raise SecurityError("a message is for another system title than ours", code="system-title")
        if len(self.transaction_id) > TRANSACTION_ID_LENGTH:
            raise SecurityError("a transaction identifier is too long", code="transaction")

    def check_answer(self, answer_to: int | None, *, may_be_silent: bool = False) -> None:
        """Refuse what is not the answer to our question with the transaction ``answer_to``; None, where the peer began
        the transaction, refuses nothing. ``may_be_silent`` takes an answer that names no transaction. Raises
        :class:`~meterlink.errors.SecurityError` (``transaction``)."""
        if answer_to is None or (may_be_silent and not self.transaction_id):
            return
        if transaction_id(answer_to) != self.transaction_id:
            raise SecurityError("an answer belongs to another question", code="transaction")

    @property
    def transaction_number(self) -> int:
        """The transaction identifier as a number, for the rule that it grows."""
        return int.from_bytes(self.transaction_id, "big")


def transaction_id(number: int) -> bytes:
    """Return ``number``, 0..2^64-1, as a transaction identifier."""
    return number.to_bytes(TRANSACTION_ID_LENGTH, "big")
