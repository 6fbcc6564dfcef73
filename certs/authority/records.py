"""What orders, reviews and certificates are to a caller."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certs.levels import Level
from certs.meter_request import MeterRequest
from certs.profile import system_title_text
from certs.request import Request
from certs.token import Token


@dataclass(frozen=True, slots=True)
class OrderedToken:
    """A token of an order and its text, which is its holder's secret. ``mail`` is where it goes."""

    token: Token
    text: str = field(repr=False)
    order_id: str
    mail: str | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A request that may be issued, and what it will be issued as. Level and organization are not the applicant's.

    ``mail`` is the address of the order; ``renewal_of`` the serial of the certificate that is renewed, if one is.
    """

    request: Request
    level: Level
    organization: str
    system_title: bytes
    tag: str
    mail: str | None
    token: Token | None = None
    renewal_of: str | None = None

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint, to be compared over the phone."""
        return self.request.fingerprint

    def as_json(self) -> dict[str, Any]:
        """Return the review as ``authority review --json`` prints it."""
        return {
            "organization": self.organization,
            "level": self.level.value,
            "tag": self.tag,
            "system_title": system_title_text(self.system_title),
            "fingerprint": self.fingerprint,
            "suite": self.request.suite,
            "mail": self.mail,
            "token": self.token.serial if self.token is not None else None,
            "token_expires": self.token.expires.isoformat() if self.token is not None else None,
            "renewal_of": self.renewal_of,
        }


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate in the ledger. ``level`` is None for a meter's; ``chain`` holds its CA."""

    certificate: x509.Certificate = field(repr=False)
    chain: tuple[x509.Certificate, ...] = field(repr=False)
    serial: str
    level: Level | None
    organization: str
    system_title: bytes
    tag: str
    mail: str | None
    issued: dt.datetime
    answered: dt.datetime | None = None
    revoked: dt.datetime | None = None
    reason: str | None = None
    renewal_of: str | None = None

    @property
    def level_name(self) -> str:
        """The level's name, ``Meter`` for a meter."""
        return self.level.value if self.level is not None else METER

    def status(self, now: dt.datetime) -> str:
        """Return ``valid``, ``expired``, ``not-yet-valid`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        if now < self.certificate.not_valid_before_utc:
            return "not-yet-valid"
        return "expired" if now > self.certificate.not_valid_after_utc else "valid"

    def as_json(self, now: dt.datetime) -> dict[str, Any]:
        """Return the certificate as ``authority list --json`` prints it."""
        return {
            "serial": self.serial,
            "level": self.level_name,
            "organization": self.organization,
            "system_title": system_title_text(self.system_title),
            "tag": self.tag,
            "status": self.status(now),
            "not_before": self.certificate.not_valid_before_utc.isoformat(),
            "not_after": self.certificate.not_valid_after_utc.isoformat(),
            "issued": self.issued.isoformat(),
            "revoked": self.revoked.isoformat() if self.revoked is not None else None,
            "reason": self.reason,
            "renewal_of": self.renewal_of,
            "answered": self.answered is not None,
        }


@dataclass(frozen=True, slots=True)
class MeterReview:
    """A meter's request that may be issued. ``present`` are the meter's certificates in the ledger, the oldest
    first."""

    request: MeterRequest
    present: tuple[IssuedCertificate, ...]


METER = "Meter"
"""What stands in place of a level in the records of meters' certificates."""


@dataclass(frozen=True, slots=True)
class MeterCredential:
    """A meter's certificate; ``private_key`` is there when the authority made the key, None when the meter did."""

    issued: IssuedCertificate
    private_key: ec.EllipticCurvePrivateKey | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token in the ledger."""

    id: str
    order_id: str
    level: Level
    organization: str
    system_title: bytes
    mail: str | None
    issued: dt.datetime
    expires: dt.datetime
    spent: dt.datetime | None

    def status(self, now: dt.datetime) -> str:
        """Return ``spent``, ``expired`` or ``open``."""
        if self.spent is not None:
            return "spent"
        return "expired" if now > self.expires else "open"

    def as_json(self, now: dt.datetime) -> dict[str, Any]:
        """Return the token as ``authority list --json`` prints it; its text is in no ledger."""
        return {
            "id": self.id,
            "order": self.order_id,
            "level": self.level.value,
            "organization": self.organization,
            "system_title": system_title_text(self.system_title),
            "mail": self.mail,
            "status": self.status(now),
            "issued": self.issued.isoformat(),
            "expires": self.expires.isoformat(),
            "spent": self.spent.isoformat() if self.spent is not None else None,
        }
