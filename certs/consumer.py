"""The Consumer certificate that every device gives itself.

The consumer CA's key is public: it can certify nothing but the Consumer level, and anyone may be a consumer. The key
and the system title are this device's own, so that no two consumers share an identity.
"""

from __future__ import annotations

import datetime as dt
import os
from typing import Final

from certs import keys, profile
from certs.domain import TrustDomain
from certs.entries import Status
from certs.keys import Protection
from certs.levels import Level
from certs.records import CertificateRecord, StoredKey
from certs.snapshot import Held

ORGANIZATION: Final = "Consumer"

_A_DAY: Final = dt.timedelta(days=1)


def issue(domain: TrustDomain, now: dt.datetime, system_title: bytes | None = None) -> CertificateRecord:
    """Return a new Consumer certificate of ``domain`` with a new key; ``system_title`` (8 bytes) None for a new one."""
    ca = domain.consumer_ca
    suite = profile.suite_of(ca.public_key())
    key = keys.generate(suite.suite if suite is not None else 1)
    # Where the clock is wrong by years, a certificate is still made; its dates then say what is wrong.
    within = min(max(now, ca.not_valid_before_utc), ca.not_valid_after_utc - _A_DAY)
    leaf = profile.build_leaf(
        key.public_key(),
        ca,
        domain.consumer_ca_key,
        within,
        system_title=system_title or os.urandom(profile.SYSTEM_TITLE_LENGTH),
        policy=Level.CONSUMER,
        organization=ORGANIZATION,
    )
    # This key grants only what anyone may have, so it asks for no passphrase: a fresh install works at once.
    stored = StoredKey(keys.protect(key, Protection.PLAIN), Protection.PLAIN)
    return CertificateRecord(leaf, (ca,), stored, domain.id, now)


def is_fresh(held: Held, now: dt.datetime) -> bool:
    """Tell whether a device's own Consumer certificate can stay: a new one would not be better."""
    ca = held.domain.consumer_ca
    if not ca.not_valid_before_utc <= now <= ca.not_valid_after_utc:
        return True  # the clock is wrong, or the whole domain has ended
    lasts = held.not_after - now > profile.RENEW_BEFORE or held.not_after >= ca.not_valid_after_utc
    return held.status is Status.VALID and lasts
