"""A client of dlms-cosem (BSL 1.1), run as a process of its own: reads and writes a meter, prints JSON.

Takes one argument, the job of ``peers_field.py`` as JSON. It knows no ECDSA.
"""

import datetime as dt
import json
import sys

from dlms_cosem import cosem, enumerations, utils
from dlms_cosem.client import ActionError, DlmsClient
from dlms_cosem.dlms_data import OctetStringData, UnsignedLongData
from dlms_cosem.io import BlockingTcpIO, HdlcTransport, TcpTransport
from dlms_cosem.security import (
    HighLevelSecurityGmacAuthentication,
    LowLevelSecurityAuthentication,
    NoSecurityAuthentication,
)
from dlms_cosem.time import datetime_from_bytes, datetime_to_bytes

Class = enumerations.CosemInterface
CLOCK = cosem.CosemAttribute(Class.CLOCK, cosem.Obis(0, 0, 1, 0, 0), 2)


def client_of(job):
    io = BlockingTcpIO("127.0.0.1", job["port"], timeout=5)
    if job["framing"] == "hdlc":
        transport = HdlcTransport(
            io=io,
            client_logical_address=job["sap"],
            server_logical_address=1,
            server_physical_address=16,
        )
    else:
        transport = TcpTransport(client_logical_address=job["sap"], server_logical_address=1, io=io)
    secret = bytes.fromhex(job.get("secret", ""))
    authentication = {
        0: NoSecurityAuthentication,
        1: lambda: LowLevelSecurityAuthentication(secret=secret),
        5: HighLevelSecurityGmacAuthentication,
    }[job["mechanism"]]()
    keys = {}
    if job.get("unicast"):
        keys = {
            "encryption_key": bytes.fromhex(job["unicast"]),
            "authentication_key": bytes.fromhex(job["authentication"]),
            "client_system_title": bytes.fromhex(job["title"]),
            "client_initial_invocation_counter": job["counter"],
        }
    return DlmsClient(transport=transport, authentication=authentication, block_transfer=True, **keys)


def main():
    job = json.loads(sys.argv[1])
    client = client_of(job)

    def get(class_id, *groups):
        attribute = cosem.CosemAttribute(class_id, cosem.Obis(*groups), 2)
        return utils.parse_as_dlms_data(client.get(attribute))

    with client.session():
        out = {
            "device": bytes(get(Class.DATA, 0, 0, 42, 0, 0)).hex(),
            "energy": str(get(Class.REGISTER, 6, 0, 1, 0, 0)),
            "objects": len(get(Class.ASSOCIATION_LN, 0, 0, 40, 0, 0)),
            "rows": len(get(Class.PROFILE_GENERIC, 6, 0, 99, 1, 0)),
        }
        moment = datetime_to_bytes(dt.datetime.fromisoformat(job["set_clock"]))
        answer = client.set(CLOCK, OctetStringData(moment).to_bytes())
        done = answer.result is enumerations.DataAccessResult.SUCCESS
        out["set"] = "done" if done else answer.result.name
        script = cosem.CosemMethod(Class.SCRIPT_TABLE, cosem.Obis(0, 0, 10, 0, 101), 1)
        try:
            client.action(script, UnsignedLongData(1).to_bytes())
            out["action"] = "done"
        except ActionError as error:
            out["action"] = str(error)
        clock, _ = datetime_from_bytes(bytes(get(Class.CLOCK, 0, 0, 1, 0, 0)))
        out["clock"] = clock.isoformat()
    print(json.dumps(out))


if __name__ == "__main__":
    main()
