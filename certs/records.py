"""What the store holds on disk: one folder per certificate, one per pending request, never changed once it is there.

::

    certificates/SHA256-OF-LEAF/    certificate.pem   the leaf, then the CAs that came with it
                                    key               the private key (plain PEM, or sealed)
                                    meta.json         domain, protection, digests of all files, when it was added
    requests/SHA256-OF-KEY/         request.csr       as it was sent, PEM
                                    key, meta.json

A folder is written under a temporary name, synced and renamed, so it is there whole or not at all.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs import files, profile, request
from certs.errors import CertsError, StoreError
from certs.keys import Protection
from certs.levels import Level
from certs.loading import UNREADABLE, load_pem

_VERSION: Final = 1
_MAX_META: Final = 16 * 1024
_MAX_FILE: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private key as it lies on disk."""

    data: bytes = field(repr=False)
    protection: Protection


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate with its key. ``domain`` is the id of the trust domain it was imported for."""

    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: StoredKey
    domain: str
    added: dt.datetime

    @property
    def id(self) -> str:
        """SHA-256 of the leaf, in hex."""
        return certificate_id(self.leaf)

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The certified key. Raises :class:`StoreError` ``store-damaged`` for a kind that is never stored."""
        key = profile.public_key_of(self.leaf)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise StoreError("store-damaged", "a certificate in the store has a key of another kind")
        return key

    def contents(self) -> dict[str, bytes]:
        """Return the files of the record's folder."""
        certificates = (self.leaf, *self.chain)
        pem = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)
        meta = {"domain": self.domain, "added": _time(self.added)}
        return _with_meta({"certificate.pem": pem, "key": self.key.data}, self.key.protection, meta)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request that was made and whose certificate has not come yet.

    ``token_id`` is the id of the token it spends, in hex; ``renews`` the id of the certificate it renews; one of them
    is set. ``expires`` is the end of the token, or of the certificate that is renewed.
    """

    request: request.Request
    key: StoredKey
    domain: str
    level: Level
    created: dt.datetime
    expires: dt.datetime
    token_id: str | None = None
    renews: str | None = None

    @property
    def id(self) -> str:
        """SHA-256 of the public key, in hex."""
        return key_id(self.request.public_key)

    def contents(self) -> dict[str, bytes]:
        """Return the files of the record's folder."""
        meta = {
            "domain": self.domain,
            "level": self.level.value,
            "created": _time(self.created),
            "expires": _time(self.expires),
            "token": self.token_id,
            "renews": self.renews,
        }
        return _with_meta({"request.csr": self.request.pem, "key": self.key.data}, self.key.protection, meta)


def certificate_id(leaf: x509.Certificate) -> str:
    """Return the id of a certificate in the store: SHA-256 of its DER, in hex."""
    return hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).hexdigest()


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """Return the id of a key in the store: SHA-256 of its SubjectPublicKeyInfo, in hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def write_record(folder: Path, record: CertificateRecord | RequestRecord) -> None:
    """Put ``record`` into ``folder``, whole or not at all. One that is there stays as it is.

    Raises :class:`StoreError` ``file`` or ``disk-full``.
    """
    target = folder / record.id
    if target.exists():
        return
    temporary = files.temporary_beside(target)
    with files.explained(target):
        try:
            temporary.mkdir(mode=files.PRIVATE_FOLDER)
            for name, data in record.contents().items():
                files.write_new(temporary / name, data)
            files.sync_folder(temporary)
            temporary.rename(target)
        except BaseException:  # Ctrl-C and cancellation, too: clean up, then let it go on
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        files.sync_folder(folder)


def read_certificate(folder: Path) -> CertificateRecord:
    """Read a certificate's folder. Raises :class:`StoreError` ``store-damaged``, naming what is wrong."""
    try:
        meta = _read_meta(folder)
        leaf, *chain = load_pem(_read_file(folder, "certificate.pem", meta))
        record = CertificateRecord(
            leaf, tuple(chain), _read_key(folder, meta), str(meta["domain"]), _read_time(meta["added"])
        )
        key_id(record.public_key)
    except (CertsError, *UNREADABLE) as error:
        raise _damaged(folder, error) from error
    if record.id != folder.name:
        raise _damaged(folder, ValueError("certificate.pem was exchanged"))
    return record


def read_request(folder: Path) -> RequestRecord:
    """Read a pending request's folder. Raises :class:`StoreError` ``store-damaged``, naming what is wrong."""
    try:
        meta = _read_meta(folder)
        record = RequestRecord(
            request=request.read_request(_read_file(folder, "request.csr", meta)),
            key=_read_key(folder, meta),
            domain=str(meta["domain"]),
            level=Level(meta["level"]),
            created=_read_time(meta["created"]),
            expires=_read_time(meta["expires"]),
            token_id=meta["token"],
            renews=meta["renews"],
        )
    except (CertsError, *UNREADABLE) as error:
        raise _damaged(folder, error) from error
    if record.id != folder.name:
        raise _damaged(folder, ValueError("request.csr was exchanged"))
    return record


def salvage_key(folder: Path) -> StoredKey | None:
    """Return the private key of a folder whose other files are damaged, None where the key is, too."""
    try:
        return _read_key(folder, _read_meta(folder))
    except (CertsError, *UNREADABLE):
        return None


def _with_meta(contents: dict[str, bytes], protection: Protection, meta: Mapping[str, Any]) -> dict[str, bytes]:
    """Add ``meta.json``. It holds the digest of every file and of itself, so that an edit is found when it is read."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    body = {"version": _VERSION, "protection": protection.value, **meta, "sha256": digests}
    return {**contents, "meta.json": json.dumps({**body, "check": _check(body)}, indent=2).encode()}


def _check(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _read_meta(folder: Path) -> dict[str, Any]:
    meta = json.loads(files.read(folder / "meta.json", _MAX_META))
    if not isinstance(meta, dict) or meta.pop("check", None) != _check(meta):
        raise ValueError("meta.json was altered")
    if meta["version"] != _VERSION:
        raise ValueError("meta.json is of another version")
    return meta


def _read_file(folder: Path, name: str, meta: Mapping[str, Any]) -> bytes:
    data = files.read(folder / name, _MAX_FILE)
    if hashlib.sha256(data).hexdigest() != meta["sha256"][name]:
        raise ValueError(f"{name} was altered")
    return data


def _read_key(folder: Path, meta: Mapping[str, Any]) -> StoredKey:
    return StoredKey(_read_file(folder, "key", meta), Protection(meta["protection"]))


def _damaged(folder: Path, error: Exception) -> StoreError:
    reason = error.message if isinstance(error, CertsError) else str(error) or type(error).__name__
    return StoreError(
        "store-damaged",
        f"{folder.parent.name}/{folder.name[:16]}: {reason}",
        "Import the certificate again or restore a backup; 'certs remove' takes the damaged one away.",
    )


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat()


def _read_time(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment
