"""A client driven by hand: every APDU it sends and gets can be looked at, altered and repeated."""

import datetime as dt
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certs import profile
from certs.domain import make_domain
from certs.errors import CertsError
from certs.levels import Level
from hil.faults.certificates import untrusted_certificate
from hil.meter.clients import CERTIFICATE_CLIENTS
from hil.meter.device import MeterOptions
from hil.meter.plant import Conditions, SteadyPlant
from hil.meter.server import MeterServer
from hil.trust import issue_identity
from meterlink.cosem.association import Associated, AssociationConfig, ClientAssociation, KeysAgreed, Response, Send
from meterlink.cosem.names import Attribute, Method
from meterlink.errors import AssociationRefused, LinkLost, MeterlinkError, MeterNotTrusted
from meterlink.framing.hdlc import HdlcLink
from meterlink.framing.link import LinkClosed, LinkConnected, PduReceived, Role
from meterlink.security.ciphered import Ciphering
from meterlink.security.hls import Mechanism
from meterlink.security.suites import Suite
from meterlink.values import Obis

START = dt.datetime(2026, 11, 23, 7, 15, tzinfo=dt.UTC)
METER_TITLE = bytes.fromhex("4D4C4B0000004711")
CLIENT_TITLE = bytes.fromhex("AABBCCDDEEFF0001")

CLOCK = Attribute(8, Obis.parse("0-0:1.0.0"), 2)
ENERGY = Attribute(3, Obis.parse("6-0:1.0.0"), 2)
SERIAL = Attribute(1, Obis.parse("0-0:96.1.0"), 2)
PROPERTY_NUMBER = Attribute(1, Obis.parse("0-0:96.1.1"), 2)
OBJECT_LIST = Attribute(15, Obis.parse("0-0:40.0.0"), 2)
TEST_MODE = Method(9, Obis.parse("0-0:10.0.101"), 1)

SAP_OF = {row.level: row.sap for row in CERTIFICATE_CLIENTS.values()}


def der(certificate):
    return certificate.public_bytes(Encoding.DER)


class World:
    """A trust domain, its keys, and whatever certificates a test asks for."""

    def __init__(self, suite=1, name="Test domain"):
        made = make_domain(name, "ca@example.org", START, suite=suite)
        self.suite = suite
        self.made = made
        self.domain, self.issuing_key = made.domain, made.issuing_key

    def key(self):
        return ec.generate_private_key(profile.SUITE_CURVES[self.suite].curve)

    def certificate(self, key, policy, title=CLIENT_TITLE, now=START, **options):
        return profile.build_leaf(
            key.public_key(),
            self.domain.issuing_ca,
            self.issuing_key,
            now,
            system_title=title,
            policy=policy,
            organization="Heat & Co",
            **options,
        )

    def person(self, level, title=CLIENT_TITLE, **options):
        """Return the configuration of a client with a certificate of its own."""
        key = self.key()
        return self.config(title, self.certificate(key, level, title, **options), key)

    def impostor(self, fault, level):
        """Return the configuration of a client whose certificate has one fault."""
        key = self.key()
        certificate = untrusted_certificate(
            fault, self.domain, self.issuing_key, key.public_key(), START, system_title=CLIENT_TITLE, policy=level
        )
        return self.config(CLIENT_TITLE, certificate, key)

    def config(self, title, certificate, key, **changes):
        config = AssociationConfig(
            mechanism=Mechanism.ECDSA,
            ciphering=Ciphering.GLOBAL,
            suite=Suite(self.suite),
            system_title=title,
            certificate=der(certificate),
            signer=key,
            verify_peer=self.judge,
        )
        return replace(config, **changes)

    def revoke(self, certificate):
        """Return a revocation list of the issuing CA with ``certificate`` (DER) on it."""
        serial = x509.load_der_x509_certificate(certificate).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(START).build()
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.domain.issuing_ca.subject)
        builder = builder.last_update(START).next_update(START + dt.timedelta(days=30)).add_revoked_certificate(entry)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.domain.issuing_ca.public_key()), critical=False
        )
        return builder.sign(self.issuing_key, profile.SUITE_CURVES[self.suite].hash)

    def judge(self, title, certificate, now=START):
        try:
            return self.domain.check_meter(certificate, now, title).certificate.public_key()
        except CertsError as error:
            raise MeterNotTrusted(str(error)) from error

    def meter(self, now=0.0, title=METER_TITLE, **options):
        identity = issue_identity(self.domain, self.issuing_key, START, system_title=title, suite=self.suite)
        meter = MeterOptions(plant=SteadyPlant(Conditions(1.2, 70.0, 45.0)), history=2)
        return MeterServer(now, START, identity, options=meter, **options)


