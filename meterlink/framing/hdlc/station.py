"""One station of a link: frames and the time in, frames and events out, as the table in :mod:`.states` says.

A station knows nothing of octets and addresses. Its owner reads frames from the line, gives it those that are its own,
and puts on the line what stands in :attr:`Station.to_send`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from meterlink.errors import LocalProtocolError, ProtocolError
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import Control, FrameKind, control
from meterlink.framing.hdlc.description import REJECTION
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.hdlc.parameters import HdlcParameters, HdlcTimers
from meterlink.framing.hdlc.states import CONNECTED, TABLES, TIMERS, Action, Input, State, Step, Timer
from meterlink.framing.hdlc.window import MODULUS, Incoming, Outgoing
from meterlink.framing.link import LinkClosed, LinkConnected, LinkEvent, LinkNoise, PduReceived, Role

LLC_OF: Final = MappingProxyType({Role.CLIENT: b"\xe6\xe6\x00", Role.SERVER: b"\xe6\xe7\x00"})
"""LLC header (ISO/IEC 8802-2) in front of a service data unit, by the role that sends it."""

MAX_SERVICE_DATA_UNIT: Final = 0xFFFF + 3
"""Octets of the largest APDU that COSEM can negotiate, and its LLC header."""

COMMANDS: Final = frozenset({FrameKind.SNRM, FrameKind.DISC})
"""Frames that only a client sends."""

RESPONSES: Final = frozenset({FrameKind.UA, FrameKind.DM, FrameKind.FRMR})
"""Frames that only a server sends."""

_INPUT_OF: Final[Mapping[FrameKind, Input]] = MappingProxyType(
    {
        FrameKind.SNRM: Input.SNRM,
        FrameKind.DISC: Input.DISC,
        FrameKind.UA: Input.UA,
        FrameKind.DM: Input.DM,
        FrameKind.FRMR: Input.FRMR,
        FrameKind.OTHER: Input.INVALID,
    }
)
_LLC_LENGTH: Final = 3
_LLCS: Final = tuple(LLC_OF.values())


class Outbound(NamedTuple):
    """A frame to send, without its addresses."""

    control: Control
    information: bytes = b""
    segmented: bool = False


class Station:
    """The client or the server of one link."""

    def __init__(
        self, role: Role, *, client_sap: int, server_sap: int, proposed: HdlcParameters, timers: HdlcTimers
    ) -> None:
        self._client_sap = client_sap
        self._server_sap = server_sap
        self._proposed = proposed
        self._timers = timers
        self._table = TABLES[role]
        self._timer_of = TIMERS[role]
        self._time_of = _times(self._timer_of, timers)
        # The station that repeats is the one that counts how often, and that knows an old answer from a repeated one.
        self._owns_clock = Timer.RESPONSE in self._timer_of.values()
        self._llc = LLC_OF[role]
        self._pushed = Incoming(MAX_SERVICE_DATA_UNIT)
        self._last_push = 0.0
        self._pusher: HdlcAddress | None = None
        self.state = State.DISCONNECTED
        self.deadline: float | None = None
        self.to_send: list[Outbound] = []
        self.events: list[LinkEvent] = []
        self._reset()

    def _reset(self) -> None:
        self.agreed = HdlcParameters()
        self._outgoing = Outgoing()
        self._incoming = Incoming(MAX_SERVICE_DATA_UNIT)
        self._peer_busy = False
        self._delivered = False
        self._answer_owed = False
        self._patience_until = 0.0
        self._tries = 0

    @property
    def is_connected(self) -> bool:
        """True while service data units can be sent."""
        return self.state in CONNECTED

    # From above

    @property
    def pending(self) -> int:
        """Octets of a service data unit whose last segment is still to come."""
        return self._incoming.pending

    def connect(self, now: float) -> None:
        """Set up the link. Raises LocalProtocolError where the table has no such step."""
        self._tries = 0
        self._apply(Input.CONNECT, now)

    def send(self, pdu: bytes, now: float, *, answered: bool) -> None:
        """Send one service data unit, now or with the next turn. Raises LocalProtocolError while one is under way."""
        if not pdu:
            raise LocalProtocolError("an empty service data unit cannot be sent")
        if not self._outgoing.is_empty or Input.SEND not in self._table[self.state]:
            raise LocalProtocolError(f"nothing can be sent while the link is {self.state.value}")
        self._tries = 0
        self._delivered = False
        self._answer_owed = answered and self._owns_clock
        self._patience_until = now + self._timers.answer
        self._outgoing.add(self._llc + pdu, self.agreed.max_information_transmit)
        self._apply(Input.SEND, now)

    def send_unnumbered(self, pdu: bytes) -> None:
        """Send one service data unit in a UI frame. Raises LocalProtocolError when it does not fit in one."""
        if len(self._llc) + len(pdu) > self._proposed.max_information_transmit:
            raise LocalProtocolError(f"{len(pdu)} octets do not fit in one UI frame")
        self._emit(FrameKind.UI, poll=False, information=self._llc + pdu)

    def pass_turn(self, now: float) -> None:
        """Give the turn back without an answer to what was delivered."""
        self._delivered = False
        if self.state is State.TURN:
            self._apply(Input.NOTHING_TO_SAY, now)

    def release(self, now: float) -> None:
        """Clear the link."""
        self._tries = 0
        self._apply(Input.RELEASE, now)

    # From the clock

    def time_is_over(self, now: float) -> None:
        """Do what follows when :attr:`deadline` has passed."""
        if self._timer_of[self.state] is Timer.RESPONSE:
            self._try_again(Input.TIMEOUT, now)
        else:
            self._apply(Input.TIMEOUT, now)

    def _start_timer(self, now: float) -> None:
        time = self._time_of[self.state]
        self.deadline = None if time is None else now + time

    def _try_again(self, what: Input, now: float) -> None:
        """Do ``what`` once more, unless all tries are spent."""
        self._tries += 1
        if self._owns_clock and self._tries > self._timers.retries:
            what = Input.GIVE_UP
        self._apply(what, now)

    # From the peer

    def take(self, frame: HdlcFrame, now: float) -> None:
        """Take a frame of the peer; one that the table has no step for is noise."""
        what = self._input_of(frame)
        step = self._table[self.state].get(what) if what is not None else None
        if step is None:
            self.events.append(LinkNoise("sequence", frame.to_bytes()))
        else:
            self._enter(step, now, frame)

    def _input_of(self, frame: HdlcFrame) -> Input | None:
        """Return what the frame means to the table, None when it is not to be taken."""
        field = frame.control
        if field.kind in COMMANDS and not field.poll:
            return None  # a command that does not pass the turn could not be answered
        if field.kind in _INPUT_OF:
            return _INPUT_OF[field.kind]
        if self.is_connected:
            if not self._outgoing.was_sent(field.receive):
                return Input.INVALID
            if field.kind is FrameKind.I and self._owns_clock and self._is_old(field.send):
                return None  # the answer to a poll that was given up and repeated: the turn is not in it
            if field.kind is FrameKind.I and not self._incoming.fits(frame.information):
                return Input.TOO_LONG
        return Input.NUMBERED_FINAL if field.poll else Input.NUMBERED

    def _is_old(self, number: int) -> bool:
        return (number - self._incoming.expected) % MODULUS >= self.agreed.window_receive

    def take_push(self, frame: HdlcFrame, now: float, *, foreign: bool) -> None:
        """Join the segments of a push in UI frames; ``foreign`` says that another station than the peer sends it. They
        carry no number, so one that comes late, or from elsewhere, begins anew."""
        late = now > self._last_push + self._timers.response
        other = frame.source != self._pusher
        if self._pushed.is_unfinished and (late or other or not self._pushed.fits(frame.information)):
            self._pushed.clear()
        self._last_push, self._pusher = now, frame.source
        data = self._whole(self._pushed, frame)
        if data is not None:
            server_sap = frame.source.upper if self._owns_clock else self._server_sap
            self.events.append(PduReceived(data, self._client_sap, server_sap, True, foreign))

    def _take_turn(self, frame: HdlcFrame, now: float) -> None:
        """Use the turn that came with the frame: send, ask on, wait, or leave it to the application."""
        again = self._apply if self._take_numbered(frame) else self._try_again
        if not self._outgoing.is_empty:
            if self._peer_busy:
                self._let_peer_work(now)
            else:
                again(Input.MORE, now)
        elif self._incoming.is_unfinished:
            again(Input.UNFINISHED, now)
        elif self._delivered:
            self._apply(Input.DELIVERED, now)
        elif self._answer_owed:
            self._let_peer_work(now)
        else:
            self._apply(Input.NOTHING_TO_SAY, now)

    def _let_peer_work(self, now: float) -> None:
        patient = not self._owns_clock or now < self._patience_until
        self._tries = 0  # it is there
        self._apply(Input.NOT_YET if patient else Input.GIVE_UP, now)

    def _take_numbered(self, frame: HdlcFrame) -> bool:
        """Take acknowledgement and information of a numbered frame; return whether it got us anywhere."""
        field = frame.control
        progress = bool(self._outgoing.acknowledge(field.receive))
        if field.kind is not FrameKind.I:
            self._peer_busy = field.kind is FrameKind.RNR
        elif self._incoming.expects(field.send):
            progress = progress or bool(frame.information)
            self._deliver(frame)
        else:
            self.events.append(LinkNoise("sequence", frame.to_bytes()))
        if progress:
            self._tries = 0
        return progress

    def _deliver(self, frame: HdlcFrame) -> None:
        """Join a segment; pass the service data unit up when it is whole."""
        data = self._whole(self._incoming, frame)
        if data is None:
            return
        self.events.append(PduReceived(data, self._client_sap, self._server_sap))
        self._delivered = True
        self._answer_owed = False

    def _whole(self, incoming: Incoming, frame: HdlcFrame) -> bytes | None:
        """Join a segment; return the APDU when it was the last, and had the LLC header in front."""
        data = incoming.join(frame.information, frame.segmented)
        if data is None:
            return None
        if not data.startswith(_LLCS) or len(data) == _LLC_LENGTH:
            self.events.append(LinkNoise("noise", data))
            return None
        return data[_LLC_LENGTH:]

    # The table, and what it asks for

    def _apply(self, what: Input, now: float) -> None:
        """Make the step that the table has for an input that is no frame."""
        step = self._table[self.state].get(what)
        if step is None:
            raise LocalProtocolError(f"{what.value} is not possible while the link is {self.state.value}")
        self._enter(step, now, None)

    def _enter(self, step: Step, now: float, frame: HdlcFrame | None) -> None:
        self.state = step.state
        if step.action is not Action.TAKE:  # a frame that keeps the turn gives the peer more time only if it helps
            self._start_timer(now)
        if frame is not None and step.action in _WITH_FRAME:
            _WITH_FRAME[step.action](self, frame, now)
        else:
            _WITHOUT_FRAME[step.action](self)
        if self.state is State.DISCONNECTED:
            self._reset()

    def _take(self, frame: HdlcFrame, now: float) -> None:
        if self._take_numbered(frame):
            self._start_timer(now)

    def _open(self, frame: HdlcFrame, now: float) -> None:
        self._negotiate(frame)
        self.events.append(LinkConnected(self._client_sap, self._server_sap))

    def _accept(self, frame: HdlcFrame, now: float) -> None:
        self._negotiate(frame)
        self._emit(FrameKind.UA, information=self.agreed.to_bytes())
        self.events.append(LinkConnected(self._client_sap, self._server_sap))

    def _accept_anew(self, frame: HdlcFrame, now: float) -> None:
        self._close("peer")
        self._accept(frame, now)

    def _negotiate(self, frame: HdlcFrame) -> None:
        self._reset()
        try:
            peer = HdlcParameters.from_bytes(frame.information)
        except ProtocolError:
            peer = HdlcParameters()  # nothing was told that can be understood, so the defaults hold
        self.agreed = self._proposed.agreed_with(peer)

    def _send_frmr(self, frame: HdlcFrame, now: float) -> None:
        self._close("frame-reject")
        if not frame.control.poll:
            return  # without the turn nothing can be said; the next poll gets DM
        unknown = frame.control.kind is FrameKind.OTHER
        in_sequence = self._outgoing.was_sent(frame.control.receive)
        information = REJECTION.build(
            {
                "control": frame.control.byte,
                "variables": {
                    "receive": self._incoming.expected,
                    "from_response": False,
                    "send": self._outgoing.next_number,
                },
                "reasons": {
                    "invalid_sequence": not unknown and not in_sequence,
                    "too_long": not unknown and in_sequence,
                    "unexpected_information": False,
                    "unknown_control": unknown,
                },
            }
        )
        self._emit(FrameKind.FRMR, information=information)

    def _acknowledge_release(self) -> None:
        self._emit(FrameKind.UA)
        self._close("released")

    def _pass_turn(self) -> None:
        segments = [] if self._peer_busy else self._outgoing.take(self.agreed.window_transmit)
        for segment in segments:
            last = segment is segments[-1]
            field = control(FrameKind.I, poll=last, receive=self._incoming.expected, send=segment.number)
            self.to_send.append(Outbound(field, segment.information, segment.more))
        if not segments:
            self.to_send.append(Outbound(control(FrameKind.RR, poll=True, receive=self._incoming.expected)))

    def _emit(self, kind: FrameKind, *, poll: bool = True, information: bytes = b"") -> None:
        self.to_send.append(Outbound(control(kind, poll=poll), information))

    def _close(self, reason: str) -> None:
        self.events.append(LinkClosed(reason))

    def _nothing(self) -> None:
        """The state alone changes."""


def _times(timer_of: Mapping[State, Timer], timers: HdlcTimers) -> dict[State, float | None]:
    """Return the seconds that the clock gives each state."""
    seconds = {
        Timer.NONE: None,
        Timer.RESPONSE: timers.response,
        Timer.POLL: timers.poll,
        Timer.INACTIVITY: timers.inactivity,
    }
    return {state: seconds[timer] for state, timer in timer_of.items()}


_WITH_FRAME: Final[Mapping[Action, Callable[[Station, HdlcFrame, float], None]]] = MappingProxyType(
    {
        Action.TAKE: Station._take,
        Action.TAKE_TURN: Station._take_turn,
        Action.OPEN: Station._open,
        Action.ACCEPT: Station._accept,
        Action.ACCEPT_ANEW: Station._accept_anew,
        Action.SEND_FRMR: Station._send_frmr,
    }
)

_WITHOUT_FRAME: Final[Mapping[Action, Callable[[Station], None]]] = MappingProxyType(
    {
        Action.NOTHING: Station._nothing,
        Action.PASS_TURN: Station._pass_turn,
        Action.ACKNOWLEDGE_RELEASE: Station._acknowledge_release,
        Action.SEND_SNRM: lambda station: station._emit(FrameKind.SNRM, information=station._proposed.to_bytes()),
        Action.SEND_DISC: lambda station: station._emit(FrameKind.DISC),
        Action.SEND_DM: lambda station: station._emit(FrameKind.DM),
        Action.CLOSE_RELEASED: lambda station: station._close("released"),
        Action.CLOSE_REFUSED: lambda station: station._close("disconnected-mode"),
        Action.CLOSE_REJECTED: lambda station: station._close("frame-reject"),
        Action.CLOSE_TIMEOUT: lambda station: station._close("timeout"),
        Action.CLOSE_PEER: lambda station: station._close("peer"),
    }
)
