"""One odd entry in a meter's list of certificates hides no other."""

import pytest
from commands_field import served
from commands_security import ECDSA, GMAC, Cut
from cryptography.hazmat.primitives.serialization import Encoding
from test_commands_security_field import client_certificate

from hil.meter.objects import security
from meterlink.cosem.data import Data, enum_, octet_string, structure, u32

pytestmark = pytest.mark.usefixtures("commissioning")

EMPTY = octet_string(b"")
NUMBER = octet_string(b"\x05")

ODD = {
    "no serial number": structure(enum_(0), enum_(0), EMPTY, EMPTY, EMPTY, EMPTY),
    "an unknown owner": structure(enum_(9), enum_(0), NUMBER, EMPTY, EMPTY, EMPTY),
    "an unknown use": structure(enum_(0), enum_(9), NUMBER, EMPTY, EMPTY, EMPTY),
    "five fields": structure(enum_(0), enum_(0), NUMBER, EMPTY, EMPTY),
    "no structure": enum_(0),
    "a number that is no octets": structure(enum_(0), enum_(0), u32(5), EMPTY, EMPTY, EMPTY),
}


def list_with(odd: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let meters list their root as ``odd``."""
    info = security._info
    monkeypatch.setattr(security, "_info", lambda known: odd if known.entity == 2 else info(known))


@pytest.mark.parametrize("what", ODD)
def test_an_entry_that_cannot_be_read_is_shown_as_such(meterlink, meter, old, monkeypatch, tmp_path, what) -> None:
    with served(meter.server, "wrapper") as url:
        words = (f"{url}&{GMAC}", "--keys", old)
        show = ("cosem", "security", "show", *words)
        before = meterlink(*show, "--json").json["certificates"]
        list_with(ODD[what], monkeypatch)
        done, shown = meterlink(*show, "--json"), meterlink(*show).out
        out = tmp_path / "exported.pem"
        exported = meterlink("cosem", "security", "export", *words, "--serial", before[0]["serial"], "--out", out)
    assert done.status == 0
    after = done.json["certificates"]
    odd = [entry["entity"] == "ca" for entry in before]
    assert any(odd)
    assert not all(odd)
    for had, has, is_odd in zip(before, after, odd, strict=True):
        if is_odd:
            assert has == dict.fromkeys(had) | {"error": "entry-unreadable"}
        else:
            assert has == had
    assert shown.count("cannot be read (entry-unreadable)") == sum(odd)
    assert (exported.status, before[0]["entity"]) == (0, "server")


@pytest.mark.parametrize(("delivered", "status", "code"), [(True, 0, ""), (False, 5, "write-uncertain")])
def test_an_import_is_looked_up_beside_what_cannot_be_read(
    meterlink, meter, of_suite_1, monkeypatch, tmp_path, delivered: bool, status: int, code: str
) -> None:
    """What cannot be read may be what was imported: then nobody says that it was not."""
    made, _ = client_certificate(meter, bytes(8))
    file = tmp_path / "client.crt"
    file.write_bytes(made.public_bytes(Encoding.PEM))
    list_with(ODD["no serial number"], monkeypatch)
    with served(Cut(meter, delivered=delivered), "wrapper") as url:
        words = (f"{url}&{ECDSA}", "--keys", of_suite_1)
        done = meterlink("cosem", "security", "import", *words, file, "--entity", "client")
    assert (done.status, done.code) == (status, code)
    if code:
        assert "a certificate was imported" in done.err


def test_an_export_that_is_no_octets_hides_no_certificate(meterlink, meter, old, monkeypatch) -> None:
    monkeypatch.setattr(security.SecuritySetup, "_export", lambda self, context, argument: u32(5))
    with served(meter.server, "wrapper") as url:
        done = meterlink("cosem", "security", "show", f"{url}&{GMAC}", "--keys", old, "--json")
    assert done.status == 0
    assert {entry["error"] for entry in done.json["certificates"]} == {"certificate-format"}
