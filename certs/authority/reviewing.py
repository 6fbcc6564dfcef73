"""Whether a request may be issued, and as what: its token or the certificate it renews decide, not the applicant."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from certs import token
from certs.authority import acts
from certs.authority.records import MeterReview, Review
from certs.domain import TrustDomain
from certs.errors import RequestError
from certs.meter_request import MeterRequest
from certs.request import Renewal, Request


def review(connection: sa.Connection, domain: TrustDomain, request: Request, now: dt.datetime) -> Review:
    """Return what a request would be issued as.

    Raises :class:`TokenError`, :class:`RequestError`, :class:`ProfileError` or :class:`AuthorityError`: the reason for
    which it must not be issued.
    """
    if request.renewal is not None:
        found = _by_renewal(connection, domain, request, request.renewal, now)
    else:
        assert request.token_text is not None
        found = _by_token(connection, domain, request, request.token_text, now)
    acts.check_key_is_new(connection, request.public_key)
    return found


def review_meter(
    connection: sa.Connection, domain: TrustDomain, request: MeterRequest, system_title: bytes | None
) -> MeterReview:
    """Return a meter's request that may be issued. ``system_title`` is the meter's, where the operator knows it.

    Raises :class:`RequestError` ``csr-system-title``, ``csr-extension``, ``csr-key-type`` or ``key-reuse``.
    """
    if system_title is not None:
        request.check_title(system_title)
    request.check_asks_nothing_else()
    if request.suite > domain.suite:
        raise RequestError("csr-key-type", f"this domain certifies keys up to suite {domain.suite}")
    acts.check_title_is_no_persons(connection, request.system_title)
    acts.check_key_is_new(connection, request.public_key, acts.NEW_KEY_PAIR)
    return MeterReview(request, acts.certificates_of_meter(connection, domain, request.system_title))


def _by_token(
    connection: sa.Connection, domain: TrustDomain, request: Request, token_text: str, now: dt.datetime
) -> Review:
    claims = token.verify(token_text, domain, now)
    request.check_against(claims)
    mail = acts.address_of_unspent(connection, claims)
    return Review(request, claims.level, claims.organization, claims.system_title, request.tag, mail, token=claims)


def _by_renewal(
    connection: sa.Connection, domain: TrustDomain, request: Request, renewal: Renewal, now: dt.datetime
) -> Review:
    checked = domain.check_level(renewal.certificate, now)
    found = acts.find_certificate(connection, domain, acts.serial_text(renewal.certificate))
    if found.certificate != renewal.certificate or found.level is None:
        raise RequestError("renewal-unknown", "the certificate to renew is not in this ledger", acts.NEW_TOKEN)
    if found.revoked is not None:
        raise RequestError("revoked", f"the certificate to renew, {found.serial}, is revoked", acts.NEW_TOKEN)
    if request.organization != checked.organization:
        raise RequestError("csr-organization", "the request names another organization than the certificate")
    if request.system_title != checked.system_title:
        raise RequestError("csr-system-title", "the request names another system title than the certificate")
    acts.check_not_renewed(connection, found.serial)
    return Review(
        request,
        found.level,
        found.organization,
        found.system_title,
        request.tag,
        found.mail,
        renewal_of=found.serial,
    )
