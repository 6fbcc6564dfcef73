"""Reading a profile file, strictly: what is misspelt, of the wrong type or without effect is refused by name."""

from __future__ import annotations

import functools
import math
import re
import tomllib
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from certs.levels import Level
from meterlink.errors import DataError
from meterlink.meters.profile_parts import CosemObject, Device, LinePlan, Profile, ValueRule
from meterlink.transport.base import LineSettings, Parity
from meterlink.values import Obis

_FAMILY_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_READING_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\Z")
_MANUFACTURER: Final = re.compile(r"[A-Z]{3}\Z")
_RECORD_HEADER: Final = re.compile(r"[0-9A-F]{2}(?: [0-9A-F]{2})+\Z")
_LINE_SETTINGS: Final = re.compile(r"(?P<baud>\d{2,7}) (?P<frame>[78][NEO][12])\Z", re.ASCII)
_WORDS: Final = {str: "a text", int: "a whole number", bool: "true or false", float: "a number"}
_WAKE_BYTES: Final = (0x00, 0x55)
_WITH_REQUESTS: Final = ("text", "burst", "steps")
_SECONDS: Final = ("settle", "silence", "deadline", "rest", "patience")

_T = TypeVar("_T")


def read_profile(text: str, source: str) -> Profile:
    """Read a profile file; ``source`` names it in messages. Raises DataError ``profile``."""
    try:
        profile = _table(Profile, tomllib.loads(text), "")
        _check(profile)
    except ValueError as error:
        raise _fault(source, str(error)) from error
    return profile


def check_together(profiles: Iterable[tuple[str, Profile]]) -> None:
    """Check that no two families, each with the name of its file, claim the same meters. Raises DataError
    ``profile``."""
    claimed: dict[tuple[str, object], tuple[str, Profile]] = {}
    devices: list[tuple[str, Profile, Device]] = []
    for source, profile in profiles:
        claims: list[tuple[str, object]] = [("name", profile.name)]
        claims += [("identify", beginning) for beginning in profile.identify]
        claims += [("signature", frozenset(profile.signature))] if profile.signature else []
        claims += [("bluetooth", beginning) for beginning in profile.bluetooth]
        for what in claims:
            other, _ = claimed.setdefault(what, (source, profile))
            if other != source:
                shown = "codes" if isinstance(what[1], frozenset) else repr(what[1])
                raise _fault(source, f"{what[0]}: the same {shown} as in {other}")
        for device in profile.devices:
            for other, _, known in devices:
                if other != source and _overlap(device, known):
                    raise _fault(source, f"[[devices]]: a header of {device.manufacturer} that is that of {other}, too")
            devices.append((source, profile, device))


def _fault(source: str, what: str) -> DataError:
    return DataError(f"{source}: {what}", code="profile", hint="docs/adding-a-meter.md describes the file")


def _overlap(one: Device, other: Device) -> bool:
    def meet(mine: tuple[int, ...], theirs: tuple[int, ...]) -> bool:
        return not mine or not theirs or bool({*mine} & {*theirs})

    return (
        one.manufacturer == other.manufacturer
        and meet(one.versions, other.versions)
        and meet(one.media, other.media)
    )  # fmt: skip


# From TOML to the parts: the annotations of their fields say what is expected.


def _table(kind: type[_T], raw: Any, where: str) -> _T:
    """Build a dataclass from a table. Raises ValueError that names the key."""
    if not isinstance(raw, dict):
        raise ValueError(f"{where} must be a table")
    types_of = _hints(cast(Any, kind))
    renamed = {_KEYS.get((kind, key), key): value for key, value in raw.items()}
    inside = f"{where} " if where else ""
    unknown = sorted(set(renamed) - set(types_of))
    if unknown:
        known = ", ".join(_key(kind, name) for name in types_of)
        raise ValueError(f"{inside}unknown key {unknown[0]!r}; known are {known}")
    for item in fields(cast(Any, kind)):
        if item.name not in renamed and item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"{inside}the key {_key(kind, item.name)!r} is missing")
    return kind(
        **{
            name: _READERS.get((kind, name), _value)(types_of[name], value, f"{inside}{_key(kind, name)}")
            for name, value in renamed.items()
        }
    )


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _key(kind: type, name: str) -> str:
    return next((key for (owner, key), field in _KEYS.items() if owner is kind and field == name), name)


