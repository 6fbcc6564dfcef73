"""A backup: certificates, pending requests, their private keys and the joined domains in one sealed file.

The file is sealed under a passphrase of its own (:mod:`certs.sealing`), so it can be restored on another device. There
the keys are protected anew, as that device protects its keys.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs import files, keys, request, sealing
from certs.domain import TrustDomain
from certs.errors import CertsError, StoreError
from certs.keys import Protection
from certs.levels import Level
from certs.loading import UNREADABLE, load_pem
from certs.records import CertificateRecord, RequestRecord, StoredKey
from certs.store import Store

MAX_BACKUP: Final = 64 * 1024 * 1024

_CONTEXT: Final = "backup"
_FORMAT: Final = "meterlink-backup"
_VERSION: Final = 1
_HINT: Final = "Choose a file that 'certs backup' wrote."


@dataclass(frozen=True, slots=True)
class Restored:
    """What a backup brought: counts of things that were not here before."""

    certificates: int
    requests: int
    domains: int


def save(store: Store, path: Path, passphrase: str) -> int:
    """Write everything but the program's own Consumer certificates to ``path``; return how many keys it holds.

    Raises :class:`~certs.errors.KeyStoreError` when a key stays locked, :class:`StoreError` ``file``.
    """
    seen = store.look()
    held = [one for one in seen.held if not one.is_own_consumer]
    body = {
        "format": _FORMAT,
        "version": _VERSION,
        "domains": [domain.to_json() for domain in seen.domains],
        "certificates": [
            {
                "pem": _pem(one.record.leaf, *one.record.chain),
                "domain": one.record.domain,
                "added": one.record.added.isoformat(),
                "key": _open(store, one.record.key, one.record.public_key),
            }
            for one in held
        ],
        "requests": [
            {
                "csr": record.request.pem.decode(),
                "domain": record.domain,
                "level": record.level.value,
                "created": record.created.isoformat(),
                "expires": record.expires.isoformat(),
                "token": record.token_id,
                "renews": record.renews,
                "key": _open(store, record.key, record.request.public_key),
            }
            for record in seen.requests
        ],
    }
    files.write(path, sealing.seal(json.dumps(body).encode(), passphrase, _CONTEXT))
    return len(held) + len(seen.requests)


def restore(store: Store, path: Path, passphrase: str, *, plain: bool = False) -> Restored:
    """Bring back what a backup holds and is not here. A technician's certificate that is active stays active.

    ``plain`` leaves the keys protected by file permissions alone. Raises :class:`~certs.errors.KeyStoreError`
    ``passphrase-wrong``, :class:`StoreError` ``backup-damaged`` or ``file``.
    """
    try:
        domains, certificates, requests = _read(sealing.unseal(files.read(path, MAX_BACKUP), passphrase, _CONTEXT))
    except UNREADABLE as error:
        raise StoreError("backup-damaged", "this is not a backup of this program", _HINT) from error
    known = {domain.id for domain in store.domains()}
    new_domains = [domain for domain in domains if domain.id not in known]
    for domain in new_domains:
        store.join(domain)
    here = {one.id for one in store.look().held}
    added = [
        store.add_record(replace(record, key=store.protect(_key(record.key), plain=plain)))
        for record in certificates
        if record.id not in here
    ]
    waiting = {record.id for record in store.look().requests}
    new_requests = [record for record in requests if record.id not in waiting]
    for record in new_requests:
        store.add_request(replace(record, key=store.protect(_key(record.key), plain=plain)))
    return Restored(sum(added), len(new_requests), len(new_domains))


def _read(data: bytes) -> tuple[list[TrustDomain], list[CertificateRecord], list[RequestRecord]]:
    body = json.loads(data)
    if not isinstance(body, dict) or body.get("format") != _FORMAT or body.get("version") != _VERSION:
        raise ValueError("not a backup")
    try:
        domains = [TrustDomain.from_json(text) for text in body["domains"]]
        certificates = [_certificate(item) for item in body["certificates"]]
        requests = [_request(item) for item in body["requests"]]
    except CertsError as error:
        raise ValueError(error.message) from error
    return domains, certificates, requests


def _certificate(item: dict[str, Any]) -> CertificateRecord:
    leaf, *chain = load_pem(item["pem"].encode())
    added = dt.datetime.fromisoformat(item["added"])
    return CertificateRecord(leaf, tuple(chain), _plain(item["key"]), item["domain"], added)


def _request(item: dict[str, Any]) -> RequestRecord:
    return RequestRecord(
        request=request.read_request(item["csr"].encode()),
        key=_plain(item["key"]),
        domain=item["domain"],
        level=Level(item["level"]),
        created=dt.datetime.fromisoformat(item["created"]),
        expires=dt.datetime.fromisoformat(item["expires"]),
        token_id=item["token"],
        renews=item["renews"],
    )


def _plain(pem: str) -> StoredKey:
    return StoredKey(pem.encode(), Protection.PLAIN)


def _key(stored: StoredKey) -> ec.EllipticCurvePrivateKey:
    return keys.unprotect(stored.data, stored.protection)


def _open(store: Store, stored: StoredKey, public: ec.EllipticCurvePublicKey) -> str:
    return keys.protect(store.open_key(stored, public=public), Protection.PLAIN).decode()


def _pem(*certificates: x509.Certificate) -> str:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates).decode()
