"""The sign-on of IEC 62056-21: who is there, at which speed, and what for; then the readout or programming mode.

Modes by the baud rate character of the identification (6.3.14): a digit is mode C (acknowledge, then change speed), A
to F is mode B (change speed at once), anything else mode A (stay at 300 Bd); with ``\\2`` in front of the text, mode E
(acknowledge, then HDLC). Mode D meters speak unasked at 2400 Bd: use :meth:`SignOn.listen`.

Without I/O: bytes and the time go in, events come out. A change of speed is an event, because the driver must wait for
the last byte to leave the line.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import reduce
from operator import xor
from types import MappingProxyType
from typing import Final

from meterlink.errors import LocalProtocolError, UsageError

ACK: Final = 0x06
NAK: Final = 0x15
SOH: Final = 0x01
STX: Final = 0x02
ETX: Final = 0x03
EOT: Final = 0x04

SIGN_ON_BAUD: Final = 300
MODE_D_BAUD: Final = 2400

REACTION_TIME: Final = 1.5
"""Longest time from a request to the first character of the answer, in seconds (6.3.2.6, t_r)."""
CHARACTER_TIME: Final = 1.5
"""Longest pause between two characters of a message, in seconds (t_a)."""
MAX_MESSAGE: Final = 1 << 18
"""Octets after which a readout that does not end is given up."""

BAUD_MODE_C: Final = MappingProxyType({"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200})
BAUD_MODE_B: Final = MappingProxyType({"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200})

_IDENTIFICATION = re.compile(rb"/([A-Za-z]{3})([!-~])((?:\\[!-~])*)([^\r\n/!]{0,16})\r?\n")
_BLANK_LINES = re.compile(rb"(?:\x00|/[?#][0-9A-Za-z ]*!\r\n)*\r?\n\r?\n")


class Mode(enum.Enum):
    """Protocol modes (6.3)."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"


class Want(enum.Enum):
    """What the sign-on is for; the value is the mode control character of the acknowledgement."""

    READOUT = "0"
    PROGRAMMING = "1"
    HDLC = "2"


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


@dataclass(frozen=True, slots=True)
class Identified:
    """The meter's identification. ``baud`` is the speed it proposes."""

    manufacturer: str
    baud_character: str
    text: str
    mode: Mode
    baud: int


@dataclass(frozen=True, slots=True)
class Unnamed:
    """The meter sends blank lines in place of an identification. Its data follow, at a speed that only its family's
    profile can tell."""


@dataclass(frozen=True, slots=True)
class ChangeSpeed:
    """The line must change to ``baud`` once everything sent so far has left it."""

    baud: int


@dataclass(frozen=True, slots=True)
class ReadoutReceived:
    """The whole readout as it came, identification line and block check included. ``valid`` is the block check's word;
    None where the meter sends none."""

    data: bytes
    valid: bool | None


@dataclass(frozen=True, slots=True)
class ProgrammingReady:
    """Programming mode is on; ``operand`` is what the meter asks to be used for the password."""

    operand: str


@dataclass(frozen=True, slots=True)
class HdlcReady:
    """The meter has agreed to mode E: HDLC frames follow."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a command: ``data`` is its text, empty for a plain acknowledgement; ``refused`` for NAK or an
    error message ``(ER..)``."""

    data: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """It came to nothing: ``reason`` is ``no-answer``, ``no-identification``, ``incomplete``, ``block-check``,
    ``too-long`` or ``broken-off``. ``data`` is what did arrive."""

    reason: str
    data: bytes


Event = Identified | Unnamed | ChangeSpeed | ReadoutReceived | ProgrammingReady | HdlcReady | Answered | Failed


def checked(block: bytes) -> bytes:
    """Return ``block`` with its block check character; the block begins after SOH or STX and ends with ETX."""
    return block + bytes((reduce(xor, block, 0) & 0x7F,))


def request_message(address: str = "", start: str = "?") -> bytes:
    """Return the request ``/?address!``. ``start`` is ``?``, or another character that a meter understands there.

    Raises UsageError for an address that is longer than 32 characters or has others than letters, digits and blanks.
    """
    if not re.fullmatch(r"[0-9A-Za-z ]{0,32}", address):
        raise UsageError(f"{address!r} is no device address: up to 32 letters, digits and blanks", code="address")
    return f"/{start}{address}!\r\n".encode("ascii")


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
        self._identified: Identified | None = None

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
            raise UsageError(f"{name!r} with {data!r} is no programming command", code="command")
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
        match = _IDENTIFICATION.search(self._message.replace(self._request, b"\x00" * len(self._request)))
        if match is None:
            return self._blank_lines_instead(now)
        identified = _read_identification(match)
        self._identified = identified
        self._received = bytearray(self._message[match.start() : match.end()])
        rest = bytes(self._message[match.end() :])
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


def _read_identification(match: re.Match[bytes]) -> Identified:
    manufacturer, character, sequences, text = (part.decode("ascii") for part in match.groups())
    if "\\2" in sequences:
        mode, baud = Mode.E, BAUD_MODE_C.get(character, SIGN_ON_BAUD)
    elif character in BAUD_MODE_C:
        mode, baud = Mode.C, BAUD_MODE_C[character]
    elif character in BAUD_MODE_B:
        mode, baud = Mode.B, BAUD_MODE_B[character]
    else:
        mode, baud = Mode.A, SIGN_ON_BAUD
    return Identified(manufacturer, character, text.strip(), mode, baud)
