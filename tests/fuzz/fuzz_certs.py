"""Coverage-guided fuzzing of tokens, codes, requests, certificates and domain files: all but our own errors is a crash.

Run it with ``python -m tests.fuzz.fuzz_certs [seconds]`` where atheris is installed. The first byte of an input says
what the rest is taken for.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from certs import cbor, importing, payload, request, revocation, sealing, token
    from certs.domain import TrustDomain, default_domain
    from certs.errors import CertsError

import base45
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certs import consumer, domain, profile
from certs.levels import Level

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
TRUST = default_domain()

TAKEN_FOR = (
    lambda data: token.verify(token.PREFIX + base45.b45encode(data).decode(), TRUST, NOW),
    lambda data: payload.parse(payload.CERTIFICATE_PREFIX + base45.b45encode(data).decode()),
    lambda data: payload.parse(payload.DOMAIN_PREFIX + base45.b45encode(data).decode()),
    lambda data: payload.parse(data.decode("latin-1")),
    request.read_request,
    lambda data: TRUST.check_level(data, NOW),
    lambda data: TRUST.with_crl(revocation.load_crl(data)),
    TrustDomain.from_json,
    lambda data: sealing.unseal(data, "passphrase", "key"),
    lambda data: importing.recognise(b"\x30" + data + b"\xff"),
    cbor.read,
)


def one(data: bytes) -> None:
    """Read one input."""
    if not data:
        return
    try:
        TAKEN_FOR[data[0] % len(TAKEN_FOR)](data[1:])
    except (CertsError, cbor.CborError):
        return


def seeds() -> list[bytes]:
    """Return a right input of every kind."""
    made = domain.make_domain("Fuzz", "a@example.org", NOW)
    claims = token.Token(bytes(16), Level.TEST, "Org", bytes(8), 1, NOW, NOW + dt.timedelta(days=9))
    text = token.issue(claims, made.issuing_key, made.domain.issuing_ca)
    key = ec.generate_private_key(profile.SUITE_CURVES[1].curve)
    csr = request.build_request(text, claims, "Tag", key).public_bytes(Encoding.DER)
    leaf = consumer.issue(TRUST, NOW).leaf
    contents = (
        base45.b45decode(text[5:]),
        base45.b45decode(payload.certificate_text(leaf)[5:]),
        base45.b45decode(payload.domain_text(made.domain)[5:]),
        text.encode(),
        csr,
        leaf.public_bytes(Encoding.DER),
        b"",
        made.domain.to_json().encode(),
        sealing.seal(b"secret", "passphrase", "key", log_n=sealing.LOG_N_RANDOM),
        leaf.public_bytes(Encoding.DER)[1:],
        b"\x83\x01\x41a\xa1\x01\x02",
    )
    return [bytes([number]) + content for number, content in enumerate(contents)]


def main() -> None:
    """Fuzz for the seconds given on the command line, one minute without."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    with tempfile.TemporaryDirectory() as found:
        for number, seed in enumerate(seeds()):
            (Path(found) / f"seed-{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10", found], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
