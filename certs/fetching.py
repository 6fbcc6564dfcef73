"""Fetches revocation lists from where a domain says they are. A list is signed, so its way need not be trusted."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from typing import Final

from cryptography import x509

from certs import revocation
from certs.errors import StoreError

TIMEOUT: Final = 15.0
"""Seconds for every step of a fetch."""


def fetch_crl(url: str) -> x509.CertificateRevocationList:
    """Return the revocation list that lies at an http or https URL; its signature is not checked here.

    Raises :class:`StoreError` ``crl-unreachable``, :class:`~certs.errors.ProfileError` ``crl-format``.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise _unreachable(url, "only http and https are fetched")
    try:
        with _opener().open(url, timeout=TIMEOUT) as answer:
            data = answer.read(revocation.MAX_CRL_SIZE + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise _unreachable(url, str(reason) or type(error).__name__) from error
    return revocation.load_crl(data)


def _unreachable(url: str, reason: str) -> StoreError:
    hint = "Try again later, or take over a file: certs revoked CRLFILE."
    return StoreError("crl-unreachable", f"{url}: {reason}", hint)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener without the handlers for file and ftp: a redirect must not lead to this device's own files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
