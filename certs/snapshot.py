"""Reads the store's folder at one moment: what is there, how it stands, which certificate is active, what is wrong.

Nothing here writes. A folder is complete or absent (see :mod:`certs.records`), so reading needs no lock; a record that
another process removes meanwhile is simply not there.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509

from certs import files, records, request, revocation
from certs.checking import CheckedCertificate, read_leaf
from certs.clock import show
from certs.domain import TrustDomain, load_known
from certs.entries import Entry, Notice, Status
from certs.errors import CertsError, ProfileError, StoreError
from certs.levels import Level
from certs.path import is_signed_by
from certs.profile import RENEW_BEFORE, describe_name

CERTIFICATES: Final = "certificates"
REQUESTS: Final = "requests"
DOMAINS: Final = "domains"
CRLS: Final = "crls"
REMOVED: Final = "removed"
ACTIVE: Final = "active"
PREFERRED: Final = "domain"
LAST_SEEN: Final = "clock"

CLOCK_TOLERANCE: Final = dt.timedelta(minutes=10)
"""How far a clock may be set back before the user is told: small corrections happen every day."""

_MAX_POINTER: Final = 256
_STATUS_OF_CODE: Final = {
    "expired": Status.EXPIRED,
    "not-yet-valid": Status.NOT_YET_VALID,
    "revoked": Status.REVOKED,
}
_Record = TypeVar("_Record", records.CertificateRecord, records.RequestRecord)


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate of the store, looked at. ``fault`` is why its status is not valid."""

    record: records.CertificateRecord
    domain: TrustDomain
    checked: CheckedCertificate
    status: Status
    fault: ProfileError | None = None

    @property
    def id(self) -> str:
        """The id of the certificate."""
        return self.record.id

    @property
    def level(self) -> Level:
        """The certificate's level."""
        assert self.checked.level is not None  # read_leaf(expect="level") lets no meter pass
        return self.checked.level

    @property
    def is_own_consumer(self) -> bool:
        """Whether this program issued it to itself with the domain's consumer CA."""
        return is_signed_by(self.record.leaf, self.domain.consumer_ca)

    @property
    def not_after(self) -> dt.datetime:
        """The end of its validity."""
        return self.record.leaf.not_valid_after_utc


