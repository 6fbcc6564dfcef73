"""Data records: header and data, one after the other until the telegram ends (EN 13757-3, 6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from meterlink.mbus.header import HEADER, VARIABLE_LENGTH, RecordHeader, read_header
from meterlink.mbus.reading import lvar_length, unread_type
from meterlink.mbus.types import bcd_digits
from meterlink.mbus.vif import PLAIN_TEXT
from meterlink.values import Value

IDLE_FILLER: Final = 0x2F
MANUFACTURER_DATA: Final = 0x0F
MORE_RECORDS_FOLLOW: Final = 0x1F

_CACHE_LIMIT: Final = 4096
"""Headers kept. All meters of a large site have some hundreds; noise must not fill the memory."""

_cache: dict[bytes, RecordHeader] = {}
_EMPTY_DATA = b""


class Record(NamedTuple):
    """One record: its header, the octets of its data field and their value.

    ``value`` None with octets in ``data`` is a value that the meter marks as invalid, or that cannot be read.
    """

    header: RecordHeader
    data: bytes
    value: Value

    @property
    def note(self) -> str:
        """What is wrong with the value, or why it is kept as octets; empty for a sound one."""
        header = self.header
        if header.error:
            return f"the meter says: {header.error}"
        if letter := unread_type(header.field, header.kind, self.data):
            return f"data type {letter}, kept as octets: {self.data.hex(' ').upper()}"
        if self.value is not None or not self.data:
            return ""
        if header.field in (0x9, 0xA, 0xB, 0xC, 0xE):
            return f"the digits {bcd_digits(self.data)} are no number"
        if not any(self.data):
            return ""
        return "invalid"


@dataclass(frozen=True, slots=True)
class Records:
    """All records of one telegram.

    ``manufacturer_data`` is what follows DIF 0F or 1F, ``more_follow`` says that the meter has further telegrams.
    ``problem`` is why reading stopped before the end, with the octets that were left in ``rest``.
    """

    records: tuple[Record, ...]
    manufacturer_data: bytes = b""
    more_follow: bool = False
    problem: str = ""
    rest: bytes = b""


def read_records(data: bytes) -> Records:
    """Read the records of a telegram. Never raises: what cannot be read is handed on in ``rest`` with the reason."""
    found: list[Record] = []
    add = found.append
    match, cache, new = HEADER.match, _cache, tuple.__new__
    position, end = 0, len(data)
    while position < end:
        if data[position] & 0x0F == MANUFACTURER_DATA:
            if data[position] == IDLE_FILLER:
                position += 1
                continue
            return _last(data, position, found)
        matched = match(data, position)
        if matched is None:
            return Records(tuple(found), problem=_why_no_header(data, position), rest=data[position:])
        raw = matched.group()
        header = cache.get(raw)
        start = position + len(raw)
        if header is None:
            header, start, problem = _meet(data, position, raw)
            if header is None:
                return Records(tuple(found), problem=problem, rest=data[position:])
        length = header.length
        if length < 0:
            length = _variable_length(data, start)
            if length < 0:
                return Records(tuple(found), problem="reserved length of a variable field", rest=data[position:])
        stop = start + length
        if stop > end:
            return Records(tuple(found), problem="the telegram ends inside of a record", rest=data[position:])
        octets = data[start:stop]
        add(new(Record, (header, octets, header.read(octets))))
        position = stop
    return Records(tuple(found))


def _last(data: bytes, position: int, found: list[Record]) -> Records:
    """Handle a DIF that ends the records: manufacturer data, or one that is reserved."""
    dif = data[position]
    if dif in (MANUFACTURER_DATA, MORE_RECORDS_FOLLOW):
        return Records(tuple(found), data[position + 1 :], dif == MORE_RECORDS_FOLLOW)
    return Records(tuple(found), problem=f"reserved DIF {dif:02X}", rest=data[position:])


def _variable_length(data: bytes, start: int) -> int:
    """Return the octets of a variable field, its first one included; -1 for a reserved value."""
    if start >= len(data):
        return 1
    length = lvar_length(data[start])
    return length + 1 if length >= 0 else -1


def _meet(data: bytes, position: int, raw: bytes) -> tuple[RecordHeader | None, int, str]:
    """Meet a header for the first time: take it apart and, unless it has plain text, remember it."""
    dib_end = next(index for index, octet in enumerate(raw) if not octet & 0x80) + 1
    if raw[dib_end] & 0x7F == PLAIN_TEXT:
        return _meet_plain_text(data, position, raw, dib_end)
    header = read_header(raw)
    if len(_cache) >= _CACHE_LIMIT:
        _cache.clear()
    _cache[raw] = header
    return header, position + len(raw), ""


def _meet_plain_text(data: bytes, position: int, raw: bytes, vif_at: int) -> tuple[RecordHeader | None, int, str]:
    """Cut the text of a plain-text VIF out of the header.

    The standard puts it behind the last VIFE (annex C.2); meters are in the field that put it behind the VIF itself.
    The order is taken that gives readable text.
    """
    after_vib = position + len(raw)
    text_end = _text_end(data, after_vib)
    if text_end:
        text = data[after_vib + 1 : text_end][::-1].decode("latin-1")
        return read_header(raw, text), text_end, ""
    after_vif = position + vif_at + 1
    text_end = _text_end(data, after_vif)
    if text_end and raw[vif_at] & 0x80:
        text = data[after_vif + 1 : text_end][::-1].decode("latin-1")
        extension_end = text_end
        while extension_end < len(data) and data[extension_end] & 0x80:
            extension_end += 1
        if extension_end < len(data):
            header = raw[: vif_at + 1] + data[text_end : extension_end + 1]
            return read_header(header, text), extension_end + 1, ""
    return None, position, "a plain-text unit is cut off or not readable"


def _text_end(data: bytes, at: int) -> int:
    """Return where the text with its length at ``at`` ends; 0 if it is cut off, empty or not printable."""
    if at >= len(data):
        return 0
    stop = at + 1 + data[at]
    text = data[at + 1 : stop]
    printable = all(0x20 <= octet < 0x7F or octet >= 0xA0 for octet in text)
    return stop if text and stop <= len(data) and printable else 0


def _why_no_header(data: bytes, position: int) -> str:
    """Say why no record header begins at ``position``."""
    extensions = 0
    for octet in data[position:]:
        extensions = extensions + 1 if octet & 0x80 else 0
        if extensions > 10:
            return "more than ten extensions of a DIF or VIF"
    return "the telegram ends inside of a record header"


__all__ = ["VARIABLE_LENGTH", "Record", "Records", "read_records"]
