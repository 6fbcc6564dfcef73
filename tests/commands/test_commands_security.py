"""Policy and certificates of a meter through its security setup, with certificates of several levels."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from session_support import METER_TITLE, Bench, Breaking, utc_now

from certs import profile
from certs.domain import make_domain
from certs.errors import ProfileError
from certs.levels import METER_POLICY, Level
from certs.meter_request import read_meter_request
from hil.meter.keystore import KeyStore
from meterlink.commands.command import perform
from meterlink.commands.security_certificates import (
    ExportCertificate,
    ImportCertificate,
    RemoveCertificate,
    RequestCertificate,
)
from meterlink.commands.security_keys import GenerateKeyPair, TransferKeys
from meterlink.commands.security_setup import ActivatePolicy, ShowSecurity
from meterlink.commands.security_words import Wanted, name_text
from meterlink.cosem.objects.security_setup import CertificateEntity, CertificateType
from meterlink.errors import LinkError, MeterNotTrusted, MeterRefused, NotPermitted, ProtocolError, UsageError
from meterlink.security.control import SecurityPolicy
from meterlink.security.keys import KeyId

FULL = SecurityPolicy(0x6C)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def run(bench: Bench, command, level: Level = Level.COMMISSIONING):
    return await perform(command, bench.credential(level), lambda: bench.session(level), utc_now())


def certificate(bench: Bench, key, *, title: bytes = METER_TITLE, policy=METER_POLICY, **more) -> x509.Certificate:
    domain = bench.made.domain
    names = {"system_title": title, "policy": policy, "organization": "Warm AG"}
    return profile.build_leaf(key, domain.issuing_ca, bench.made.issuing_key, utc_now(), **names, **more)


def importing(bench: Bench, made: x509.Certificate, **more) -> ImportCertificate:
    return ImportCertificate(made, utc_now(), domain=bench.made.domain, **more)


def anything(bench: Bench) -> list:
    """Every command that changes something."""
    return [
        ActivatePolicy(FULL),
        TransferKeys({KeyId.UNICAST: bytes(16)}, bytes(16)),
        GenerateKeyPair(),
        RequestCertificate(),
        importing(bench, bench.server.identity.certificate),
        RemoveCertificate(Wanted()),
    ]


async def test_what_a_consumer_sees(bench: Bench) -> None:
    report = await run(bench, ShowSecurity(), Level.CONSUMER)
    assert (report.version, report.policy, report.suite, report.meter_title) == (1, FULL, 1, METER_TITLE)
    domain = bench.made.domain
    known = [(found.info.entity, found.certificate) for found in report.certificates]
    own, *authorities = known
    assert own == (CertificateEntity.SERVER, bench.server.identity.certificate)
    ca = CertificateEntity.CERTIFICATION_AUTHORITY
    assert authorities == [(ca, each) for each in (domain.root, *domain.authorities)]
    told = report.as_json()
    assert told["policy"] == ["authenticated", "encrypted"]
    assert told["system_title"] == METER_TITLE.hex().upper()
    first = told["certificates"][0]
    assert first["serial"] == f"{bench.server.identity.certificate.serial_number:x}"
    assert METER_TITLE.hex().upper() in first["subject"]
    assert "Issuing CA" in first["issuer"]
    assert dt.datetime.fromisoformat(first["not_after"]) > utc_now()


@pytest.mark.parametrize("level", [Level.CONSUMER, Level.INSTALLATION, Level.TEST])
async def test_who_may_not_commission_sends_nothing(bench: Bench, level: Level) -> None:
    def nobody():
        raise AssertionError("a session was made")

    for command in anything(bench):
        with pytest.raises(NotPermitted):
            await perform(command, bench.credential(level), nobody, utc_now())


@pytest.mark.parametrize("level", [Level.CONSUMER, Level.INSTALLATION, Level.TEST])
async def test_without_the_gate_the_meter_refuses(bench: Bench, level: Level) -> None:
    before = bench.server.identity
    for command in anything(bench):
        if isinstance(command, ActivatePolicy):
            continue  # in force already, so it asks for nothing
        async with bench.session(level) as session:
            with pytest.raises(MeterRefused) as caught:
                await command.run(session)
        assert caught.value.code == "read-write-denied"
    assert bench.server.identity is before


async def test_a_certificate_is_renewed_and_the_next_session_uses_it(bench: Bench) -> None:
    old = bench.server.identity.certificate
    assert (await run(bench, RequestCertificate())).is_certified is True
    await run(bench, GenerateKeyPair())
    requested = await run(bench, RequestCertificate())
    assert requested.is_certified is False
    assert requested.request.system_title == METER_TITLE
    new = certificate(bench, requested.request.public_key)
    await run(bench, importing(bench, new))
    async with bench.session(Level.CONSUMER) as session:
        assert session.association.server_certificate == new.public_bytes(Encoding.DER)
        assert await ExportCertificate(Wanted()).run(session) == new
        with pytest.raises(MeterRefused) as caught:
            await ExportCertificate(Wanted(serial=old.serial_number)).run(session)
    assert caught.value.code == "certificate-unknown"


def request(key, *, title: str = METER_TITLE.hex().upper(), digest=None) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, title)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(Encoding.DER)


def whose_proof_fails(store: KeyStore) -> bytes:
    """The request of a key that the meter holds, with another key in it."""
    mine, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def point(key) -> bytes:
        numbers = key.public_key().public_numbers()
        return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    return request(mine).replace(point(mine), point(other))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (whose_proof_fails, "csr-signature"),
        (lambda _: request(ec.generate_private_key(ec.SECP256R1()), title="4D4C4B0000000099"), "csr-system-title"),
        (lambda _: request(ec.generate_private_key(ec.SECP384R1()), digest=hashes.SHA384()), "csr-key-type"),
        (lambda _: request(ec.generate_private_key(ec.SECP256R1()), digest=hashes.SHA384()), "csr-key-type"),
        (lambda _: b"junk", "csr-format"),
        (lambda _: b"", "csr-format"),
    ],
    ids=["proof", "title", "curve", "digest", "junk", "empty"],
)
async def test_the_request_of_a_hostile_meter_is_refused(bench: Bench, monkeypatch, make, code: str) -> None:
    monkeypatch.setattr(KeyStore, "request", make)
    with pytest.raises(MeterNotTrusted) as caught:
        await run(bench, RequestCertificate())
    assert caught.value.code == code


async def test_a_certificate_that_does_not_hold_is_never_sent(bench: Bench, monkeypatch) -> None:
    key = bench.server.identity.private_key.public_key()
    stranger = Bench(make_domain("Bench", "other@bench.example", utc_now()))
    monkeypatch.setattr(KeyStore, "import_certificate", lambda *_: pytest.fail("it was sent"))
    for made, kind, code in (
        (certificate(bench, key, title=b"MLKT\0\0\0\2"), UsageError, "system-title"),
        (certificate(bench, key, lifetime=-dt.timedelta(minutes=5)), ProfileError, "expired"),
        (certificate(stranger, key), ProfileError, "chain"),
        (certificate(bench, key, policy=Level.SERVICE), ProfileError, "not-a-meter"),
    ):
        with pytest.raises(kind) as caught:
            await run(bench, importing(bench, made))
        assert caught.value.code == code


async def test_a_certificate_for_another_key_is_refused_by_the_meter(bench: Bench) -> None:
    before = bench.server.identity
    other = certificate(bench, ec.generate_private_key(ec.SECP256R1()).public_key())
    with pytest.raises(MeterRefused) as caught:
        await run(bench, importing(bench, other))
    assert "last request" in caught.value.hint
    assert bench.server.identity is before


async def test_keys_of_a_certificate_session_are_not_transferred(bench: Bench) -> None:
    with pytest.raises(MeterRefused) as caught:
        await run(bench, TransferKeys({KeyId.UNICAST: bytes(16)}, bytes(16)))
    assert "master" in caught.value.hint


async def test_a_weaker_policy_is_never_sent_and_the_same_asks_for_nothing(bench: Bench) -> None:
    change = await run(bench, ActivatePolicy(FULL))
    assert change.before == change.after == FULL
    for weaker in (0, 0x24, 0x48, 0x2C, 0xB4):
        with pytest.raises(UsageError) as caught:
            await run(bench, ActivatePolicy(SecurityPolicy(weaker)))
        assert caught.value.code == "policy-weaker"
    with pytest.raises(MeterRefused):  # stronger than this meter can
        await run(bench, ActivatePolicy(SecurityPolicy(0xFC)))


async def test_certificates_are_exported_by_what_names_them(bench: Bench) -> None:
    domain = bench.made.domain
    ca = CertificateEntity.CERTIFICATION_AUTHORITY
    assert await run(bench, ExportCertificate(Wanted(serial=domain.root.serial_number))) == domain.root
    own = await run(bench, ExportCertificate(Wanted(title=METER_TITLE)), Level.CONSUMER)
    assert own == bench.server.identity.certificate
    assert await run(bench, ExportCertificate(Wanted(issuer="issuing"))) == own
    with pytest.raises(UsageError) as caught:
        await run(bench, ExportCertificate(Wanted(ca)))
    assert caught.value.code == "several-certificates"
    for unknown in (Wanted(serial=5), Wanted(use=CertificateType.TLS, issuer="Issuing"), Wanted(ca, issuer="nobody")):
        with pytest.raises(MeterRefused) as refused:
            await run(bench, ExportCertificate(unknown))
        assert refused.value.code == "certificate-unknown"


async def test_a_meter_that_exports_another_certificate_is_told(bench: Bench, monkeypatch) -> None:
    other = certificate(bench, bench.server.identity.private_key.public_key(), title=b"MLKT\0\0\0\2")
    monkeypatch.setattr(
        "hil.meter.objects.security.SecuritySetup._find",
        lambda self, _: type("Known", (), {"certificate": other})(),
    )
    for wanted in (Wanted(), Wanted(serial=bench.server.identity.certificate.serial_number)):
        with pytest.raises(ProtocolError) as caught:
            await run(bench, ExportCertificate(wanted))
        assert caught.value.code == "certificate-other"


async def test_a_meter_keeps_what_it_needs(bench: Bench) -> None:
    for wanted in (Wanted(), Wanted(serial=bench.made.domain.root.serial_number)):
        with pytest.raises(MeterRefused) as caught:
            await run(bench, RemoveCertificate(wanted))
        assert "needs itself" in caught.value.hint
    assert len((await run(bench, ShowSecurity())).certificates) == 1 + 1 + len(bench.made.domain.authorities)


class Watched(KeyStore):
    """Counts the certificates that arrive."""

    arrived = 0

    def import_certificate(self, der: bytes, now: dt.datetime) -> None:
        self.arrived += 1
        super().import_certificate(der, now)


async def imported_over(bench: Bench, new: x509.Certificate, *transports) -> tuple[str, int]:
    """Import ``new`` over ``transports`` and then over sound ones; return what was told, and messages sent in all."""
    waiting, wire = list(transports), []

    def open_session():
        transport = waiting.pop(0) if waiting else bench.transport()
        return bench.session(Level.COMMISSIONING, transport=transport, wire=wire)

    try:
        await perform(importing(bench, new), bench.credential(Level.COMMISSIONING), open_session, utc_now())
        told = "done"
    except LinkError as error:
        told = error.code
    return told, sum(entry.event == "sent" for entry in wire)


@pytest.mark.parametrize("delivered", [False, True])
async def test_an_import_over_a_link_that_breaks_at_any_message_is_told_as_it_is(delivered: bool) -> None:
    """Whatever the moment, success is said exactly when the meter has the certificate, and it is sent once."""
    bench, outcomes = Bench(), set()
    key = bench.server.identity.private_key.public_key()
    _, last = await imported_over(bench, certificate(bench, key))
    for at in range(1, last + 1):
        store = bench.server._device.keys = Watched(bench.server.identity)
        new = certificate(bench, key)
        told, _ = await imported_over(bench, new, Breaking(bench, at, delivered=delivered))
        assert (bench.server.identity.certificate == new) is (told == "done"), (at, told)
        assert store.arrived <= 1
        outcomes.add(told)
    assert outcomes == {"link-lost", "write-lost", "done"}


def test_no_key_is_in_a_representation() -> None:
    key, master = bytes(range(16)), bytes(range(100, 116))
    shown = repr(TransferKeys({KeyId.UNICAST: key}, master))
    for hidden in (key, master):
        assert hidden.hex() not in shown
        assert repr(hidden)[2:-1] not in shown


def test_a_request_is_read_from_pem_and_der_alike() -> None:
    der = request(ec.generate_private_key(ec.SECP256R1()))
    pem = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)
    assert read_meter_request(pem).der == read_meter_request(der).der == der


def altered(changes: list[tuple[int, int]]) -> bytes:
    """The name with some octets exchanged."""
    octets = bytearray(NAME)
    for place, octet in changes:
        octets[place] = octet
    return bytes(octets)


NAME = x509.Name(
    [
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Wärme AG"),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA 1"),
    ]
).public_bytes()


def test_a_name_is_read_without_the_certificate_it_stands_in() -> None:
    assert name_text(NAME) == "CA 1, Wärme AG"
    long = x509.Name([x509.NameAttribute(x509.ObjectIdentifier("2.5.4.13"), "x" * 5000)] * 30).public_bytes()
    assert name_text(long) == "no name"
    for junk in (b"", b"CN=CA", NAME[:-1], NAME + b"\0", b"\x30\x84\xff\xff\xff\xff"):
        assert name_text(junk) == "not readable"


@given(st.binary(max_size=80) | st.lists(st.tuples(st.integers(0, len(NAME) - 1), st.integers(0, 255))).map(altered))
def test_whatever_a_meter_calls_a_name_is_text_that_can_be_shown(octets: bytes) -> None:
    assert name_text(octets).isprintable()
