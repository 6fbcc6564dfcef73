"""A trust domain: the root that is trusted, the CAs below it, and where requests are sent.

It is published as one JSON file, ``NAME.domain.json``, and as a QR code. The consumer CA's private key stands in it on
purpose: that CA can issue nothing but Consumer certificates, and anyone may be a consumer, with a key of their own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import platformdirs
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs import files, names, profile, revocation
from certs.checking import CheckedCertificate, check
from certs.errors import CertsError, ProfileError, StoreError
from certs.levels import METER_POLICY, Level
from certs.loading import UNREADABLE, load_der, load_pem
from certs.path import check_ca, is_signed_by, policies_of

ENDING: Final = ".domain.json"
MAX_DOMAIN_SIZE: Final = 8 * 1024 * 1024
MAX_NAME: Final = 64
MAX_MAIL: Final = 254

_FORMAT: Final = "meterlink-domain"
_VERSION: Final = 1
_HINT: Final = "Ask the authority for its domain file."


@dataclass(frozen=True, slots=True)
class TrustDomain:
    """What is published of a trust domain.

    ``mail`` is the authority's address, where requests go. ``previous`` holds CAs that were replaced and whose
    certificates still count. ``crl_url`` says where a fresh revocation list can be fetched, if anywhere.
    """

    name: str
    mail: str
    root: x509.Certificate
    issuing_ca: x509.Certificate
    consumer_ca: x509.Certificate
    consumer_ca_key: ec.EllipticCurvePrivateKey = field(repr=False)
    previous: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    crl_url: str | None = None

    def __post_init__(self) -> None:
        """Check that the parts belong together. Raises :class:`ProfileError` ``domain-format``."""
        if not names.is_plain(self.name, MAX_NAME):
            raise ProfileError(
                "domain-format", "the domain's name is empty, too long or holds unseen characters", _HINT
            )
        if not names.is_plain(self.mail, MAX_MAIL) or "@" not in self.mail:
            raise ProfileError("domain-format", "the domain has no mail address", _HINT)
        check_ca(self.root, self.name, root=True)
        if not is_signed_by(self.root, self.root):
            raise ProfileError("domain-format", f"the root of {self.name} did not sign itself", _HINT)
        for ca in self.authorities:
            check_ca(ca, self.name, root=False)
            if not is_signed_by(ca, self.root):
                raise ProfileError("domain-format", f"a CA of {self.name} is not signed by its root", _HINT)
        if policies_of(self.consumer_ca) != {Level.CONSUMER.policy}:
            # Its key is public: with any other level, anyone could give it to themselves.
            raise ProfileError("domain-format", f"the consumer CA of {self.name} may issue more than Consumer", _HINT)
        if self.consumer_ca.public_key() != self.consumer_ca_key.public_key():
            raise ProfileError("domain-format", f"the consumer key of {self.name} is not its consumer CA's", _HINT)

    @property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        """Every CA below the root, those that were replaced included."""
        return (self.issuing_ca, self.consumer_ca, *self.previous)

    @property
    def id(self) -> str:
        """SHA-256 of the root certificate in hex: two domains of one name are still two."""
        return hashlib.sha256(self.root.public_bytes(serialization.Encoding.DER)).hexdigest()

    @property
    def suite(self) -> int:
        """The highest security suite that this domain can certify."""
        entry = profile.suite_of(self.issuing_ca.public_key())
        return entry.suite if entry is not None else 1

    def check_level(
        self,
        certificate: x509.Certificate | bytes,
        now: dt.datetime,
        *,
        intermediates: Iterable[x509.Certificate] = (),
    ) -> CheckedCertificate:
        """Check a person's certificate (object or DER). Raises :class:`ProfileError`."""
        leaf = load_certificate(certificate)
        return check(leaf, tuple(intermediates), self, now, expect="level")

    def check_meter(
        self, certificate: x509.Certificate | bytes, now: dt.datetime, system_title: bytes
    ) -> CheckedCertificate:
        """Check a meter's certificate (object or DER) and that it is the certificate of ``system_title`` (8 bytes).

        Raises :class:`ProfileError`, with code ``system-title`` where the certificate is another meter's.
        """
        checked = check(load_certificate(certificate), (), self, now, expect="meter")
        if checked.system_title != system_title:
            shown, said = (profile.system_title_text(title) for title in (checked.system_title, system_title))
            raise ProfileError(
                "system-title",
                f"the certificate is that of {shown}, the meter says it is {said}",
                "Do not trust this device: it shows a certificate that is not its own.",
            )
        return checked

    def with_crl(self, crl: x509.CertificateRevocationList) -> TrustDomain:
        """Return the domain with ``crl`` in place of an older list of the same CA, itself when it has a newer one.

        Raises :class:`ProfileError` ``crl-signature`` when no CA of the domain signed it.
        """
        issuer = self.issuer_of(crl)
        own = [old for old in self.crls if revocation.is_signed_by(old, issuer)]
        if not all(revocation.is_newer(crl, old) for old in own):
            return self
        return replace(self, crls=(*(old for old in self.crls if old not in own), crl))

    def with_crls_of(self, crls: Iterable[x509.CertificateRevocationList]) -> TrustDomain:
        """Return the domain with those of ``crls`` that its CAs signed; lists of other domains are passed over."""
        domain = self
        for crl in crls:
            with contextlib.suppress(ProfileError):
                domain = domain.with_crl(crl)
        return domain

    def issuer_of(self, crl: x509.CertificateRevocationList) -> x509.Certificate:
        """Return the CA of this domain that signed ``crl``. Raises :class:`ProfileError` ``crl-signature``."""
        for ca in (*self.authorities, self.root):
            if revocation.is_signed_by(crl, ca):
                return ca
        raise ProfileError(
            "crl-signature", f"the revocation list is not signed by a CA of the domain {self.name}", _HINT
        )

    def to_json(self) -> str:
        """Return the text of the domain file."""
        body: dict[str, Any] = {
            "format": _FORMAT,
            "version": _VERSION,
            "name": self.name,
            "mail": self.mail,
            "root": _pem(self.root),
            "issuing_ca": _pem(self.issuing_ca),
            "consumer_ca": _pem(self.consumer_ca),
            "consumer_ca_key": self.consumer_ca_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            "previous": [_pem(ca) for ca in self.previous],
            "crls": [crl.public_bytes(serialization.Encoding.PEM).decode() for crl in self.crls],
            "crl_url": self.crl_url,
        }
        return json.dumps(body, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> TrustDomain:
        """Read the text of a domain file. Raises :class:`ProfileError` ``domain-format``."""
        if len(text) > MAX_DOMAIN_SIZE:
            raise ProfileError("domain-format", "the domain file is too large", _HINT)
        try:
            body = json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
        except (ValueError, RecursionError) as error:
            raise ProfileError("domain-format", "this is not a domain file", _HINT) from error
        if not isinstance(body, dict) or body.get("format") != _FORMAT:
            raise ProfileError("domain-format", "this is not a domain file", _HINT)
        if body.get("version") != _VERSION:
            raise ProfileError("domain-format", "the domain file is of a version not known here", "Update the program.")
        crl_url = body.get("crl_url")
        if crl_url is not None and not isinstance(crl_url, str):
            raise ProfileError("domain-format", "crl_url is not a text", _HINT)
        return cls(
            name=_text(body, "name"),
            mail=_text(body, "mail"),
            root=_certificate(_text(body, "root")),
            issuing_ca=_certificate(_text(body, "issuing_ca")),
            consumer_ca=_certificate(_text(body, "consumer_ca")),
            consumer_ca_key=_private_key(_text(body, "consumer_ca_key")),
            previous=tuple(_certificate(item) for item in _texts(body, "previous")),
            crls=tuple(revocation.load_crl(item.encode()) for item in _texts(body, "crls")),
            crl_url=crl_url,
        )

    @classmethod
    def load(cls, path: Path) -> TrustDomain:
        """Read a domain file. Raises :class:`ProfileError` ``domain-format``, :class:`StoreError` ``file``."""
        return _parse(files.read(path, MAX_DOMAIN_SIZE))

    def save(self, path: Path) -> None:
        """Write the domain file whole or not at all. Raises :class:`StoreError` ``file``."""
        files.write(path, self.to_json().encode())


@dataclass(frozen=True, slots=True)
class NewDomain:
    """A trust domain just made, with the two keys that its authority must keep."""

    domain: TrustDomain
    root_key: ec.EllipticCurvePrivateKey = field(repr=False)
    issuing_key: ec.EllipticCurvePrivateKey = field(repr=False)


def make_domain(
    name: str,
    mail: str,
    now: dt.datetime,
    *,
    suite: int = 1,
    issuing_key: ec.EllipticCurvePrivateKey | None = None,
    crl_url: str | None = None,
) -> NewDomain:
    """Make a trust domain: root, issuing CA (every level and Meter) and consumer CA (Consumer alone).

    With ``suite`` 2 all its keys are on P-384, and it can certify keys of both suites. ``issuing_key`` may be given
    where it is kept in a security module. Raises :class:`ProfileError` ``domain-format`` for a name or address that
    cannot be used.
    """
    curve = profile.SUITE_CURVES[suite].curve
    root_key, consumer_key = ec.generate_private_key(curve), ec.generate_private_key(curve)
    issuing_key = issuing_key or ec.generate_private_key(curve)
    _check_name(name)
    root = profile.build_root(name, root_key, now)
    every = [*(level.policy for level in Level), METER_POLICY]
    issuing = profile.build_ca(name, "Issuing CA", issuing_key.public_key(), every, root, root_key, now)
    only = [Level.CONSUMER.policy]
    consumer = profile.build_ca(name, "Consumer CA", consumer_key.public_key(), only, root, root_key, now)
    domain = TrustDomain(name, mail, root, issuing, consumer, consumer_key, crl_url=crl_url)
    return NewDomain(domain, root_key, issuing_key)


def default_domain() -> TrustDomain:
    """Return the domain that ships with the package. Nobody holds its root and issuing keys."""
    return TrustDomain.load(Path(__file__).with_name("data") / f"default{ENDING}")


def load_known(home: Path) -> tuple[tuple[TrustDomain, ...], tuple[CertsError, ...]]:
    """Return every known domain in search order, and what is wrong with files that could not be used.

    The order is the user's ``home``, the site's config folder, the package. A domain found twice (by its root) counts
    where it is found first.
    """
    found: dict[str, TrustDomain] = {}
    faults: list[CertsError] = []
    for path in _domain_files(home):
        try:
            domain = TrustDomain.load(path)
        except CertsError as error:
            faults.append(StoreError("domain-damaged", f"{path.name}: {error.message}", "Join the domain again."))
            continue
        found.setdefault(domain.id, domain)
    shipped = default_domain()
    found.setdefault(shipped.id, shipped)
    return tuple(found.values()), tuple(faults)


def find(name: str | None = None, *, home: Path) -> TrustDomain:
    """Return the domain called ``name``, or the first in search order.

    Raises :class:`StoreError` ``no-such-domain``, or ``domain-damaged`` when a file cannot be used: what is trusted
    never changes silently.
    """
    known, faults = load_known(home)
    if faults:
        raise faults[0]
    for domain in known:
        if name is None or domain.name == name:
            return domain
    listed = ", ".join(domain.name for domain in known)
    raise StoreError("no-such-domain", f"no domain is called {name}", f"Known are: {listed}.")


def load_certificate(certificate: x509.Certificate | bytes) -> x509.Certificate:
    """Return a certificate from DER. Raises :class:`ProfileError` ``certificate-format``."""
    if isinstance(certificate, x509.Certificate):
        return certificate
    try:
        return load_der(certificate)
    except UNREADABLE as error:
        raise ProfileError("certificate-format", "this is not a certificate", "Ask for it again.") from error


def _check_name(name: str) -> None:
    if not names.is_plain(name, MAX_NAME):
        message = "the domain's name is empty, too long or holds characters that cannot be seen"
        raise ProfileError("domain-format", message, "Give a name of 1 to 64 characters.")


@functools.lru_cache(maxsize=16)
def _parse(data: bytes) -> TrustDomain:
    """Read a domain file once: the store looks at the same few files all the time, and a domain never changes."""
    return TrustDomain.from_json(data)


def _domain_files(home: Path) -> Iterator[Path]:
    for folder in (home / "domains", platformdirs.site_config_path("meterlink")):
        yield from sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else ()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise ProfileError("domain-format", f"the domain file has no {key}", _HINT)
    return value


def _texts(body: dict[str, Any], key: str) -> list[str]:
    value = body.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProfileError("domain-format", f"{key} in the domain file is no list of texts", _HINT)
    return value


def _certificate(pem: str) -> x509.Certificate:
    try:
        (certificate,) = load_pem(pem.encode())
        return certificate
    except UNREADABLE as error:
        raise ProfileError("domain-format", "a certificate of the domain cannot be read", _HINT) from error


def _private_key(pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except UNREADABLE as error:
        raise ProfileError("domain-format", "the consumer key cannot be read", _HINT) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ProfileError("domain-format", "the consumer key is not on a curve", _HINT)
    return key
