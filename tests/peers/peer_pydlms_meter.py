"""The meter simulator of pydlms-client (GPL-3.0), run as a process of its own.

Takes one argument, the job of ``peers_field.py`` as JSON with ``client_public_key`` and the server's ``private_key``.
Prints the port it listens on, and serves until its standard input ends.
"""

import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec
from pydlms import Mechanism, SecurityContext
from pydlms.simulator import ClientProfile, example_meter, serve

CURVES = {1: ec.SECP256R1, 2: ec.SECP384R1}


def main():
    job = json.loads(sys.argv[1])
    title = bytes.fromhex(job["server_title"])
    key = peer = None
    if job["mechanism"] == 7:
        curve = CURVES[job["suite"]]()
        key = ec.derive_private_key(int(job["private_key"], 16), curve)
        peer = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + bytes.fromhex(job["client_public_key"]))
    meter = example_meter(system_title=title)
    if job.get("unicast"):
        meter.encryption_key = bytes.fromhex(job["unicast"])
        meter.authentication_key = bytes.fromhex(job["authentication"])
        meter.security = SecurityContext(
            meter.encryption_key,
            meter.authentication_key,
            client_system_title=title,
            suite=job["suite"],
            signing_key=key,
            peer_signing_key=peer,
            **job.get("general", {}),
        )
    meter.signing_key = key
    meter.clients[job["sap"]] = ClientProfile(
        mechanism=Mechanism(job["mechanism"]),
        secret=bytes.fromhex(job["secret"]) if job.get("secret") else None,
        ciphered=job["ciphered"],
        client_public_key=peer,
    )
    server = serve(meter, hdlc=job["framing"] == "hdlc", hdlc_window=3)
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
