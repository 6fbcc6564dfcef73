"""Certificates that must not be trusted: each is right in every way but one."""

from __future__ import annotations

import datetime as dt
import enum

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certs import profile
from certs.domain import NewDomain, TrustDomain, make_domain
from certs.levels import METER_POLICY, Level
from hil.trust import MeterIdentity


class Untrusted(enum.Enum):
    """What is wrong with a certificate."""

    OTHER_DOMAIN = "another domain of the same name issued it"
    CONSUMER_CA = "the consumer CA issued it, whose key everybody has"
    OTHER_POLICY = "it is a technician's where a meter's is due, or a meter's where a technician's is"
    OTHER_TITLE = "it is that of another system title"
    EXPIRED = "its time is over"
    NOT_YET_VALID = "its time has not come"
    OTHER_KEY = "it is for a key that its bearer does not have"


def untrusted_certificate(
    fault: Untrusted,
    domain: TrustDomain,
    issuing_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    *,
    system_title: bytes,
    policy: Level | x509.ObjectIdentifier,
) -> x509.Certificate:
    """Return a certificate with one fault; without it, it would be that of ``system_title`` under ``policy``."""
    issuer, issuer_key = domain.issuing_ca, issuing_key
    lifetime = dt.timedelta(days=365)
    if fault is Untrusted.OTHER_DOMAIN:
        stranger = make_domain(domain.name, domain.mail, now, suite=domain.suite)
        issuer, issuer_key = stranger.domain.issuing_ca, stranger.issuing_key
    elif fault is Untrusted.CONSUMER_CA:
        issuer, issuer_key = domain.consumer_ca, domain.consumer_ca_key
    elif fault is Untrusted.OTHER_POLICY:
        policy = Level.SERVICE if policy == METER_POLICY else METER_POLICY
    elif fault is Untrusted.OTHER_TITLE:
        system_title = bytes(octet ^ 0xFF for octet in system_title)
    elif fault is Untrusted.OTHER_KEY:
        key = ec.generate_private_key(key.curve).public_key()
    elif fault is Untrusted.NOT_YET_VALID:
        now += dt.timedelta(days=30)
    elif fault is Untrusted.EXPIRED:
        lifetime = -profile.BACKDATED / 2  # from ten minutes ago to five minutes ago
    return profile.build_leaf(
        key,
        issuer,
        issuer_key,
        now,
        system_title=system_title,
        policy=policy,
        organization="not to be trusted",
        lifetime=lifetime,
    )


def untrusted_meter(fault: Untrusted, made: NewDomain, now: dt.datetime, system_title: bytes) -> MeterIdentity:
    """Return the identity of a meter that no client of the domain may trust."""
    key = ec.generate_private_key(profile.SUITE_CURVES[made.domain.suite].curve)
    certificate = untrusted_certificate(
        fault,
        made.domain,
        made.issuing_key,
        key.public_key(),
        now,
        system_title=system_title,
        policy=METER_POLICY,
    )
    return MeterIdentity(system_title, certificate, key, made.domain)
