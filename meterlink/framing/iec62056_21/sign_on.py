"""One sign-on and what follows it, as a state table."""

from __future__ import annotations

import enum
import re
from types import MappingProxyType
from typing import Final

from meterlink.errors import LocalProtocolError, UsageError
from meterlink.framing.iec62056_21.messages import (
    ACK,
    BAUD_MODE_C,
    CHARACTER_TIME,
    ETX,
    MAX_MESSAGE,
    NAK,
    REACTION_TIME,
    SIGN_ON_BAUD,
    SOH,
    STX,
    Answered,
    ChangeSpeed,
    Event,
    Failed,
    HdlcReady,
    Identified,
    Mode,
    ProgrammingReady,
    ReadoutReceived,
    Unnamed,
    Want,
    checked,
    find_identification,
)

_BLANK_LINES = re.compile(rb"(?:\x00|/[?#][0-9A-Za-z ]*!\r\n)*\r?\n\r?\n")


class State(enum.Enum):
    """Where a sign-on stands."""

    IDLE = "idle"
    REQUESTED = "requested"
    OPTION_SENT = "option sent"
    READOUT = "readout"
    PROGRAMMING = "programming"
    COMMAND_SENT = "command sent"
    HDLC = "hdlc"
    DONE = "done"


class SignOn:
    """One sign-on and what follows it, the asking side.

    ``wake_up`` (NUL octets, mostly) and the request go out as one piece: a meter that is woken falls asleep again in
    any gap.
    """

    def __init__(
        self,
        *,
        request: bytes = b"/?!\r\n",
        wake_up: bytes = b"",
        want: Want = Want.READOUT,
        max_baud: int = 19200,
        reaction_time: float = REACTION_TIME,
        character_time: float = CHARACTER_TIME,
    ) -> None:
        self._request = request
        self._wake_up = wake_up
        self._want = want
        self._max_baud = max_baud
        self._reaction_time = reaction_time
        self._character_time = character_time
        self._state = State.IDLE
        self._received = bytearray()
        self._message = bytearray()
        self._to_send = b""
        self._echo = b""
        self._echo_heard = False
        self._deadline: float | None = None

    @property
    def state(self) -> State:
        """Where the sign-on stands."""
        return self._state

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` must be called at the latest."""
        return self._deadline

    def start(self, now: float) -> None:
        """Send the request. Raises LocalProtocolError in any state but the idle one."""
        self._need(State.IDLE)
        octets = self._wake_up + self._request
        self._to_send = octets
        self._state = State.REQUESTED
        # The line takes a tenth of a second for three characters: the wait begins when the last one is out.
        self._deadline = now + len(octets) * 10 / SIGN_ON_BAUD + self._reaction_time

    def listen(self, now: float, patience: float) -> None:
        """Mode D: wait for a readout that the meter begins by itself, for ``patience`` seconds."""
        self._need(State.IDLE)
        self._state = State.READOUT
        self._deadline = now + patience

    def command(self, name: str, data: str, now: float) -> None:
        """Programming mode: send a command such as ``R1`` or ``W1`` with its data set (6.3.11).

        Raises LocalProtocolError outside of programming mode, UsageError for a malformed command.
        """
        self._need(State.PROGRAMMING)
        if not re.fullmatch(r"[PWREB][0-9]", name) or any(not " " <= c <= "~" for c in data) or len(data) > 128:
            # The data may be a password: they are not repeated.
            raise UsageError(
                f"{name!r} is no programming command, or its data are not up to 128 printable characters",
                code="command",
            )
        body = name.encode("ascii") + (bytes((STX,)) + data.encode("ascii") if data else b"") + bytes((ETX,))
        self._to_send = self._echo = bytes((SOH,)) + checked(body)
        self._message.clear()
        self._state = State.DONE if name == "B0" else State.COMMAND_SENT
        self._deadline = None if name == "B0" else now + self._reaction_time + len(self._to_send) * 10 / SIGN_ON_BAUD

    def data_to_send(self) -> bytes:
        """Return, once, the bytes that must go on the line now."""
        octets, self._to_send = self._to_send, b""
        return octets

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes of the meter, seven bits a character; the parity bit is dropped. Never raises for what comes."""
        if self._state in (State.IDLE, State.DONE, State.HDLC, State.PROGRAMMING):
            return []
        plain = bytes(octet & 0x7F for octet in data)
        self._message += plain
        self._deadline = now + self._character_time
        if len(self._message) > MAX_MESSAGE:
            return self._fail("too-long")
        if self._is_echo():
            return []
        return _HANDLERS[self._state](self, now)

    def _is_echo(self) -> bool:
        """Cut the echo of the last message out of what was heard; True while it may still be coming."""
        if not self._echo:
            return False
        if self._echo.startswith(self._message) and len(self._message) < len(self._echo):
            return True
        if self._message.startswith(self._echo):
            del self._message[: len(self._echo)]
            self._echo_heard = True
        self._echo = b""
        return not self._message

    def handle_timer(self, now: float) -> list[Event]:
        """Let time pass: an answer that does not come, or does not end."""
        if self._deadline is None or now < self._deadline:
            return []
        if self._state is State.READOUT and self._message.strip(b"\x00"):
            # Modes A and D may end without ETX, at the exclamation mark.
            if b"!" in self._message:
                return self._finish(None)
            return self._fail("incomplete")
        if self._state is State.OPTION_SENT:
            if self._want is Want.HDLC and self._echo_heard:
                # A meter's agreement reads like our own words: what was taken for an echo was the meter.
                self._state, self._deadline = State.HDLC, None
                return [HdlcReady()]
            return self._fail("broken-off")
        if self._received:
            return self._fail("incomplete")
        heard = bool(self._message.replace(self._request, b"").strip(b"\x00"))
        return self._fail("no-identification" if heard else "no-answer")

    def _identification_awaited(self, now: float) -> list[Event]:
        # The head may hear its own light: the request is no identification, however it is cut into pieces.
        found = find_identification(bytes(self._message.replace(self._request, b"\x00" * len(self._request))))
        if found is None:
            return self._blank_lines_instead(now)
        identified, start, end = found
        self._received = self._message[start:end]
        rest = bytes(self._message[end:])
        self._message = bytearray(rest)
        events: list[Event] = [identified]
        if identified.mode in (Mode.C, Mode.E):
            return events + self._select_option(identified, now)
        self._state = State.READOUT
        self._deadline = now + self._reaction_time
        if identified.baud != SIGN_ON_BAUD:
            events.append(ChangeSpeed(identified.baud))
        return events + (self._readout_awaited(now) if rest else [])

    def _blank_lines_instead(self, now: float) -> list[Event]:
        """Two empty lines are all that some meters send before their data."""
        blank = _BLANK_LINES.match(self._message)
        if blank is None:
            return []
        del self._message[: blank.end()]
        self._state = State.READOUT
        self._deadline = now + self._reaction_time
        return [Unnamed(), *(self._readout_awaited(now) if self._message else [])]

    def _select_option(self, identified: Identified, now: float) -> list[Event]:
        """Acknowledge: protocol, speed, what for (6.3.3)."""
        hdlc = self._want is Want.HDLC
        if hdlc and identified.mode is not Mode.E:
            return self._fail("no-hdlc")
        table = {baud: character for character, baud in BAUD_MODE_C.items()}
        baud = identified.baud if identified.baud <= self._max_baud else SIGN_ON_BAUD
        protocol = "2" if hdlc else "0"
        self._to_send = self._echo = bytes((ACK,)) + f"{protocol}{table[baud]}{self._want.value}\r\n".encode("ascii")
        self._deadline = now + len(self._to_send) * 10 / SIGN_ON_BAUD + self._reaction_time
        self._state = State.READOUT if self._want is Want.READOUT else State.OPTION_SENT
        self._message.clear()
        return [] if baud == SIGN_ON_BAUD else [ChangeSpeed(baud)]

    def _option_awaited(self, now: float) -> list[Event]:
        """After the acknowledgement: the meter's own one for HDLC, the password operand for programming."""
        if self._want is Want.HDLC:
            if bytes((ACK,)) in self._message and self._message.rstrip().endswith(b"2"):
                self._state, self._deadline = State.HDLC, None
                return [HdlcReady()]
            return []
        found = self._whole_message()
        if found is None:
            return []
        text, valid = found
        if not valid:
            return self._fail("block-check")
        self._state, self._deadline = State.PROGRAMMING, None
        self._message.clear()
        return [ProgrammingReady(text.partition("(")[2].rpartition(")")[0])]

    def _readout_awaited(self, now: float) -> list[Event]:
        begin = self._message.find(STX)
        etx = self._message.find(ETX, begin + 1) if begin >= 0 else -1
        if etx < 0 or etx + 1 >= len(self._message):
            return []
        block = bytes(self._message[begin + 1 : etx + 1])
        del self._message[etx + 2 :]
        return self._finish(checked(block)[-1] == self._message[etx + 1])

    def _answer_awaited(self, now: float) -> list[Event]:
        for octet, refused in ((ACK, False), (NAK, True)):
            if self._message[:1] == bytes((octet,)):
                return self._answered(Answered("", refused))
        found = self._whole_message()
        if found is None:
            return []
        text, valid = found
        if not valid:
            return self._fail("block-check")
        return self._answered(Answered(text, text.lstrip("(").upper().startswith("ER")))

    def _answered(self, answer: Answered) -> list[Event]:
        self._state, self._deadline = State.PROGRAMMING, None
        self._message.clear()
        return [answer]

    def _whole_message(self) -> tuple[str, bool] | None:
        """Return text and validity of a message ``SOH .. STX text ETX check`` or ``STX text ETX check``."""
        etx = self._message.find(ETX)
        if etx < 0 or etx + 1 >= len(self._message):
            return None
        starts = [place for place in (self._message.find(SOH), self._message.find(STX)) if 0 <= place < etx]
        if not starts:
            return "", False
        body = bytes(self._message[min(starts) + 1 : etx + 1])
        text = body.partition(bytes((STX,)))[2] or body
        return text[:-1].decode("ascii"), checked(body)[-1] == self._message[etx + 1]

    def _finish(self, valid: bool | None) -> list[Event]:
        self._state, self._deadline = State.DONE, None
        return [ReadoutReceived(bytes(self._received + self._message), valid)]

    def _fail(self, reason: str) -> list[Event]:
        self._state, self._deadline = State.DONE, None
        return [Failed(reason, bytes(self._received + self._message))]

    def _need(self, state: State) -> None:
        if self._state is not state:
            raise LocalProtocolError(f"a sign-on that is {self._state.value} cannot do this: it must be {state.value}")


_HANDLERS: Final = MappingProxyType(
    {
        State.REQUESTED: SignOn._identification_awaited,
        State.OPTION_SENT: SignOn._option_awaited,
        State.READOUT: SignOn._readout_awaited,
        State.COMMAND_SENT: SignOn._answer_awaited,
    }
)
"""What incoming bytes mean in each state that waits for some; the others take none."""
