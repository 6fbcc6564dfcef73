"""Whether a request may be issued, and as what: its token or the certificate it renews decide, not the applicant."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from certs import token
from certs.authority import acts
from certs.authority.records import Review
from certs.domain import TrustDomain
from certs.errors import RequestError
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
