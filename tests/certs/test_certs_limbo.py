"""An outside judge of paths: cases of x509-limbo, and the list of where we differ on purpose.

The cases are certificates of TLS servers, so the rules for our own leaves are left out here: the path, the dates, the
CAs and the revocation lists are judged.
"""

import contextlib
import datetime as dt
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from certs_support import NOW
from cryptography import x509

from certs import domain, loading, path, revocation
from certs.errors import CertsError, ProfileError

CASES = json.loads((Path(__file__).parents[1] / "data" / "x509-limbo" / "cases.json").read_text())

LEAF_RULES = "a rule for leaves; ours are stricter and stand in read_leaf (THREATS 19, 20, 32)"
SOFT_LISTS = "a list that cannot be used changes nothing: offline, most devices have none at all"
STRICTER = "stricter than asked: our CAs carry this"

DIFFERENCES = {
    # Accepted here, refused there.
    "crl::crlnumber-missing": SOFT_LISTS + "; what it revokes is still revoked",
    "crl::issuer-missing-crlsign": SOFT_LISTS,
    "pathlen::max-chain-depth-0-exhausted": "the caller's limit is not offered; ours is three CAs below the root",
    "pathlen::max-chain-depth-1-exhausted": "the caller's limit is not offered; ours is three CAs below the root",
    "rfc5280::aki::cross-signed-root-missing-aki": "the anchor is trusted as it is, whoever signed it elsewhere",
    "rfc5280::ca-as-leaf-wrong-san": LEAF_RULES,
    "rfc5280::ee-critical-aia-invalid": LEAF_RULES,
    "rfc5280::leaf-ku-keycertsign": LEAF_RULES,
    "rfc5280::nc::not-allowed-in-ee-critical": LEAF_RULES,
    "rfc5280::nc::not-allowed-in-ee-noncritical": LEAF_RULES,
    "rfc5280::nc::permitted-dns-match-noncritical": "name constraints count, critical or not",
    "rfc5280::pc::ica-noncritical-pc": "policy constraints can only loosen what is asked of every link here anyway",
    "webpki::aki::root-with-aki-all-fields": "a rule for the public web's roots",
    "webpki::aki::root-with-aki-ski-mismatch": "a rule for the public web's roots",
    "webpki::ca-as-leaf": LEAF_RULES,
    "webpki::ee-basicconstraints-ca": LEAF_RULES,
    "webpki::malformed-aia": LEAF_RULES,
    # Refused here, accepted there.
    "crl::issuer-no-keyusage-extension": STRICTER,
    "pathlen::self-issued-certs-pathlen": "the verifier counts self-issued CAs; a domain has none",
    "rfc5280::nc::permitted-dn-match": "the verifier knows no constraints on directory names and refuses them",
}


@dataclass(frozen=True)
class Anchor:
    """A domain that is nothing but its root."""

    root: x509.Certificate
    name: str = "limbo"
    authorities: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()


def judge(case: dict[str, Any]) -> None:
    """Raise our error when we refuse a case."""
    leaf = domain.load_certificate(ssl.PEM_cert_to_DER_cert(case["peer_certificate"]))
    given = load(case["untrusted_intermediates"])
    now = dt.datetime.fromisoformat(case["validation_time"]) if case["validation_time"] else NOW
    fault: CertsError | None = None
    for root in load(case["trusted_certs"]):
        try:
            path.check_serial(leaf)
            chain = path.build_path(leaf, given, Anchor(root), now)
            for certificate in (leaf, *chain):
                path.check_dates(certificate, now)
            for ca in chain:
                path.check_authority(ca, is_root=ca is chain[-1])
            revocation.check_path((leaf, *chain), [revocation.load_crl(crl.encode()) for crl in case["crls"]])
            return
        except CertsError as error:
            fault = error
    raise fault or ProfileError("chain", "no root at all")


def load(pems: list[str]) -> list[x509.Certificate]:
    """Read certificates, leaving out what cannot be read."""
    found: list[x509.Certificate] = []
    for pem in pems:
        with contextlib.suppress(*loading.UNREADABLE):
            found += loading.load_pem(pem.encode())
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_limbo(case: dict[str, Any]) -> None:
    try:
        judge(case)
        result = "SUCCESS"
    except CertsError:
        result = "FAILURE"
    same = result == case["expected_result"]
    assert same is (case["id"] not in DIFFERENCES), case["description"]


def test_every_difference_is_a_case() -> None:
    assert {case["id"] for case in CASES} >= set(DIFFERENCES)
