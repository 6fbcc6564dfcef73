"""What of a trace may be shared: an allow-list of attributes and of types of values. Everything else is masked.

Harmless is what a meter measured, when, and how it is set up; who it is, whose it is, where it is reached and what
opens it is not. What is not listed here counts as the latter.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from meterlink.cosem.data import INTEGER_BITS, CompactArray, Data, Tag
from meterlink.cosem.dates import (
    DAY_LAST,
    DAY_SECOND_LAST,
    MONTH_DST_BEGIN,
    MONTH_DST_END,
    CosemDate,
    CosemDateTime,
    CosemTime,
)
from meterlink.cosem.names import Attribute, Method
from meterlink.values import Obis

MASK: Final = 0x58
"""X: what stands for every octet that must go."""


class Keep(enum.Flag):
    """Which values of an attribute stay. Null-data and booleans always do."""

    NOTHING = 0
    SMALL = enum.auto()
    """Numbers of up to 16 bits, where they are no text in disguise: settings, classes, units."""
    NUMBERS = enum.auto()
    """All numbers and bit-strings."""
    STAMPS = enum.auto()
    """Dates and times, as they are or as an octet-string of twelve."""
    NAMES = enum.auto()
    """Logical names, and those of contexts and mechanisms: octet-strings of six and seven."""
    TEXT = enum.auto()
    """Texts and octet-strings."""


_MEASURED: Final = Keep.NUMBERS | Keep.STAMPS
_LISTS: Final = Keep.SMALL | Keep.NAMES

_ATTRIBUTES: Final[dict[int, dict[int, Keep]]] = {
    3: {3: Keep.SMALL},
    4: {3: Keep.SMALL, 5: Keep.STAMPS},
    5: {4: Keep.SMALL, 6: Keep.STAMPS, 7: Keep.STAMPS, 8: Keep.NUMBERS, 9: Keep.SMALL},
    7: {3: _LISTS, 4: Keep.NUMBERS, 5: Keep.SMALL, 6: _LISTS, 7: Keep.NUMBERS, 8: Keep.NUMBERS},
    8: dict.fromkeys(range(2, 10), _MEASURED),
    9: {2: _LISTS},
    15: {2: _LISTS, 3: Keep.SMALL, 4: _LISTS, 5: Keep.NUMBERS, 6: _LISTS, 8: Keep.SMALL, 9: Keep.NAMES},
    17: {2: Keep.SMALL},
    18: dict.fromkeys(range(2, 8), Keep.NUMBERS),
    19: dict.fromkeys(range(2, 6), Keep.SMALL),
    23: dict.fromkeys(range(2, 9), Keep.SMALL),
    40: {2: _LISTS, 4: Keep.STAMPS, 5: Keep.SMALL, 6: Keep.SMALL, 7: Keep.SMALL},
    64: {2: Keep.SMALL, 3: Keep.SMALL},
    70: dict.fromkeys(range(2, 5), Keep.SMALL),
    72: {4: Keep.NUMBERS, **dict.fromkeys((5, 7, 8, 9, 10, 11), Keep.SMALL)},
}
"""Class: attribute: what stays (IEC 62056-6-2, clause 4). Of class 19 the address and the passwords are left out, of 40
the destination, of 64 titles and certificates, of 72 the identification number; 43, 44, 45 and 47 have nothing."""

_METHODS: Final[dict[int, dict[int, Keep]]] = {
    3: {1: Keep.SMALL},
    4: {1: Keep.SMALL},
    5: dict.fromkeys((1, 2), Keep.SMALL),
    7: dict.fromkeys((1, 2), Keep.SMALL),
    8: dict.fromkeys(range(1, 7), _MEASURED),
    9: {1: Keep.SMALL},
    18: dict.fromkeys(range(1, 5), Keep.NUMBERS),
    40: {1: Keep.SMALL},
    64: dict.fromkeys(range(1, 9), Keep.SMALL),
    70: dict.fromkeys((1, 2), Keep.SMALL),
}

_OF_OBJECTS: Final[dict[int, frozenset[int]]] = {
    1: frozenset({2}),
    3: frozenset({2}),
    4: frozenset({2, 4}),
    5: frozenset({2, 3, 5}),
}
"""Class: attributes that hold whatever the logical name says."""

_PROFILE, _BUFFER = 7, 2
_ABSTRACT = 0
_GENERAL, _SECURITY, _DEVICE_NAME, _SERVICE, _ERRORS = 0, 43, 42, 96, 97
_LAST_QUANTITY: Final = 93
"""Value group C up to which a code names something measured; 94 is left to countries, 128 and more to manufacturers."""

_ID_NUMBERS, _DEVICE_IDS, _FIRMWARE, _COUNTERS = 0, 1, 2, 1
_SERVICE_VALUES: Final = frozenset({5, 6, 7, 8, 9, 10, 11, 12, 15})
"""Value group D of 96: states, battery, power failures, operating time, temperature, events, signal, counters. (1 has
the device IDs, 13 texts for the consumer.)"""

_IDENTITIES: Final[dict[int, frozenset[int]]] = {
    15: frozenset({7}),
    17: frozenset({2}),
    19: frozenset({6, 7, 8, 9}),
    43: frozenset({2}),
    44: frozenset({5}),
    45: frozenset({3}),
    64: frozenset({4, 5, 6}),
    72: frozenset({6}),
}
"""Class: attributes whose values are looked for in everything that stays, too."""

_RANGES: Final[dict[str, tuple[int, int, tuple[int, ...]]]] = {
    "year": (1970, 2135, ()),
    "month": (1, 12, (MONTH_DST_BEGIN, MONTH_DST_END)),
    "day": (1, 31, (DAY_LAST, DAY_SECOND_LAST)),
    "weekday": (1, 7, ()),
    "hour": (0, 23, ()),
    "minute": (0, 59, ()),
    "second": (0, 59, ()),
    "hundredths": (0, 99, ()),
    "deviation": (-840, 840, ()),
}
"""Field of a date or time: its range, and what it may be beside. Twelve octets of a text never fit."""

CONTAINERS: Final = frozenset({Tag.ARRAY, Tag.STRUCTURE, Tag.COMPACT_ARRAY})

_OPEN: Final[dict[Tag, CosemDateTime | CosemDate | CosemTime]] = {
    Tag.DATE_TIME: CosemDateTime(),
    Tag.DATE: CosemDate(),
    Tag.TIME: CosemTime(),
}
"""What stands for a date or time: one with everything left open."""

_LAST_MEDIUM: Final = 15
_COSEM: Final = bytes.fromhex("6085740508")
"""2.16.756.5.8 in front of an application context or an authentication mechanism."""

_SHORT: Final = 2
_DISGUISED: Final = 4
"""An array of so many numbers may be a text or a number, one digit or octet each."""


def keep_of(name: Attribute | Method) -> Keep:
    """Return what stays of an attribute's value, or of what a method takes and gives."""
    if isinstance(name, Method):
        return _METHODS.get(name.class_id, {}).get(name.index, Keep.NOTHING)
    if name.index == 1:
        return Keep.NAMES
    if name.index in _OF_OBJECTS.get(name.class_id, ()):
        return _keep_of_object(name.instance)
    return _ATTRIBUTES.get(name.class_id, {}).get(name.index, Keep.NOTHING)


