"""The protection of one association in force: what goes out is protected, what comes in must be.

The same object serves client and server: it knows its own and the peer's system title, the keys, which protection is
sent and which is the least that is accepted, and a counter for each direction.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from meterlink.errors import SecurityError
from meterlink.security.ciphered import Ciphering, Opened, can_be_specific, unwrap, wrap
from meterlink.security.control import SecurityControl
from meterlink.security.counters import ReceiveCounter, SendCounter
from meterlink.security.keys import KeyRole, KeySet

_GENERAL = {Ciphering.GLOBAL: Ciphering.GENERAL_GLOBAL, Ciphering.DEDICATED: Ciphering.GENERAL_DEDICATED}


def receive_counters() -> tuple[ReceiveCounter, ...]:
    """Return a counter for each :class:`~meterlink.security.keys.KeyRole`, in its order."""
    return tuple(ReceiveCounter() for _ in KeyRole)


@dataclass(slots=True, eq=False)
class SecureSession:
    """Protects the APDUs of one association and opens the peer's.

    ``control`` is what is sent, ``least`` the least that is accepted (``control`` unless told), ``ciphering`` how it is
    carried. ``send`` counts our messages under the encryption key in use, ``receive`` the peer's under each key.
    """

    keys: KeySet
    own_title: bytes
    peer_title: bytes
    control: SecurityControl = field(default_factory=SecurityControl)
    ciphering: Ciphering = Ciphering.GLOBAL
    least: SecurityControl | None = None
    send: SendCounter = field(default_factory=SendCounter)
    receive: tuple[ReceiveCounter, ...] = field(default_factory=receive_counters)

    def protect(self, apdu: bytes, control: SecurityControl | None = None) -> bytes:
        """Return ``apdu`` protected, with the next counter.

        ``control`` replaces the session's for this one. A service without a glo- or ded- form travels in the general
        one. Raises :class:`~meterlink.errors.SecurityError` (``counter-exhausted``) or
        :class:`~meterlink.errors.LocalProtocolError`.
        """
        ciphering = self.ciphering
        if ciphering.general_tag is None and not can_be_specific(apdu):
            ciphering = _GENERAL[ciphering]
        return wrap(
            apdu,
            ciphering=ciphering,
            control=control or self.control,
            system_title=self.own_title,
            counter=self.send.next(),
            keys=self.keys,
        )

    def open(self, data: bytes) -> Opened:
        """Open a message of the peer; after an error nothing is changed.

        Raises :class:`~meterlink.errors.SecurityError`: ``unprotected`` for a plain APDU, ``downgrade`` for less than
        the least protection or another suite, ``tag``, ``replay``, ``reflected``, and what
        :func:`~.ciphered.unwrap` raises.
        """
        if self.own_title == self.peer_title:
            raise SecurityError("the peer uses our own system title", code="reflected")
        opened = unwrap(data, system_title=self.peer_title, keys=self.keys)
        least = self.least or self.control
        if not opened.control.covers(least):
            raise SecurityError(
                f"a message came with less protection than agreed: {opened.control} instead of {least}",
                code="downgrade",
            )
        if opened.control.authenticated or opened.control.encrypted:
            # Where nothing is protected, anybody could push the counter to its end and shut the rightful peer out.
            role = opened.ciphering.role
            self.receive[opened.control.key_role if role is None else role].accept(opened.counter)
        return opened
