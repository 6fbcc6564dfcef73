"""Our part of the session benchmark, a process as the peers' are: prints seconds per session as JSON.

Takes a job as :mod:`tests.benchmarks.session_peer` does; ``at_once`` reads all in lists, ``certificates`` is a session
with the certificate of a fresh store and key agreement, ``profile`` reads the rows of the load profile and prints
seconds and octets.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from certs.clock import now
from certs.store import Store
from meterlink.commands.connect import certificate_session, target_of
from meterlink.commands.read_profile import ProfileRow, ReadProfile
from meterlink.cosem.association import AssociationConfig, Ciphering, ClientAssociation, Mechanism
from meterlink.cosem.names import Attribute
from meterlink.framing.hdlc import HdlcLink, HdlcParameters
from meterlink.framing.link import Role
from meterlink.framing.wrapper import WrapperLink
from meterlink.meters.profile import profile
from meterlink.security.counters import SendCounter
from meterlink.security.keys import KeySet
from meterlink.security.signing import public_key_from_bytes
from meterlink.security.suites import Suite
from meterlink.session import Session
from meterlink.transport.tcp import TcpTransport
from meterlink.values import Obis

ENERGY = Obis.parse("6-0:1.0.0")
HEAT = profile("cosem-heat")
COUNTERS_PER_ROUND = 200


def config(job: dict[str, Any], counter: int) -> AssociationConfig:
    suite, mechanism = Suite(job["suite"]), Mechanism(job["mechanism"])
    keys = None
    if job.get("unicast"):
        keys = KeySet(bytes.fromhex(job["unicast"]), bytes.fromhex(job["authentication"]))
    is_ecdsa = mechanism is Mechanism.ECDSA
    signer = meter = None
    if is_ecdsa:
        signer = ec.derive_private_key(int(job["private_key"], 16), suite.curve)
        meter = public_key_from_bytes(bytes.fromhex(job["server_public_key"]), suite)
    return AssociationConfig(
        mechanism=mechanism,
        ciphering=Ciphering.GLOBAL if job["ciphered"] else None,
        suite=suite,
        system_title=bytes.fromhex(job["title"]),
        signer=signer,
        secret=bytes.fromhex(job["secret"]) if job.get("secret") else None,
        keys=keys,
        send_counter=SendCounter(counter) if keys else None,
        verify_peer=None if meter is None else (lambda title, certificate: meter),
    )


def session_of(job: dict[str, Any], store: Store | None) -> Session:
    transport = TcpTransport("127.0.0.1", job["port"])
    if store is not None:
        target = target_of(f"tcp://127.0.0.1:{job['port']}?framing=hdlc")
        return certificate_session(target, transport, store.active(), now)
    link = (
        HdlcLink(Role.CLIENT, client_address=job["sap"], parameters=HdlcParameters(1024, 1024, 1, 7))
        if job["framing"] == "hdlc"
        else WrapperLink(Role.CLIENT, client_sap=job["sap"])
    )
    # As the program does, and gurux-dlms: in HDLC the end of the link releases the association.
    release = job["framing"] != "hdlc"
    return Session(transport, link, ClientAssociation(config(job, job["counter"])), release=release)


async def once(job: dict[str, Any], store: Store | None) -> None:
    indexes = (3, 2) if job["scalers"] else (2,)
    wanted = [Attribute(3, ENERGY, index) for _ in range(job["gets"]) for index in indexes]
    async with session_of(job, store) as session:
        if job["at_once"]:
            await session.get_many(wanted)
            return
        for attribute in wanted:
            await session.get(attribute)


async def read_rows(job: dict[str, Any], store: Store | None) -> tuple[float, int, int]:
    thing = next(thing for thing in HEAT.objects if thing.name == "load_profile")
    async with session_of(job, store) as session:
        first, start = session.octets_received, time.perf_counter()
        rows: list[ProfileRow] = []
        await ReadProfile(HEAT, thing, lambda _, part: rows.extend(part)).run(session)
        return time.perf_counter() - start, session.octets_received - first, len(rows)


async def main() -> None:
    job = json.loads(sys.argv[1])
    store = Store.open() if job.get("certificates") else None
    if job.get("profile"):
        print(json.dumps(await read_rows(job, store)))
        return
    times = []
    for _ in range(job["rounds"]):
        start = time.perf_counter()
        await once(job, store)
        times.append(time.perf_counter() - start)
        job["counter"] += COUNTERS_PER_ROUND
    print(json.dumps(times))


if __name__ == "__main__":
    asyncio.run(main())