def is_buffer(name: Attribute | Method) -> bool:
    """Return whether this is the buffer of a profile, each column of which is judged for itself."""
    return isinstance(name, Attribute) and (name.class_id, name.index) == (_PROFILE, _BUFFER)


def is_identity(name: Attribute | Method) -> bool:
    """Return whether the value names or opens the meter, wherever else it may stand."""
    if isinstance(name, Method):
        return False
    if name.index in _OF_OBJECTS.get(name.class_id, ()):
        code = name.instance
        is_device_id = code.c == _SERVICE and code.d == _DEVICE_IDS
        return is_device_id or code.c == _DEVICE_NAME or (code.c, code.d) == (_GENERAL, _ID_NUMBERS)
    return name.index in _IDENTITIES.get(name.class_id, ())


def _keep_of_object(code: Obis) -> Keep:
    """Judge by the value groups (IEC 62056-6-1)."""
    if code.c == _GENERAL:
        if code.d == _ID_NUMBERS:
            return Keep.NOTHING
        return _MEASURED | Keep.TEXT if code.d == _FIRMWARE else _MEASURED
    if code.c == _SERVICE:
        return _MEASURED if code.d in _SERVICE_VALUES else Keep.NOTHING
    if code.c == _ERRORS:
        return _MEASURED if code.d == _ERRORS else Keep.NOTHING
    if code.a == _ABSTRACT:
        return _MEASURED if (code.c, code.d) == (_SECURITY, _COUNTERS) else Keep.NOTHING
    return _MEASURED if code.c <= _LAST_QUANTITY else Keep.NOTHING


