"""Keys and certificates put into a meter as a technician does it: processes of the program, a pseudo-terminal, TCP."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from cli_site import TITLE, Site, certified_meter, issue_meter, key_file
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def own(site: Site, url: str, out: str) -> x509.Certificate:
    """The meter's certificate, as it gives it out."""
    assert site.here("cosem", "security", "export", url, "--out", out, "--yes").status == 0
    return x509.load_pem_x509_certificate((site.folder / out).read_bytes())


def test_a_meter_gets_a_new_certificate_for_a_key_of_its_own(site: Site) -> None:
    site.certify("Commissioning")
    with certified_meter(site) as (serial, tcp):
        old = own(site, tcp, "old.pem")
        asked = site.here("cosem", "security", "generate-key-pair", serial)
        assert (asked.status, asked.code) == (2, "confirmation-needed")
        assert site("cosem", "security", "generate-key-pair", serial, "--yes").status == 0
        made = site("cosem", "security", "csr", serial, "--out", "meter.csr", "--json").json
        assert (made["system_title"], made["suite"], made["new_key"]) == (TITLE, 1, True)
        words = ("authority", "issue-meter", "--csr", "meter.csr", "--system-title", TITLE, "--out", "meters")
        issued = site(*words, "--fingerprint", made["fingerprint"], "--json").json
        assert site.here(*words, "--yes").code == "key-reuse"
        assert site("cosem", "security", "import", serial, issued["file"]).status == 0
        new = own(site, tcp, "new.pem")
        request = x509.load_pem_x509_csr((site.folder / "meter.csr").read_bytes())
        assert new.public_key() == request.public_key() != old.public_key()
        assert f"{new.serial_number:x}".zfill(len(issued["serial"])) == issued["serial"]
        trace = site.folder / "trace.jsonl"
        assert site("read", tcp, "--object", "energy", "--trace", trace).status == 0
        crossed = bytes.fromhex("".join(re.findall(r'"data": "([0-9a-f]*)"', trace.read_text())))
        assert new.public_bytes(Encoding.DER) in crossed
        assert old.public_bytes(Encoding.DER) not in crossed
        listed = site.here("cosem", "security", "show", serial, "--json").json["certificates"]
        assert [item["serial"] for item in listed if item["entity"] == "server"] == [f"{new.serial_number:x}"]


def test_what_must_not_get_into_a_meter_does_not(site: Site) -> None:
    site.certify("Commissioning")
    with certified_meter(site) as (serial, tcp):
        before = own(site, tcp, "before.pem")
        another, other_key = (issue_meter(site, title, "others") for title in ("00" * 8, TITLE))
        for file, status, code in (
            (another, 2, "system-title"),  # of another meter
            (next((site.folder / "answers").glob("*.jpg")), 4, "certificate-format"),
            ("authority/Heat.domain.json", 4, "certificate-format"),
            ("missing.pem", 4, "file"),
        ):
            done = site.here("cosem", "security", "import", serial, file)
            assert (done.status, done.code) == (status, code)
        done = site.here("cosem", "security", "import", tcp, other_key)
        assert (done.status, done.code) == (6, "other-reason")  # the meter does not hold its key
        done = site.here("cosem", "security", "activate", tcp, "authenticated", "--yes")
        assert (done.status, done.code) == (2, "policy-weaker")
        assert own(site, serial, "after.pem") == before


def test_who_may_not_commission_is_refused_before_a_byte_is_sent(site: Site) -> None:
    site.certify("Installation")
    trace = site.folder / "trace.jsonl"
    with certified_meter(site) as (_, tcp):
        for words in (
            ("generate-key-pair", tcp, "--yes"),
            ("csr", tcp, "--out", "meter.csr"),
            ("import", tcp, f"meters/meter-{TITLE}.pem"),
            ("activate", tcp, "signed", "--yes"),
            ("remove", tcp, "--yes"),
        ):
            done = site.here("cosem", "security", *words, "--trace", trace)
            assert (done.status, done.code) == (3, "not-permitted"), words
            assert "Commissioning" in done.err
            assert not trace.exists()
        assert not (site.folder / "meter.csr").exists()
        assert site.here("cosem", "security", "show", tcp).status == 0


def test_a_new_unicast_key_and_the_old_one_is_refused(site: Site) -> None:
    """With the keys as files, on a serial line, then over TCP."""
    site.certify("Commissioning")
    keys = {name: os.urandom(16).hex() for name in ("unicast", "authentication", "master")}
    old = key_file(site, "old", **keys)
    with certified_meter(site, "--keys", old) as (serial, tcp):
        serial, tcp = (f"{url}?security=hls-gmac&client=19" for url in (serial, tcp))
        new, newest = (key_file(site, name, **keys | {"unicast": os.urandom(16).hex()}) for name in ("new", "newest"))
        said = []
        for url, before, after in ((serial, old, new), (tcp, new, newest)):
            words = ("cosem", "security", "transfer-key", url, "--kind", "unicast", "--keys", before)
            asked = site.here(*words, "--new-keys", after)
            assert (asked.status, asked.code) == (2, "confirmation-needed")
            done = site(*words, "--new-keys", after, "--yes", "--trace", "trace.jsonl", "--json")
            assert done.json["transferred"] == ["unicast"]
            assert site("read", url, "--object", "serial-number", "--keys", after).status == 0
            refused = site("read", url, "--object", "serial-number", "--keys", before)
            assert (refused.status, refused.code) == (6, "authentication-failure")
            shown = site.here("decode", "trace.jsonl", "--keys", before)
            assert "parameters: not shown" in shown.out
            said += [asked.out, asked.err, done.out, done.err, refused.err, shown.out]
            said.append((site.folder / "trace.jsonl").read_text())
        for path in (old, new, newest):
            for name in keys:
                key = tomllib.loads(path.read_text())[name]
                assert not [text for text in said if key in text.lower().replace(" ", "")]
