"""general-ciphering and general-signing, asked for in the URL: pydlms-client has a meter for either reading of them.

It answers with the identified key, and names no transaction.
"""

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from peers_field import CLIENT_TITLE, KEYS
from test_peers_command_line import meterlink  # noqa: F401  a fixture
from test_peers_our_client import SAP, Both, simulated

HEADER = {"general_aad": "with-header"}
LENGTH = {"signing_form": "length-prefixed-content"}
CIPHERED = "ciphering=general-ciphering"

WAYS = [
    ("GMAC and glo", HEADER, CIPHERED),
    ("GMAC and glo", {}, f"{CIPHERED}&header-authenticated=no"),
    ("ECDSA and glo", HEADER, CIPHERED),
    ("ECDSA and glo", {}, "signing=both"),
    ("ECDSA and glo", LENGTH, "signing=both&signed-length=yes"),
    ("ECDSA and glo", HEADER, f"{CIPHERED}&signing=both"),
    ("ECDSA and glo in suite 2", HEADER | LENGTH, f"{CIPHERED}&signing=both&signed-length=yes"),
    ("ECDSA and glo in suite 2", {}, f"{CIPHERED}&header-authenticated=no&signing=both"),
]


def written(folder, name, content):
    path = folder / name
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize(("mode", "reading", "words"), WAYS)
async def test_the_program_reads_the_peers_meter(meterlink, tmp_path, framing, mode, reading, words):  # noqa: F811
    both = Both(mode, framing)
    keys = KEYS[both.suite]
    written(tmp_path, "client.pem", both.client_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = both.meter_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    written(tmp_path, "meter.pem", public)
    content = {
        "system_title": CLIENT_TITLE.hex(),
        "unicast": bytes(keys.unicast).hex(),
        "authentication": bytes(keys.authentication).hex(),
        "signing_key": "client.pem",
        "meter_key": "meter.pem",
    }
    file = written(tmp_path, "keys.json", json.dumps(content).encode())
    security = "hls-gmac" if mode.startswith("GMAC") else "hls-ecdsa"
    async with simulated(both, general=reading) as port:
        url = f"tcp://127.0.0.1:{port}?framing={framing}&security={security}&client={SAP}&{words}"
        for _ in range(2):
            shown = json.loads(await meterlink("read", url, "--object", "1-0:1.8.0", "--json", "--keys", file))
            (energy,) = shown["readings"]
            assert (energy["value"], energy["unit"]) == ("12345678", "Wh")
