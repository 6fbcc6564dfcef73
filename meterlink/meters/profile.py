"""Profiles: what is known of a meter family, as data.

A profile is a TOML file. Every family has ``name``, ``title`` and ``protocol``; the rest depends on the protocol:

``text``
    ``identify``: beginnings of the identification (manufacturer letters, baud character, text) that belong to this
    family; ``signature``: codes by which a readout without identification is known; ``units``: the meter's spelling of
    a unit and ours; ``[[values]]``: one table a code, see :class:`ValueRule`.
``mbus``
    ``[[devices]]``: manufacturer, versions and media of the header; ``[values]``: names for records that the standard
    leaves to the meter.
``cosem``
    ``saps``: client SAP by level name; ``[[objects]]``: one table an object, see :class:`CosemObject`.

``bluetooth`` holds the beginnings of the names under which meters of the family advertise on Bluetooth LE.
``[line]`` says how the meter is woken and spoken to, ``[[flags]]`` what its error codes mean and what to do.
Unknown keys are refused, so that a slip of the pen does not silently do nothing.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, cast

from meterlink.errors import DataError, UsageError
from meterlink.transport.base import LineSettings, Parity
from meterlink.values import Obis

Protocol = Literal["text", "mbus", "cosem"]
Kind = Literal["number", "date", "moment", "set-day", "text", "flags"]
Form = Literal["", "day", "digits", "minutes"]

_PROTOCOLS: Final = ("text", "mbus", "cosem")
_KINDS: Final = ("number", "date", "moment", "set-day", "text", "flags")
_FORMS: Final = ("", "day", "digits", "minutes")


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

    dialogue: str
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
    """A meter family. See the module for what each part means; ``no_settings`` is why it cannot be set this way."""

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


_T = TypeVar("_T")


def read_profile(text: str, source: str) -> Profile:
    """Read a profile file; ``source`` names it in messages. Raises DataError ``profile``."""
    try:
        raw = tomllib.loads(text)
        tables: dict[str, Any] = {
            "line": _line(raw.pop("line")) if "line" in raw else None,
            "values": _tables(ValueRule, raw.pop("values", ()), obis=Obis.parse),
            "flags": _tables(ErrorFlag, raw.pop("flags", ())),
            "devices": _tables(Device, raw.pop("devices", ()), versions=tuple, media=tuple),
            "objects": _tables(
                CosemObject, _rename(raw.pop("objects", ()), {"class": "class_id"}), obis=Obis.parse, choices=tuple
            ),
        }
        for key in ("units", "names", "saps"):
            tables[key] = MappingProxyType(dict(raw.pop(key, {})))
        for key in ("identify", "signature", "notes", "bluetooth"):
            tables[key] = tuple(raw.pop(key, ()))
        profile = _build(Profile, raw | tables)
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{source}: {error}", code="profile", hint="docs/adding-a-meter.md describes the file"
        ) from error
    _check(profile, source)
    return profile


@functools.cache
def profiles() -> tuple[Profile, ...]:
    """Return every profile that ships with the package, sorted by name."""
    folder = resources.files(__package__).joinpath("profiles")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return tuple(read_profile(item.read_text("utf-8"), item.name) for item in files)


def profile(name: str) -> Profile:
    """Return the profile called ``name``. Raises UsageError ``unknown-profile`` that lists the known ones."""
    for candidate in profiles():
        if candidate.name == name.lower():
            return candidate
    known = ", ".join(candidate.name for candidate in profiles())
    raise UsageError(f"no meter family is called {name!r}", code="unknown-profile", hint=f"known are {known}")


def profile_of_bluetooth_name(name: str) -> Profile | None:
    """Return the family whose meters advertise under names like ``name``, None when no profile claims it."""
    return next((known for known in profiles() if known.bluetooth and name.startswith(known.bluetooth)), None)


def _check(profile: Profile, source: str) -> None:
    if profile.protocol not in _PROTOCOLS:
        raise DataError(f"{source}: protocol {profile.protocol!r} is none of {', '.join(_PROTOCOLS)}", code="profile")
    for rule in profile.values:
        if rule.kind not in _KINDS:
            raise DataError(f"{source}: {rule.code}: kind {rule.kind!r} is none of {', '.join(_KINDS)}", code="profile")
    for thing in profile.objects:
        if thing.form not in _FORMS:
            raise DataError(f"{source}: {thing.name}: form {thing.form!r} is none of {_FORMS[1:]}", code="profile")


def _build(kind: type[_T], raw: Mapping[str, Any], **convert: Any) -> _T:
    """Build a dataclass from a table; every key must be one of its fields."""
    known = {item.name: item for item in fields(cast(Any, kind))}
    unknown = sorted(set(raw) - set(known))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(known)}")
    for name, item in known.items():
        if name not in raw and item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"the key {name!r} is missing")
    return kind(**{name: convert[name](value) if name in convert else value for name, value in raw.items()})


def _tables(kind: type[_T], raw: Iterable[Mapping[str, Any]], **convert: Any) -> tuple[_T, ...]:
    return tuple(_build(kind, table, **convert) for table in raw)


def _rename(raw: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{names.get(key, key): value for key, value in table.items()} for table in raw]


def _line(raw: Mapping[str, Any]) -> LinePlan:
    return _build(
        LinePlan,
        raw,
        start=parse_line_settings,
        data=parse_line_settings,
        requests=lambda items: tuple(_request(item) for item in items),
        step_answers=lambda items: tuple(bytes.fromhex(item) for item in items),
    )


def _request(text: str) -> bytes:
    """A request is text with its line end (``/#!\\r\\n``), or bytes in hex."""
    return text.encode("ascii") if text.startswith("/") else bytes.fromhex(text)


def parse_line_settings(text: str) -> LineSettings:
    """Read settings such as ``2400 7E1``. Raises ``ValueError``."""
    baud, _, frame = text.partition(" ")
    if len(frame) != 3 or frame[0] not in "78" or frame[1] not in "NEO" or frame[2] not in "12" or not baud.isdigit():
        raise ValueError(f"{text!r} is not a line setting such as '2400 7E1'")
    return LineSettings(int(baud), int(frame[0]), cast(Parity, frame[1]), int(frame[2]))
