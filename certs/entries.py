"""What the store shows: entries for lists, credentials for sessions, notices for the user."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs import profile
from certs.domain import TrustDomain
from certs.keys import Protection
from certs.levels import Level, Permission


class Status(enum.Enum):
    """How an entry stands at the moment it is looked at."""

    VALID = "valid"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    REVOKED = "revoked"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user must be told, though the work goes on. ``code`` is as stable as an error's."""

    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of ``certs list``: a certificate, or a request whose certificate has not come yet.

    ``not_before`` and ``not_after`` are None for a request. ``permissions`` are those that count now: none unless the
    status is valid. ``renew_due`` says that the end is near. ``fingerprint`` is that of the key.
    """

    id: str
    level: Level
    organization: str
    tag: str
    system_title: bytes
    active: bool
    status: Status
    not_before: dt.datetime | None
    not_after: dt.datetime | None
    domain: str
    issuer: str
    suite: int
    protection: Protection
    fingerprint: str
    renew_due: bool = False
    expires: dt.datetime | None = None
    renews: str | None = None

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """What this entry allows now, in the order of :class:`~certs.levels.Permission`."""
        granted = self.level.permissions if self.status is Status.VALID else frozenset()
        return tuple(permission for permission in Permission if permission in granted)

    def as_json(self) -> dict[str, Any]:
        """Return the entry in the form of ``certs list --json``."""
        return {
            "id": self.id,
            "level": self.level.value,
            "organization": self.organization,
            "tag": self.tag,
            "system_title": profile.system_title_text(self.system_title),
            "permissions": [permission.value for permission in self.permissions],
            "active": self.active,
            "status": self.status.value,
            "not_before": _time(self.not_before),
            "not_after": _time(self.not_after),
        }

    def details(self) -> dict[str, Any]:
        """Return the entry in the form of ``certs show --json``."""
        return {
            **self.as_json(),
            "domain": self.domain,
            "issuer": self.issuer,
            "suite": self.suite,
            "key_protection": self.protection.value,
            "fingerprint": self.fingerprint,
            "renew_due": self.renew_due,
            "request_expires": _time(self.expires),
            "renews": self.renews,
        }


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate with its key, for use in a session.

    ``chain`` leads from the issuer to the root; it is empty when the certificate is not valid now. ``system_title`` has
    8 bytes, ``suite`` is 1 or 2. The private key is opened when it is asked for first.
    """

    id: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    level: Level
    organization: str
    tag: str
    system_title: bytes
    suite: int
    domain: TrustDomain
    status: Status
    unlock: Callable[[], ec.EllipticCurvePrivateKey] = field(repr=False, compare=False)

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The private key. Raises :class:`~certs.errors.KeyStoreError` when it stays locked or was altered."""
        return self.unlock()

    @property
    def certificate_der(self) -> bytes:
        """The certificate as it travels in an association."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def permissions(self) -> frozenset[Permission]:
        """What may be done with it now: nothing unless it is valid."""
        return self.level.permissions if self.status is Status.VALID else frozenset()


def _time(moment: dt.datetime | None) -> str | None:
    return moment.astimezone(dt.UTC).isoformat() if moment is not None else None
