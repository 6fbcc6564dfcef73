"""High level security: the answers to a challenge, mechanisms 3 to 7 (IEC 62056-5-3, 5.7.2.3).

Client and server do the same thing with their roles exchanged, so there is one computation: it is written from the
point of view of the party that answers. With ``C`` the client, ``S`` the server, ``ST`` a system title, ``CtoS`` and
``StoC`` the challenges:

====  =======  =====================================================================
3     MD5      ``MD5(StoC || secret)``
4     SHA-1    ``SHA-1(StoC || secret)``
5     GMAC     ``SC || IC || GMAC(SC || AK || StoC)``, IV ``ST_C || IC``
6     SHA-256  ``SHA-256(secret || ST_C || ST_S || StoC || CtoS)``
7     ECDSA    ``sign(ST_C || ST_S || StoC || CtoS)``
====  =======  =====================================================================

These are the client's; exchange C and S for the server's. Mechanism 2 is the manufacturer's own and unknown here.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from meterlink.errors import LocalProtocolError, SecurityError
from meterlink.security import signing
from meterlink.security.control import SecurityControl
from meterlink.security.counters import SendCounter
from meterlink.security.keys import KeySet, Secret
from meterlink.security.protection import HEADER_LENGTH, gmac
from meterlink.security.suites import TAG_LENGTH, Suite

MIN_CHALLENGE: Final = 8
MAX_CHALLENGE: Final = 64
"""Bounds of a challenge in octets."""

CHALLENGE_LENGTH: Final = 32
"""Octets of our challenges: the least that mechanism 7 allows, and within the bounds of the others. From a peer a
shorter one is taken in mechanism 7, too, since some send 16: a challenge's length protects the party that chose it."""


class Mechanism(enum.IntEnum):
    """Authentication mechanisms: the last arc of the mechanism name 2.16.756.5.8.2.x."""

    NONE = 0
    LOW = 1
    HIGH = 2
    MD5 = 3
    SHA1 = 4
    GMAC = 5
    SHA256 = 6
    ECDSA = 7

    @property
    def is_high(self) -> bool:
        """True where both parties prove who they are with a challenge."""
        return self >= Mechanism.HIGH


@dataclass(frozen=True, slots=True)
class Exchange:
    """Both parties' titles and challenges, seen from one side. The titles may be empty in mechanisms 3 and 4."""

    own_title: bytes
    peer_title: bytes
    own_challenge: bytes
    peer_challenge: bytes

    def check(self, mechanism: Mechanism) -> None:
        """Refuse what a peer must not offer.

        Raises :class:`~meterlink.errors.SecurityError`: ``challenge`` for a length out of bounds, ``reflected`` when
        our own challenge or system title comes back, ``system-title`` where one is needed and missing.
        """
        if not MIN_CHALLENGE <= len(self.peer_challenge) <= MAX_CHALLENGE:
            raise SecurityError(f"a challenge of {len(self.peer_challenge)} octets is not allowed", code="challenge")
        if hmac.compare_digest(self.own_challenge, self.peer_challenge):
            raise SecurityError("the peer sent our own challenge back", code="reflected")
        if self.own_title and self.own_title == self.peer_title:
            raise SecurityError("the peer uses our own system title", code="reflected")
        if mechanism >= Mechanism.GMAC and (len(self.own_title) != 8 or len(self.peer_title) != 8):
            raise SecurityError("a system title of 8 octets is missing", code="system-title")

    @property
    def reversed(self) -> Exchange:
        """The same exchange seen from the other side."""
        return Exchange(self.peer_title, self.own_title, self.peer_challenge, self.own_challenge)


class Proof(Protocol):
    """One way to answer a challenge and to check the peer's answer."""

    mechanism: Mechanism

    def answer(self, exchange: Exchange) -> bytes:
        """Return our answer to the peer's challenge."""
        ...

    def check(self, exchange: Exchange, answer: bytes) -> None:
        """Raise :class:`~meterlink.errors.SecurityError` (``authentication-failed``) unless ``answer`` is the peer's
        to our challenge."""
        ...


_Digest = Callable[[bytes, Exchange], bytes]


def _md5(secret: bytes, exchange: Exchange) -> bytes:
    # The mechanism's definition; it is old and weak, and spoken only with meters that know nothing better.
    return hashlib.md5(exchange.peer_challenge + secret, usedforsecurity=False).digest()