def _value(kind: Any, value: Any, where: str) -> Any:
    """Return ``value`` as ``kind`` (an annotation) wants it. Raises ValueError."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _value(next(item for item in arguments if item is not type(None)), value, where)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{where}: {value!r} is none of {', '.join(filter(None, arguments))}")
        return value
    if origin is tuple:
        return _list(arguments[0], value, where)
    if origin is not None:
        return _mapping(arguments[1], value, where)
    if is_dataclass(kind) and kind not in _TEXTS:
        return _table(cast(Any, kind), value, f"[{where}]")
    if kind in _TEXTS:
        return _parsed(_TEXTS[kind], _value(str, value, where), where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{where}: {value!r} is not {_WORDS[kind]}")
    return value


def _list(kind: Any, value: Any, where: str) -> tuple[Any, ...]:
    of_tables = is_dataclass(kind) and kind not in _TEXTS
    if not isinstance(value, list):
        raise ValueError(f"{where} must be " + (f"tables: [[{where}]]" if of_tables else f"a list: [{value!r}]"))
    if of_tables:
        return tuple(_table(cast(Any, kind), item, f"[[{where}]] {n}:") for n, item in enumerate(value, 1))
    return tuple(_value(kind, item, f"{where} {n}") for n, item in enumerate(value, 1))


def _mapping(kind: Any, value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a table: [{where}]")
    return MappingProxyType({key: _value(kind, item, f"[{where}] {key!r}") for key, item in value.items()})


def _parsed(parse: Callable[[str], Any], text: str, where: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _requests(kind: Any, value: Any, where: str) -> tuple[bytes, ...]:
    texts = _list(str, value, where)
    return tuple(_parsed(_request, text, f"{where} {n}") for n, text in enumerate(texts, 1))


def _octet_strings(kind: Any, value: Any, where: str) -> tuple[bytes, ...]:
    texts = _list(str, value, where)
    return tuple(_parsed(_octets, text, f"{where} {n}") for n, text in enumerate(texts, 1))


def _request(text: str) -> bytes:
    """A request is text with its line end (``/#!\\r\\n``), or bytes in hex."""
    if not text.startswith("/"):
        return _octets(text)
    if not text.isascii():
        raise ValueError(f"{text!r} has other characters than ASCII")
    return text.encode("ascii")


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither octets in hex nor a request that begins with a slash") from None


def parse_line_settings(text: str) -> LineSettings:
    """Read settings such as ``2400 7E1``. Raises ``ValueError``."""
    match = _LINE_SETTINGS.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a line setting such as '2400 7E1'")
    frame = match["frame"]
    return LineSettings(int(match["baud"]), int(frame[0]), cast(Parity, frame[1]), int(frame[2]))


_KEYS: Final[Mapping[tuple[type, str], str]] = MappingProxyType({(CosemObject, "class"): "class_id"})
"""Keys that are called otherwise here."""

_TEXTS: Final[Mapping[type, Callable[[str], Any]]] = MappingProxyType(
    {Obis: Obis.parse, LineSettings: parse_line_settings}
)
"""What is written as a text of its own form."""

_READERS: Final[Mapping[tuple[type, str], Callable[[Any, Any, str], Any]]] = MappingProxyType(
    {(LinePlan, "requests"): _requests, (LinePlan, "step_answers"): _octet_strings}
)


# What the types do not tell.


def _check(profile: Profile) -> None:
    """Raise ValueError for what would have no effect, or another than it says."""
    _check_form(_FAMILY_NAME, "name", profile.name, "lower-case letters, digits and hyphens")
    _check_texts("identify", profile.identify)
    _check_texts("signature", profile.signature)
    for beginning in profile.identify:
        if beginning.startswith("/"):
            raise ValueError(f"identify: {beginning!r}: the slash is no part of the identification")
    if profile.line is not None:
        _check_line(profile.line)
    _check_rules(profile.values)
    for device in profile.devices:
        _check_form(_MANUFACTURER, "[[devices]] manufacturer", device.manufacturer, "three capital letters")
        for number in (*device.versions, *device.media):
            _check_range("[[devices]]", number, 0, 255)
    for header, name in profile.names.items():
        _check_form(_RECORD_HEADER, "[names]", header, "a record's header as `decode` shows it, such as 84 8F 0F 6D")
        _check_form(_READING_NAME, f"[names] {header!r}", name, "in snake_case")
    levels = {level.value for level in Level}
    for level, sap in profile.saps.items():
        if level not in levels:
            raise ValueError(f"[saps]: {level!r} is none of {', '.join(sorted(levels))}")
        _check_range(f"[saps] {level}", sap, 1, 0x7F)


def _check_line(line: LinePlan) -> None:
    if line.dialogue in _WITH_REQUESTS and not line.requests:
        raise ValueError(f"[line] requests: the dialogue {line.dialogue!r} needs some")
    if line.wake_byte not in _WAKE_BYTES:
        raise ValueError(f"[line] wake_byte: {line.wake_byte} is neither 0 nor 0x55")
    _check_range("[line] wake_up", line.wake_up, 0, 10_000)
    for name in _SECONDS:
        seconds = getattr(line, name)
        if seconds is not None and (seconds < 0 or (name == "deadline" and not seconds)):
            raise ValueError(f"[line] {name}: {seconds:g} s is too short")


def _check_rules(rules: Iterable[ValueRule]) -> None:
    codes = {rule.code for rule in rules}
    seen: set[tuple[str, int | None]] = set()
    for rule in rules:
        where = f"[[values]] code {rule.code!r}:"
        _check_texts("[[values]] code", (rule.code,))
        _check_form(_READING_NAME, f"{where} name", rule.name, "in snake_case")
        if rule.time_code and rule.time_code not in codes:
            raise ValueError(f"{where} time_code {rule.time_code!r} is the code of no value")
        if (rule.code, rule.part) in seen:
            raise ValueError(f"{where} it stands twice with the same part")
        seen.add((rule.code, rule.part))
        _check_range(f"{where} tariff", rule.tariff, 0, 255)
        _check_range(f"{where} part", rule.part or 0, 0, 255)


def _check_texts(where: str, texts: Iterable[str]) -> None:
    for text in texts:
        if not text or text != text.strip():
            raise ValueError(f"{where}: {text!r} is empty, or has spaces around it")


def _check_form(form: re.Pattern[str], where: str, text: str, wanted: str) -> None:
    if not form.match(text):
        raise ValueError(f"{where}: {text!r} is not {wanted}")


def _check_range(where: str, number: int, low: int, high: int) -> None:
    if not low <= number <= high:
        raise ValueError(f"{where}: {number} is not {low}..{high}")


__all__ = ["check_together", "parse_line_settings", "read_profile"]
