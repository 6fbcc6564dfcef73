"""The authority's folder: its settings, its domain file and its sealed keys.

::

    settings.json         which ledger, and where the CA keys are
    NAME.domain.json      what is published
    keys/SKI.key          the issuing CA's key, sealed; one per CA certificate, by its subject key identifier
    NAME.root-key         the root's key, sealed; to be moved to a medium that is kept offline
    ledger.sqlite         the ledger, unless it is elsewhere
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from certs import files, keys, profile
from certs.authority import ledger as ledgers
from certs.domain import ENDING, NewDomain, TrustDomain
from certs.errors import AuthorityError, KeyStoreError
from certs.keys import Passphrases, Protection

HOME_VARIABLE: Final = "METERLINK_AUTHORITY"
ROOT_PASSPHRASE_VARIABLE: Final = "METERLINK_ROOT_PASSPHRASE"  # noqa: S105 - the name of the variable

_SETTINGS: Final = "settings.json"
_FORMAT: Final = "meterlink-authority"
_MAX_SETTINGS: Final = 64 * 1024
_HINT: Final = "Make one with: meterlink authority init --name NAME --mail ADDRESS"


@dataclass(frozen=True, slots=True)
class Location:
    """A token in a security module (PKCS#11): the module's library file, and the token's label."""

    module: str
    token: str


Passphrase = str | Callable[[bool], str] | None
"""A passphrase, a question for one (called with True when it is new), or None for ``METERLINK_PASSPHRASE``."""


def default_home() -> Path:
    """Return where the authority's data lies: ``METERLINK_AUTHORITY``, else the platform's folder for user data."""
    if chosen := os.environ.get(HOME_VARIABLE):
        return Path(chosen)
    return platformdirs.user_data_path("meterlink-authority", appauthor=False)


def safe_name(domain: str) -> str:
    """Return a domain's name as part of a file name: letters, digits, blanks and dashes."""
    kept = "".join(mark if mark in " -" or unicodedata.category(mark)[0] in "LN" else "-" for mark in domain)
    return re.sub(r"[ -]{2,}", "-", kept).strip(" -") or "domain"


class Secret:
    """A passphrase, asked for once and at the first need."""

    def __init__(self, given: Passphrase, account: str) -> None:
        self._given = given if isinstance(given, str) else None
        self._source = Passphrases(account, None if isinstance(given, str) else given)

    def get(self, *, new: bool = False) -> str:
        """Return the passphrase. Raises :class:`KeyStoreError` ``passphrase-needed``."""
        return self._given or self._source.passphrase(new=new)


@dataclass(frozen=True, slots=True)
class Home:
    """An authority's folder. ``ledger_url`` may hold a password; it is in no message."""

    path: Path
    domain_file: Path
    ledger_url: str
    token: Location | None = None

    @classmethod
    def create(
        cls, path: Path, made: NewDomain, secret: Secret, *, ledger_url: str | None, token: Location | None
    ) -> Home:
        """Make the folder, whole or not at all; the CA's key is in it unless it is in ``token``.

        Raises :class:`AuthorityError` ``ledger-url``.
        """
        if ledger_url is not None:
            ledgers.check_url(ledger_url)
        files.make_folder(path.parent)
        draft = files.temporary_beside(path)
        try:
            files.make_folder(draft / "keys")
            domain_file = f"{safe_name(made.domain.name)}{ENDING}"
            body: dict[str, Any] = {"format": _FORMAT, "version": 1, "domain": domain_file, "ledger": ledger_url}
            if token is not None:
                body["pkcs11"] = {"module": token.module, "token": token.token}
            files.write(draft / _SETTINGS, json.dumps(body, indent=2).encode())
            files.write(draft / domain_file, made.domain.to_json().encode())
            if token is None:
                _write_key(draft, made.domain.issuing_ca, made.issuing_key, secret)
            if path.exists():
                path.rmdir()
            draft.rename(path)
            files.sync_folder(path.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Home:
        """Read the settings. Raises :class:`AuthorityError` ``no-authority`` or ``authority-settings``."""
        if not (path / _SETTINGS).is_file():
            raise AuthorityError("no-authority", f"there is no authority in {path}", _HINT)
        try:
            body = json.loads(files.read(path / _SETTINGS, _MAX_SETTINGS))
            if body["format"] != _FORMAT or body["version"] != 1:
                raise ValueError("format")
            domain_file = path / str(body["domain"])
            ledger_url = body["ledger"] or ledgers.sqlite_url(path / "ledger.sqlite")
            kept = body.get("pkcs11")
            token = Location(str(kept["module"]), str(kept["token"])) if kept is not None else None
        except (ValueError, KeyError, TypeError) as error:
            message = f"{path / _SETTINGS} is not the settings of an authority"
            raise AuthorityError("authority-settings", message, "Restore it from a backup.") from error
        return cls(path, domain_file, ledger_url, token)

    def load_domain(self) -> TrustDomain:
        """Return the domain as it is published now."""
        return TrustDomain.load(self.domain_file)

    def load_key(self, ca: x509.Certificate, secret: Secret) -> ec.EllipticCurvePrivateKey:
        """Return the key of one of the authority's CAs. Raises :class:`KeyStoreError`."""
        if self.token is not None:
            key: ec.EllipticCurvePrivateKey = _module().load(self.token, secret.get(), ca.public_key())
            return key
        path = self.path / "keys" / f"{key_id(ca)}.key"
        if not path.is_file():
            raise KeyStoreError("key-missing", f"the CA's key {path} is missing", "Restore it from a backup.")
        sealed = files.read(path, keys.MAX_KEY_FILE)
        return keys.unprotect(sealed, Protection.PASSPHRASE, secret.get())

    def add_key(self, ca: x509.Certificate, key: ec.EllipticCurvePrivateKey, secret: Secret) -> None:
        """Seal and keep the key of another CA. A key that was made in a security module is kept there already."""
        if self.token is None:
            _write_key(self.path, ca, key, secret)


def make_key(token: Location | None, suite: int, secret: Secret) -> ec.EllipticCurvePrivateKey:
    """Return a new key for a CA, in ``token`` if there is one. Raises :class:`KeyStoreError`."""
    if token is None:
        return keys.generate(suite)
    key: ec.EllipticCurvePrivateKey = _module().generate(token, secret.get(), profile.SUITE_CURVES[suite].curve)
    return key


def _module() -> Any:
    """The part that talks to security modules, which needs an extra. Raises :class:`KeyStoreError`."""
    try:
        return importlib.import_module("certs.authority.security_module")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pkcs11":
            raise
        message = "a key in a security module needs python-pkcs11, which is not installed"
        raise KeyStoreError("extra-missing", message, "pip install 'meterlink[pkcs11]'") from error


def key_id(ca: x509.Certificate) -> str:
    """Return a CA's subject key identifier in hex."""
    return ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def root_key_name(domain: str) -> str:
    """Return what the file with the root's key is called."""
    return f"{safe_name(domain)}.root-key"


def check_vacant(path: Path, root_key: Path) -> None:
    """Check that nothing stands where a new authority is to be. Raises :class:`AuthorityError` ``authority-exists``."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        hint = f"Choose another folder with {HOME_VARIABLE}."
        raise AuthorityError("authority-exists", f"{path} is there already", hint)
    if root_key.exists() or not (root_key.parent.is_dir() or root_key.parent == path):
        message = f"the root's key cannot be written to {root_key}: it exists, or its folder does not"
        raise AuthorityError("authority-exists", message, "Choose another file.")


def seal_root_key(key: ec.EllipticCurvePrivateKey, passphrase: str) -> bytes:
    """Return the content of the file with the root's key."""
    return keys.protect(key, Protection.PASSPHRASE, passphrase)


def read_root_key(path: Path, passphrase: str, root: x509.Certificate) -> ec.EllipticCurvePrivateKey:
    """Return the root's key. Raises :class:`KeyStoreError`; ``key-damaged`` when it is another root's."""
    key = keys.unprotect(files.read(path, keys.MAX_KEY_FILE), Protection.PASSPHRASE, passphrase)
    if key.public_key() != root.public_key():
        raise KeyStoreError("key-damaged", f"{path} is not the key of this domain's root", "Use the right file.")
    return key


def _write_key(home: Path, ca: x509.Certificate, key: ec.EllipticCurvePrivateKey, secret: Secret) -> None:
    sealed = keys.protect(key, Protection.PASSPHRASE, secret.get(new=True))
    files.write(home / "keys" / f"{key_id(ca)}.key", sealed)
