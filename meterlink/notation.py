"""COSEM values as text that people write and read, and as JSON.

Written as ``TYPE:VALUE``, without blanks:

=====================  ==================================================================
``null``               null-data
``bool:true``          boolean
``u8:5``, ``i16:-3``   integers: u8 u16 u32 u64 i8 i16 i32 i64, and ``enum:1``, ``bcd:18``
``f32:1.5``            float32, float64
``octets:00ff``        octet-string in hex
``text:abc``           visible-string; ``utf8:`` for a utf8-string
``bits:0101``          bit-string, first bit first
``obis:1-0:1.8.0``     a logical name: octet-string of 6
``at:2026-11-22T14:30:00+01:00``   a date-time as octet-string of 12; ``date-time:`` for the type of its own
``date:2026-11-22``, ``time:14:30:00``   the types date and time
``[u8:1,u8:2]``        array
``{u8:1,text:abc}``    structure
=====================  ==================================================================

A text with ``,`` ``]`` ``}`` or blanks at its ends stands in double quotes, as in JSON. What :func:`write` writes,
:func:`read` reads, unless it holds a part of a date that is left open, or a compact array: those are only shown.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from meterlink.cosem import data as cosem
from meterlink.cosem.data import INTEGER_BITS, CompactArray, Data, Tag
from meterlink.cosem.dates import CosemDate, CosemDateTime, CosemTime
from meterlink.errors import UsageError
from meterlink.values import Obis

_MOST_NESTED: Final = 32
_NAME_LENGTH, _ANY = 6, 255
"""Octet-strings of so many octets that end in this one are shown as logical names: they nearly always are."""

_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD: Final = re.compile(r"[a-z0-9-]+")
_PLAIN: Final = re.compile(r"[^,\[\]{}\"\s][^,\[\]{}\"]*(?<!\s)\Z|\Z")
_BRACKETS: Final = {"[": "]", "{": "}"}

_INTEGERS: Final[Mapping[str, Tag]] = MappingProxyType(
    {
        "u8": Tag.UNSIGNED,
        "u16": Tag.LONG_UNSIGNED,
        "u32": Tag.DOUBLE_LONG_UNSIGNED,
        "u64": Tag.LONG64_UNSIGNED,
        "i8": Tag.INTEGER,
        "i16": Tag.LONG,
        "i32": Tag.DOUBLE_LONG,
        "i64": Tag.LONG64,
        "enum": Tag.ENUM,
        "bcd": Tag.BCD,
    }
)
_WORDS: Final = {tag: word for word, tag in _INTEGERS.items()}
_TRUTH: Final = {"true": True, "false": False}


def _integer(tag: Tag) -> Callable[[str], Data]:
    bits, signed = INTEGER_BITS[tag]
    low = -(1 << bits - 1) if signed else 0

    def read_integer(text: str) -> Data:
        value = int(text, 0)
        if not low <= value < low + (1 << bits):
            raise ValueError(f"{low}..{low + (1 << bits) - 1}")
        return Data(tag, value)

    return read_integer


_READERS: Final[Mapping[str, Callable[[str], Data]]] = MappingProxyType(
    {
        **{word: _integer(tag) for word, tag in _INTEGERS.items()},
        "bool": lambda text: cosem.boolean(_TRUTH[text]),
        "f32": lambda text: cosem.f32(float(text)),
        "f64": lambda text: cosem.f64(float(text)),
        "octets": lambda text: cosem.octet_string(bytes.fromhex(text)),
        "text": cosem.visible_string,
        "utf8": cosem.utf8_string,
        "bits": cosem.bit_string,
        "obis": lambda text: cosem.logical_name(Obis.parse(text)),
        "at": lambda text: cosem.date_time_octets(CosemDateTime.of(dt.datetime.fromisoformat(text))),
        "date-time": lambda text: cosem.date_time(CosemDateTime.of(dt.datetime.fromisoformat(text))),
        "date": lambda text: cosem.date(CosemDate.of(dt.date.fromisoformat(text))),
        "time": lambda text: cosem.time(CosemTime.of(dt.time.fromisoformat(text))),
    }
)


def read(text: str) -> Data:
    """Read a value as people write it. Raises UsageError ``value-invalid``."""
    value, end = _read(text, 0, 0)
    if end != len(text):
        raise _fault(text, f"{text[end:]!r} follows the value")
    return value


def write(data: Data) -> str:
    """Return a value as people write it."""
    value = data.value
    if isinstance(value, CompactArray):
        return "compact[" + ",".join(map(write, value.items)) + "]"
    if isinstance(value, tuple):
        inside = ",".join(map(write, value))
        return "{" + inside + "}" if data.tag is Tag.STRUCTURE else "[" + inside + "]"
    if data.tag is Tag.NULL_DATA:
        return "null"
    return _scalar(data)


def to_json(data: Data) -> dict[str, Any]:
    """Return a value for JSON: its type by the standard's name, and the value; octets in hex, dates as text."""
    value = data.value
    out: Any = value
    if isinstance(value, CompactArray | tuple):
        out = [to_json(item) for item in data.as_items()]
    elif isinstance(value, bytes):
        out = value.hex()
    elif isinstance(value, CosemDateTime | CosemDate | CosemTime):
        out = _dated(value)
    return {"type": data.tag.label, "value": out}


