"""The states of an association, and what leads from one to the next.

An association is the same thing seen from both ends, so there is one table. Every message that is sent or received is
a signal; the side that sends it and the side that receives it make the same step. What is not in the table is not
allowed: for the sender a fault of the program, for the receiver a breach of the protocol. ``LINK_LOST`` and
``VIOLATION`` are allowed everywhere and stand for themselves.

::

    IDLE --AARQ--> PENDING --AARE_ACCEPT--> ASSOCIATED <--RESPONSE / REQUEST--> BUSY
                      |                        ^  |
                 AARE_CHALLENGE         PROOF_ACCEPT  RLRQ
                      v                        |  v
                  CHALLENGED --PROOF--> PROVING   RELEASING --RLRE--> IDLE
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from meterlink.enums import TableKey


class State(TableKey):
    """Where an association stands."""

    IDLE = "idle"
    """There is none."""
    PENDING = "pending"
    """Asked for, not answered."""
    CHALLENGED = "challenged"
    """Accepted if both sides prove who they are; the client's proof is due."""
    PROVING = "proving"
    """The client's proof is sent, the server's is due."""
    ASSOCIATED = "associated"
    """In force; nothing is under way."""
    BUSY = "busy"
    """In force; a response is due."""
    RELEASING = "releasing"
    """Release asked for, not answered."""
    CLOSED = "closed"
    """Broken off for a breach of the protocol or of security. Only the loss of the link leads out."""


class Signal(TableKey):
    """A message, by what it does to the state."""

    AARQ = "AARQ"
    AARE_ACCEPT = "AARE, accepted"
    AARE_CHALLENGE = "AARE, authentication required"
    AARE_REJECT = "AARE, rejected"
    PROOF = "proof of the client"
    PROOF_ACCEPT = "proof of the server"
    PROOF_REJECT = "refused proof"
    REQUEST = "request"
    RESPONSE = "response"
    NOTIFICATION = "notification"
    RLRQ = "RLRQ"
    RLRE = "RLRE"
    LINK_LOST = "loss of the link"
    VIOLATION = "violation"


_ANYWHERE: Final = {Signal.LINK_LOST: State.IDLE, Signal.VIOLATION: State.CLOSED}

TRANSITIONS: Final[Mapping[State, Mapping[Signal, State]]] = MappingProxyType(
    {
        State.IDLE: {
            **_ANYWHERE,
            Signal.AARQ: State.PENDING,
            Signal.NOTIFICATION: State.IDLE,
        },
        State.PENDING: {
            **_ANYWHERE,
            Signal.AARE_ACCEPT: State.ASSOCIATED,
            Signal.AARE_CHALLENGE: State.CHALLENGED,
            Signal.AARE_REJECT: State.IDLE,
            Signal.NOTIFICATION: State.PENDING,
        },
        State.CHALLENGED: {
            **_ANYWHERE,
            Signal.PROOF: State.PROVING,
            Signal.RLRQ: State.RELEASING,
            Signal.NOTIFICATION: State.CHALLENGED,
        },
        State.PROVING: {
            **_ANYWHERE,
            Signal.PROOF_ACCEPT: State.ASSOCIATED,
            Signal.PROOF_REJECT: State.IDLE,
            Signal.NOTIFICATION: State.PROVING,
        },
        State.ASSOCIATED: {
            **_ANYWHERE,
            Signal.REQUEST: State.BUSY,
            Signal.RLRQ: State.RELEASING,
            Signal.NOTIFICATION: State.ASSOCIATED,
        },
        State.BUSY: {
            **_ANYWHERE,
            Signal.RESPONSE: State.ASSOCIATED,
            Signal.NOTIFICATION: State.BUSY,
        },
        State.RELEASING: {
            **_ANYWHERE,
            Signal.RLRE: State.IDLE,
            Signal.NOTIFICATION: State.RELEASING,
        },
        State.CLOSED: {**_ANYWHERE},
    }
)


class Machine:
    """The state of one association."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.IDLE

    def allows(self, signal: Signal) -> bool:
        """Return whether ``signal`` may come now."""
        return signal in TRANSITIONS[self.state]

    def step(self, signal: Signal) -> None:
        """Take the step. Raises ``KeyError`` where the table has none; callers that take signals from outside ask
        :meth:`allows` first."""
        self.state = TRANSITIONS[self.state][signal]
