"""A real mosquitto on a loopback port, and what it holds."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "meterlink", "korrekt-pferd-batterie"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Mosquitto:
    """A running broker; ``password`` None lets everybody in."""

    port: int
    password: str | None = None

    @property
    def url(self) -> str:
        user = "" if self.password is None else f"{USER}@"
        return f"mqtt://{user}127.0.0.1:{self.port}/heating"

    async def held(self) -> dict[str, str]:
        """Every retained message, by topic."""
        found: dict[str, str] = {}
        async with self.client() as client:
            await client.subscribe("#", qos=1)
            # What is retained comes before anything that is published after the subscription.
            await client.publish("end-of-retained", "", qos=1)
            async for message in client.messages:
                if str(message.topic) == "end-of-retained":
                    return found
                assert isinstance(message.payload, bytes)
                found[str(message.topic)] = message.payload.decode()
        raise AssertionError("the broker went away")

    async def wait_for(self, topic: str, payload: str) -> None:
        """Return once ``payload`` is at ``topic``."""
        async with asyncio.timeout(20), self.client() as client:
            await client.subscribe(topic, qos=1)
            async for message in client.messages:
                if message.payload == payload.encode():
                    return

    def client(self) -> aiomqtt.Client:
        user = None if self.password is None else USER
        return aiomqtt.Client("127.0.0.1", self.port, username=user, password=self.password)


@contextmanager
def mosquitto(folder: Path, *, password: str | None = None, tls: bool = False, port: int = 0) -> Iterator[Mosquitto]:
    """Run a broker until the block ends."""
    program = shutil.which("mosquitto", path=PATH)
    assert program, "mosquitto is missing: make setup-test installs it"
    folder.mkdir(exist_ok=True)
    broker = Mosquitto(port or free_port(), password)
    lines = [
        f"listener {broker.port} 127.0.0.1",
        "log_dest stderr",
        "log_type error",
        "log_type information",
        "user root",
    ]
    lines.append("connection_messages false")
    lines.append(f"allow_anonymous {'true' if password is None else 'false'}")
    if password is not None:
        secrets = folder / "passwords"
        secrets.write_text("")
        subprocess.run(["mosquitto_passwd", "-b", str(secrets), USER, password], check=True, capture_output=True)
        lines.append(f"password_file {secrets}")
    if tls:
        make_certificate(folder)
        lines += [f"certfile {folder / 'server.pem'}", f"keyfile {folder / 'server.key'}"]
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    command = [program, "-c", str(folder / "mosquitto.conf")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        log = []
        for line in process.stderr:
            log.append(line)
            if "running" in line:
                break
        try:
            assert process.poll() is None, "".join(log)
            yield broker
        finally:
            process.terminate()
            process.communicate(timeout=10)


def make_certificate(folder: Path) -> None:
    """Write a certificate for 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Broker")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