def _sha1(secret: bytes, exchange: Exchange) -> bytes:
    return hashlib.sha1(exchange.peer_challenge + secret, usedforsecurity=False).digest()


def _sha256(secret: bytes, exchange: Exchange) -> bytes:
    return hashlib.sha256(secret + _to_be_signed(exchange)).digest()


_DIGESTS: Final[Mapping[Mechanism, _Digest]] = MappingProxyType(
    {Mechanism.MD5: _md5, Mechanism.SHA1: _sha1, Mechanism.SHA256: _sha256}
)


@dataclass(frozen=True, slots=True, eq=False)
class SecretProof:
    """Mechanisms 3, 4 and 6: a hash over the challenge and a shared secret."""

    mechanism: Mechanism
    secret: bytes

    def __post_init__(self) -> None:
        if self.mechanism not in _DIGESTS:
            raise LocalProtocolError(f"mechanism {self.mechanism.value} is not one with a shared secret")
        object.__setattr__(self, "secret", Secret(self.secret))

    def answer(self, exchange: Exchange) -> bytes:
        """Return our answer, see :meth:`Proof.answer`."""
        exchange.check(self.mechanism)
        return _DIGESTS[self.mechanism](self.secret, exchange)

    def check(self, exchange: Exchange, answer: bytes) -> None:
        """Check the peer's answer, see :meth:`Proof.check`."""
        exchange.check(self.mechanism)
        if not hmac.compare_digest(_DIGESTS[self.mechanism](self.secret, exchange.reversed), answer):
            raise _failed()


@dataclass(frozen=True, slots=True, eq=False)
class GmacProof:
    """Mechanism 5: a GMAC over the challenge with the global unicast and authentication keys.

    ``counter`` is the one that counts our messages under that unicast key. The peer's counter is not compared with
    earlier ones: the challenge makes its answer fresh.
    """

    suite: Suite
    keys: KeySet
    counter: SendCounter
    mechanism: Mechanism = Mechanism.GMAC

    @property
    def _control(self) -> SecurityControl:
        return SecurityControl(self.suite, authenticated=True, encrypted=False)

    def answer(self, exchange: Exchange) -> bytes:
        """Return our answer, 17 octets, see :meth:`Proof.answer`."""
        exchange.check(self.mechanism)
        return self._tagged(exchange.peer_challenge, exchange.own_title, self.counter.next())

    def check(self, exchange: Exchange, answer: bytes) -> None:
        """Check the peer's answer, see :meth:`Proof.check`."""
        exchange.check(self.mechanism)
        if len(answer) != HEADER_LENGTH + TAG_LENGTH:
            raise _failed()
        counter = int.from_bytes(answer[1:HEADER_LENGTH], "big")
        if not hmac.compare_digest(self._tagged(exchange.own_challenge, exchange.peer_title, counter), answer):
            raise _failed()

    def _tagged(self, challenge: bytes, title: bytes, counter: int) -> bytes:
        tag = gmac(challenge, control=self._control, system_title=title, counter=counter, keys=self.keys)
        return bytes((self._control.to_byte(),)) + counter.to_bytes(4, "big") + tag


@dataclass(frozen=True, slots=True, eq=False)
class EcdsaProof:
    """Mechanism 7: a signature over both titles and both challenges. Suites 1 and 2."""

    suite: Suite
    private_key: ec.EllipticCurvePrivateKey
    peer_public_key: ec.EllipticCurvePublicKey
    mechanism: Mechanism = Mechanism.ECDSA

    def answer(self, exchange: Exchange) -> bytes:
        """Return our answer, 64 or 96 octets, see :meth:`Proof.answer`."""
        exchange.check(self.mechanism)
        return signing.sign(_to_be_signed(exchange), suite=self.suite, private_key=self.private_key)

    def check(self, exchange: Exchange, answer: bytes) -> None:
        """Check the peer's answer, see :meth:`Proof.check`."""
        exchange.check(self.mechanism)
        try:
            signing.verify(_to_be_signed(exchange.reversed), answer, suite=self.suite, public_key=self.peer_public_key)
        except SecurityError:
            raise _failed() from None


def _to_be_signed(exchange: Exchange) -> bytes:
    return exchange.own_title + exchange.peer_title + exchange.peer_challenge + exchange.own_challenge


def _failed() -> SecurityError:
    return SecurityError(
        "the peer did not answer the challenge as its key or secret would", code="authentication-failed"
    )
