"""A process that issues certificates, started by the tests to race against others and to be killed.

``race HOME``            reads names of request files from stdin and answers each with ``issued`` or the refusal's code
``die HOME FILE SPOT``   issues one request and kills itself at a spot: ``signed``, ``recorded`` or ``committed``
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec

from certs.authority import Authority
from certs.authority.home import key_id
from certs.errors import CertsError


class KeyThatDies(ec.EllipticCurvePrivateKey):
    """Signs, and before the signature is out of its hands the process is dead."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:  # type: ignore[override]
        self._key.sign(data, signature_algorithm)
        die()
        return b""

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._key.curve

    @property
    def key_size(self) -> int:
        return self._key.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        raise NotImplementedError

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        raise NotImplementedError

    def private_bytes(self, *_arguments: object) -> bytes:  # type: ignore[override]
        raise NotImplementedError

    def __copy__(self) -> ec.EllipticCurvePrivateKey:
        return self

    def __deepcopy__(self, _memo: dict[int, object]) -> ec.EllipticCurvePrivateKey:
        return self


def die(*_arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def race(home: Path, passphrase: str) -> None:
    with Authority.open(home, passphrase) as authority:
        authority._issuing_key(dt.datetime.now(dt.UTC))  # unsealed before the race begins
        print("ready", flush=True)
        for line in sys.stdin:
            try:
                authority.issue(Path(line.rstrip("\n")).read_bytes(), dt.datetime.now(dt.UTC))
            except CertsError as error:
                print(error.code, flush=True)
            else:
                print("issued", flush=True)


def issue_and_die(home: Path, passphrase: str, request: Path, spot: str) -> None:
    now = dt.datetime.now(dt.UTC)
    authority = Authority.open(home, passphrase)
    if spot == "signed":
        ca = key_id(authority.domain.issuing_ca)
        authority._keys[ca] = KeyThatDies(authority._issuing_key(now))
    if spot == "recorded":
        sa.event.listen(authority._ledger._engine, "commit", die)
    authority.issue(request.read_bytes(), now)
    die()


def main() -> None:
    mode, home, *rest = sys.argv[1:]
    passphrase = os.environ["METERLINK_PASSPHRASE"]
    if mode == "race":
        race(Path(home), passphrase)
    else:
        issue_and_die(Path(home), passphrase, Path(rest[0]), rest[1])


if __name__ == "__main__":
    main()