class Hands:
    """A client on a connection of its own (wrapper), with its hands on every APDU.

    ``alter(apdu)`` sees what the client sends, ``alter_answer(apdu)`` what the meter answers, before the other side
    does; each returns what goes on.
    """

    def __init__(self, meter, config, level=None, sap=None, port="tcp", now=0.0):
        self.meter = meter
        self.sap = SAP_OF[level] if sap is None else sap
        self.line = meter.wrapper_connection(port)
        self.client = ClientAssociation(config)
        self.now = now
        self.sent, self.got = [], []
        self.alter = self.alter_answer = lambda apdu: apdu

    def raw(self, apdu, sap=None):
        """Put one APDU on the line as it is; return the APDUs that come back."""
        self.sent.append(apdu)
        header = b"".join(number.to_bytes(2, "big") for number in (1, self.sap if sap is None else sap, 1, len(apdu)))
        answers = split(self.line.receive(header + apdu, self.now))
        self.got += answers
        return answers

    def exchange(self, apdu):
        """Send, and let the client go on until it has nothing more to send; return its last events."""
        events = []
        while apdu is not None:
            answers = self.raw(self.alter(apdu))
            if not answers:
                raise AssociationRefused("the meter does not answer", code="silence")
            apdu, events = None, []
            for answer in answers:
                for event in self.client.receive(self.alter_answer(answer)):
                    if isinstance(event, Send):
                        apdu = event.apdu
                    else:
                        events.append(event)
        return events

    def associate(self):
        (event,) = self.exchange(self.client.open())
        assert isinstance(event, Associated)
        return self

    def agree(self):
        (event,) = self.exchange(self.client.agree_keys())
        assert isinstance(event, KeysAgreed)
        return self

    def connect(self):
        return self.associate().agree()

    def get(self, attribute):
        return self._response(self.client.get(attribute)).value()

    def set(self, attribute, value):
        return self._response(self.client.set((attribute, value))).value()

    def call(self, method, argument=None):
        return self._response(self.client.action((method, argument))).value()

    def _response(self, apdu):
        (event,) = self.exchange(apdu)
        assert isinstance(event, Response)
        return event


def split(data):
    """Return the APDUs in wrapper messages."""
    apdus = []
    while data:
        length = int.from_bytes(data[6:8], "big")
        apdus.append(data[8 : 8 + length])
        data = data[8 + length :]
    return apdus


def log(meter, code):
    return meter.meter.security_events.count(code)


LEVELS = list(Level)


class LinkedClient:
    """A client on an HDLC line in a time of its own: nothing sleeps, the clock jumps to the next deadline.

    ``line`` is the meter's end, possibly behind faults. Raises LinkLost when the link goes down.
    """

    def __init__(self, line, config, sap, start=0.0):
        self.line = line
        self.now = start
        self.link = HdlcLink(Role.CLIENT, client_address=sap, server_upper=1, server_lower=16)
        self.client = ClientAssociation(config)
        self.octets = 0

    def connect(self):
        self.link.connect(self.now)
        self._run(LinkConnected)
        self._talk(self.client.open(), Associated)
        self._talk(self.client.agree_keys(), KeysAgreed)
        return self

    def get(self, attribute):
        return self._talk(self.client.get(attribute), Response).value()

    def set(self, attribute, value):
        return self._talk(self.client.set((attribute, value)), Response).value()

    def disconnect(self):
        self.link.disconnect(self.now)
        self._run(LinkClosed)

    def _talk(self, apdu, wanted):
        while apdu is not None:
            self.link.send(apdu, self.now)
            received = self._run(PduReceived)
            apdu = None
            for event in self.client.receive(received.data):
                if isinstance(event, Send):
                    apdu = event.apdu
                elif isinstance(event, wanted):
                    return event
        raise AssertionError(f"no {wanted.__name__} came")

    def _run(self, wanted):
        """Let bytes and time pass until the link gives an event of this kind."""
        for _ in range(10_000):
            events = []
            data = self.link.data_to_send(self.now)
            if data:
                self.octets += len(data)
                events = self.link.receive(self.line.receive(data, self.now), self.now)
            else:
                deadlines = (self.link.next_deadline, self.line.next_deadline)
                due = min(deadline for deadline in deadlines if deadline is not None)
                self.now = max(self.now, due)
                if self.line.next_deadline is not None and self.line.next_deadline <= self.now:
                    events = self.link.receive(self.line.handle_timer(self.now), self.now)
                events += self.link.handle_timer(self.now)
            for event in events:
                if isinstance(event, wanted):
                    return event
                if isinstance(event, LinkClosed):
                    raise LinkLost(f"the link closed: {event.reason}")
        raise AssertionError(f"no {wanted.__name__} after 10,000 steps")


def connect(world, meter, level, **options):
    return Hands(meter, world.person(level), level, **options).connect()


def refused(action, *args):
    """Run ``action``; return the error that says that the meter would not."""
    with pytest.raises(MeterlinkError) as caught:
        action(*args)
    return caught.value


def is_plain(apdu):
    """Whether an APDU that is no part of opening or releasing goes unprotected."""
    return apdu[0] in (0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7)


def serves(meter, world):
    """The meter goes on serving a rightful client."""
    return connect(world, meter, Level.CONSUMER).get(SERIAL).value == "00004711"
