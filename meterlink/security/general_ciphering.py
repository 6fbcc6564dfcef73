"""general-ciphering: a protected APDU that says which key protects it (IEC 62056-5-3, 7.3.13 and 5.3.4.6).

::

    DD | header | key-info OPTIONAL | ciphered content (SC || IC || content)

    key-info: 00                                no information: the key is known
              01 00 key-id                      identified key: 0 global unicast, 1 global broadcast
              01 01 kek-id len key              wrapped key: a fresh key under the master key (RFC 3394)
              01 02 01 01 len point+signature   agreed key, one-pass Diffie-Hellman C(1e,1s)
              01 02 01 02 00                    agreed key, static unified model C(0e,2s)

In C(1e,1s) the originator makes an ephemeral key and signs its public part (X || Y); the recipient uses its static key
agreement key. In C(0e,2s) both use their static ones and the transaction identifier makes the key differ. Party U of
the key derivation is the originator, party V the recipient; in C(0e,2s) the transaction identifier, with its length,
follows party U.

Implementations disagree on what is authenticated: the standard counts the header in (with the length of every field),
several stations authenticate ``SC || AK`` alone. A :class:`GeneralCipher` speaks one of the two, never both: to accept
either would let the sender choose the weaker.
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from meterlink.errors import LocalProtocolError, SecurityError
from meterlink.security import signing
from meterlink.security.ciphered import GENERAL_CIPHERING
from meterlink.security.control import SecurityControl
from meterlink.security.counters import ReceiveCounter, SendCounter
from meterlink.security.general_header import GeneralHeader, transaction_id
from meterlink.security.key_agreement import algorithm_for, derive, shared_secret
from meterlink.security.key_wrap import unwrap_key, wrap_key
from meterlink.security.keys import KeyRole, KeySet, Secret
from meterlink.security.octets import octet_string, read_octet_string
from meterlink.security.protection import seal, unseal
from meterlink.security.session import receive_counters
from meterlink.security.suites import Suite


class KeyChoice(enum.Enum):
    """Which key protects a general-ciphering APDU."""

    KNOWN = "known"
    """The global unicast key, without saying so."""
    UNICAST = "identified-unicast"
    BROADCAST = "identified-broadcast"
    WRAPPED = "wrapped"
    ONE_PASS = "one-pass"  # noqa: S105
    STATIC = "static"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What an APDU says of its key: the choice, and the wrapped key or the signed ephemeral key."""

    choice: KeyChoice
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the optional field, presence octet included."""
        front = _KEY_INFO[self.choice]
        return front + octet_string(self.data) if self.choice in _WITH_DATA else front

    @classmethod
    def read(cls, data: bytes, at: int) -> tuple[KeyInfo, int]:
        """Read the field at offset ``at``; return it and the offset behind. Raises
        :class:`~meterlink.errors.ProtocolError` (``malformed``, ``key-info``)."""
        for choice, front in _KEY_INFO.items():
            end = at + len(front)
            if data[at:end] == front:
                content = b""
                if choice in _WITH_DATA:
                    content, end = read_octet_string(data, end)
                return cls(choice, content), end
        raise SecurityError("a protected message names a key in an unknown way", code="key-info")


_KEY_INFO: Final = {
    KeyChoice.KNOWN: b"\x00",
    KeyChoice.UNICAST: b"\x01\x00\x00",
    KeyChoice.BROADCAST: b"\x01\x00\x01",
    KeyChoice.WRAPPED: b"\x01\x01\x00",
    KeyChoice.ONE_PASS: b"\x01\x02\x01\x01",
    KeyChoice.STATIC: b"\x01\x02\x01\x02",
}
_WITH_DATA: Final = frozenset({KeyChoice.WRAPPED, KeyChoice.ONE_PASS, KeyChoice.STATIC})
_ROLES: Final = {
    KeyChoice.KNOWN: KeyRole.UNICAST,
    KeyChoice.UNICAST: KeyRole.UNICAST,
    KeyChoice.BROADCAST: KeyRole.BROADCAST,
}


@dataclass(frozen=True, slots=True)
class OpenedGeneral:
    """A general-ciphering APDU that verified."""

    apdu: bytes = field(repr=False)
    header: GeneralHeader
    key_choice: KeyChoice
    control: SecurityControl
    counter: int


@dataclass(slots=True, eq=False)
class GeneralCipher:
    """Protects and opens general-ciphering APDUs between two parties; the same for client and server.

    ``keys`` are the global ones: the authentication key counts in every choice, the master key in ``WRAPPED``. The
    static pairs are needed for the choices that use them: ``agreement_key`` and ``peer_agreement_key`` for key
    agreement, ``signing_key`` and ``peer_signing_key`` for the ephemeral key of ``ONE_PASS``. ``header_authenticated``
    False is the short form, see above. ``transactions`` holds that questions with a key of their own come with
    growing transaction identifiers, so that none is taken twice; where the identifier is not protected, the invocation
    counter must grow instead.
    """

    suite: Suite
    keys: KeySet
    own_title: bytes
    peer_title: bytes
    signing_key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)
    agreement_key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)
    peer_signing_key: ec.EllipticCurvePublicKey | None = None
    peer_agreement_key: ec.EllipticCurvePublicKey | None = None
    header_authenticated: bool = True
    send: SendCounter = field(default_factory=SendCounter)
    receive: tuple[ReceiveCounter, ...] = field(default_factory=receive_counters)
    transactions: ReceiveCounter = field(default_factory=ReceiveCounter)

    def protect(
        self, apdu: bytes, *, choice: KeyChoice, transaction: int, control: SecurityControl | None = None
    ) -> bytes:
        """Return ``apdu`` as a general-ciphering APDU.

        ``transaction`` is 0..2^64-1 and never the same twice for a question; an answer has that of its question.
        Raises :class:`~meterlink.errors.LocalProtocolError` when a key that ``choice`` needs is missing.
        """
        control = control or SecurityControl(self.suite, broadcast=choice is KeyChoice.BROADCAST)
        header = GeneralHeader(transaction_id(transaction), self.own_title, self.peer_title)
        info, keys, role = self._sending_key(choice, header)
        content = seal(
            apdu,
            control=control,
            system_title=self.own_title,
            counter=self.send.next(),  # also where the key is new: some peers want it to grow whatever the key
            keys=keys,
            role=role,
            header=self._associated(header),
        )
        return bytes((GENERAL_CIPHERING,)) + header.to_bytes() + info.to_bytes() + octet_string(content)

    def open(self, data: bytes, *, least: SecurityControl | None = None, answer_to: int | None = None) -> OpenedGeneral:
        """Open a general-ciphering APDU of the peer; after an error nothing is changed.

        ``least`` is the least protection accepted (authenticated and encrypted unless told), ``answer_to`` the
        transaction of our question, None where the peer began it. Raises :class:`~meterlink.errors.SecurityError`:
        ``unprotected``, ``downgrade``, ``replay``, ``tag``, ``reflected``, ``system-title``, ``transaction``,
        ``no-key``, ``key-wrap``, ``authentication-failed``, ``public-key``, ``key-info``.
        """
        opened = self.verify(data, least=least)
        self.take(opened, answer_to)
        return opened

    def verify(self, data: bytes, *, least: SecurityControl | None = None) -> OpenedGeneral:
        """Do as :meth:`open` but for the question whether the message is new: :meth:`take` is due before anything of
        it is believed. It serves where the message itself says whether it is an answer."""
        if data[:1] != bytes((GENERAL_CIPHERING,)):
            raise SecurityError("this message is not general-ciphering", code="unprotected")
        header, at = GeneralHeader.read(data, 1)
        info, at = KeyInfo.read(data, at)
        content, at = read_octet_string(data, at)
        if at != len(data):
            raise SecurityError("octets follow a protected message", code="malformed")
        header.check(own_title=self.own_title, peer_title=self.peer_title)
        keys, role = self._receiving_key(info, header)
        apdu, control, counter = unseal(
            content, system_title=header.originator, keys=keys, role=role, header=self._associated(header)
        )
        if not control.covers(least or SecurityControl(self.suite)):
            raise SecurityError(f"a message came with less protection than agreed: {control}", code="downgrade")
        return OpenedGeneral(apdu, header, info.choice, control, counter)

    def take(self, opened: OpenedGeneral, answer_to: int | None) -> None:
        """Accept a message that verified as new. Raises :class:`~meterlink.errors.SecurityError`: ``transaction``,
        ``replay``."""
        # Under a key that stays the counter alone makes a message new, as in glo-ciphering; there are meters whose
        # answers name no transaction.
        opened.header.check_answer(answer_to, may_be_silent=opened.key_choice in _ROLES)
        if opened.key_choice in _ROLES or not self._vouches_for_transaction(opened.key_choice):
            self.receive[_ROLES.get(opened.key_choice, KeyRole.UNICAST)].accept(opened.counter)
        elif answer_to is None:
            self.transactions.accept(opened.header.transaction_number)

    def _associated(self, header: GeneralHeader) -> bytes:
        return header.to_bytes() if self.header_authenticated else b""

    def _vouches_for_transaction(self, choice: KeyChoice) -> bool:
        """Return whether a message that verifies proves its transaction identifier. In the short form nothing covers
        the header but the key of ``STATIC``: what else is recorded there could be played again under another one."""
        return self.header_authenticated or choice is KeyChoice.STATIC

    def _sending_key(self, choice: KeyChoice, header: GeneralHeader) -> tuple[KeyInfo, KeySet, KeyRole]:
        if choice in _ROLES:
            return KeyInfo(choice), self.keys, _ROLES[choice]
        if choice is KeyChoice.WRAPPED:
            if self.keys.master is None:
                raise LocalProtocolError("there is no master key to wrap a key with")
            key = Secret(secrets.token_bytes(self.suite.key_length))
            return KeyInfo(choice, wrap_key(self.keys.master, key)), self._one_time(key), KeyRole.UNICAST
        if self.peer_agreement_key is None:
            raise LocalProtocolError("the peer's key agreement key is not known")
        if choice is KeyChoice.STATIC:
            if self.agreement_key is None:
                raise LocalProtocolError("there is no key agreement key")
            key = self._static_key(self.agreement_key, self.peer_agreement_key, header)
            return KeyInfo(choice), self._one_time(key), KeyRole.UNICAST
        if self.signing_key is None:
            raise LocalProtocolError("there is no key to sign the ephemeral key with")
        ephemeral = ec.generate_private_key(self.suite.curve)
        point = signing.public_key_to_bytes(ephemeral.public_key())
        signature = signing.sign(point, suite=self.suite, private_key=self.signing_key)
        key = self._derive(shared_secret(ephemeral, self.peer_agreement_key), header, b"")
        return KeyInfo(choice, point + signature), self._one_time(key), KeyRole.UNICAST

    def _receiving_key(self, info: KeyInfo, header: GeneralHeader) -> tuple[KeySet, KeyRole]:
        if info.choice in _ROLES:
            return self.keys, _ROLES[info.choice]
        if info.choice is KeyChoice.WRAPPED:
            if self.keys.master is None:
                raise SecurityError("a key came wrapped, and there is no master key", code="no-key")
            key = unwrap_key(self.keys.master, info.data)
            if len(key) != self.suite.key_length:
                raise SecurityError("a wrapped key does not fit the security suite", code="key-wrap")
            return self._one_time(key), KeyRole.UNICAST
        if self.agreement_key is None:
            raise SecurityError("there is no key agreement key", code="no-key")
        if info.choice is KeyChoice.STATIC:
            if self.peer_agreement_key is None:
                raise SecurityError("the peer's key agreement key is not known", code="no-key")
            return self._one_time(
                self._static_key(self.agreement_key, self.peer_agreement_key, header)
            ), KeyRole.UNICAST
        public = self._read_ephemeral(info.data)
        return self._one_time(self._derive(shared_secret(self.agreement_key, public), header, b"")), KeyRole.UNICAST

    def _read_ephemeral(self, data: bytes) -> ec.EllipticCurvePublicKey:
        if self.peer_signing_key is None:
            raise SecurityError("the peer's signing key is not known", code="no-key")
        size = self.suite.public_key_length
        point, signature = data[:size], data[size:]
        try:
            signing.verify(point, signature, suite=self.suite, public_key=self.peer_signing_key)
        except SecurityError:
            raise SecurityError("an ephemeral key is not signed by the peer", code="authentication-failed") from None
        return signing.public_key_from_bytes(point, self.suite)

    def _static_key(
        self, own: ec.EllipticCurvePrivateKey, peer: ec.EllipticCurvePublicKey, header: GeneralHeader
    ) -> Secret:
        return self._derive(shared_secret(own, peer), header, octet_string(header.transaction_id))

    def _derive(self, shared: bytes, header: GeneralHeader, nonce: bytes) -> Secret:
        return derive(
            shared,
            suite=self.suite,
            algorithm=algorithm_for(self.suite).value,
            party_u=header.originator + nonce,
            party_v=header.recipient,
        )

    def _one_time(self, key: bytes) -> KeySet:
        return KeySet(key, self.keys.authentication)
