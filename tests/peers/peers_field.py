"""A meter as they are in the field, for clients that others wrote."""

import datetime as dt
import os
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from certs.domain import make_domain
from hil.meter.clients import FIELD_CLIENTS
from hil.meter.credentials import FieldKeys
from hil.meter.device import MeterOptions
from hil.meter.server import MeterServer
from hil.trust import issue_identity
from meterlink.cosem.association import FULL_PROTECTION
from meterlink.security.keys import KeySet
from meterlink.security.signing import public_key_to_bytes
from meterlink.security.suites import Suite

METER_TITLE = bytes.fromhex("4D4C4B0000004711")
CLIENT_TITLE = bytes.fromhex("5045455200000001")
PASSWORD = b"12345678"
SECRET = b"a secret of both"
KEYS = {
    Suite.SUITE_0: KeySet(bytes(range(16)), bytes(range(0xD0, 0xE0))),
    Suite.SUITE_1: KeySet(bytes(range(16)), bytes(range(0xD0, 0xE0))),
    Suite.SUITE_2: KeySet(bytes(range(32)), bytes(range(0xC0, 0xE0))),
}
NEW_TIME = "2027-03-04T05:06:07+01:00"


ROOT = Path(__file__).parents[2]


def peers_python():
    """Return the interpreter that has the peers: they live apart from the product, whose licence is not theirs."""
    folder = "Scripts" if os.name == "nt" else "bin"
    python = ROOT / ".venv-peers" / folder / "python"
    assert python.exists(), "the peers are not installed: run make setup-test"
    return str(python)


class FieldMeter:
    """A meter as they are in the field, ``hours`` old, ``policy`` in suite 0, and what a client of it must know."""

    def __init__(self, suite, hours=0, policy=FULL_PROTECTION):
        now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
        made = make_domain("Peers", "peers@example.org", now, suite=suite)
        identity = issue_identity(made.domain, made.issuing_key, now, system_title=METER_TITLE, suite=suite)
        self.suite = suite
        self.policy = policy
        self.key = ec.generate_private_key(identity.private_key.curve)
        self.server = MeterServer(
            time.monotonic(),
            now,
            identity,
            clients=FIELD_CLIENTS,
            options=MeterOptions(history=1),
            field_keys=FieldKeys(
                password=PASSWORD,
                secret=SECRET,
                keys=KEYS,
                client_keys={CLIENT_TITLE: self.key.public_key()},
                policies={Suite.SUITE_0: policy},
            ),
        )

    def job(self, port, framing, sap, agree=False):
        """Return what a peer is asked to do on this SAP."""
        row = FIELD_CLIENTS[sap]
        suite = self.suite if row.proof == 7 else 0
        keys = KEYS[Suite(suite)]
        job = {
            "port": port,
            "framing": framing,
            "sap": sap,
            "mechanism": int(row.proof),
            "ciphered": row.ciphered,
            "suite": suite,
            "control": self.policy.least_request(Suite.SUITE_0).to_byte(),
            "title": CLIENT_TITLE.hex(),
            "set_clock": NEW_TIME,
            "counter": 1,
            "agree": agree,
        }
        if row.proof == 1:
            job["secret"] = PASSWORD.hex()
        if row.proof in (3, 4, 6):
            job["secret"] = SECRET.hex()
        if row.ciphered or row.proof == 5:
            job |= {"unicast": bytes(keys.unicast).hex(), "authentication": bytes(keys.authentication).hex()}
        if row.proof == 7:
            width = self.key.key_size // 8
            job["private_key"] = self.key.private_numbers().private_value.to_bytes(width, "big").hex()
            job["server_public_key"] = public_key_to_bytes(self.server.identity.certificate.public_key()).hex()
        return job
