"""The state table of the HDLC link: unbalanced operation, normal response mode (IEC 62056-46, 6.4.4).

Theory. In normal response mode one station at a time may send: it has the *turn*. A frame whose poll/final bit is set
passes the turn to the other station; the bit is called P when the primary station (the client) sets it and F when the
secondary (the server) does, but it does the same. So once they are connected both stations walk the same ground::

              send, more, poll, nothing to say          (a frame with P/F leaves)
        TURN ----------------------------------------> WAITING
          ^                                               |
          +-----------------------------------------------+
              numbered frame with P/F                   (the turn arrives)

What differs is the ends of it. The client begins with the turn, sets up and clears the link, keeps the turn as long as
it likes, and owns the clock: when no answer comes it takes the turn back and repeats. The server begins without the
turn, answers every command, and gives the turn back at once when it has nothing to say. Each role has a table of its
own below; the code that follows the tables does not ask which role it plays.

An input without an entry is not an event: a received frame is dropped as noise (``sequence``), a local call is the
program's own fault. ``Action`` says what is done on the way; the state changes before it is done, because the action
may lead to the next input (the turn arrives; there are segments to send; the turn is gone again).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from meterlink.enums import TableKey
from meterlink.framing.link import Role


class State(TableKey):
    """Where a station is."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    """SNRM is out, UA has not come."""
    TURN = "turn"
    """Connected; we may send."""
    PAUSING = "pausing"
    """Connected; we have the turn, and let the peer work before we ask it again for the answer it owes."""
    WAITING = "waiting"
    """Connected; the peer may send."""
    DISCONNECTING = "disconnecting"
    """DISC is out, UA has not come."""


class Input(TableKey):
    """What can happen to a station."""

    # from above
    CONNECT = "connect"
    SEND = "send"
    RELEASE = "release"
    # from the clock
    TIMEOUT = "timeout"
    GIVE_UP = "give-up"
    """The time is over and every try is spent."""
    # from the peer
    SNRM = "SNRM"
    DISC = "DISC"
    UA = "UA"
    DM = "DM"
    FRMR = "FRMR"
    NUMBERED = "numbered"
    """I, RR, RNR or REJ that leaves the turn with the peer."""
    NUMBERED_FINAL = "numbered-final"
    """I, RR, RNR or REJ with P/F."""
    INVALID = "invalid"
    """A frame that breaks the rules although its check sequence holds: unknown control field, N(R) never sent."""
    TOO_LONG = "too-long"
    """A segment that makes the service data unit longer than any can be."""
    # from ourselves, having got the turn
    MORE = "more"
    """There are frames to send: the next segments, or those that were not acknowledged."""
    UNFINISHED = "unfinished"
    """The peer has more segments for us."""
    DELIVERED = "delivered"
    """The peer's service data unit is complete: the turn is the application's."""
    NOT_YET = "not-yet"
    """The peer owes an answer and has none yet, or is busy."""
    NOTHING_TO_SAY = "nothing-to-say"


class Action(TableKey):
    """What a station does on the way to its next state."""

    NOTHING = "nothing"
    SEND_SNRM = "send-snrm"
    SEND_DISC = "send-disc"
    SEND_DM = "send-dm"
    SEND_FRMR = "send-frmr"
    OPEN = "open"
    """Take the parameters in UA: connected."""
    ACCEPT = "accept"
    """Answer SNRM with UA: connected, with everything reset."""
    ACCEPT_ANEW = "accept-anew"
    """The same while connected: the old connection is over."""
    ACKNOWLEDGE_RELEASE = "acknowledge-release"
    """Answer DISC with UA."""
    PASS_TURN = "pass-turn"  # noqa: S105
    """Send the I frames that the window allows, RR when there are none or the peer is busy; the last has P/F."""
    TAKE = "take"
    """Take what a numbered frame brings."""
    TAKE_TURN = "take-turn"
    """Take what it brings, then use the turn."""
    CLOSE_RELEASED = "released"
    CLOSE_REFUSED = "disconnected-mode"
    CLOSE_REJECTED = "frame-reject"
    CLOSE_TIMEOUT = "timeout"
    CLOSE_PEER = "peer"


class Timer(TableKey):
    """What the clock watches in a state."""

    NONE = "none"
    RESPONSE = "response"
    POLL = "poll"
    INACTIVITY = "inactivity"


class Step(NamedTuple):
    """One entry of the table."""

    action: Action
    state: State


Table = Mapping[State, Mapping[Input, Step]]

_CLIENT_CLOSED_BY_PEER: Final = {
    Input.DM: Step(Action.CLOSE_REFUSED, State.DISCONNECTED),
    Input.FRMR: Step(Action.CLOSE_REJECTED, State.DISCONNECTED),
}

_CLIENT: Final[Table] = {
    State.DISCONNECTED: {
        Input.CONNECT: Step(Action.SEND_SNRM, State.CONNECTING),
        Input.RELEASE: Step(Action.NOTHING, State.DISCONNECTED),
    },
    State.CONNECTING: {
        Input.UA: Step(Action.OPEN, State.TURN),
        Input.TIMEOUT: Step(Action.SEND_SNRM, State.CONNECTING),
        Input.GIVE_UP: Step(Action.CLOSE_TIMEOUT, State.DISCONNECTED),
        Input.RELEASE: Step(Action.SEND_DISC, State.DISCONNECTING),
        **_CLIENT_CLOSED_BY_PEER,
    },
    State.TURN: {
        Input.SEND: Step(Action.PASS_TURN, State.WAITING),
        Input.MORE: Step(Action.PASS_TURN, State.WAITING),
        Input.UNFINISHED: Step(Action.PASS_TURN, State.WAITING),
        Input.NOT_YET: Step(Action.NOTHING, State.PAUSING),
        Input.DELIVERED: Step(Action.NOTHING, State.TURN),
        Input.NOTHING_TO_SAY: Step(Action.NOTHING, State.TURN),
        Input.GIVE_UP: Step(Action.CLOSE_TIMEOUT, State.DISCONNECTED),
        Input.RELEASE: Step(Action.SEND_DISC, State.DISCONNECTING),
        **_CLIENT_CLOSED_BY_PEER,
    },
    State.PAUSING: {
        Input.TIMEOUT: Step(Action.PASS_TURN, State.WAITING),
        Input.GIVE_UP: Step(Action.CLOSE_TIMEOUT, State.DISCONNECTED),
        Input.RELEASE: Step(Action.SEND_DISC, State.DISCONNECTING),
        **_CLIENT_CLOSED_BY_PEER,
    },
    State.WAITING: {
        Input.NUMBERED: Step(Action.TAKE, State.WAITING),
        Input.NUMBERED_FINAL: Step(Action.TAKE_TURN, State.TURN),
        Input.TOO_LONG: Step(Action.CLOSE_PEER, State.DISCONNECTED),
        Input.TIMEOUT: Step(Action.PASS_TURN, State.WAITING),
        Input.GIVE_UP: Step(Action.CLOSE_TIMEOUT, State.DISCONNECTED),
        Input.RELEASE: Step(Action.SEND_DISC, State.DISCONNECTING),
        **_CLIENT_CLOSED_BY_PEER,
    },
    State.DISCONNECTING: {
        Input.UA: Step(Action.CLOSE_RELEASED, State.DISCONNECTED),
        Input.DM: Step(Action.CLOSE_RELEASED, State.DISCONNECTED),
        Input.FRMR: Step(Action.CLOSE_REJECTED, State.DISCONNECTED),
        Input.TIMEOUT: Step(Action.SEND_DISC, State.DISCONNECTING),
        Input.GIVE_UP: Step(Action.CLOSE_TIMEOUT, State.DISCONNECTED),
        Input.RELEASE: Step(Action.NOTHING, State.DISCONNECTING),
    },
}

_SERVER_CONNECTED: Final = {
    Input.SNRM: Step(Action.ACCEPT_ANEW, State.WAITING),
    Input.DISC: Step(Action.ACKNOWLEDGE_RELEASE, State.DISCONNECTED),
    Input.INVALID: Step(Action.SEND_FRMR, State.DISCONNECTED),
    Input.TOO_LONG: Step(Action.SEND_FRMR, State.DISCONNECTED),
    Input.TIMEOUT: Step(Action.CLOSE_TIMEOUT, State.DISCONNECTED),
    Input.RELEASE: Step(Action.NOTHING, State.DISCONNECTED),
}

_SERVER: Final[Table] = {
    State.DISCONNECTED: {
        Input.SNRM: Step(Action.ACCEPT, State.WAITING),
        Input.DISC: Step(Action.SEND_DM, State.DISCONNECTED),
        Input.NUMBERED_FINAL: Step(Action.SEND_DM, State.DISCONNECTED),
        Input.RELEASE: Step(Action.NOTHING, State.DISCONNECTED),
    },
    State.WAITING: {
        Input.SEND: Step(Action.NOTHING, State.WAITING),
        Input.NUMBERED: Step(Action.TAKE, State.WAITING),
        Input.NUMBERED_FINAL: Step(Action.TAKE_TURN, State.TURN),
        **_SERVER_CONNECTED,
    },
    State.TURN: {
        Input.SEND: Step(Action.PASS_TURN, State.WAITING),
        Input.MORE: Step(Action.PASS_TURN, State.WAITING),
        Input.UNFINISHED: Step(Action.PASS_TURN, State.WAITING),
        Input.NOT_YET: Step(Action.PASS_TURN, State.WAITING),
        Input.DELIVERED: Step(Action.NOTHING, State.TURN),
        Input.NOTHING_TO_SAY: Step(Action.PASS_TURN, State.WAITING),
        **_SERVER_CONNECTED,
    },
}

TABLES: Final[Mapping[Role, Table]] = MappingProxyType({Role.CLIENT: _CLIENT, Role.SERVER: _SERVER})

TIMERS: Final[Mapping[Role, Mapping[State, Timer]]] = MappingProxyType(
    {
        Role.CLIENT: {
            State.DISCONNECTED: Timer.NONE,
            State.CONNECTING: Timer.RESPONSE,
            State.TURN: Timer.NONE,
            State.PAUSING: Timer.POLL,
            State.WAITING: Timer.RESPONSE,
            State.DISCONNECTING: Timer.RESPONSE,
        },
        Role.SERVER: {
            State.DISCONNECTED: Timer.NONE,
            State.TURN: Timer.INACTIVITY,
            State.WAITING: Timer.INACTIVITY,
        },
    }
)

CONNECTED: Final = frozenset({State.TURN, State.PAUSING, State.WAITING})
