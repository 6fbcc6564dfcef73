"""What is known of a meter family: the parts of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from meterlink.transport.base import LineSettings
from meterlink.values import Obis

Protocol = Literal["text", "mbus", "cosem"]
Kind = Literal["number", "date", "moment", "set-day", "text", "flags"]
Form = Literal["", "day", "digits", "minutes"]
Dialogue = Literal["text", "sign-on", "burst", "steps", "bus"]


@dataclass(frozen=True, slots=True)
class ValueRule:
    """What one code of a text readout means.

    ``part`` picks one of several values in the same parentheses (None takes all of them as text), ``time_code`` is the
    code that carries the date of this value, ``live`` marks a value that the meter leaves empty while it cannot
    measure.
    """

    code: str
    name: str
    kind: Kind = "number"
    obis: Obis | None = None
    unit: str = ""
    part: int | None = None
    tariff: int = 0
    time_code: str = ""
    live: bool = False


@dataclass(frozen=True, slots=True)
class ErrorFlag:
    """An error code of the meter: what it means, and what to do about it."""

    code: str
    meaning: str
    action: str


@dataclass(frozen=True, slots=True)
class Device:
    """Header fields of an M-Bus telegram that belong to a family; an empty tuple is any."""

    manufacturer: str
    versions: tuple[int, ...] = ()
    media: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CosemObject:
    """A COSEM attribute that is read by name.

    ``form`` says how the value is to be understood where its type does not tell: ``day`` is a day of every year,
    ``digits`` a text of digits, ``minutes`` a duration. ``writable`` ones can be set, to one of ``choices`` where there
    are any. ``storage`` is 1 for values of the last set day. ``default`` ones are read when nothing is asked for by
    name.
    """

    name: str
    obis: Obis
    class_id: int
    attribute: int = 2
    unit: str = ""
    form: Form = ""
    writable: bool = False
    choices: tuple[int, ...] = ()
    storage: int = 0
    default: bool = True


@dataclass(frozen=True, slots=True)
class LinePlan:
    """How a meter is woken and spoken to.

    ``dialogue`` names the reader (see :mod:`meterlink.meters.readers`), ``start`` the line it begins on, ``data`` the
    line it answers on, ``wake_up`` the number of bytes before each request and ``wake_byte`` their value (0 or 0x55),
    ``requests`` the requests, ``step_answers`` the beginnings (CI field and data) of telegrams that answer a request
    and are no part of the readout, ``settle`` seconds between the last request and the change of the line, ``silence``
    seconds after which the meter has said all, ``deadline`` seconds for a whole readout, ``rest`` seconds between two
    readouts. ``patience`` are seconds by which an answer on a bus may be later than the standard has it (None: what the
    way there usually needs).
    """

    dialogue: Dialogue
    start: LineSettings
    data: LineSettings
    wake_up: int = 0
    wake_byte: int = 0
    requests: tuple[bytes, ...] = ()
    step_answers: tuple[bytes, ...] = ()
    settle: float = 0.0
    silence: float = 2.0
    deadline: float = 30.0
    rest: float = 0.0
    patience: float | None = None

    @property
    def wake(self) -> bytes:
        """What wakes the meter: it must go out in one piece with the request that follows."""
        return bytes((self.wake_byte,)) * self.wake_up


@dataclass(frozen=True, slots=True)
class Profile:
    """A meter family. See :mod:`meterlink.meters.profile` for what each part means; ``no_settings`` is why it cannot be
    set this way."""

    name: str
    title: str
    protocol: Protocol
    manufacturer: str = ""
    identify: tuple[str, ...] = ()
    signature: tuple[str, ...] = ()
    bluetooth: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    no_settings: str = ""
    line: LinePlan | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    values: tuple[ValueRule, ...] = ()
    flags: tuple[ErrorFlag, ...] = ()
    devices: tuple[Device, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    saps: Mapping[str, int] = field(default_factory=dict)
    objects: tuple[CosemObject, ...] = ()

    def rules(self, code: str) -> tuple[ValueRule, ...]:
        """Return the rules for ``code``, in the order of their parts; empty when the code is unknown."""
        return tuple(rule for rule in self.values if rule.code == code)

    def flag(self, code: str) -> ErrorFlag | None:
        """Return what the error code means, None when it is unknown."""
        return next((flag for flag in self.flags if flag.code == code), None)