def _scalar(data: Data) -> str:
    value = data.value
    if isinstance(value, bool):
        return f"bool:{'true' if value else 'false'}"
    if isinstance(value, bytes):
        is_name = len(value) == _NAME_LENGTH and value[-1] == _ANY
        return f"obis:{Obis.from_bytes(value)}" if is_name else f"octets:{value.hex()}"
    if isinstance(value, CosemDateTime | CosemDate | CosemTime):
        return f"{data.tag.label}:{_dated(value)}"
    if data.tag is Tag.BIT_STRING:
        return f"bits:{value}"
    if isinstance(value, str):
        word = "utf8" if data.tag is Tag.UTF8_STRING else "text"
        return f"{word}:{value if _PLAIN.match(value) else json.dumps(value)}"
    if isinstance(value, float):
        return f"{'f32' if data.tag is Tag.FLOAT32 else 'f64'}:{value!r}"
    return f"{_WORDS.get(data.tag, data.tag.label)}:{value}"


def _dated(value: CosemDateTime | CosemDate | CosemTime) -> str:
    """Return a date or time in ISO 8601 where it is a whole one, else with stars for what is open."""
    if isinstance(value, CosemDateTime):
        moment = value.as_datetime()
        return str(value) if moment is None else moment.isoformat()
    if isinstance(value, CosemDate):
        date = value.as_date()
        open_date = CosemDateTime(value.year, value.month, value.day)
        return str(open_date).split(" ")[0] if date is None else date.isoformat()
    time = value.as_time()
    open_time = CosemDateTime(hour=value.hour, minute=value.minute, second=value.second)
    return str(open_time).split(" ")[1] if time is None else time.isoformat()


def _read(text: str, at: int, depth: int) -> tuple[Data, int]:
    if depth > _MOST_NESTED:
        raise _fault(text, "it is nested too deeply")
    if text[at : at + 1] in _BRACKETS:
        return _read_items(text, at, depth)
    match = _WORD.match(text, at)
    if match is None:
        raise _fault(text, "a type is missing")
    word, end = match.group(), match.end()
    if word == "null":
        return cosem.NULL, end
    reader = _READERS.get(word)
    if reader is None or text[end : end + 1] != ":":
        raise _fault(text, f"{text[at:]!r} does not begin with a type and a colon")
    content, end = _read_content(text, end + 1)
    try:
        return reader(content), end
    except (ValueError, KeyError, UsageError):
        raise _fault(text, f"{content!r} is not a value of {word}") from None


def _read_content(text: str, at: int) -> tuple[str, int]:
    quoted = _QUOTED.match(text, at)
    if quoted is not None:
        try:
            return str(json.loads(quoted.group())), quoted.end()
        except ValueError:
            raise _fault(text, f"{quoted.group()} is not a text as JSON writes it") from None
    ends = [end for mark in ",]}" if (end := text.find(mark, at)) >= 0]
    end = min(ends, default=len(text))
    return text[at:end], end


def _read_items(text: str, at: int, depth: int) -> tuple[Data, int]:
    opening = text[at]
    closing = _BRACKETS[opening]
    items: list[Data] = []
    at += 1
    while text[at : at + 1] != closing:
        item, at = _read(text, at, depth + 1)
        items.append(item)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != closing:
            raise _fault(text, f"{closing!r} is missing")
    return (cosem.array(items) if opening == "[" else cosem.structure(*items)), at + 1


def _fault(text: str, what: str) -> UsageError:
    return UsageError(
        f"{text!r} is not a COSEM value: {what}",
        code="value-invalid",
        hint="write TYPE:VALUE, for example u16:5, text:abc, octets:00ff, [u8:1,u8:2] or {u8:1,null}",
    )
