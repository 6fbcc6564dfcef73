"""A small authority and a technician's device for the tests of this folder."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from done import Done
from hypothesis import settings

from certs import clock, domain, importing, payload, profile, request, requesting, sealing, token
from certs.cli.output import run
from certs.cli.technician import certs as certs_group
from certs.domain import NewDomain, TrustDomain
from certs.entries import Entry
from certs.levels import METER_POLICY, Level
from certs.records import RequestRecord
from certs.store import Store

# A busy machine makes an example slow now and then; that is no fault of what is tested.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

NOW = clock.now().replace(microsecond=0)
PASSPHRASE = "correct horse battery staple"


# Keys are sealed at the lowest cost that is accepted: the cost is for guessers, and tests open keys all the time.
USUAL_COST = sealing.LOG_N_PERSON
sealing.LOG_N_PERSON = sealing.LOG_N_RANDOM  # type: ignore[misc]


@dataclass
class TestAuthority:
    """Issues without asking: what comes out of it is right, so a test can make one thing wrong."""

    made: NewDomain
    __test__ = False

    @classmethod
    def create(cls, name: str = "Test domain", *, suite: int = 1, now: dt.datetime = NOW) -> TestAuthority:
        return cls(domain.make_domain(name, "authority@example.org", now, suite=suite))

    @property
    def domain(self) -> TrustDomain:
        return self.made.domain

    def token(
        self,
        level: Level = Level.COMMISSIONING,
        organization: str = "Stadtwerke Süd",
        *,
        suite: int = 1,
        now: dt.datetime = NOW,
        days: int = 30,
    ) -> str:
        claims = token.Token(
            os.urandom(16), level, organization, os.urandom(8), suite, now, now + dt.timedelta(days=days)
        )
        return token.issue(claims, self.made.issuing_key, self.domain.issuing_ca)

    def issue(
        self, record: RequestRecord | request.Request, level: Level | None = None, **changes: Any
    ) -> x509.Certificate:
        """Answer a request; ``changes`` replace arguments of ``build_leaf``."""
        asked = record.request if isinstance(record, RequestRecord) else record
        policy = level or (
            record.level if isinstance(record, RequestRecord) else token.peek(asked.token_text or "").level
        )
        arguments: dict[str, Any] = {
            "public_key": asked.public_key,
            "issuer": self.domain.issuing_ca,
            "issuer_key": self.made.issuing_key,
            "now": NOW,
            "system_title": asked.system_title,
            "policy": policy,
            "organization": asked.organization,
            "tag": asked.tag,
        }
        return profile.build_leaf(**(arguments | changes))

    def meter(self, key: ec.EllipticCurvePublicKey, title: bytes, now: dt.datetime = NOW) -> x509.Certificate:
        return profile.build_leaf(
            key, self.domain.issuing_ca, self.made.issuing_key, now,
            system_title=title, policy=METER_POLICY, organization="Meter maker",
        )  # fmt: skip

    def crl(
        self,
        *serials: int,
        now: dt.datetime = NOW,
        issuer: x509.Certificate | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        number: int | None = None,
        critical: x509.ExtensionType | None = None,
    ) -> x509.CertificateRevocationList:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name((issuer or self.domain.issuing_ca).subject)
            .last_update(now)
            .next_update(now + dt.timedelta(days=30))
        )
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        if critical is not None:
            builder = builder.add_extension(critical, critical=True)
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            builder = builder.add_revoked_certificate(revoked)
        return builder.sign(key or self.made.issuing_key, hashes.SHA256())


@dataclass
class Device:
    """A technician's device: a store in a folder of its own."""

    home: Path
    now: dt.datetime = NOW
    authority: TestAuthority = field(default_factory=TestAuthority.create)

    def store(self, **changes: Any) -> Store:
        return Store.open(self.home, now=changes.pop("now", self.now), **changes)

    def joined(self) -> Store:
        store = self.store()
        store.join(self.authority.domain)
        return store

    def request(self, level: Level = Level.COMMISSIONING, tag: str = "Tablet 3", **claims: Any) -> RequestRecord:
        return requesting.create_request(self.joined(), self.authority.token(level, **claims), tag, plain=True)

    def obtain_from(self, record: RequestRecord) -> Entry:
        """Have a request answered and import the answer."""
        return importing.import_certificate(self.store(), self.authority.issue(record), activate=True).entry

    def obtain(
        self, level: Level = Level.COMMISSIONING, tag: str = "Tablet 3", **claims: Any
    ) -> importing.ImportResult:
        """Go the whole way to a certificate of ``level``."""
        leaf = self.authority.issue(self.request(level, tag, **claims))
        return importing.import_certificate(self.store(), leaf, activate=True)


def cli(*arguments: object, group: Any = certs_group) -> Done:
    """Run ``meterlink certs ARGUMENTS`` in this process."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run(group, [str(argument) for argument in arguments], prog_name="meterlink certs")
    return Done(status, out.getvalue(), err.getvalue())


def ask(device: Device, *extra: str, level: Level = Level.COMMISSIONING) -> dict[str, Any]:
    device.joined()
    ran = cli("request", "--token", device.authority.token(level), "--tag", "Tablet 3", "--plain-key", "--json", *extra)
    assert ran.status == 0, ran.err
    return ran.json


@contextmanager
def unchanged(home: Path) -> Iterator[None]:
    """Hold that a folder's files, but for the lock, are the same afterwards: nothing is lost, nothing is left."""
    before = contents(home)
    yield
    assert contents(home) == before


def contents(home: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def code(leaf: x509.Certificate, *chain: x509.Certificate) -> str:
    return payload.certificate_text(leaf, chain)