class Masker:
    """Masks values. ``titles`` are system titles and what stands for them; ``texts`` and ``numbers`` are masked
    wherever they stand, also where such a value would stay."""

    def __init__(self, texts: Collection[bytes] = (), numbers: Collection[int] = ()) -> None:
        self._texts = tuple(texts)
        self._numbers = frozenset(numbers)
        self._titles: dict[bytes, bytes] = {}

    def title(self, title: bytes) -> bytes:
        """Return what stands for a system title: the same for the same, so that parties stay apart."""
        name = f"TITLE{len(self._titles) + 1:03d}".encode()
        return self._titles.setdefault(title, name[: len(title)].ljust(len(title), b"0")) if title else b""

    def mask(self, data: Data, keep: Keep) -> Data:
        """Return ``data`` with X for everything that does not stay; it takes the same number of octets."""
        if data.tag not in CONTAINERS:
            return data if self._stays(data, keep) else self._masked(data)
        items = tuple(data.as_items())
        inside = keep if data.tag is Tag.STRUCTURE else self._inside(items, keep)
        return with_items(data, (self.mask(item, inside) for item in items))

    @staticmethod
    def _inside(items: tuple[Data, ...], keep: Keep) -> Keep:
        is_row = len(items) >= _DISGUISED and all(item.tag in INTEGER_BITS for item in items)
        return keep & ~Keep.SMALL if is_row else keep

    def _stays(self, data: Data, keep: Keep) -> bool:
        tag, value = data
        if value is None or isinstance(value, bool):
            return True
        if isinstance(value, int):
            is_short = INTEGER_BITS[tag][0] <= 8 * _SHORT and Keep.SMALL in keep
            return (Keep.NUMBERS in keep or is_short) and value not in self._numbers
        if isinstance(value, float) or tag is Tag.BIT_STRING:
            return Keep.NUMBERS in keep
        if isinstance(value, CosemDateTime | CosemDate | CosemTime):
            return Keep.STAMPS in keep and _is_real(value)
        if isinstance(value, bytes) and Keep.STAMPS in keep and len(value) == 12:
            return _is_real(CosemDateTime.from_bytes(value))
        if isinstance(value, bytes) and Keep.NAMES in keep and len(value) in (6, 7):
            return _is_name(value)
        if Keep.TEXT not in keep:
            return False
        return not any(text in octets for octets in octets_of(data) for text in self._texts)

    def _masked(self, data: Data) -> Data:
        tag, value = data
        if isinstance(value, bytes):
            return Data(tag, self._titles.get(value, bytes((MASK,)) * len(value)))
        if tag is Tag.BIT_STRING and isinstance(value, str):
            return Data(tag, (f"{MASK:08b}" * (len(value) // 8 + 1))[: len(value)])
        if isinstance(value, str):
            length = len(value.encode()) if tag is Tag.UTF8_STRING else len(value)
            return Data(tag, chr(MASK) * length)
        if isinstance(value, int):
            return Data(tag, int.from_bytes(bytes((MASK,)) * (INTEGER_BITS[tag][0] // 8), "big"))
        if isinstance(value, float):
            form, size = (">f", 4) if tag is Tag.FLOAT32 else (">d", 8)
            return Data(tag, struct.unpack(form, bytes((MASK,)) * size)[0])
        return Data(tag, _OPEN[tag])


def with_items(data: Data, items: Iterable[Data]) -> Data:
    """Return an array, structure or compact array with ``items`` in place of its own."""
    found = tuple(items)
    value = data.value
    return Data(data.tag, CompactArray(value.description, found) if isinstance(value, CompactArray) else found)


def octets_of(data: Data) -> Iterator[bytes]:
    """Yield the octets of every text and octet-string in ``data``."""
    value = data.value
    if data.tag in CONTAINERS:
        for item in data.as_items():
            yield from octets_of(item)
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, str) and data.tag is not Tag.BIT_STRING:
        yield value.encode()


def numbers_of(data: Data) -> Iterator[int]:
    """Yield every number in ``data``, also one that is written as text."""
    if data.tag in CONTAINERS:
        for item in data.as_items():
            yield from numbers_of(item)
    elif data.tag in INTEGER_BITS:
        yield data.as_int()
    else:
        yield from (int(octets) for octets in octets_of(data) if octets.isdigit() and len(octets) < 20)


def _is_name(octets: bytes) -> bool:
    """Return whether octets can be a name: of an object, with a medium that there is, or one that COSEM gives itself.
    No text can."""
    return octets[0] <= _LAST_MEDIUM if len(octets) == 6 else octets.startswith(_COSEM)


def _is_real(value: CosemDateTime | CosemDate | CosemTime) -> bool:
    """Return whether this can be a date and time: what is not left open is in its range."""
    for name, (low, high, special) in _RANGES.items():
        part = getattr(value, name, None)
        if part is not None and not low <= part <= high and part not in special:
            return False
    return True
