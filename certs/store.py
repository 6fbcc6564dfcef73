"""The technician's certificates on this device: which there are, which is active, what was asked for.

The store survives a kill at any moment and several writers at once: every certificate and every request is a folder
that is there whole or not at all, pointers are replaced in one step, and writers hold a lock that dies with them. A
fresh store makes itself a Consumer certificate with a key and a system title of its own.

::

    certificates/  requests/    see certs.records
    active                      id of the chosen certificate
    domains/                    joined trust domains         domain   id of the one joined last
    crls/                       revocation lists, one per CA
    removed/                    certificates that were taken away, with their keys
    clock                       the latest time the store was used at
    lock                        held by the one who writes
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import platformdirs
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs import clock, consumer, files, keys, names, profile, records, snapshot
from certs.checking import CheckedCertificate
from certs.domain import ENDING, TrustDomain
from certs.entries import Credential, Entry, Notice, Status
from certs.errors import KeyStoreError, ProfileError, StoreError
from certs.keys import AskPassphrase, Passphrases, Protection
from certs.picking import matches, only, pick
from certs.records import CertificateRecord, RequestRecord, StoredKey
from certs.snapshot import Held, Snapshot
from certs.storage import Storage

HOME_VARIABLE: Final = "METERLINK_HOME"

_CLOCK_STEP: Final = dt.timedelta(hours=1)


def default_home() -> Path:
    """Return where the user's data lies: ``METERLINK_HOME``, else the platform's folder for user data."""
    chosen = os.environ.get(HOME_VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("meterlink")


class Store:
    """The certificates of one user. Every call looks at the disk anew, so several processes may work at once."""

    def __init__(self, home: Path, now: Callable[[], dt.datetime], passphrases: Passphrases) -> None:
        self.home = home
        self._storage = Storage(home)
        self._now = now
        self.passphrases = passphrases
        self._unlocked: dict[str, ec.EllipticCurvePrivateKey] = {}

    def __repr__(self) -> str:
        return f"Store({str(self.home)!r})"

    @classmethod
    def open(
        cls, home: Path | None = None, *, now: dt.datetime | None = None, ask: AskPassphrase | None = None
    ) -> Store:
        """Open the store in ``home`` (:func:`default_home` if None); a new one gets its Consumer certificate.

        ``now`` (aware) replaces the clock. ``ask`` asks a person for the passphrase. Raises :class:`StoreError`
        ``file`` when the place cannot be used, ``store-busy`` when others write for too long.
        """
        place = (home or default_home()).absolute()
        store = cls(place, (lambda: now) if now is not None else clock.now, Passphrases(str(place), ask))
        store._ensure_consumer()
        store._remember_time()
        return store

    # --- looking ---

    def look(self) -> Snapshot:
        """Return the store as it is now."""
        return snapshot.take(self.home, self._now())

    def entries(self) -> list[Entry]:
        """Return certificates and pending requests, the active one first."""
        return self.look().entries()

    def notices(self) -> tuple[Notice, ...]:
        """Return what the user should be told: damage, expiry, revocation, a clock set back, a renewal that is due."""
        return self.look().notices

    def domains(self) -> tuple[TrustDomain, ...]:
        """Return the known trust domains, that of the Consumer first."""
        return self.look().domains

    def active(self) -> Credential:
        """Return the certificate in force: the chosen one while it is valid, else the Consumer.

        It may itself be out of its validity where the clock is wrong; then its permissions are empty.
        """
        held = self.look().active
        if held is None:
            raise StoreError("store-damaged", "there is no usable certificate", "Open the store again.")
        return self._credential(held)

    def get(self, name: str) -> Credential:
        """Return the certificate whose id is or begins with ``name``.

        Raises :class:`StoreError` ``no-such-certificate`` or ``ambiguous-id``.
        """
        return self._credential(pick(name, self.look().held, "certificate"))

    def find(self, name: str) -> Entry:
        """Return the certificate or request whose id is or begins with ``name``. Raises as :meth:`get`."""
        return pick(name, self.entries(), "certificate or request")

    def label(self, name: str) -> str:
        """Return what a certificate or request is, for a question, though it may be damaged. Raises as :meth:`get`."""
        folder = self._folder_of(name)
        for entry in self.entries():
            if entry.id == folder.name:
                return f"{entry.level.value} {entry.tag or entry.organization} ({entry.status.value})"
        return f"the damaged {folder.parent.name[:-1]} {folder.name[:16]}"

    def pending(self, name: str) -> RequestRecord:
        """Return the request whose id is or begins with ``name``. Raises as :meth:`get`."""
        return pick(name, self.look().requests, "pending request")

    # --- changing ---

    def activate(self, name: str) -> Entry:
        """Make a certificate the active one. Raises :class:`~certs.errors.ProfileError` unless it is valid now."""
        with self._storage.writing():
            seen = self.look()
            held = pick(name, seen.held, "certificate")
            if held.fault is not None:
                raise held.fault
            self._storage.point(snapshot.ACTIVE, held.id)
            return dataclasses.replace(seen, pointer=held.id).entry(held)

    def add_request(self, record: RequestRecord) -> None:
        """Keep a request and its key."""
        with self._storage.writing():
            records.write_record(self.home / snapshot.REQUESTS, record)

    def add_certificate(self, checked: CheckedCertificate, domain: TrustDomain) -> bool:
        """Keep a certificate whose key this device has; tell whether it is new. The request for it is fulfilled.

        Raises :class:`KeyStoreError` ``no-private-key``, naming the pending requests.
        """
        with self._storage.writing():
            seen = self.look()
            key = self._key_for(checked, seen)
            record = CertificateRecord(checked.certificate, checked.chain, key, domain.id, self._now())
            is_new = self._keep(record, seen)
            self._storage.discard(self.home / snapshot.REQUESTS / records.key_id(record.public_key))
        return is_new

    def add_record(self, record: CertificateRecord) -> bool:
        """Keep a certificate together with its key, as from a backup; tell whether it is new."""
        with self._storage.writing():
            return self._keep(record, self.look())

    def _keep(self, record: CertificateRecord, seen: Snapshot) -> bool:
        if any(held.id == record.id for held in seen.held):
            return False
        folder = self.home / snapshot.CERTIFICATES
        if (folder / record.id).exists():
            # It cannot be read, or it would be among those held.
            self._storage.set_aside(folder / record.id, self._now())
        records.write_record(folder, record)
        return True

    def remove(self, name: str) -> Path:
        """Take a certificate or a request away, damaged or not, and return where it was put with its key.

        Raises :class:`StoreError` ``consumer-stays`` for the Consumer certificate in force, else as :meth:`get`.
        """
        with self._storage.writing():
            seen = self.look()
            folder = self._folder_of(name)
            held = next((held for held in seen.held if held.id == folder.name), None)
            if held is not None and held.is_own_consumer:
                raise StoreError("consumer-stays", "the Consumer certificate is always there", "Nothing was changed.")
            target = self._storage.set_aside(folder, self._now())
            if held is not None:  # a request for the same key that a kill left behind must not come to light again
                self._storage.discard(self.home / snapshot.REQUESTS / records.key_id(held.record.public_key))
            if seen.pointer == folder.name:
                self._point_at_consumer()
        self._unlocked.pop(folder.name, None)
        return target

    def join(self, domain: TrustDomain) -> Path:
        """Trust ``domain`` from now on, and be a Consumer in it; return its file. Joining again updates it.

        Where a Consumer certificate is active, that of the new domain becomes active.
        """
        with self._storage.writing():
            target = self.home / snapshot.DOMAINS / _domain_file(domain)
            known = [crl for old in self.look().domains if old.id == domain.id for crl in old.crls]
            domain.with_crls_of(known).save(target)  # an older file must not take a revocation back
            self._storage.point(snapshot.PREFERRED, domain.id)
            chosen = self.look().chosen
            if chosen is None or chosen.is_own_consumer:
                self._point_at_consumer()
        return target

    def add_crl(self, crl: x509.CertificateRevocationList) -> list[Entry]:
        """Keep a revocation list of a known CA; return the entries that it revokes.

        If the active certificate is among them, Consumer becomes active. An older list than the one that is here
        changes nothing. Raises :class:`~certs.errors.ProfileError` ``crl-signature`` when no known CA signed it.
        """
        with self._storage.writing():
            domain, issuer = _signer_of(crl, self.look().domains)
            if domain.with_crl(crl) is not domain:
                target = self.home / snapshot.CRLS / f"{records.certificate_id(issuer)}.crl"
                files.write(target, crl.public_bytes(serialization.Encoding.DER))
            seen = self.look()
            if seen.chosen is not None and seen.chosen.status is Status.REVOKED:
                self._point_at_consumer()
        return [entry for entry in self.entries() if entry.status is Status.REVOKED]

    # --- keys ---

    def new_key(self, suite: int, *, plain: bool = False) -> tuple[ec.EllipticCurvePrivateKey, StoredKey]:
        """Make a private key and the bytes it is stored as; nothing is written yet.

        It is sealed under the operating system's keyring or the store's passphrase, or left plain on request. Raises
        :class:`KeyStoreError` ``passphrase-needed``, or ``passphrase-wrong`` when other keys here have another one.
        """
        key = keys.generate(suite)
        return key, self.protect(key, plain=plain)

    def protect(self, key: ec.EllipticCurvePrivateKey, *, plain: bool = False) -> StoredKey:
        """Return ``key`` as it is stored here. Raises as :meth:`new_key`."""
        if plain:
            return StoredKey(keys.protect(key, Protection.PLAIN), Protection.PLAIN)
        protection = self.passphrases.choose()
        known = [stored for stored in self._stored_keys() if stored.protection is protection]
        secret = self.passphrases.secret_for(protection, new=not known)
        if known:
            self._open(known[0], secret)  # one passphrase for the whole store: a mistyped one must not seal a key
        return StoredKey(keys.protect(key, protection, secret), protection)

    def open_key(self, stored: StoredKey, *, public: ec.EllipticCurvePublicKey) -> ec.EllipticCurvePrivateKey:
        """Return the private key of ``public``.

        Raises :class:`KeyStoreError` ``passphrase-needed``, ``passphrase-wrong``, ``key-locked`` or ``key-damaged``.
        """
        plain = stored.protection is Protection.PLAIN
        secret = "" if plain else self.passphrases.secret_for(stored.protection, new=False)
        key = self._open(stored, secret)
        if key.public_key() != public:
            raise KeyStoreError("key-damaged", "the private key is not that of the certificate", "Restore a backup.")
        return key

    def _open(self, stored: StoredKey, secret: str) -> ec.EllipticCurvePrivateKey:
        try:
            return keys.unprotect(stored.data, stored.protection, secret)
        except KeyStoreError as error:
            if error.code == "passphrase-wrong":
                self.passphrases.forget()
            raise

    def _stored_keys(self) -> list[StoredKey]:
        seen = self.look()
        return [held.record.key for held in seen.held] + [record.key for record in seen.requests]

    def _credential(self, held: Held) -> Credential:
        def unlock() -> ec.EllipticCurvePrivateKey:
            if held.id not in self._unlocked:
                self._unlocked[held.id] = self.open_key(held.record.key, public=held.record.public_key)
            return self._unlocked[held.id]

        return Credential(
            id=held.id,
            certificate=held.record.leaf,
            chain=held.checked.chain,
            level=held.level,
            organization=held.checked.organization,
            tag=held.checked.tag,
            system_title=held.checked.system_title,
            suite=held.checked.suite,
            domain=held.domain,
            status=held.status,
            unlock=unlock,
        )

    def _key_for(self, checked: CheckedCertificate, seen: Snapshot) -> StoredKey:
        wanted = profile.public_key_of(checked.certificate)
        for held in seen.held:
            if held.record.public_key == wanted:
                return held.record.key
        for record in seen.requests:
            if record.request.public_key == wanted:
                return record.key
        lost = records.salvage_key(self.home / snapshot.CERTIFICATES / records.certificate_id(checked.certificate))
        if lost is not None:
            return lost
        waiting = ", ".join(f"{record.request.tag} ({record.level.value})" for record in seen.requests) or "none"
        raise KeyStoreError(
            "no-private-key",
            f"this device does not have the certificate's private key; pending requests here: {waiting}",
            "Import it on the device that made the request, or restore that device's backup.",
        )

    # --- writing ---

    def _point_at_consumer(self) -> None:
        """Make the Consumer of the chosen (or preferred) domain the active certificate, issuing it if need be."""
        seen = self.look()
        domain = seen.chosen.domain if seen.chosen is not None and not seen.chosen.is_own_consumer else seen.preferred
        own = seen.consumer_of(domain)
        if own is None or own.domain.id != domain.id:
            self._storage.point(snapshot.ACTIVE, self._issue_consumer(domain, None))
        else:
            self._storage.point(snapshot.ACTIVE, own.id)

    def _ensure_consumer(self) -> None:
        if self._consumer_is_fresh(self.look()):
            return
        with self._storage.writing():
            seen = self.look()
            if self._consumer_is_fresh(seen):
                return
            old = seen.consumer_of(seen.preferred)
            if old is not None and old.domain.id != seen.preferred.id:
                old = None
            new = self._issue_consumer(seen.preferred, old)
            if old is not None and seen.pointer == old.id:
                self._storage.point(snapshot.ACTIVE, new)
            if old is not None:
                self._storage.discard(self.home / snapshot.CERTIFICATES / old.id)
            if seen.pointer is None:
                self._storage.point(snapshot.ACTIVE, new)

    def _consumer_is_fresh(self, seen: Snapshot) -> bool:
        own = seen.consumer_of(seen.preferred)
        return own is not None and own.domain.id == seen.preferred.id and consumer.is_fresh(own, self._now())

    def _issue_consumer(self, domain: TrustDomain, old: Held | None) -> str:
        record = consumer.issue(domain, self._now(), old.checked.system_title if old is not None else None)
        records.write_record(self.home / snapshot.CERTIFICATES, record)
        return record.id

    def _remember_time(self) -> None:
        seen, now = snapshot.last_seen(self.home), self._now()
        if seen is None or now - seen >= _CLOCK_STEP:
            # A store on a read-only place still works; it only cannot tell later that the clock was set back.
            with contextlib.suppress(StoreError):
                files.write(self.home / snapshot.LAST_SEEN, f"{now.isoformat()}\n".encode())

    def _folder_of(self, name: str) -> Path:
        """Return the one folder of a certificate or request whose name begins with ``name``, readable or not."""
        folders = [
            path
            for kind in (snapshot.CERTIFICATES, snapshot.REQUESTS)
            for path in (self.home / kind).iterdir()
            if not path.name.startswith(files.TEMPORARY)
        ]
        return only(name, [path for path in folders if matches(path.name, name)], "certificate or request")


def _domain_file(domain: TrustDomain) -> str:
    return f"{names.safe_part(domain.name)}-{domain.id[:8]}{ENDING}"


def _signer_of(
    crl: x509.CertificateRevocationList, domains: Iterable[TrustDomain]
) -> tuple[TrustDomain, x509.Certificate]:
    for domain in domains:
        with contextlib.suppress(ProfileError):
            return domain, domain.issuer_of(crl)
    message = "the revocation list is not signed by a CA of a domain known here"
    raise ProfileError("crl-signature", message, "Join the domain it belongs to (certs join).")
