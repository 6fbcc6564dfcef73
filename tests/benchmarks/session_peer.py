"""A peer's part of the session benchmark, run in the peers' environment: prints seconds per session as JSON.

Takes the peer's name and a job of ``tests/peers/peers_field.py`` with ``rounds``, ``gets`` and ``counter``. A session
is: connect, associate, ``gets`` registers one by one (with their scaler and unit first where ``scalers`` is set),
release, close.
"""

import contextlib
import io
import json
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "peers"))

OBIS = "6.0.1.0.0.255"
COUNTERS_PER_ROUND = 200


def pydlms(job):
    import peer_pydlms
    from pydlms import DlmsClient

    hdlc = job["framing"] == "hdlc"
    client = DlmsClient.tcp(
        "127.0.0.1",
        job["port"],
        client_sap=job["sap"],
        hdlc=hdlc,
        server_physical=16 if hdlc else None,
        timeout=30,
        **peer_pydlms.settings(job),
    )
    with client:
        for _ in range(job["gets"]):
            if job["scalers"]:
                client.get(OBIS, 3, 3)
            client.get(OBIS, 3, 2)


def gurux(job):
    from gurux_dlms.objects import GXDLMSRegister
    from peer_gurux import Peer

    peer = Peer(job)
    peer.connect()
    register = GXDLMSRegister(OBIS)
    for _ in range(job["gets"]):
        if job["scalers"]:
            peer.read(register, 3)
        peer.read(register, 2)
    peer.close()


def dlms_cosem(job):
    import peer_dlms_cosem
    from dlms_cosem import cosem

    client = peer_dlms_cosem.client_of(job)
    value = cosem.CosemAttribute(peer_dlms_cosem.Class.REGISTER, cosem.Obis(6, 0, 1, 0, 0), 2)
    with client.session():
        for _ in range(job["gets"]):
            client.get(value)


PEERS = {"pydlms-client": pydlms, "gurux-dlms": gurux, "dlms-cosem": dlms_cosem}


def main():
    job = json.loads(sys.argv[2])
    run = PEERS[sys.argv[1]]
    times = []
    for _ in range(job["rounds"]):
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            run(job)
        times.append(time.perf_counter() - start)
        job["counter"] += COUNTERS_PER_ROUND
    print(json.dumps(times))


if __name__ == "__main__":
    main()
