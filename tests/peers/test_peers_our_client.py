"""Our client reads and writes the meter that pydlms-client simulates, in every mode that both know."""

import asyncio
import contextlib
import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from peers_field import CLIENT_TITLE, KEYS, METER_TITLE, NEW_TIME, PASSWORD, SECRET, peers_python

from meterlink.cosem.association import FULL_PROTECTION, AssociationConfig, Ciphering, ClientAssociation, Mechanism
from meterlink.cosem.data import date_time_octets
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import Attribute, EntrySelection
from meterlink.cosem.objects.security_policy import policy_from_words
from meterlink.errors import SecurityError
from meterlink.framing.hdlc import HdlcLink, HdlcParameters
from meterlink.framing.link import Role
from meterlink.framing.wrapper import WrapperLink
from meterlink.security.counters import SendCounter
from meterlink.security.signing import public_key_to_bytes
from meterlink.security.suites import Suite
from meterlink.session import Session
from meterlink.transport.tcp import TcpTransport
from meterlink.values import Obis

METER = Path(__file__).with_name("peer_pydlms_meter.py")
SAP = 40

ENERGY = Attribute(3, Obis.parse("1-0:1.8.0"), 2)
SERIAL = Attribute(1, Obis.parse("0-0:96.1.0"), 2)
CLOCK = Attribute(8, Obis.parse("0-0:1.0.0"), 2)
PROFILE = Attribute(7, Obis.parse("1-0:99.1.0"), 2)

# name: mechanism, ciphering, suite
MODES = {
    "none": (Mechanism.NONE, None, 0),
    "password": (Mechanism.LOW, None, 0),
    "password and glo": (Mechanism.LOW, Ciphering.GLOBAL, 0),
    "MD5": (Mechanism.MD5, None, 0),
    "SHA-1": (Mechanism.SHA1, None, 0),
    "SHA-256": (Mechanism.SHA256, None, 0),
    "GMAC and glo": (Mechanism.GMAC, Ciphering.GLOBAL, 0),
    "GMAC and ded": (Mechanism.GMAC, Ciphering.DEDICATED, 0),
    "GMAC and general-glo": (Mechanism.GMAC, Ciphering.GENERAL_GLOBAL, 0),
    "ECDSA": (Mechanism.ECDSA, None, 1),
    "ECDSA and glo": (Mechanism.ECDSA, Ciphering.GLOBAL, 1),
    "ECDSA in suite 2": (Mechanism.ECDSA, None, 2),
    "ECDSA and glo in suite 2": (Mechanism.ECDSA, Ciphering.GLOBAL, 2),
}


class Both:
    """What client and meter must know for one mode."""

    def __init__(self, mode, framing):
        self.mechanism, self.ciphering, suite = MODES[mode]
        self.suite, self.framing = Suite(suite), framing
        curve = ec.SECP384R1() if suite == 2 else ec.SECP256R1()
        self.client_key, self.meter_key = ec.generate_private_key(curve), ec.generate_private_key(curve)
        self.secret = {1: PASSWORD, 3: SECRET, 4: SECRET, 6: SECRET}.get(self.mechanism)

    def job(self):
        keys = KEYS[self.suite]
        job = {
            "framing": self.framing,
            "sap": SAP,
            "mechanism": int(self.mechanism),
            "ciphered": self.ciphering is not None,
            "suite": int(self.suite),
            "server_title": METER_TITLE.hex(),
            "private_key": f"{self.meter_key.private_numbers().private_value:x}",
            "client_public_key": public_key_to_bytes(self.client_key.public_key()).hex(),
        }
        if self.secret:
            job["secret"] = self.secret.hex()
        if self.ciphering is not None or self.mechanism is Mechanism.GMAC:
            job |= {"unicast": bytes(keys.unicast).hex(), "authentication": bytes(keys.authentication).hex()}
        return job

    def config(self):
        needs_keys = self.ciphering is not None or self.mechanism is Mechanism.GMAC
        ecdsa = self.mechanism is Mechanism.ECDSA
        return AssociationConfig(
            mechanism=self.mechanism,
            ciphering=self.ciphering,
            suite=self.suite,
            system_title=CLIENT_TITLE,
            signer=self.client_key if ecdsa else None,
            secret=self.secret,
            keys=KEYS[self.suite] if needs_keys else None,
            send_counter=SendCounter() if needs_keys else None,
            verify_peer=(lambda title, certificate: self.meter_key.public_key()) if ecdsa else None,
        )

    def link(self):
        if self.framing == "wrapper":
            return WrapperLink(Role.CLIENT, client_sap=SAP, server_sap=1)
        return HdlcLink(Role.CLIENT, client_address=SAP, parameters=HdlcParameters(1024, 1024, 3, 3))


@contextlib.asynccontextmanager
async def simulated(both, **more):
    """Run the peer's meter, its job with ``more``; yield its port."""
    process = await asyncio.create_subprocess_exec(
        peers_python(),
        str(METER),
        json.dumps(both.job() | more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield int(await asyncio.wait_for(process.stdout.readline(), 30))
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize("mode", MODES)
async def test_our_client_reads_and_writes_the_peers_meter(mode, framing):
    both = Both(mode, framing)
    moment = dt.datetime.fromisoformat(NEW_TIME)
    async with simulated(both) as port:
        link, association = both.link(), ClientAssociation(both.config())
        async with Session(TcpTransport("127.0.0.1", port), link, association) as session:
            assert (await session.get(SERIAL)).value == "PYD0000000001"
            assert (await session.get(ENERGY)).value == 12_345_678
            several = await session.get_many([SERIAL, ENERGY])
            assert [data.value for data in several] == ["PYD0000000001", 12_345_678]
            rows = (await session.get(PROFILE)).as_items()
            assert len(rows) == 96
            some = Attribute(7, PROFILE.instance, 2, EntrySelection(3, 5))
            assert (await session.get(some)).as_items() == rows[2:5]
            await session.set(CLOCK, date_time_octets(CosemDateTime.of(moment)))
            assert (await session.get(CLOCK)).as_date_time().as_datetime() == moment


@pytest.mark.parametrize(("word", "number"), [("authenticated", 0x10), ("encrypted", 0x20)])
@pytest.mark.parametrize("mode", ["password and glo", "GMAC and glo", "GMAC and ded", "GMAC and general-glo"])
async def test_our_client_reads_the_peers_meter_under_a_weaker_policy(mode, word, number):
    both = Both(mode, "wrapper")
    async with simulated(both, general={"policy": number}) as port:
        for first, policy in ((0, policy_from_words([word])), (1000, FULL_PROTECTION)):
            config = replace(both.config(), policy=policy, send_counter=SendCounter(first))
            association = ClientAssociation(config)
            session = Session(TcpTransport("127.0.0.1", port), both.link(), association)
            if policy == FULL_PROTECTION:
                # Dedicated keys make the peer protect its InitiateResponse fully; the GET is answered under its policy.
                with pytest.raises(SecurityError, match="less protection"):
                    async with session:
                        await session.get(ENERGY)
            else:
                async with session:
                    assert (await session.get(SERIAL)).value == "PYD0000000001"
                    assert (await session.get(ENERGY)).value == 12_345_678
                    assert len((await session.get(PROFILE)).as_items()) == 96
