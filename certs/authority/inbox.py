"""A folder of requests as they were mailed: ``.csr`` files, and ``.eml`` mails with requests in them."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from certs import files
from certs.authority.records import Review
from certs.authority.service import Authority
from certs.errors import CertsError, RequestError, StoreError
from certs.request import MAX_REQUEST

MAX_MAIL: Final = 16 * 1024 * 1024
"""Bytes of a mail that is read."""
MAX_FILES: Final = 10_000

_PEM: Final = re.compile(
    r"-----BEGIN (?P<kind>(?:NEW )?CERTIFICATE REQUEST)-----[A-Za-z0-9+/=\s]{1,65536}?-----END (?P=kind)-----"
)
_REQUEST_TYPES: Final = frozenset({"application/pkcs10", "application/x-pkcs10"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request in the inbox and its verdict: either ``review`` (it may be issued) or ``error`` (why not).

    ``data`` is the request's bytes, empty when the file holds none.
    """

    path: Path
    data: bytes
    review: Review | None
    error: CertsError | None

    def as_json(self) -> dict[str, Any]:
        """Return the arrival as ``authority inbox --json`` prints it."""
        body: dict[str, Any] = {"file": self.path.name}
        if self.review is not None:
            return body | {"verdict": "ok"} | self.review.as_json()
        assert self.error is not None
        return body | {"verdict": self.error.code, "message": self.error.message}


def look(authority: Authority, folder: Path, now: dt.datetime) -> tuple[Arrival, ...]:
    """Return every request in the folder with its verdict, in the order of the file names. Nothing is changed.

    Raises :class:`StoreError` ``file`` when the folder cannot be read.
    """
    return tuple(_judge(authority, path, request, now) for path in _files(folder) for request in _requests(path))


def read_requests(path: Path) -> tuple[bytes, ...]:
    """Return the requests in a ``.csr`` file, or in a mail.

    Raises :class:`StoreError` ``file`` or ``file-too-large``; :class:`RequestError` ``csr-format`` when a mail has
    none.
    """
    if path.suffix.lower() != ".eml":
        return (files.read(path, MAX_REQUEST),)
    data = files.read(path, MAX_MAIL)
    try:
        message = email.message_from_bytes(data, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        found = tuple(dict.fromkeys(_in_mail(message)))
    except Exception as error:
        # On damaged headers the standard library's parser raises what comes up: IndexError, LookupError, ValueError...
        raise RequestError("csr-format", f"the mail {path.name} is damaged", "Ask for the .csr file.") from error
    if not found:
        raise RequestError("csr-format", f"the mail {path.name} holds no request", "Ask for the .csr file.")
    return found


def _files(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in (".csr", ".eml") and path.is_file()]
    except OSError as error:
        raise StoreError("file", f"{folder}: {error.strerror}", "Give the folder of the mailed requests.") from error
    if len(found) > MAX_FILES:
        raise StoreError("file-too-large", f"{folder} holds more than {MAX_FILES} requests", "Split the folder.")
    return sorted(found)


def _requests(path: Path) -> tuple[bytes | CertsError, ...]:
    try:
        return read_requests(path)
    except CertsError as error:
        return (error,)


def _judge(authority: Authority, path: Path, request: bytes | CertsError, now: dt.datetime) -> Arrival:
    if isinstance(request, CertsError):
        return Arrival(path, b"", None, request)
    try:
        return Arrival(path, request, authority.review(request, now), None)
    except CertsError as error:
        return Arrival(path, request, None, error)


def _in_mail(message: EmailMessage) -> Iterator[bytes]:
    """Yield the requests attached to a mail, else those pasted into its text."""
    attached = [part for part in message.walk() if _is_request(part)]
    if attached:
        yield from (_content(part) for part in attached)
        return
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            text = _content(part).decode("utf-8", "replace")
            yield from (match.group().encode("ascii", "replace") for match in _PEM.finditer(text))


def _is_request(part: EmailMessage) -> bool:
    name = part.get_filename() or ""
    return part.get_content_type() in _REQUEST_TYPES or name.lower().endswith(".csr")


def _content(part: EmailMessage) -> bytes:
    payload = part.get_payload(decode=True)
    return payload[:MAX_MAIL] if isinstance(payload, bytes) else b""
