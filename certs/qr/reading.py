"""Read the codes in a picture, in a child process that may crash, hang or run out of memory alone.

Every failure is an :class:`~certs.errors.ImageError`:

================== ====================================================================
image-unreadable   no picture, an unknown kind of picture, or a damaged one
image-too-large    more than 40 megapixels, 32 MiB, or the child's memory
no-qr              no code was found
not-ours           only codes of another kind or origin were found
several-codes      two or more different codes of ours were found where one is wanted
reader-failed      the child died or did not answer in time
================== ====================================================================
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from certs.errors import ImageError

MAX_FILE: Final = 32 * 1024 * 1024
"""Bytes of a picture file."""
TIMEOUT: Final = 10.0
"""Seconds within which the child answers."""
OURS: Final = re.compile(r"ML[A-Z][0-9]{1,2}:")
"""How the text of every code of ours begins: the kind and its version."""

_CHILD: Final = Path(__file__).with_name("child.py")
_LENGTH: Final = struct.Struct(">I")
_MAX_ANSWER: Final = 1024 * 1024

# What the text of a foreign QR code is, by how it begins.
_FOREIGN: Final = (
    ("http://", "a web address"),
    ("https://", "a web address"),
    ("wifi:", "the access data of a wireless network"),
    ("otpauth:", "a one-time password"),
    ("begin:vcard", "a business card"),
    ("mecard:", "a business card"),
    ("mailto:", "a mail address"),
    ("-----begin", "PEM text"),
    ("hc1:", "a health certificate"),
)

_HINTS: Final = {
    "image-unreadable": "send the picture as JPEG or PNG, unchanged, or import the certificate's file instead",
    "image-too-large": "crop the picture to the code, or take it with fewer pixels",
    "no-qr": "let the whole code with its white edge fill the picture, in focus and in even light",
    "not-ours": "scan the code of the token, certificate or domain that the authority sent",
    "several-codes": "crop the picture to one code",
    "reader-failed": "try again; if it fails again, paste the text or import the certificate's file instead",
}


@dataclass(frozen=True, slots=True)
class FoundCode:
    """One code in a picture: its kind (``QR Code``, ``EAN-13``, ...) and its text."""

    format: str
    text: str

    @property
    def is_ours(self) -> bool:
        """Whether the text is a token, certificate or domain by its beginning."""
        return self.format == "QR Code" and OURS.match(self.text) is not None


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """Which readers work on this machine."""

    readers: tuple[str, ...]

    @property
    def has_zbar(self) -> bool:
        """Whether the system's libzbar was found; without it zxing-cpp reads alone."""
        return "pyzbar" in self.readers


