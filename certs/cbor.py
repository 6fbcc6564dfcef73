"""A strict reader for the small part of CBOR (RFC 8949) that our codes use.

A general decoder turns tags into dates, decimals, regular expressions and bignums, which a stranger's code could use
to burn memory or to raise anything. Here there are integers, byte and text strings, arrays and maps of definite
length, at most a few levels deep, and nothing after the end.
"""

from __future__ import annotations

from typing import Any, Final

MAX_DEPTH: Final = 4
_LENGTH_BYTES: Final = {24: 1, 25: 2, 26: 4, 27: 8}


class CborError(ValueError):
    """The bytes are not CBOR, or use a part of it that our codes do not use."""


def read(data: bytes) -> Any:
    """Return the one item that ``data`` holds. Raises :class:`CborError`."""
    item, end = _item(data, 0, MAX_DEPTH)
    if end != len(data):
        raise CborError(f"{len(data) - end} bytes after the end")
    return item


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if at >= len(data):
        raise CborError("ends too early")
    major, short = data[at] >> 5, data[at] & 0x1F
    number, at = _number(data, at + 1, short)
    match major:
        case 0:
            return number, at
        case 1:
            return -1 - number, at
        case 2 | 3:
            return _string(data, at, number, text=major == 3)
        case 4 | 5:
            return _container(data, at, number, depth, is_map=major == 5)
        case _:
            raise CborError(f"major type {major} is not used here")


def _number(data: bytes, at: int, short: int) -> tuple[int, int]:
    if short < 24:
        return short, at
    size = _LENGTH_BYTES.get(short)
    if size is None:
        raise CborError("indefinite or reserved length")
    if at + size > len(data):
        raise CborError("ends too early")
    return int.from_bytes(data[at : at + size]), at + size


def _string(data: bytes, at: int, length: int, *, text: bool) -> tuple[str | bytes, int]:
    end = at + length
    if end > len(data):
        raise CborError("ends too early")
    raw = data[at:end]
    if not text:
        return raw, end
    try:
        return raw.decode(), end
    except UnicodeDecodeError:
        raise CborError("text is not UTF-8") from None


def _container(data: bytes, at: int, count: int, depth: int, *, is_map: bool) -> tuple[Any, int]:
    if depth == 0:
        raise CborError("nested too deeply")
    items: list[Any] = []
    # Every item takes at least one byte, so a huge count runs into the end of the data, not into memory.
    for _ in range(count * 2 if is_map else count):
        item, at = _item(data, at, depth - 1)
        items.append(item)
    if not is_map:
        return items, at
    keys = items[::2]
    if not all(isinstance(key, int | str) for key in keys) or len(set(keys)) != len(keys):
        raise CborError("map keys must be different integers or texts")
    return dict(zip(keys, items[1::2], strict=True)), at
