"""Simulated meters for the program in this process: with certificates, and as they are in the field."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs.domain import make_domain
from certs.levels import Permission
from hil.meter.clients import FIELD_CLIENTS, GENERAL_CLIENTS, ClientRow, Proof
from hil.meter.credentials import FieldKeys
from hil.meter.device import MeterOptions
from hil.meter.general import GeneralKeys
from hil.meter.server import MeterServer
from hil.tcp import TcpServer
from hil.trust import issue_identity
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite

METER_TITLE = bytes.fromhex("4D4C4B0000004712")
CLIENT_TITLE = bytes.fromhex("4D4C4B0000000001")
PASSWORD = "12345678"
SECRET = "a secret of both"
UNICAST, AUTHENTICATION, MASTER = bytes(range(16)), bytes(range(0xD0, 0xE0)), bytes(range(0x40, 0x50))
SERIAL = "00815004"

SAPS = {"lls": 18, "hls-gmac": 19, "hls-ecdsa": 20, "hls-md5": 22, "hls-sha1": 23, "hls-sha256": 24}

PASSWORD_GLO = ClientRow(40, Proof.PASSWORD, frozenset({Permission.READ}), ciphered=True)
"""Keys that stay and no challenge: what the meter answers is new by its counter alone."""


class FieldMeter:
    """A meter of the field, and the key file that fits it."""

    def __init__(self, title: bytes = METER_TITLE) -> None:
        now = dt.datetime.now(dt.UTC)
        made = self.made = make_domain("Field", "field@example.org", now)
        identity = issue_identity(made.domain, made.issuing_key, now, system_title=title)
        self.client_key = ec.generate_private_key(ec.SECP256R1())
        self.meter_key = identity.private_key.public_key()
        self.agreement_key = ec.generate_private_key(ec.SECP256R1())
        meter_agreement_key = ec.generate_private_key(ec.SECP256R1())
        self.meter_agreement_key = meter_agreement_key.public_key()
        keys = KeySet(UNICAST, AUTHENTICATION, master=MASTER)
        self.server = MeterServer(
            time.monotonic(),
            now,
            identity,
            clients={**FIELD_CLIENTS, **GENERAL_CLIENTS, PASSWORD_GLO.sap: PASSWORD_GLO},
            options=MeterOptions(serial=SERIAL, history=3),
            field_keys=FieldKeys(
                password=PASSWORD.encode(),
                secret=SECRET.encode(),
                keys={Suite.SUITE_0: keys, Suite.SUITE_1: keys},
                client_keys={CLIENT_TITLE: self.client_key.public_key()},
                general=GeneralKeys(
                    agreement_key=meter_agreement_key, client_agreement_key=self.agreement_key.public_key()
                ),
            ),
        )

    def key_file(self, folder: Path, *without: str, **more: str | int) -> Path:
        """Write a key file with everything but ``without``; ``more`` is added, or stands in place of what is there."""
        for name, key in (("client", self.client_key), ("agreement", self.agreement_key)):
            private = folder / f"{name}.pem"
            private.touch(mode=0o600)
            private.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
        for name, public in (("meter", self.meter_key), ("meter-agreement", self.meter_agreement_key)):
            (folder / f"{name}.pem").write_bytes(
                public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            )
        content: dict[str, str | int] = {
            "system_title": CLIENT_TITLE.hex(),
            "unicast": UNICAST.hex(),
            "authentication": AUTHENTICATION.hex(),
            "password": PASSWORD,
            "secret": SECRET,
            "signing_key": "client.pem",
            "meter_key": "meter.pem",
            "master": MASTER.hex(),
            "agreement_key": "agreement.pem",
            "meter_agreement_key": "meter-agreement.pem",
        } | more
        path = folder / "keys.toml"
        path.touch(mode=0o600)
        path.write_text("".join(f"{key} = {value!r}\n" for key, value in content.items() if key not in without))
        return path


@contextmanager
def served(server: MeterServer, framing: str) -> Iterator[str]:
    """Serve a meter on loopback TCP from a thread of its own; yield its URL."""
    loop = asyncio.new_event_loop()
    factory = server.hdlc_line if framing == "hdlc" else server.wrapper_connection
    tcp = TcpServer(factory)
    if hasattr(server, "drop"):
        server.drop = tcp.drop_all
    ready = threading.Event()

    async def serve() -> None:
        async with tcp:
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield f"{tcp.url}?framing={framing}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