class Reader:
    """One child for many pictures, as a context manager. A child that failed is replaced at the next picture."""

    def __init__(self, *, timeout: float = TIMEOUT) -> None:
        self.timeout = timeout
        """Seconds within which the child answers."""
        self._child: subprocess.Popen[bytes] | None = None
        self._info: ReaderInfo | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child, None when none runs."""
        return self._child.pid if self._child is not None else None

    def start(self) -> ReaderInfo:
        """Start the child when none runs; return its readers. Raises :class:`ImageError` ``reader-failed``."""
        if self._child is None or self._info is None:
            command = [sys.executable, "-P", str(_CHILD), OURS.pattern]
            try:
                self._child = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            except OSError as error:
                raise _error("reader-failed", f"the QR reader cannot be started: {error.strerror}") from error
            self._info = ReaderInfo(tuple(self._exchange(b"")["readers"]))
        return self._info

    def scan(self, data: bytes) -> tuple[FoundCode, ...]:
        """Return the different codes in a picture file; none is no error.

        Raises :class:`ImageError` ``image-unreadable``, ``image-too-large`` or ``reader-failed``.
        """
        if len(data) > MAX_FILE:
            raise _error("image-too-large", f"the file has {len(data)} bytes; {MAX_FILE} are read")
        self.start()
        answer = self._exchange(_LENGTH.pack(len(data)) + data)
        if "error" in answer:
            raise _error(answer["error"], answer["message"])
        return tuple(FoundCode(format_, text) for format_, text in answer["codes"])

    def close(self) -> None:
        """End the child. Safe to call twice."""
        if self._child is None:
            return
        child, self._child, self._info = self._child, None, None
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what is left in the buffer finds no reader
                    stream.close()

    def _exchange(self, request: bytes) -> dict[str, Any]:
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        # A thread, because pipes have no timeouts on every system. It ends when the child does.
        worker = threading.Thread(target=_converse, args=(child.stdin, child.stdout, request, answers), daemon=True)
        worker.start()
        why = "ended unexpectedly"
        answer = None
        try:
            answer = answers.get(timeout=self.timeout)
        except queue.Empty:
            why = f"did not answer within {self.timeout:g} seconds"
        finally:  # also when Ctrl-C ends the waiting: a child in the middle of an answer is of no use
            if answer is None:
                self._abandon(worker)
        if answer is None:
            raise _error("reader-failed", f"the QR reader {why}")
        worker.join()
        return answer

    def _abandon(self, worker: threading.Thread) -> None:
        """End the child and then the thread that talks to it."""
        if self._child is not None:
            self._child.kill()
        worker.join()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(source: bytes | Path) -> list[str]:
    """Return the different texts of our codes in a picture, at least one.

    ``source`` is a picture file's bytes or its path. Raises :class:`ImageError` with any code but ``several-codes``.
    """
    with Reader() as reader:
        return select_ours(reader.scan(_load(source)))


def read_one(source: bytes | Path) -> str:
    """Return the text of the one code of ours in a picture. Raises :class:`ImageError`."""
    with Reader() as reader:
        return select_one(reader.scan(_load(source)))


def reader_info() -> ReaderInfo:
    """Start a child and return which readers it has. Raises :class:`ImageError` ``reader-failed``."""
    with Reader() as reader:
        return reader.start()


def select_ours(found: Sequence[FoundCode]) -> list[str]:
    """Return the texts of our codes. Raises :class:`ImageError` ``no-qr`` or ``not-ours``, naming what was found."""
    ours = [code.text for code in found if code.is_ours]
    if ours:
        return ours
    if not found:
        raise _error("no-qr", "no QR code was found in the picture")
    names = ", ".join(dict.fromkeys(_describe(code) for code in found))
    raise _error("not-ours", f"the picture shows no code of this program, but {names}")


def select_one(found: Sequence[FoundCode]) -> str:
    """Return the text of the only code of ours. Raises as :func:`select_ours` does, and ``several-codes``."""
    ours = select_ours(found)
    if len(ours) > 1:
        raise _error("several-codes", f"the picture shows {len(ours)} different codes")
    return ours[0]


def _load(source: bytes | Path) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        if not source.is_file():  # a pipe or a device would not end
            raise _error("image-unreadable", f"{source} is not a file")
        with source.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise _error("image-unreadable", f"{source}: {error.strerror or type(error).__name__}") from error


def _converse(
    to_child: IO[bytes], from_child: IO[bytes], request: bytes, answers: queue.SimpleQueue[dict[str, Any] | None]
) -> None:
    try:
        to_child.write(request)
        to_child.flush()
        head = from_child.read(_LENGTH.size)
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        body = from_child.read(length) if 0 < length <= _MAX_ANSWER else b""
        answers.put(json.loads(body) if body and len(body) == length else None)
    except (OSError, ValueError):  # the child is gone, or what it says is no answer
        answers.put(None)


def _describe(code: FoundCode) -> str:
    if code.format != "QR Code":
        return f"a code of the kind {code.format}"
    start = code.text.lower()
    for beginning, name in _FOREIGN:
        if start.startswith(beginning):
            return f"a QR code with {name}"
    return "a QR code of another origin"


def _error(code: str, message: str) -> ImageError:
    return ImageError(code, message, _HINTS[code])
