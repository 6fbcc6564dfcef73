"""What an operator can do: found a domain, order tokens, review and issue, revoke, publish revocation lists."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import getpass
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certs import files, names, profile, token
from certs.authority import acts, reviewing, revocation_list
from certs.authority import home as homes
from certs.authority.audit import AuditEntry
from certs.authority.home import Home, Location, Passphrase, Secret
from certs.authority.ledger import Ledger, Progress, Transaction
from certs.authority.records import IssuedCertificate, MeterCredential, MeterReview, OrderedToken, Review, TokenRecord
from certs.authority.schema import certificates_table
from certs.domain import TrustDomain, make_domain
from certs.errors import AuthorityError, RequestError
from certs.levels import METER_POLICY, Level
from certs.mail import check_address
from certs.meter_request import read_meter_request
from certs.request import read_request, same_fingerprint
from certs.token import Token

TOKEN_LIFETIME: Final = dt.timedelta(days=30)
MAX_TOKEN_LIFETIME: Final = dt.timedelta(days=366)
MAX_COUNT: Final = 10_000


class Authority:
    """The issuing side of one trust domain. Use as a context manager, or call :meth:`close`.

    The CA's key is unsealed at the first act that signs, with the passphrase given to :meth:`open`.
    """

    def __init__(self, home: Home, ledger: Ledger, domain: TrustDomain, secret: Secret, actor: str) -> None:
        self._home = home
        self._ledger = ledger
        self._domain = domain
        self._secret = secret
        self._actor = actor
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}

    @classmethod
    def init(
        cls,
        path: Path,
        *,
        name: str,
        mail: str,
        now: dt.datetime,
        passphrase: Passphrase = None,
        root_passphrase: Passphrase = None,
        root_key: Path | None = None,
        suite: int = 1,
        ledger_url: str | None = None,
        crl_url: str | None = None,
        token_location: Location | None = None,
        actor: str | None = None,
    ) -> Authority:
        """Found a trust domain in the folder ``path`` and open it.

        ``root_key`` is the file for the root's sealed key (None: in ``path``, to be moved away); ``root_passphrase``
        None seals it with ``passphrase``. ``suite`` 2 puts every CA on P-384. With ``token_location`` the issuing CA's
        key is made in that token, whose PIN is ``passphrase``. Raises :class:`ProfileError`
        ``domain-format``, :class:`MailError` ``mail-address``, :class:`AuthorityError` ``authority-exists`` or
        ``ledger-url``, :class:`KeyStoreError` ``passphrase-needed``.
        """
        check_address(mail)
        secret = Secret(passphrase, str(path))
        root_secret = secret if root_passphrase is None else Secret(root_passphrase, f"{path} root")
        root_file = root_key or path / homes.root_key_name(name)
        homes.check_vacant(path, root_file)
        issuing_key = homes.make_key(token_location, suite, secret)
        made = make_domain(name, mail, now, suite=suite, crl_url=crl_url, issuing_key=issuing_key)
        sealed = homes.seal_root_key(made.root_key, root_secret.get(new=True))
        home = Home.create(path, made, secret, ledger_url=ledger_url, token=token_location)
        files.write(root_file, sealed)
        authority = cls(home, Ledger.open(home.ledger_url, made.domain.id), made.domain, secret, actor or _user())
        authority._keys[homes.key_id(made.domain.issuing_ca)] = made.issuing_key
        with authority._write(now) as tx:
            tx.log("init", name=name, mail=mail, suite=suite)
        return authority

    @classmethod
    def open(cls, path: Path | None = None, passphrase: Passphrase = None, *, actor: str | None = None) -> Authority:
        """Open the authority in ``path`` (None: :func:`certs.authority.home.default_home`).

        Raises :class:`AuthorityError` ``no-authority``, ``authority-settings``, ``ledger...``,
        :class:`ProfileError` ``domain-format``.
        """
        home = Home.load(path or homes.default_home())
        domain = home.load_domain()
        ledger = Ledger.open(home.ledger_url, domain.id)
        return cls(home, ledger, domain, Secret(passphrase, str(home.path)), actor or _user())

    @property
    def domain(self) -> TrustDomain:
        """The domain as it is published."""
        return self._domain

    @property
    def domain_file(self) -> Path:
        """The domain file, to be given to everybody."""
        return self._home.domain_file

    def order(
        self,
        *,
        organization: str,
        level: Level,
        now: dt.datetime,
        count: int = 1,
        mail: str | None = None,
        suite: int | None = None,
        lifetime: dt.timedelta = TOKEN_LIFETIME,
        progress: Progress | None = None,
    ) -> tuple[OrderedToken, ...]:
        """Make ``count`` tokens of one order and record them; ``mail`` is where they and the certificates go.

        ``suite`` None takes the domain's. Raises :class:`RequestError` ``organization-name``, :class:`MailError`
        ``mail-address``, :class:`AuthorityError` ``order`` or ``ca-expired``, :class:`KeyStoreError`.
        """
        organization = names.check_organization(organization)
        if mail is not None:
            check_address(mail)
        suite = self._checked_suite(suite)
        if not 1 <= count <= MAX_COUNT:
            raise AuthorityError("order", f"an order is for 1 to {MAX_COUNT} certificates, not {count}")
        if not dt.timedelta(minutes=1) <= lifetime <= MAX_TOKEN_LIFETIME:
            raise AuthorityError("order", "a token lives from a minute to a year")
        key = self._issuing_key(now)
        order_id = secrets.token_hex(8)
        moment = now.replace(microsecond=0)
        ordered: list[OrderedToken] = []
        for done in range(count):
            claims = Token(
                id=secrets.token_bytes(token.ID_LENGTH),
                level=level,
                organization=organization,
                system_title=secrets.token_bytes(profile.SYSTEM_TITLE_LENGTH),
                suite=suite,
                issued=moment,
                expires=moment + lifetime,
            )
            ordered.append(OrderedToken(claims, token.issue(claims, key, self._domain.issuing_ca), order_id, mail))
            if progress is not None:
                progress(done + 1, count)
        with self._write(now) as tx:
            acts.record_order(tx, order_id, ordered)
        return tuple(ordered)

    def order_again(self, order_id: str, now: dt.datetime) -> tuple[OrderedToken, ...]:
        """Return the unspent tokens of an order anew, signed again: the same tokens, for codes that were lost.

        Raises :class:`AuthorityError` ``no-such-order``.
        """
        with self._ledger.read() as connection:
            found = acts.tokens_of_order(connection, order_id)
        key = self._issuing_key(now)
        with self._write(now) as tx:
            tx.log("order-again", id=order_id, count=len(found))
        return tuple(
            OrderedToken(claims, token.issue(claims, key, self._domain.issuing_ca), order_id, mail)
            for claims, mail in found
        )

    def review(self, request: bytes, now: dt.datetime) -> Review:
        """Check a request (PEM or DER) and return what it would be issued as. Nothing is changed.

        Raises the reason for which :meth:`issue` would refuse: :class:`RequestError`, :class:`TokenError`.
        """
        read = read_request(request)
        with self._ledger.read() as connection:
            return reviewing.review(connection, self._domain, read, now)

    def issue(self, request: bytes, now: dt.datetime, *, fingerprint: str | None = None) -> IssuedCertificate:
        """Check a request, spend its token, sign and record the certificate: all of it, or nothing.

        ``fingerprint`` is what the applicant read out over the phone. Raises as :meth:`review` does, and
        :class:`RequestError` ``fingerprint-mismatch``, :class:`AuthorityError` ``ca-expired``, :class:`KeyStoreError`.
        """
        read = read_request(request)
        if fingerprint is not None and not same_fingerprint(fingerprint, read.fingerprint):
            raise RequestError(
                "fingerprint-mismatch",
                f"the request's fingerprint is {read.fingerprint}, not {fingerprint}",
                "Somebody else may have used the token. Do not issue; ask the applicant for the file once more.",
            )
        key = self._issuing_key(now)
        with self._write(now) as tx:
            review = reviewing.review(tx.connection, self._domain, read, now)
            if review.token is not None:
                acts.spend_token(tx, review.token)
            leaf = profile.build_leaf(
                read.public_key,
                self._domain.issuing_ca,
                key,
                now,
                system_title=review.system_title,
                policy=review.level,
                organization=review.organization,
                tag=review.tag,
            )
            return acts.record_certificate(
                tx,
                leaf,
                self._domain.issuing_ca,
                review.level,
                organization=review.organization,
                system_title=review.system_title,
                tag=review.tag,
                mail=review.mail,
                token=review.token,
                renewal_of=review.renewal_of,
            )

    def review_meter(self, request: bytes, system_title: bytes | None = None) -> MeterReview:
        """Check a request (PEM or DER) that a meter made; :meth:`issue_meter` with its key is what follows.

        ``system_title`` is the meter's, where it is known otherwise. Raises :class:`RequestError`.
        """
        read = read_meter_request(request)
        with self._ledger.read() as connection:
            return reviewing.review_meter(connection, self._domain, read, system_title)

    def issue_meter(
        self,
        system_title: bytes,
        now: dt.datetime,
        *,
        public_key: ec.EllipticCurvePublicKey | None = None,
        organization: str | None = None,
        suite: int | None = None,
    ) -> MeterCredential:
        """Issue the certificate of a meter; without ``public_key`` the authority makes the key too.

        ``organization`` None takes the domain's name. Raises :class:`AuthorityError`, :class:`RequestError`
        ``organization-name``, ``csr-key-type``, ``csr-system-title`` or ``key-reuse``.
        """
        organization = names.check_organization(organization or self._domain.name)
        private_key = None
        if public_key is None:
            private_key = ec.generate_private_key(profile.SUITE_CURVES[self._checked_suite(suite)].curve)
            public_key = private_key.public_key()
        entry = profile.suite_of(public_key)
        if entry is None or entry.suite > self._domain.suite:
            raise RequestError("csr-key-type", "the meter's key is on a curve that this domain does not certify")
        key = self._issuing_key(now)
        ca = self._domain.issuing_ca
        with self._write(now) as tx:
            acts.check_title_is_no_persons(tx.connection, system_title)
            acts.check_key_is_new(tx.connection, public_key, acts.NEW_KEY_PAIR)
            leaf = profile.build_leaf(
                public_key, ca, key, now, system_title=system_title, policy=METER_POLICY, organization=organization
            )
            issued = acts.record_certificate(
                tx, leaf, ca, None, organization=organization, system_title=system_title, tag=""
            )
        return MeterCredential(issued, private_key)

    def revoke(
        self, serial: str, now: dt.datetime, *, reason: x509.ReasonFlags = x509.ReasonFlags.unspecified
    ) -> IssuedCertificate:
        """Revoke a certificate by its serial; :meth:`crl` publishes it.

        Raises :class:`AuthorityError` ``no-such-certificate``, ``several-certificates`` or ``revoked-already``.
        """
        with self._write(now) as tx:
            found = acts.find_certificate(tx.connection, self._domain, serial)
            acts.revoke(tx, found.serial, reason)
            return acts.find_certificate(tx.connection, self._domain, found.serial)

    def crl(self, now: dt.datetime) -> tuple[x509.CertificateRevocationList, ...]:
        """Return a new revocation list of every CA of the authority, the present one first, and publish them.

        The domain file then holds them too. Raises :class:`AuthorityError` ``ca-expired``, :class:`KeyStoreError`.
        """
        lists = []
        with self._write(now) as tx:
            domain = self._home.load_domain()
            for ca in (domain.issuing_ca, *domain.previous):
                number, revoked = acts.next_crl_number(tx, ca), acts.revoked_by(tx.connection, ca)
                lists.append(revocation_list.build(ca, self._key(ca), now, number, revoked))
                tx.log("crl", issuer=homes.key_id(ca), number=number, entries=len(revoked))
                domain = domain.with_crl(lists[-1])
            self._publish(domain)
        return tuple(lists)

    def renew_ca(
        self, now: dt.datetime, *, root_key: Path, root_passphrase: Passphrase = None, suite: int | None = None
    ) -> x509.Certificate:
        """Replace the issuing CA by one with a new key; certificates of the old one count on.

        ``root_key`` is the root's sealed key, ``root_passphrase`` None the authority's own passphrase. Raises
        :class:`KeyStoreError`, :class:`AuthorityError` ``order`` for a ``suite`` above the root's.
        """
        secret = self._secret if root_passphrase is None else Secret(root_passphrase, f"{self._home.path} root")
        key_of_root = homes.read_root_key(root_key, secret.get(), self._domain.root)
        key = homes.make_key(self._home.token, self._checked_suite(suite), self._secret)
        every = [*(level.policy for level in Level), METER_POLICY]
        with self._write(now) as tx:
            domain = self._home.load_domain()
            ca = profile.build_ca(domain.name, "Issuing CA", key.public_key(), every, domain.root, key_of_root, now)
            self._home.add_key(ca, key, self._secret)
            tx.log("renew-ca", issuer=homes.key_id(ca), previous=homes.key_id(domain.issuing_ca))
            previous = (*domain.previous, domain.issuing_ca)
            self._publish(dataclasses.replace(domain, issuing_ca=ca, previous=previous))
        return ca

    def certificates(self) -> tuple[IssuedCertificate, ...]:
        """Return every certificate, the oldest first."""
        with self._ledger.read() as connection:
            return acts.certificates(connection, self._domain)

    def certificate(self, serial: str) -> IssuedCertificate:
        """Return a certificate by its serial. Raises :class:`AuthorityError` ``no-such-certificate``."""
        with self._ledger.read() as connection:
            return acts.find_certificate(connection, self._domain, serial)

    def tokens(self) -> tuple[TokenRecord, ...]:
        """Return every token ever ordered, the oldest first."""
        with self._ledger.read() as connection:
            return acts.tokens(connection)

    def mark_answered(self, serials: Iterable[str], now: dt.datetime) -> None:
        """Remember that the codes and the mail drafts of certificates were written."""
        with self._write(now) as tx:
            for serial in serials:
                found = acts.find_certificate(tx.connection, self._domain, serial)
                own = certificates_table.c.serial == found.serial
                tx.change(sa.update(certificates_table).where(own).values(answered=tx.moment))
                tx.log("answer", serial=found.serial)

    def audit(self) -> tuple[AuditEntry, ...]:
        """Return the log of every act after checking its chain. Raises :class:`AuthorityError` ``audit-broken``."""
        return self._ledger.audit()

    def close(self) -> None:
        """Close the ledger and forget the keys."""
        self._keys.clear()
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _checked_suite(self, suite: int | None) -> int:
        if suite is None:
            return self._domain.suite
        if suite not in profile.SUITE_CURVES or suite > self._domain.suite:
            raise AuthorityError("order", f"this domain certifies keys up to suite {self._domain.suite}, not {suite}")
        return suite

    def _issuing_key(self, now: dt.datetime) -> ec.EllipticCurvePrivateKey:
        ca = self._domain.issuing_ca
        if not ca.not_valid_before_utc <= now < ca.not_valid_after_utc:
            message = (
                f"the issuing CA is valid from {ca.not_valid_before_utc:%Y-%m-%d} to {ca.not_valid_after_utc:%Y-%m-%d}"
            )
            raise AuthorityError("ca-expired", message, "Check the clock; if it is right: meterlink authority renew-ca")
        return self._key(ca)

    def _key(self, ca: x509.Certificate) -> ec.EllipticCurvePrivateKey:
        found = self._keys.get(homes.key_id(ca))
        if found is None:
            found = self._keys[homes.key_id(ca)] = self._home.load_key(ca, self._secret)
        return found

    def _publish(self, domain: TrustDomain) -> None:
        """Replace the domain file. Within a ledger transaction, so that one operator does not undo another's."""
        domain.save(self._home.domain_file)
        self._domain = domain

    @contextlib.contextmanager
    def _write(self, now: dt.datetime) -> Iterator[Transaction]:
        with self._ledger.write(now, self._actor) as tx:
            yield tx


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "unknown"
