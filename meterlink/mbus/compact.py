"""Compact telegrams, CI 79 and 7B: the data fields alone, without their headers (EN 13757-3, annex D).

A compact telegram names the headers it leaves out by their signature. It can be read by whoever has seen a full
telegram of the same meter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from meterlink.errors import DataError
from meterlink.mbus.header import VARIABLE_LENGTH
from meterlink.mbus.reading import LENGTHS, lvar_length
from meterlink.mbus.record import Record

_POLYNOMIAL: Final = 0x3D65
_MAX_FORMATS: Final = 256
_HEAD: Final = 4


def crc_en13757(data: bytes) -> int:
    """Return the CRC-16 of EN 13757 (polynomial 3D65, complement of the remainder)."""
    crc = 0
    for octet in data:
        crc ^= octet << 8
        for _ in range(8):
            crc = (crc << 1 ^ _POLYNOMIAL if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc ^ 0xFFFF


class FormatStore:
    """The formats of full telegrams seen so far, by signature; at most 256."""

    def __init__(self) -> None:
        self._formats: dict[int, tuple[bytes, ...]] = {}

    def learn(self, records: Sequence[Record]) -> None:
        """Remember the headers of a full telegram."""
        headers = tuple(record.header.raw for record in records)
        if headers and len(self._formats) < _MAX_FORMATS:
            self._formats[crc_en13757(b"".join(headers))] = headers

    def expand(self, data: bytes) -> bytes:
        """Return the records of the full telegram that a compact one stands for.

        Raises DataError: ``mbus-header`` when it is cut off, ``compact-format`` when its format is not known or the
        check over the full telegram does not hold.
        """
        if len(data) < _HEAD:
            raise DataError("a compact telegram begins with two check sums", code="mbus-header")
        signature, check = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
        headers = self._formats.get(signature)
        if headers is None:
            raise DataError(
                f"a compact telegram of format {signature:04X}, whose full telegram is not in this capture",
                code="compact-format",
                hint="record until a full telegram (CI 72, 78 or 7A) is among them",
            )
        full = _join(headers, data[_HEAD:])
        if crc_en13757(full) != check:
            raise DataError("the check sum of the full telegram does not hold", code="compact-format")
        return full


def _join(headers: Sequence[bytes], data: bytes) -> bytes:
    parts = []
    position = 0
    for raw in headers:
        length = LENGTHS[raw[0] & 0x0F]
        if raw[0] & 0x0F == VARIABLE_LENGTH:
            length = max(lvar_length(data[position]), 0) + 1 if position < len(data) else 1
        parts += [raw, data[position : position + length]]
        position += length
    return b"".join(parts) + data[position:]
