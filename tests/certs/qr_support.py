"""Pictures of codes, and what is made of them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from certs.errors import ImageError
from certs.qr import Reader, read_one, select_one

TOKEN = "MLT1:" + "TOKEN" * 40
LEAF = "MLC1:" + "LEAF" * 150


def png(picture: Image.Image, format_: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, format_)
    return file.getvalue()


def refusal(data: bytes | Path) -> str:
    with pytest.raises(ImageError) as error:
        read_one(data)
    assert error.value.hint
    assert error.value.exit_code == 4
    return error.value.code


def outcome(reader: Reader, data: bytes) -> str:
    """The text read, or the code of the refusal."""
    try:
        return select_one(reader.scan(data))
    except ImageError as error:
        return error.code


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_declared_size(width: int, height: int, rows: int) -> bytes:
    """A PNG whose header says ``width`` x ``height``, with so many rows of data, all white."""
    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * width
    data = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
