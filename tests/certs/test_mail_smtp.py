"""Sending to a real mail server on this machine, with and without encryption."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email
import email.policy
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certs import smtp
from certs.errors import StoreError
from certs.mail import Attachment, Draft, MailError
from certs.smtp import Encryption, SmtpSettings

NOW = dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC)
DRAFT = Draft(
    "certificates@example.org", "Request", "Please issue.", (Attachment("a.csr", "application/pkcs10", b"CSR"),)
)


class Mailbox:
    """Keeps what the server received; refuses recipients at ``refused.example``."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:
        if address.endswith("@refused.example"):
            return "550 no such\tuser"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 OK"


def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"ada", b"p@ss word"), handled=False)


@contextlib.asynccontextmanager
async def serving(ssl_context: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[tuple[Mailbox, int]]:
    """A mail server on a free port of this machine."""
    mailbox = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(mailbox, hostname="localhost", **options), "127.0.0.1", 0, ssl=ssl_context
    )
    async with server:
        yield mailbox, server.sockets[0].getsockname()[1]


async def send(settings: SmtpSettings, draft: Draft = DRAFT) -> str:
    return await asyncio.to_thread(smtp.send, draft, settings, NOW)


@pytest.fixture(scope="module")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context for 127.0.0.1, and the file with the certificate to trust."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    trusted, both = folder / "ca.pem", folder / "server.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(private + trusted.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, trusted


def check_received(mailbox: Mailbox, message_id: str) -> None:
    (envelope,) = mailbox.envelopes
    assert envelope.mail_from == "ada@example.org"
    assert envelope.rcpt_tos == ["certificates@example.org"]
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message["Message-ID"] == message_id
    assert message["X-Unsent"] is None
    assert message["Date"].datetime == NOW
    assert [part.get_content() for part in message.iter_attachments()] == [b"CSR"]


async def test_sends_to_a_server_on_this_machine() -> None:
    async with serving() as (mailbox, port):
        settings = SmtpSettings.from_url(f"smtp://127.0.0.1:{port}?from=ada@example.org&encryption=none")
        check_received(mailbox, await send(settings))


async def test_sends_with_starttls_and_password(server_tls: tuple[ssl.SSLContext, Path]) -> None:
    context, trusted = server_tls
    options = {"tls_context": context, "require_starttls": True, "authenticator": authenticate, "auth_required": True}
    async with serving(**options) as (mailbox, port):
        url = f"smtp://ada:p%40ss%20word@127.0.0.1:{port}?from=ada@example.org&ca={trusted}"
        check_received(mailbox, await send(SmtpSettings.from_url(url)))


async def test_sends_with_tls_from_the_start(server_tls: tuple[ssl.SSLContext, Path]) -> None:
    context, trusted = server_tls
    async with serving(ssl_context=context) as (mailbox, port):
        url = f"smtps://127.0.0.1:{port}?from=ada@example.org&ca={trusted}"
        check_received(mailbox, await send(SmtpSettings.from_url(url)))


async def failure(settings: SmtpSettings, draft: Draft = DRAFT) -> str:
    with pytest.raises(MailError) as error:
        await send(settings, draft)
    assert error.value.code == "mail-failed"
    return error.value.message


async def test_a_server_with_an_unknown_certificate_gets_nothing(server_tls: tuple[ssl.SSLContext, Path]) -> None:
    async with serving(tls_context=server_tls[0]) as (mailbox, port):
        await failure(SmtpSettings.from_url(f"smtp://ada:secret@127.0.0.1:{port}?from=ada@example.org"))
        assert mailbox.envelopes == []


async def test_a_server_without_encryption_gets_nothing() -> None:
    async with serving() as (mailbox, port):
        await failure(SmtpSettings.from_url(f"smtp://ada:secret@127.0.0.1:{port}?from=ada@example.org"))
        assert mailbox.envelopes == []


async def test_a_wrong_password(server_tls: tuple[ssl.SSLContext, Path]) -> None:
    context, trusted = server_tls
    async with serving(tls_context=context, authenticator=authenticate) as (_mailbox, port):
        url = f"smtp://ada:guess@127.0.0.1:{port}?from=ada@example.org&ca={trusted}"
        message = await failure(SmtpSettings.from_url(url))
    assert "535" in message
    assert "guess" not in message


async def test_a_recipient_that_the_server_refuses() -> None:
    async with serving() as (_mailbox, port):
        settings = SmtpSettings.from_url(f"smtp://127.0.0.1:{port}?from=ada@example.org&encryption=none")
        assert "550 no such user" in await failure(settings, Draft("x@refused.example", "s", "b"))


async def test_no_server_there() -> None:
    async with serving() as (_mailbox, port):
        pass
    assert f":{port}" in await failure(
        SmtpSettings.from_url(f"smtp://127.0.0.1:{port}?from=ada@example.org&encryption=none")
    )


@pytest.mark.parametrize(
    "url, code",
    [
        ("imap://host?from=a@example.org", "mail-settings"),
        ("smtp://?from=a@example.org", "mail-settings"),
        ("smtp://host:port?from=a@example.org", "mail-settings"),
        ("smtp://host", "mail-settings"),
        ("smtp://host?ca=file", "mail-settings"),
        ("smtp://host?from=a@example.org&colour=red", "mail-settings"),
        ("smtp://host?from=a@example.org&encryption=none", "mail-settings"),
        ("smtp://192.0.2.1?from=a@example.org&encryption=none", "mail-settings"),
        ("smtp://localhost?from=a@example.org&encryption=rot13", "mail-settings"),
        ("smtp://host?from=a,b@example.org", "mail-address"),
    ],
)
def test_settings_that_cannot_be_meant(url: str, code: str) -> None:
    with pytest.raises(MailError) as error:
        SmtpSettings.from_url(url)
    assert error.value.code == code


def test_settings_show_no_password() -> None:
    settings = SmtpSettings.from_url("smtp://ada:hunter2@host?from=ada@example.org")
    assert settings.password == "hunter2"
    assert "hunter2" not in repr(settings)
    assert (settings.port, settings.encryption) == (587, Encryption.STARTTLS)
    assert SmtpSettings.from_url("smtps://host?from=a@example.org").port == 465


def test_settings_come_from_the_environment_then_from_the_file(tmp_path: Path) -> None:
    assert smtp.configured(tmp_path, {}) is None
    (tmp_path / "mail.toml").write_text('smtp = "smtp://ada@file.example?from=ada@example.org"\npassword = "one"\n')
    from_file = smtp.configured(tmp_path, {})
    assert from_file is not None
    assert (from_file.host, from_file.password) == ("file.example", "one")
    from_environment = smtp.configured(
        tmp_path, {"METERLINK_SMTP": "smtp://ada@env.example?from=a@example.org", "METERLINK_SMTP_PASSWORD": "two"}
    )
    assert from_environment is not None
    assert (from_environment.host, from_environment.password) == ("env.example", "two")


@pytest.mark.parametrize("text", ["smtp = ", "other = 1", "smtp = 5", 'smtp = "smtp://h?from=a@b"\npassword = 5'])
def test_a_damaged_settings_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "mail.toml").write_text(text)
    with pytest.raises(MailError) as error:
        smtp.configured(tmp_path, {})
    assert error.value.code == "mail-settings"


def test_a_settings_file_of_megabytes(tmp_path: Path) -> None:
    (tmp_path / "mail.toml").write_bytes(b"#" * 100_000)
    with pytest.raises(StoreError) as error:
        smtp.configured(tmp_path, {})
    assert error.value.code == "file-too-large"
