"""Mail with a file in it: a draft for the user's mail program, or a ``mailto:`` link.

A draft is an ``.eml`` file with ``X-Unsent: 1``, which mail programs open ready to send. Links cannot carry files
reliably, so :meth:`Draft.to_mailto` puts the text of the attachments into the body. :mod:`certs.smtp` sends one.
"""

from __future__ import annotations

import email.policy
import enum
import os
import re
import subprocess
import sys
import unicodedata
import urllib.parse
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from certs import files
from certs.errors import CertsError

MAX_ADDRESS: Final = 254
"""Characters of a mail address (RFC 5321, 4.5.3.1.3, less the angle brackets)."""
MAX_MAILTO: Final = 2000
"""Characters of a link: what Windows hands to a program (INTERNET_MAX_URL_LENGTH 2083, less some room)."""
MAX_SUBJECT: Final = 200

# Stricter than RFC 5321 on purpose: nothing that a mail program could read as a second recipient, a header, a comment,
# a quoted name or an encoded word.
_LOCAL: Final = r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(rf"(?=.{{3,{MAX_ADDRESS}}}\Z)(?=[^@]{{1,64}}@){_LOCAL}@{_LABEL}(?:\.{_LABEL})*", re.ASCII)

_OPEN_TIMEOUT: Final = 5.0  # seconds after which a program that is still running has evidently opened


class MailError(CertsError):
    """A mail cannot be written, opened or sent as asked."""


def check_address(text: str) -> str:
    """Return ``text`` when it is one plain mail address. Raises :class:`MailError` ``mail-address``."""
    if not _ADDRESS.fullmatch(text):
        shown = "".join(mark if mark.isprintable() else "?" for mark in text[:60])
        hint = "Give one address like name@example.org: no display name, no comma, no quotes."
        raise MailError("mail-address", f"{shown!r} is not a plain mail address", hint)
    return text


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a mail. ``media_type`` is like ``application/pkcs10``; ``is_text`` allows it into a link's body."""

    name: str
    media_type: str
    data: bytes = field(repr=False)
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A mail that was not sent yet. Raises :class:`MailError` ``mail-address`` when ``to`` is no plain address.

    Control and format characters in the subject become blanks; it is cut at 200 characters.
    """

    to: str
    subject: str
    body: str
    attachments: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        """Check the recipient and clean the subject."""
        check_address(self.to)
        seen = "".join(" " if unicodedata.category(mark)[0] in "CZ" else mark for mark in self.subject)
        object.__setattr__(self, "subject", " ".join(seen.split())[:MAX_SUBJECT])

    def to_message(self) -> EmailMessage:
        """Return the mail as a message without sender and date."""
        message = EmailMessage(policy=email.policy.SMTP)
        message["To"] = self.to
        message["Subject"] = self.subject
        message.set_content(self.body, cte="quoted-printable")
        for attachment in self.attachments:
            maintype, _, subtype = attachment.media_type.partition("/")
            message.add_attachment(attachment.data, maintype=maintype, subtype=subtype, filename=attachment.name)
        return message

    def to_eml(self) -> bytes:
        """Return the content of an ``.eml`` file that mail programs open as a draft."""
        message = self.to_message()
        message["X-Unsent"] = "1"
        return message.as_bytes()

    def to_mailto(self) -> str | None:
        """Return the mail as a link with the text attachments in its body, or None when it would be too long."""
        texts = [item.data.decode("utf-8", "replace").strip() for item in self.attachments if item.is_text]
        lines = "\n\n".join([self.body.strip(), *texts]).splitlines()
        query = urllib.parse.urlencode(
            {"subject": self.subject, "body": "\r\n".join(lines)}, quote_via=urllib.parse.quote, safe=""
        )
        link = f"mailto:{urllib.parse.quote(self.to, safe='@')}?{query}"
        return link if len(link) <= MAX_MAILTO else None


class Opened(enum.Enum):
    """What the default program was given."""

    DRAFT = "draft"
    LINK = "mailto"
    NOTHING = "nothing"


def open_draft(draft: Draft, path: Path, *, platform: str = sys.platform) -> Opened:
    """Write ``draft`` to ``path`` (an ``.eml`` file) and open it in the user's mail program, else the link.

    The file is written in any case. Raises :class:`~certs.errors.StoreError` ``file`` when it cannot be.
    """
    files.write(path, draft.to_eml())
    if open_with_default(str(path.absolute()), platform=platform):
        return Opened.DRAFT
    link = draft.to_mailto()
    if link is not None and open_with_default(link, platform=platform):
        return Opened.LINK
    return Opened.NOTHING


def open_with_default(target: str, *, platform: str = sys.platform) -> bool:
    """Open a file or link in the program that the user's system has for it; tell whether that worked."""
    if platform == "win32":
        return _start_file(target)
    if platform == "darwin":
        return _run_opener("open", target)
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False  # without a screen xdg-open would start a browser in the terminal
    return _run_opener("xdg-open", target)


def _start_file(target: str) -> bool:
    try:
        os.startfile(target)  # type: ignore[attr-defined,unused-ignore]  # noqa: S606 - there on Windows alone
    except OSError:
        return False
    return True


def _run_opener(program: str, target: str) -> bool:
    try:
        opener = subprocess.Popen(
            [program, target],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the mail program outlives this one, and its Ctrl-C
        )
    except OSError:
        return False
    try:
        return opener.wait(_OPEN_TIMEOUT) == 0
    except subprocess.TimeoutExpired:
        # Some systems run the mail program inside the opener. Popen would warn that it was left behind; it was, on
        # purpose.
        opener.returncode = 0
        return True
