"""A client of gurux-dlms (GPL-2.0), run as a process of its own: reads and writes a meter, prints JSON.

Takes one argument, the job of ``peers_field.py`` as JSON. The library prints much; the last line is the result.
"""

import datetime as dt
import json
import os
import socket
import sys

from gurux_dlms import GXByteBuffer, GXDateTime, GXDLMSException, GXReplyData
from gurux_dlms.ecdsa import GXPrivateKey, GXPublicKey
from gurux_dlms.enums import Authentication, DataType, InterfaceType, Security
from gurux_dlms.objects import (
    GXDLMSAssociationLogicalName,
    GXDLMSClock,
    GXDLMSData,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
    GXDLMSScriptTable,
)
from gurux_dlms.objects.enums import SecuritySuite
from gurux_dlms.secure import GXDLMSSecureClient


class Peer:
    def __init__(self, job):
        self.job = job
        self.hdlc = job["framing"] == "hdlc"
        secret = bytes.fromhex(job["secret"]) if job.get("secret") else None
        self.client = GXDLMSSecureClient(
            True,
            job["sap"],
            GXDLMSSecureClient.getServerAddress(1, 16) if self.hdlc else 1,
            Authentication(job["mechanism"]),
            secret,
            InterfaceType.HDLC if self.hdlc else InterfaceType.WRAPPER,
        )
        ciphering = self.client.ciphering
        if job.get("title"):
            ciphering.systemTitle = bytearray.fromhex(job["title"])
        if job.get("unicast"):
            ciphering.blockCipherKey = bytearray.fromhex(job["unicast"])
            ciphering.authenticationKey = bytearray.fromhex(job["authentication"])
            ciphering.invocationCounter = job["counter"]
        if job["ciphered"]:
            ciphering.security = Security(job["control"])
        if job["mechanism"] == 7:
            # The library makes 16 octets; for ECDSA the standard asks for 32 to 64 (Green Book, 9.2.2.2.2.4).
            self.client.settings.useCustomChallenge = True
            self.client.setCtoSChallenge(os.urandom(32))
            ciphering.securitySuite = SecuritySuite(job["suite"])
            ciphering.signingKeyPair = (
                GXPublicKey.fromRawBytes(bytearray.fromhex("04" + job["server_public_key"])),
                GXPrivateKey.fromRawBytes(bytearray.fromhex(job["private_key"])),
            )
        self.socket = socket.create_connection(("127.0.0.1", job["port"]), timeout=10)

    def exchange(self, frame):
        """Send one frame or a list of them; return the whole answer."""
        reply = GXReplyData()
        for one in frame if isinstance(frame, list) else [frame]:
            reply.clear()
            self.one(one, reply)
            while reply.isMoreData():
                self.one(self.client.receiverReady(reply), reply)
        return reply

    def one(self, frame, reply):
        if not frame:
            return
        self.socket.sendall(bytes(frame))
        buffer = GXByteBuffer()
        while not self.client.getData(buffer, reply, GXReplyData()):
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError("the meter closed the connection")
            buffer.set(received)
        if reply.error:
            raise GXDLMSException(reply.error)

    def connect(self):
        if self.hdlc:
            self.client.parseUAResponse(self.exchange(self.client.snrmRequest()).data)
        self.client.parseAareResponse(self.exchange(self.client.aarqRequest()).data)
        if self.client.getIsAuthenticationRequired():
            answer = self.exchange(self.client.getApplicationAssociationRequest())
            self.client.parseApplicationAssociationResponse(answer.data)

    def read(self, item, index):
        reply = self.exchange(self.client.read(item, index))
        return self.client.updateValue(item, index, reply.value)

    def write(self, item, index):
        self.exchange(self.client.write(item, index))

    def close(self):
        self.exchange(self.client.disconnectRequest())
        self.socket.close()


def main():
    job = json.loads(sys.argv[1])
    peer = Peer(job)
    peer.connect()
    device = GXDLMSData("0.0.42.0.0.255")
    energy = GXDLMSRegister("6.0.1.0.0.255")
    association = GXDLMSAssociationLogicalName("0.0.40.0.0.255")
    profile = GXDLMSProfileGeneric("6.0.99.1.0.255")
    clock = GXDLMSClock("0.0.1.0.0.255")
    peer.read(device, 2)
    peer.read(energy, 3)
    peer.read(energy, 2)
    peer.read(association, 2)
    peer.read(profile, 3)
    peer.read(profile, 2)
    out = {
        "device": bytes(device.value).hex(),
        "energy": str(energy.value),
        "objects": len(association.objectList),
        "rows": len(profile.buffer),
    }
    clock.time = GXDateTime(dt.datetime.fromisoformat(job["set_clock"]))
    scripts = GXDLMSScriptTable("0.0.10.0.101.255")
    for what, act in (
        ("set", lambda: peer.write(clock, 2)),
        ("action", lambda: peer.exchange(peer.client.method(scripts, 1, 1, DataType.UINT16))),
    ):
        try:
            act()
            out[what] = "done"
        except GXDLMSException as error:
            out[what] = str(error)
    peer.read(clock, 2)
    out["clock"] = clock.time.value.isoformat()
    peer.close()
    print(json.dumps(out))


if __name__ == "__main__":
    main()
