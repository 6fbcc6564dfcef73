"""Send a mail by SMTP, where the user has configured a server.

No password goes over a line that is not encrypted: the server's certificate is checked, by STARTTLS or TLS from the
start; without encryption only a server on this machine is accepted.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import enum
import ipaddress
import os
import smtplib
import ssl
import tomllib
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from certs import files
from certs.mail import Draft, MailError, check_address

TIMEOUT: Final = 30.0
"""Seconds for every step of a conversation with a mail server."""
URL_VARIABLE: Final = "METERLINK_SMTP"
PASSWORD_VARIABLE: Final = "METERLINK_SMTP_PASSWORD"  # noqa: S105 - the name of the variable
SETTINGS_FILE: Final = "mail.toml"

_MAX_SETTINGS: Final = 64 * 1024


class Encryption(enum.Enum):
    """How the line to a mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """A mail server. ``ca_file`` names certificates to trust instead of the system's."""

    host: str
    port: int
    sender: str
    encryption: Encryption = Encryption.STARTTLS
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    @classmethod
    def from_url(cls, url: str, *, password: str | None = None) -> SmtpSettings:
        """Read ``smtp://USER:PASSWORD@HOST:PORT?from=ADDRESS`` (STARTTLS) or ``smtps://...`` (TLS from the start).

        Keys: ``from`` (needed), ``ca`` (a PEM file of trusted certificates), ``encryption=none`` (for a server on this
        machine alone). Raises :class:`MailError` ``mail-settings`` or ``mail-address``.
        """
        try:
            parts = urllib.parse.urlsplit(url)
            keys = urllib.parse.parse_qs(parts.query, strict_parsing=True)
            port = parts.port
        except ValueError:
            raise _bad_settings("the address of the mail server cannot be read") from None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise _bad_settings("the address of the mail server does not begin with smtp:// or smtps:// and a host")
        if unknown := sorted(keys.keys() - {"from", "ca", "encryption"}):
            raise _bad_settings(f"unknown key {unknown[0]}; known are from, ca, encryption")
        if "from" not in keys:
            raise _bad_settings("the sender is missing (from=ADDRESS)")
        encryption = _encryption(parts.scheme, keys.get("encryption", [""])[-1], parts.hostname)
        return cls(
            host=parts.hostname,
            port=port or (465 if encryption is Encryption.TLS else 587),
            sender=check_address(keys["from"][-1]),
            encryption=encryption,
            user=urllib.parse.unquote(parts.username) if parts.username else None,
            password=password or (urllib.parse.unquote(parts.password) if parts.password else None),
            ca_file=keys.get("ca", [None])[-1],
        )


def configured(home: Path, environment: Mapping[str, str] = os.environ) -> SmtpSettings | None:
    """Return the configured mail server, or None.

    Looked up in ``METERLINK_SMTP`` (an URL, see :meth:`SmtpSettings.from_url`) with ``METERLINK_SMTP_PASSWORD``, then
    in ``mail.toml`` in ``home``: ``smtp = "smtp://..."`` and ``password = "..."``. Raises :class:`MailError`
    ``mail-settings`` or ``mail-address``.
    """
    if url := environment.get(URL_VARIABLE):
        return SmtpSettings.from_url(url, password=environment.get(PASSWORD_VARIABLE))
    path = home / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        body = tomllib.loads(files.read(path, _MAX_SETTINGS).decode())
    except ValueError as error:
        raise _bad_settings(f"{path} is not TOML") from error
    url, password = body.get("smtp"), body.get("password", environment.get(PASSWORD_VARIABLE))
    if not isinstance(url, str) or not isinstance(password, str | None):
        raise _bad_settings(f'{path} has no line smtp = "smtp://..."')
    return SmtpSettings.from_url(url, password=password)


def send(draft: Draft, settings: SmtpSettings, now: dt.datetime) -> str:
    """Send ``draft`` and return its Message-ID.

    Raises :class:`MailError` ``mail-failed``: the server could not be reached, is not who it should be, or refused.
    """
    message = draft.to_message()
    message["From"] = settings.sender
    message["Date"] = email.utils.format_datetime(now)
    message["Message-ID"] = email.utils.make_msgid(domain=settings.sender.partition("@")[2])
    try:
        with _connect(settings) as server:
            if settings.user is not None:
                server.login(settings.user, settings.password or "")
            server.send_message(message, settings.sender, [draft.to])
    except (smtplib.SMTPException, OSError) as error:
        raise MailError(
            "mail-failed",
            f"the mail server {settings.host}:{settings.port} did not take the mail ({_reason(error)})",
            "The file is still there: send it with your mail program, or try again.",
        ) from error
    return str(message["Message-ID"])


def _connect(settings: SmtpSettings) -> smtplib.SMTP:
    if settings.encryption is Encryption.NONE:
        return smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT)
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.encryption is Encryption.TLS:
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT)
    try:
        server.starttls(context=context)
    except BaseException:  # Ctrl-C and cancellation, too: clean up, then let it go on
        server.close()
        raise
    return server


def _encryption(scheme: str, asked: str, host: str) -> Encryption:
    if asked not in ("", "none"):
        raise _bad_settings(f"encryption={asked} is not known; none is")
    if asked == "none":
        if not _is_loopback(host):
            raise _bad_settings("encryption=none is for a mail server on this machine alone")
        return Encryption.NONE
    return Encryption.TLS if scheme == "smtps" else Encryption.STARTTLS


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(error: Exception) -> str:
    """What the server said, without our own words to it: those could hold the password."""
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            code, text = next(iter(refused.values()))
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=text):
            pass
        case _:
            return getattr(error, "strerror", None) or type(error).__name__
    words = bytes(text).decode("utf-8", "replace")
    return f"{code} " + "".join(mark if mark.isprintable() else " " for mark in words[:120])


def _bad_settings(message: str) -> MailError:
    hint = f"Set {URL_VARIABLE}=smtp://USER@HOST:587?from=ADDRESS and {PASSWORD_VARIABLE}."
    return MailError("mail-settings", message, hint)
