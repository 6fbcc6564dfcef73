"""What was shared with a meter of the field before: passwords and keys, from a key file and from the environment.

A key file is TOML or JSON, for its owner alone (mode 0600)::

    system_title = "4D4C4B0000000001"     # ours, 16 hex digits; default: that of the active certificate
    unicast = "000102030405060708090A0B0C0D0E0F"
    authentication = "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"
    broadcast = "..."                      # optional
    master = "..."                         # optional, key encryption key
    password = "12345678"                  # LLS; METERLINK_METER_PASSWORD comes first
    secret = "0x0102..."                   # HLS MD5, SHA-1 and SHA-256; text, or hex behind 0x
    signing_key = "client.pem"             # HLS ECDSA; default: the active certificate's key
    meter_key = "meter.pem"                # the meter's public key or certificate, where no domain vouches for it
    agreement_key = "agreement.pem"        # our key agreement key, for general-ciphering with agreed keys
    meter_agreement_key = "meter-ka.pem"   # the meter's, public key or certificate
    counter = 4711                         # never send an invocation counter below this one
    transaction = 4711                     # never begin a transaction with an identifier below this one

File names are relative to the key file.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from meterlink.errors import UsageError
from meterlink.security.counters import MAX_COUNTER
from meterlink.security.keys import KeySet, Secret
from meterlink.security.suites import SYSTEM_TITLE_LENGTH

PASSWORD_VARIABLE: Final = "METERLINK_METER_PASSWORD"  # noqa: S105  the name of a variable
"""Environment variable with the password, or the secret of HLS, of the meter."""

_MAX_FILE: Final = 64 * 1024
_KEYS: Final = ("unicast", "authentication", "broadcast", "master")
_KNOWN: Final = (
    *_KEYS,
    "system_title",
    "password",
    "secret",
    "signing_key",
    "meter_key",
    "agreement_key",
    "meter_agreement_key",
    "counter",
    "transaction",
)
_MAX_TRANSACTION: Final = (1 << 62) - 1
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_K = TypeVar("_K", EllipticCurvePrivateKey, EllipticCurvePublicKey)


@dataclass(frozen=True, slots=True)
class MeterSecrets:
    """What was shared with a meter. ``counter`` is the least invocation counter to send, ``transaction`` the least
    transaction identifier; everything else is None where it is not known. The ``repr`` shows no secret."""

    system_title: bytes | None = None
    keys: KeySet | None = None
    password: Secret | None = None
    secret: Secret | None = None
    signing_key: EllipticCurvePrivateKey | None = field(default=None, repr=False)
    meter_key: EllipticCurvePublicKey | None = None
    agreement_key: EllipticCurvePrivateKey | None = field(default=None, repr=False)
    meter_agreement_key: EllipticCurvePublicKey | None = None
    counter: int = 1
    transaction: int = 1


def meter_secrets(path: Path | None, environment: Mapping[str, str] = os.environ) -> MeterSecrets:
    """Return what the key file at ``path`` (None: there is none) and ``environment`` give.

    Raises UsageError: ``key-file-open`` when others may read the file, ``key-file`` for anything else that is wrong
    with it. No message holds a value.
    """
    raw = {} if path is None else _load(path)
    folder = Path() if path is None else path.parent
    given = environment.get(PASSWORD_VARIABLE)
    return MeterSecrets(
        system_title=_octets(raw, "system_title", SYSTEM_TITLE_LENGTH),
        keys=_key_set(raw),
        password=_secret(raw, "password") if given is None else _secret({"password": given}, "password"),
        secret=_secret(raw, "secret") if given is None else _secret({"secret": given}, "secret"),
        signing_key=_pem(raw, "signing_key", folder, _private_key),
        meter_key=_pem(raw, "meter_key", folder, _public_key),
        agreement_key=_pem(raw, "agreement_key", folder, _private_key),
        meter_agreement_key=_pem(raw, "meter_agreement_key", folder, _public_key),
        counter=_counter(raw, "counter", MAX_COUNTER),
        transaction=_counter(raw, "transaction", _MAX_TRANSACTION),
    )


def _load(path: Path) -> dict[str, Any]:
    data = _read(path, private=True)
    try:
        text = data.decode()
        raw = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except ValueError:
        # The parser's own message could quote what stands there.
        raise _fault(f"{path} is neither TOML nor JSON") from None
    unknown = sorted(set(raw) - set(_KNOWN))
    if unknown:
        raise _fault(f"{path} has the unknown key {unknown[0]!r}; known are {', '.join(_KNOWN)}")
    return dict(raw)


def _read(path: Path, *, private: bool) -> bytes:
    """Return what stands in a file; ``private``: nobody else may read it."""
    try:
        with path.open("rb") as stream:
            if private and os.name == "posix" and os.fstat(stream.fileno()).st_mode & _OTHERS:
                raise UsageError(
                    f"others may read the key file {path}",
                    code="key-file-open",
                    hint=f"chmod 600 {path}, and change the keys if somebody else may have seen them",
                )
            data = stream.read(_MAX_FILE + 1)
    except OSError as error:
        raise _fault(f"{path} cannot be read: {(error.strerror or 'error').lower()}") from None
    if len(data) > _MAX_FILE:
        raise _fault(f"{path} is too large")
    return data


def _key_set(raw: Mapping[str, Any]) -> KeySet | None:
    keys = {name: _octets(raw, name) for name in _KEYS if name in raw}
    if not keys:
        return None
    unicast, authentication = keys.get("unicast"), keys.get("authentication")
    if unicast is None or authentication is None:
        raise _fault("unicast and authentication go together")
    try:
        return KeySet(unicast, authentication, broadcast=keys.get("broadcast"), master=keys.get("master"))
    except ValueError as error:
        raise _fault(str(error)) from None


def _octets(raw: Mapping[str, Any], name: str, length: int | None = None) -> bytes | None:
    text = raw.get(name)
    if text is None:
        return None
    try:
        octets = bytes.fromhex(text)
    except (ValueError, TypeError):
        raise _fault(f"{name} is not written in hex") from None
    if length is not None and len(octets) != length:
        raise _fault(f"{name} has {len(octets)} octets instead of {length}")
    return Secret(octets) if length is None else octets


def _secret(raw: Mapping[str, Any], name: str) -> Secret | None:
    text = raw.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or not text:
        raise _fault(f"{name} is no text")
    try:
        return Secret(bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode())
    except ValueError:
        raise _fault(f"{name} is no text, or not written in hex behind 0x") from None


def _counter(raw: Mapping[str, Any], name: str, most: int) -> int:
    counter = raw.get(name, 1)
    if not isinstance(counter, int) or isinstance(counter, bool) or not 0 <= counter <= most:
        raise _fault(f"{name} is no number 0..{most}")
    return counter


def _pem(raw: Mapping[str, Any], name: str, folder: Path, load: Callable[[bytes], _K]) -> _K | None:
    text = raw.get(name)
    if text is None:
        return None
    if not isinstance(text, str):
        raise _fault(f"{name} is no file name")
    pem = _read(folder / text, private=load is _private_key)
    try:
        return load(pem)
    except (ValueError, TypeError):
        raise _fault(f"{name} is no elliptic-curve key in PEM without a passphrase") from None


def _private_key(pem: bytes) -> EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError
    return key


def _public_key(pem: bytes) -> EllipticCurvePublicKey:
    certified = b"BEGIN CERTIFICATE" in pem
    key = x509.load_pem_x509_certificate(pem).public_key() if certified else load_pem_public_key(pem)
    if not isinstance(key, EllipticCurvePublicKey):
        raise TypeError
    return key


def _fault(message: str) -> UsageError:
    return UsageError(
        f"the key file is not usable: {message}", code="key-file", hint="docs/cosem.md describes the key file"
    )
