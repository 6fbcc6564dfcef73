"""`hil meter --keys`: a meter of the field as a process, for clients with the same key file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_site import TITLE, Site, issue_meter, key_file
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hil.meter.field import clients_of, shared_with
from hil.trust import shipped_identity
from meterlink.commands.secrets import MeterSecrets
from meterlink.security.counters import MemoryCounterStore
from meterlink.security.keys import KeySet, Secret

KEYS = {"unicast": bytes(range(16)).hex(), "authentication": bytes(range(0xD0, 0xE0)).hex()}
CLIENT = "4D4C4B0000000001"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def signing_key(site: Site, curve: ec.EllipticCurve | None = None) -> str:
    path = site.folder / "client.pem"
    path.touch(mode=0o600)
    path.write_bytes(
        ec.generate_private_key(curve or ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path.name


@contextmanager
def field_meter(site: Site, keys: Path, *identity: object) -> Iterator[dict[str, Any]]:
    """Yield what the verb says of the meter."""
    words = ("hil", "meter", "--listen", "tcp://127.0.0.1:0", "--keys", keys, *identity, "--json")
    with site.process(*words) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            text += process.stdout.readline().decode()
        yield json.loads(text)


def test_whoever_the_meter_lists_reads_it_with_the_same_file(site: Site) -> None:
    site.certify("Commissioning")
    issued = issue_meter(site, TITLE, "meters")
    identity = ("--domain", "authority/Heat.domain.json", "--certificate", issued, "--key", issued)
    more = {"system_title": CLIENT, "password": "12345678", "secret": "0x0011", "signing_key": signing_key(site)}
    keys = key_file(site, "keys", **KEYS, **more, meter_key=issued)
    with field_meter(site, keys, *identity) as told:
        assert [client["client"] for client in told["clients"]] == [17, 18, 19, 20, 21, 22, 23, 24]
        for client in told["clients"]:
            query = "&".join(f"{key}={value}" for key, value in client.items())
            done = site.here("read", f"{told['url']}?{query}", "--object", "energy", "--keys", keys)
            assert (done.status, done.err) == (0, ""), client
        assert site.here("read", told["url"], "--object", "energy").status == 0  # with a certificate, as ever


def test_a_meter_that_is_started_again_counts_on_under_whatever_key(site: Site) -> None:
    site.certify("Commissioning")
    issued = issue_meter(site, TITLE, "meters")
    identity = ("--domain", "authority/Heat.domain.json", "--certificate", issued, "--key", issued)
    more = {"system_title": CLIENT, "signing_key": signing_key(site), "meter_key": issued}
    keys, agreed = key_file(site, "keys", **KEYS, **more), site.folder / "agreed.json"
    for file, agrees in ((keys, False), (keys, True), (agreed, False)):
        with field_meter(site, file, *identity) as told:
            url = f"{told['url']}?security=hls-ecdsa&client=21"
            done = site.here("read", url, "--object", "energy", "--keys", file)
            assert (done.status, done.err) == (0, "")
            if agrees:
                words = ("agree-keys", url, "--keys", keys, "--out", agreed, "--yes")
                assert site.here("cosem", "security", *words).status == 0


def test_a_file_that_is_not_this_meters_is_told_and_nothing_is_served(site: Site) -> None:
    private = signing_key(site, ec.SECP384R1())
    key = serialization.load_pem_private_key((site.folder / private).read_bytes(), None)
    public = site.folder / "public.pem"
    spki = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public.write_bytes(key.public_key().public_bytes(*spki))
    other = site.folder / "other.pem"
    other.write_bytes(ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*spki))
    readable = key_file(site, "readable", **KEYS)
    readable.chmod(0o644)
    for keys, code, said in (
        (site.folder / "nowhere.toml", "key-file", "cannot be read"),
        (readable, "key-file-open", "others may read"),
        (key_file(site, "unknown", unicats="00"), "key-file", "unknown key 'unicats'"),
        (key_file(site, "curve", signing_key=private, system_title=CLIENT), "key-file", "signing_key is on secp384r1"),
        (key_file(site, "curve2", meter_key=public.name), "key-file", "meter_key is on secp384r1"),
        (key_file(site, "another", meter_key=other.name), "key-file", "the key of another meter"),
    ):
        done = site.here("hil", "meter", "--listen", "tcp://127.0.0.1:0", "--keys", keys)
        assert (done.status, done.code, done.out) == (2, code, ""), keys
        assert said in done.err


SHORT, LONG = KeySet(bytes(16), bytes(range(16))), KeySet(bytes(32), bytes(range(32)))


@pytest.mark.parametrize(
    ("secrets", "saps"),
    [
        (MeterSecrets(), {16, 17}),
        (MeterSecrets(password=Secret(b"12345678")), {16, 17, 18}),
        (MeterSecrets(secret=Secret(b"secret")), {16, 17, 22, 23, 24}),
        (MeterSecrets(keys=SHORT), {16, 17, 19}),
        (MeterSecrets(keys=LONG), {16, 17}),  # there is no client of suite 2 on a meter of suite 1
        (MeterSecrets(signing_key=ec.generate_private_key(ec.SECP256R1())), {16, 17}),  # whose is it?
        (
            MeterSecrets(system_title=bytes(8), signing_key=ec.generate_private_key(ec.SECP256R1())),
            {16, 17, 20},
        ),
        (
            MeterSecrets(system_title=bytes(8), signing_key=ec.generate_private_key(ec.SECP256R1()), keys=SHORT),
            {16, 17, 19, 20, 21},
        ),
    ],
)
def test_clients_are_served_for_whom_all_is_shared(secrets: MeterSecrets, saps: set[int]) -> None:
    identity = shipped_identity()
    assert set(clients_of(shared_with(secrets, identity, MemoryCounterStore()), identity)) == saps
