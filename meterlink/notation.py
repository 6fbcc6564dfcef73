"""COSEM values as text that people write and read, and as JSON.

Written as ``TYPE:VALUE``, without blanks:

=====================  ==================================================================
``null``               null-data; ``dont-care`` for the type of this name
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

A text with ``,`` ``]`` ``}`` or blanks at its ends stands in double quotes, as in JSON, and so does one that holds
anything but visible characters: what a meter sends must not steer a terminal. What :func:`write` writes, :func:`read`
reads, unless it holds a part of a date that is left open, or a compact array: those are only shown.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

from meterlink.cosem import data as cosem
from meterlink.cosem.data import INTEGER_BITS, Data, Tag
from meterlink.cosem.dates import CosemDate, CosemDateTime, CosemTime
from meterlink.errors import UsageError
from meterlink.values import Obis

_MOST_NESTED: Final = 32
_NAME_LENGTH, _ANY = 6, 255
"""Octet-strings of so many octets that end in this one are shown as logical names: they nearly always are."""

_PIECE: Final = 4096
"""Characters of a text, or octets, that are written at a time."""

_CUT: Final = "..."

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
_NO_VALUE: Final = {Tag.NULL_DATA: "null", Tag.DONT_CARE: "dont-care"}
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
    return "".join(pieces(data))


def shortened(data: Data, longest: int) -> str:
    """Return a value as people write it, cut where it is longer than ``longest`` characters."""
    text = io.StringIO()
    for piece in pieces(data):
        text.write(piece)
        if text.tell() > longest:
            return text.getvalue()[: longest - len(_CUT)] + _CUT
    return text.getvalue()


def pieces(data: Data) -> Iterator[str]:
    """Yield what :func:`write` returns in small pieces: the whole may take many times the room of the value."""
    if not data.is_container:
        yield from _scalar(data)
        return
    compact = data.tag is Tag.COMPACT_ARRAY
    before, after = ("{", "}") if data.tag is Tag.STRUCTURE else ("compact[" if compact else "[", "]")
    for item in data.as_items():
        yield before
        yield from pieces(item)
        before = ","
    yield after if before == "," else before + after


def to_json(data: Data) -> dict[str, Any]:
    """Return a value for JSON: its type by the standard's name, and the value; octets in hex, dates as text, and a
    float that is no number, which JSON does not have, as the text ``NaN``, ``Infinity`` or ``-Infinity``."""
    value = data.value
    out: Any = value
    if data.is_container:
        out = [to_json(item) for item in data.as_items()]
    elif isinstance(value, bytes):
        out = value.hex()
    elif isinstance(value, float):
        out = _json_float(value)
    elif isinstance(value, CosemDateTime | CosemDate | CosemTime):
        out = _dated(value)
    return {"type": data.tag.label, "value": out}


def json_pieces(data: Data) -> Iterator[str]:
    """Yield the JSON text of what :func:`to_json` returns in small pieces, without line breaks."""
    value = data.value
    yield f'{{"type": "{data.tag.label}", "value": '
    if data.is_container:
        before = "["
        for item in data.as_items():
            yield before
            yield from json_pieces(item)
            before = ", "
        yield "]" if before == ", " else "[]"
    elif isinstance(value, bytes):
        yield from chain('"', _hex(value), '"')
    elif isinstance(value, str):
        yield from _quoted(value)
    else:
        yield json.dumps(to_json(data)["value"])
    yield "}"


def _json_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _scalar(data: Data) -> Iterator[str]:
    value = data.value
    if isinstance(value, bytes):
        yield from _octets(value)
    elif isinstance(value, str):
        yield from _text(data.tag, value)
    elif isinstance(value, CosemDateTime | CosemDate | CosemTime):
        yield f"{data.tag.label}:{_dated(value)}"
    elif isinstance(value, bool):
        yield f"bool:{'true' if value else 'false'}"
    elif isinstance(value, float):
        yield f"{'f32' if data.tag is Tag.FLOAT32 else 'f64'}:{value!r}"
    elif value is None:
        yield _NO_VALUE[data.tag]
    else:
        yield f"{_WORDS.get(data.tag, data.tag.label)}:{value}"


def _octets(value: bytes) -> Iterator[str]:
    if len(value) == _NAME_LENGTH and value[-1] == _ANY:
        yield f"obis:{Obis.from_bytes(value)}"
        return
    yield "octets:"
    yield from _hex(value)


def _text(tag: Tag, value: str) -> Iterator[str]:
    yield "bits:" if tag is Tag.BIT_STRING else "utf8:" if tag is Tag.UTF8_STRING else "text:"
    if tag is Tag.BIT_STRING or (_PLAIN.match(value) and value.isprintable()):
        yield from _slices(value)
    else:
        yield from _quoted(value)


def _quoted(text: str) -> Iterator[str]:
    """Yield a text as JSON writes it; one with anything but visible characters in ASCII alone."""
    ascii_alone = not text.isprintable()
    yield '"'
    for part in _slices(text):
        yield json.dumps(part, ensure_ascii=ascii_alone)[1:-1]
    yield '"'


def _slices(text: str) -> Iterator[str]:
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def _hex(octets: bytes) -> Iterator[str]:
    return (octets[start : start + _PIECE].hex() for start in range(0, len(octets), _PIECE))


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
    if word in _NO_VALUE.values():
        return (cosem.NULL if word == _NO_VALUE[Tag.NULL_DATA] else cosem.DONT_CARE), end
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