@dataclass(frozen=True)
class Snapshot:
    """The store at one moment. ``notices`` say what is wrong with it. ``preferred`` is the first of ``domains``."""

    now: dt.datetime
    domains: tuple[TrustDomain, ...]
    held: tuple[Held, ...]
    requests: tuple[records.RequestRecord, ...]
    pointer: str | None
    faults: tuple[Notice, ...]

    @property
    def preferred(self) -> TrustDomain:
        """The domain whose Consumer this device is by default: the one joined last."""
        return self.domains[0]

    @functools.cached_property
    def active(self) -> Held | None:
        """The certificate in force: the chosen one while it is valid, else the Consumer. None in an empty store."""
        chosen = self.chosen
        if chosen is not None and chosen.status is Status.VALID:
            return chosen
        return self.consumer_of(chosen.domain if chosen is not None else self.preferred) or chosen

    @property
    def chosen(self) -> Held | None:
        """The certificate that the active pointer names, valid or not."""
        return next((held for held in self.held if held.id == self.pointer), None)

    def consumer_of(self, domain: TrustDomain) -> Held | None:
        """Return the Consumer certificate of ``domain``, of another domain if it has none."""
        own = [held for held in self.held if held.is_own_consumer]
        return max(
            own,
            key=lambda held: (held.domain.id == domain.id, held.status is Status.VALID, held.not_after),
            default=None,
        )

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Everything the user should be told."""
        return (*self.faults, *self._about_active(), *self._about_renewal())

    def entries(self) -> list[Entry]:
        """Return certificates and requests, the active one first, then the higher levels."""
        entries = [self.entry(held) for held in self.held]
        entries += [self.request_entry(record) for record in self.requests]
        return sorted(entries, key=lambda entry: (not entry.active, -entry.level.rank, entry.organization, entry.id))

    def entry(self, held: Held) -> Entry:
        """Return the line of a certificate."""
        leaf = held.record.leaf
        return Entry(
            id=held.id,
            level=held.level,
            organization=held.checked.organization,
            tag=held.checked.tag,
            system_title=held.checked.system_title,
            active=self.active is not None and held.id == self.active.id,
            status=held.status,
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            domain=held.domain.name,
            issuer=describe_name(leaf.issuer),
            suite=held.checked.suite,
            protection=held.record.key.protection,
            fingerprint=request.fingerprint(held.record.public_key),
            renew_due=self.renewal_is_due(held),
        )

    def request_entry(self, record: records.RequestRecord) -> Entry:
        """Return the line of a request."""
        known = {domain.id: domain.name for domain in self.domains}
        return Entry(
            id=record.id,
            level=record.level,
            organization=record.request.organization,
            tag=record.request.tag,
            system_title=record.request.system_title,
            active=False,
            status=Status.PENDING if self.now <= record.expires else Status.EXPIRED,
            not_before=None,
            not_after=None,
            domain=known.get(record.domain, "unknown"),
            issuer="",
            suite=record.request.suite,
            protection=record.key.protection,
            fingerprint=record.request.fingerprint,
            expires=record.expires,
            renews=record.renews,
        )

    def renewal_is_due(self, held: Held) -> bool:
        """Tell whether a certificate ends soon and its holder must do something about it."""
        return held.status is Status.VALID and not held.is_own_consumer and held.not_after - self.now < RENEW_BEFORE

    def _about_active(self) -> Iterable[Notice]:
        if self.pointer is not None and self.chosen is None:
            message = "the active certificate is gone; Consumer is in force"
            yield Notice("active-missing", message, "Choose another one (certs activate), or import it again.")
        elif self.chosen is not None and self.chosen.fault is not None:
            fault = self.chosen.fault
            in_force = "; Consumer is in force" if self.active is not self.chosen else ""
            yield Notice(fault.code, fault.message + in_force, fault.hint)

    def _about_renewal(self) -> Iterable[Notice]:
        asked = {record.renews for record in self.requests}
        for held in self.held:
            if self.renewal_is_due(held) and held.id not in asked:
                message = f"the {held.level.value} certificate {held.id[:16]} ends on {show(held.not_after)}"
                yield Notice("renewal-due", message, f"Renew it: certs renew {held.id[:16]}")


def take(home: Path, now: dt.datetime) -> Snapshot:
    """Read the store in ``home`` as it is at ``now``. What is damaged becomes a notice; the rest stays usable."""
    domains, domain_faults = load_known(home)
    notices = [_notice(fault) for fault in domain_faults]
    # A list that was taken over counts wherever its domain judges: for certificates here and for meters alike.
    crls = tuple(_read_crls(home / CRLS, notices))
    domains = tuple(domain.with_crls_of(crls) for domain in domains)
    by_id = {domain.id: domain for domain in domains}
    certificates = _read_all(home / CERTIFICATES, records.read_certificate, notices)
    held = [_look_at(record, by_id, now, notices) for record in certificates]
    certified = {records.key_id(record.public_key) for record in certificates}
    requests = [
        record
        for record in _read_all(home / REQUESTS, records.read_request, notices)
        if record.id not in certified  # its certificate came; the folder was about to be taken away
    ]
    _check_clock(home, now, notices)
    preferred = _pointer(home / PREFERRED, notices)
    return Snapshot(
        now=now,
        domains=tuple(sorted(domains, key=lambda domain: domain.id != preferred)),
        held=tuple(item for item in held if item is not None),
        requests=tuple(requests),
        pointer=_pointer(home / ACTIVE, notices),
        faults=tuple(notices),
    )


def last_seen(home: Path) -> dt.datetime | None:
    """Return the latest time this store was used at, None where it is not known."""
    try:
        moment = dt.datetime.fromisoformat(files.read(home / LAST_SEEN, _MAX_POINTER).decode().strip())
    except (StoreError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None


def _look_at(
    record: records.CertificateRecord,
    domains: dict[str, TrustDomain],
    now: dt.datetime,
    notices: list[Notice],
) -> Held | None:
    domain = domains.get(record.domain)
    if domain is None:
        message = f"certificate {record.id[:16]}: its trust domain is not known here any more"
        notices.append(Notice("domain-missing", message, "Join the domain again (certs join)."))
        return None
    try:
        return Held(record, domain, domain.check_level(record.leaf, now, intermediates=record.chain), Status.VALID)
    except ProfileError as error:
        status = _STATUS_OF_CODE.get(error.code)
        if status is None:
            notices.append(Notice(error.code, f"certificate {record.id[:16]}: {error.message}", error.hint))
            return None
        return Held(record, domain, read_leaf(record.leaf, expect="level"), status, error)


def _read_all(folder: Path, read: Callable[[Path], _Record], notices: list[Notice]) -> list[_Record]:
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(files.TEMPORARY):
            continue
        try:
            found.append(read(path))
        except StoreError as error:
            if path.exists():  # else another process took it away while it was read
                notices.append(_notice(error))
    return found


def _read_crls(folder: Path, notices: list[Notice]) -> Iterable[x509.CertificateRevocationList]:
    for path in sorted(folder.glob("*.crl")):
        try:
            yield revocation.load_crl(files.read(path, revocation.MAX_CRL_SIZE))
        except CertsError as error:
            hint = "Get the revocation list again (certs revoked)."
            notices.append(Notice("store-damaged", f"{CRLS}/{path.name[:32]}: {error.message}", hint))


def _pointer(path: Path, notices: list[Notice]) -> str | None:
    if not path.exists():
        return None
    try:
        name = files.read(path, _MAX_POINTER).decode("ascii").strip()
    except (StoreError, UnicodeDecodeError):
        name = ""
    if len(name) == 64 and all(digit in "0123456789abcdef" for digit in name):
        return name
    notices.append(Notice("store-damaged", f"the file {path.name} of the store was altered", "Choose again."))
    return None


def _check_clock(home: Path, now: dt.datetime, notices: list[Notice]) -> None:
    seen = last_seen(home)
    if seen is not None and now < seen - CLOCK_TOLERANCE:
        message = f"this device's clock says {show(now)}, but it was {show(seen)} before"
        hint = f"Set the date and time. If they are right, delete the file {LAST_SEEN} in the store's folder."
        notices.append(Notice("clock-set-back", message, hint))


def _notice(error: CertsError) -> Notice:
    return Notice(error.code, error.message, error.hint)
