"""The URL's `policy`: meters that authenticate alone, or encrypt alone, and what is then not protected."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands_field import AUTHENTICATION, PASSWORD_GLO, SERIAL, UNICAST, FieldMeter, served
from commands_security import shared

from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aarq
from meterlink.cosem.apdu import InitiateRequest
from meterlink.cosem.objects.security_policy import policy_from_words
from meterlink.security.ciphered import unwrap
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite
from meterlink.transport.replay import read_recording

GMAC = "security=hls-gmac&client=19"
GLO_GET_REQUEST, GLO_GET_RESPONSE = 0xC8, 0xCC
KNOWN = "whoever listened knows what they say"
CHANGED = "somebody between may have changed them"
BOTH = "requests and answers were"


def asks(meter: FieldMeter, *words: str) -> None:
    shared(meter).policies[Suite.SUITE_0] = policy_from_words(words)


def pdus(trace: Path, event: str) -> list[bytes]:
    """What was sent or received, PDU by PDU of the wrapper."""
    _, entries = read_recording(trace.read_text().splitlines())
    octets = b"".join(entry.data for entry in entries if entry.event == event)
    out = []
    while octets:
        end = 8 + int.from_bytes(octets[6:8], "big")
        out.append(octets[8:end])
        octets = octets[end:]
    return out


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize(
    ("asked", "said", "notes", "controls"),
    [
        (["authenticated"], "authenticated", [f"{BOTH} authenticated and not encrypted: {KNOWN}"], (0x10, 0x10)),
        (["encrypted"], "encrypted", [f"{BOTH} encrypted and not authenticated: {CHANGED}"], (0x20, 0x20)),
        (
            ["authenticated", "encrypted-request"],
            "Authenticated,encrypted-request",
            [f"answers were authenticated and not encrypted: {KNOWN}"],
            (0x30, 0x10),
        ),
        (
            ["authenticated-request", "encrypted-response"],
            "encrypted-response,authenticated-request",
            [
                f"requests were authenticated and not encrypted: {KNOWN}",
                f"answers were encrypted and not authenticated: {CHANGED}",
            ],
            (0x10, 0x20),
        ),
        (["authenticated", "encrypted"], "authenticated-encrypted", [], (0x30, 0x30)),
    ],
)
def test_a_meter_is_read_under_its_policy_and_the_report_says_what_was_open(
    meterlink,
    field_meter: FieldMeter,
    tmp_path: Path,
    framing: str,
    asked: list[str],
    said: str,
    notes: list[str],
    controls: tuple[int, int],
) -> None:
    asks(field_meter, *asked)
    keys, trace = field_meter.key_file(tmp_path), tmp_path / "trace"
    words = ("--object", "serial-number", "--keys", keys)
    with served(field_meter.server, framing) as url:
        done = meterlink("read", f"{url}&{GMAC}&policy={said}", *words, "--trace", trace, "--json")
        assert (done.status, done.err) == (0, "")
        assert done.json["readings"][0]["value"] == SERIAL
        assert done.json["notes"][1:] == notes
        if framing == "wrapper":
            requests = [pdu for pdu in pdus(trace, "sent") if pdu[0] == GLO_GET_REQUEST]
            answers = [pdu for pdu in pdus(trace, "received") if pdu[0] == GLO_GET_RESPONSE]
            assert ({pdu[2] for pdu in requests}, {pdu[2] for pdu in answers}) == ({controls[0]}, {controls[1]})
            assert any(SERIAL.encode() in pdu for pdu in answers) is (controls[1] == 0x10)
        strongest = meterlink("read", f"{url}&{GMAC}", *words)
    if notes:
        assert (strongest.status, strongest.code, strongest.out) == (6, "downgrade", "")
    else:
        assert strongest.status == 0


@pytest.mark.parametrize("policy", ["authenticated", "encrypted"])
def test_a_client_that_sends_less_than_the_meter_asks_for_is_refused_by_it(
    meterlink, field_meter: FieldMeter, tmp_path: Path, policy: str
) -> None:
    with served(field_meter.server, "wrapper") as url:
        words = ("--object", "energy", "--keys", field_meter.key_file(tmp_path))
        done = meterlink("read", f"{url}&{GMAC}&policy={policy}", *words)
    assert (done.status, done.code, done.out) == (6, "authentication-failure", "")


@pytest.mark.parametrize(("policy", "other"), [("authenticated", "encrypted"), ("encrypted", "authenticated")])
def test_another_protection_is_no_substitute(
    meterlink, field_meter: FieldMeter, tmp_path: Path, policy: str, other: str
) -> None:
    asks(field_meter, f"{other}-response")
    with served(field_meter.server, "wrapper") as url:
        words = ("--object", "energy", "--keys", field_meter.key_file(tmp_path))
        done = meterlink("read", f"{url}&{GMAC}&policy={policy}", *words)
    assert (done.status, done.code, done.out) == (6, "downgrade", "")


@pytest.mark.parametrize("policy", ["authenticated", "encrypted"])
def test_a_dedicated_key_is_never_sent_as_it_is(
    meterlink, field_meter: FieldMeter, tmp_path: Path, policy: str
) -> None:
    asks(field_meter, policy)
    keys, trace = field_meter.key_file(tmp_path), tmp_path / "trace"
    url_words = f"security=lls&client={PASSWORD_GLO.sap}&ciphering=ded&policy={policy}"
    with served(field_meter.server, "wrapper") as url:
        words = ("--object", "serial-number", "--keys", keys, "--trace", trace)
        done = meterlink("read", f"{url}&{url_words}", *words)
    assert (done.status, done.err) == (0, "")
    request = Aarq.from_bytes(pdus(trace, "sent")[0])
    opened = unwrap(
        request.user_information, system_title=request.system_title or b"", keys=KeySet(UNICAST, AUTHENTICATION)
    )
    assert (opened.control.authenticated, opened.control.encrypted) == (True, True)
    initiate = xdlms.decode(opened.apdu)
    assert isinstance(initiate, InitiateRequest)
    assert initiate.dedicated_key
    assert bytes(initiate.dedicated_key) not in b"".join(pdus(trace, "sent"))


def test_every_verb_tells_it(meterlink, commissioning, field_meter: FieldMeter, tmp_path: Path) -> None:
    asks(field_meter, "authenticated")
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        meter = f"{url}&{GMAC}&policy=authenticated"
        for words in (
            ("read", meter, "--object", "energy"),
            ("read", meter, "--all"),
            ("read", meter, "--profile", "load-profile"),
            ("cosem", "get", meter, "1", "0-0:96.1.0", "2"),
            ("configure", meter, "clock=now"),
            ("cosem", "security", "show", meter),
        ):
            done = meterlink(*words, "--keys", keys, "--json")
            assert done.status == 0, words
            assert f"{BOTH} authenticated and not encrypted: {KNOWN}" in done.json["notes"]
            shown = meterlink(*words, "--keys", keys)
            assert KNOWN in " ".join((shown.out + shown.err).split()), words


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (f"{GMAC}&policy=signed", "policy is one of authenticated-encrypted, authenticated, encrypted, "),
        (f"{GMAC}&policy=none", "policy=none is not known"),
        (f"{GMAC}&policy=", "policy= is not known"),
        (f"{GMAC}&policy=authenticated,", "policy= is not known"),
        (f"{GMAC}&policy=authenticated-request", "leaves answers without any protection"),
        (f"{GMAC}&policy=encrypted-response", "leaves requests without any protection"),
        (f"{GMAC}&ciphering=none&policy=authenticated", "policy says nothing without ciphering"),
        ("security=none&ciphering=none&policy=encrypted", "policy says nothing without ciphering"),
        ("policy=authenticated", "policy is for keys that were shared before"),
        ("security=certificate&policy=authenticated-encrypted", "policy is for keys that were shared before"),
        (f"{GMAC}&ciphering=general-ciphering&key=wrapped&policy=encrypted", "with key=wrapped a message belongs"),
    ],
)
def test_wrong_words_are_told_before_anything_is_sent(
    meterlink, field_meter: FieldMeter, tmp_path: Path, query: str, said: str
) -> None:
    keys, trace = field_meter.key_file(tmp_path), tmp_path / "trace"
    words = ("--object", "energy", "--keys", keys, "--trace", trace)
    done = meterlink("read", f"tcp://127.0.0.1:1?framing=wrapper&{query}", *words)
    assert (done.status, done.code) == (2, "url-invalid")
    assert said in done.err
    assert '"sent"' not in trace.read_text()


@pytest.mark.parametrize(("key", "sap"), [("identified", 57), ("wrapped", 58)])
def test_general_ciphering_follows_the_policy(
    meterlink, field_meter: FieldMeter, tmp_path: Path, key: str, sap: int
) -> None:
    asks(field_meter, "authenticated")
    security = "hls-gmac" if key == "identified" else "lls"
    query = f"security={security}&client={sap}&ciphering=general-ciphering&key={key}"
    words = ("--object", "serial-number", "--keys", field_meter.key_file(tmp_path))
    with served(field_meter.server, "wrapper") as url:
        assert meterlink("read", f"{url}&{query}", *words).code == "downgrade"
        done = meterlink("read", f"{url}&{query}&policy=authenticated", *words)
    assert (done.status, done.err) == (0, "")
    assert SERIAL in done.out
