"""A client of pydlms-client (GPL-3.0), run as a process of its own: reads and writes a meter, prints JSON.

Takes one argument, the job of ``peers_field.py`` as JSON.
"""

import datetime as dt
import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec
from pydlms import DlmsClient, Mechanism, SecurityContext
from pydlms.cosem.data import DlmsData
from pydlms.cosem.enums import DataType
from pydlms.exceptions import ServiceError

CURVES = {1: ec.SECP256R1, 2: ec.SECP384R1}


def settings(job):
    out = {"mechanism": Mechanism(job["mechanism"])}
    secret = job.get("secret")
    if secret:
        out["password"] = bytes.fromhex(secret)
    own = peer = None
    if job["mechanism"] == 6:
        out["client_system_title"] = bytes.fromhex(job["title"])
    if job["mechanism"] == 7:
        curve = CURVES[job["suite"]]()
        own = ec.derive_private_key(int(job["private_key"], 16), curve)
        point = b"\x04" + bytes.fromhex(job["server_public_key"])
        peer = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
        out |= {"signing_key": own, "server_public_key": peer, "client_system_title": bytes.fromhex(job["title"])}
    if job.get("unicast"):
        out["security"] = SecurityContext(
            bytes.fromhex(job["unicast"]),
            bytes.fromhex(job["authentication"]),
            client_system_title=bytes.fromhex(job["title"]),
            suite=job["suite"],
            invocation_counter=job["counter"],
            signing_key=own,
            peer_signing_key=peer,
        )
        out["ciphered_context"] = job["ciphered"]
    return out


def main():
    job = json.loads(sys.argv[1])
    hdlc = job["framing"] == "hdlc"
    meter = DlmsClient.tcp(
        "127.0.0.1",
        job["port"],
        client_sap=job["sap"],
        hdlc=hdlc,
        server_physical=16 if hdlc else None,
        timeout=10,
        **settings(job),
    )
    if job["agree"]:
        meter.connect()  # and no release: the meter goes over to the new keys at once, this client after a reconnect
        keys = meter.agree_keys([0, 2])
        print(json.dumps({int(key_id): bytes(key).hex() for key_id, key in keys.items()}))
        return
    with meter:
        out = {
            "device": bytes(meter.get("0.0.42.0.0.255", 1).value).hex(),
            "energy": str(meter.get_register("6.0.1.0.0.255").value),
            "objects": len(meter.get_association_view()),
            "rows": len(meter.read_profile("6.0.99.1.0.255").rows),
        }
        for what, act in (
            ("set", lambda: meter.set_clock(dt.datetime.fromisoformat(job["set_clock"]))),
            ("action", lambda: meter.action("0.0.10.0.101.255", 9, 1, DlmsData(DataType.LONG_UNSIGNED, 1))),
        ):
            try:
                act()
                out[what] = "done"
            except ServiceError as error:
                out[what] = str(error)
        out["clock"] = meter.get_clock().to_datetime().isoformat()
    print(json.dumps(out))


if __name__ == "__main__":
    main()
