"""Policy and certificates of a meter of the field, through the program."""

import os
import signal
from functools import partial

import pytest
from commands_field import CLIENT_TITLE, METER_TITLE, FieldMeter, served
from commands_security import ECDSA, GMAC, OTHER_AUTHENTICATION, OTHER_UNICAST, Cut, Meanwhile, shared, with_keys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from session_support import utc_now

from certs import profile
from certs.levels import Level
from hil.meter.objects import security
from hil.meter.objects.base import Attribute, CosemObject, Method, Refusal
from hil.meter.objects.base import given as argument_of
from meterlink.cosem.data import enum_, octet_string, structure
from meterlink.cosem.objects.security_setup import CertificateEntity, serial_to_octets
from meterlink.cosem.results import DataAccessResult
from meterlink.security.control import SecurityPolicy
from meterlink.security.suites import Suite

pytestmark = pytest.mark.usefixtures("commissioning")


def test_a_policy_is_made_stronger(meterlink, meter, old) -> None:
    responses = SecurityPolicy.AUTHENTICATED_RESPONSE | SecurityPolicy.ENCRYPTED_RESPONSE
    shared(meter).policies[Suite.SUITE_0] = responses
    with served(meter.server, "wrapper") as url:
        url = f"{url}&{GMAC}"
        words = ("cosem", "security", "activate", url)
        assert meterlink(*words, "authenticated", "--keys", old, "--yes").code == "policy-weaker"
        assert meterlink(*words, "authenticated", "encrypted", "--keys", old).code == "confirmation-needed"
        done = meterlink(*words, "authenticated", "encrypted", "--keys", old, "--yes")
        assert done.out.strip() == "policy: authenticated encrypted (was authenticated-response encrypted-response)"
        shown = meterlink("cosem", "security", "show", url, "--keys", old, "--json").json
        assert shown["policy"] == ["authenticated", "encrypted"]
        assert meterlink(*words, "all", "--keys", old, "--yes").code == "usage"


class OldSetup(CosemObject):
    """A security setup of version 0: four policies, two methods, no certificates."""

    policy = 0

    def __init__(self, meter, keys, client_title, suite, shared) -> None:
        attributes = {
            2: Attribute(lambda _: enum_(OldSetup.policy)),
            3: Attribute(lambda _: enum_(suite)),
            4: Attribute(lambda _: octet_string(client_title)),
            5: Attribute(lambda _: octet_string(keys.identity.system_title)),
        }
        super().__init__(64, security.NAME, attributes, {1: Method(self._activate, security.Permission.COMMISSION)})

    def _activate(self, _, argument) -> None:
        if argument_of(argument).as_int() not in range(4):
            raise Refusal(DataAccessResult.OTHER_REASON)
        OldSetup.policy = argument_of(argument).as_int()


def test_a_security_setup_of_version_0(meterlink, meter, old, monkeypatch) -> None:
    monkeypatch.setattr("hil.meter.association.SecuritySetup", OldSetup)
    with served(meter.server, "wrapper") as url:
        words = (f"{url}&{GMAC}", "--keys", old)
        for policy, told in ((0, []), (1, ["authenticated"]), (2, ["encrypted"]), (3, ["authenticated", "encrypted"])):
            monkeypatch.setattr(OldSetup, "policy", policy)
            shown = meterlink("cosem", "security", "show", *words, "--json").json
            assert (shown["version"], shown["policy"], shown["certificates"]) == (0, told, None)
        assert "version 0" in meterlink("cosem", "security", "show", *words).out
        monkeypatch.setattr(OldSetup, "policy", 1)
        done = meterlink("cosem", "security", "activate", *words, "authenticated", "encrypted", "--yes")
        assert (done.status, OldSetup.policy) == (0, 3)
        done = meterlink("cosem", "security", "activate", *words, "authenticated", "encrypted", "signed", "--yes")
        assert (done.status, done.code) == (2, "policy")
        monkeypatch.setattr(OldSetup, "policy", 5)
        assert meterlink("cosem", "security", "show", *words).code == "policy"


def client_certificate(meter: FieldMeter, title: bytes, level: Level = Level.SERVICE) -> tuple[x509.Certificate, bytes]:
    """A certificate for a new client of the meter, and its private key (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = {"system_title": title, "policy": level, "organization": "Warm AG"}
    made = profile.build_leaf(
        key.public_key(), meter.made.domain.issuing_ca, meter.made.issuing_key, utc_now(), **names
    )
    return made, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_client_is_let_in_by_its_certificate_and_shut_out_again(meterlink, meter, of_suite_1, tmp_path) -> None:
    title = bytes.fromhex("4D4C4B0000000077")
    made, private = client_certificate(meter, title)
    (tmp_path / "client.crt").write_bytes(made.public_bytes(Encoding.PEM))
    newcomer = with_keys(of_suite_1, "newcomer.toml", system_title=title)
    newcomer.write_text(newcomer.read_text().replace("client.pem", "newcomer.pem"))
    (tmp_path / "newcomer.pem").touch(mode=0o600)
    (tmp_path / "newcomer.pem").write_bytes(private)
    with served(meter.server, "hdlc") as url:
        words = (f"{url}&{ECDSA}", "--keys", of_suite_1)
        read = ("read", f"{url}&{ECDSA}", "--object", "serial-number", "--keys", newcomer)
        # The meter takes what clients count by their SAP: whoever comes next goes on from there.
        assert meterlink(*read).status == 6
        done = meterlink("cosem", "security", "import", *words, tmp_path / "client.crt", "--entity", "client")
        assert (done.status, done.code) == (0, "")
        listed = meterlink("cosem", "security", "show", *words, "--json").json["certificates"]
        assert (listed[-1]["entity"], listed[-1]["serial"]) == ("client", f"{made.serial_number:x}")
        counted = newcomer.read_text()
        newcomer.write_text(counted + "counter = 100\n")
        assert meterlink(*read).status == 0
        of_suite_1.write_text(of_suite_1.read_text() + "counter = 200\n")
        out = tmp_path / "exported.der"
        chosen = ("--entity", "client", "--title", title.hex())
        assert meterlink("cosem", "security", "export", *words, *chosen, "--out", out, "--der").status == 0
        assert out.read_bytes() == made.public_bytes(Encoding.DER)
        asked = meterlink("cosem", "security", "export", *words, *chosen, "--out", out)
        assert asked.code == "confirmation-needed"
        assert meterlink("cosem", "security", "remove", *words, *chosen).code == "confirmation-needed"
        done = meterlink("cosem", "security", "remove", *words, *chosen, "--yes", "--json")
        assert done.json["removed"]["serial"] == f"{made.serial_number:x}"
        assert meterlink("cosem", "security", "remove", *words, *chosen, "--yes").code == "certificate-unknown"
        newcomer.write_text(counted + "counter = 300\n")
        assert meterlink(*read).status == 6


def test_what_is_imported_for_others_is_the_meters_to_judge(meterlink, meter, old, tmp_path) -> None:
    file = tmp_path / "certificate.pem"
    with served(meter.server, "wrapper") as url:
        words = (f"{url}&{GMAC}", "--keys", old)
        made, _ = client_certificate(meter, CLIENT_TITLE, Level.CONSUMER)
        file.write_bytes(made.public_bytes(Encoding.PEM))
        done = meterlink("cosem", "security", "import", *words, file, "--entity", "client")
        assert (done.status, done.code) == (6, "other-reason")
        # As the meter's own it is refused here: it names another system title.
        done = meterlink("cosem", "security", "import", *words, file)
        assert (done.status, done.code) == (2, "system-title")
        assert METER_TITLE.hex().upper() in done.err
        for content in (b"", b"junk", b"-----BEGIN CERTIFICATE-----"):
            file.write_bytes(content)
            done = meterlink("cosem", "security", "import", *words, file)
            assert (done.status, done.code) == (4, "certificate-format")
        assert meterlink("cosem", "security", "import", *words, tmp_path / "missing").code == "file"


@pytest.mark.parametrize("form", ["bare", "der", "padded"])
def test_a_meter_may_write_serial_numbers_as_it_likes(meterlink, meter, old, monkeypatch, tmp_path, form) -> None:
    """It lists them in one form, and knows certificates by that form alone."""

    def written(certificate: x509.Certificate) -> bytes:
        octets = serial_to_octets(certificate.serial_number)
        tagged = b"\x02" + bytes((len(octets),)) + octets
        return {"bare": octets.lstrip(b"\0"), "der": tagged, "padded": octets.rjust(20, b"\0")}[form]

    def info(known):
        names = (known.certificate.issuer.public_bytes(), known.certificate.subject.public_bytes(), b"")
        return structure(
            enum_(known.entity), enum_(0), octet_string(written(known.certificate)), *map(octet_string, names)
        )

    monkeypatch.setattr(security, "_info", info)
    monkeypatch.setattr(security._Known, "is_named", lambda self, serial, _: serial == written(self.certificate))
    root = meter.made.domain.root
    with served(meter.server, "wrapper") as url:
        words = (f"{url}&{GMAC}", "--keys", old)
        shown = meterlink("cosem", "security", "show", *words, "--json").json["certificates"]
        assert [known["not_after"] is not None for known in shown] == [True] * 4
        assert f"{root.serial_number:x}" in {known["serial"] for known in shown}
        out = tmp_path / "root.pem"
        number = f"{root.serial_number:040X}"
        serial = ":".join(number[at : at + 2] for at in range(0, 40, 2))
        assert meterlink("cosem", "security", "export", *words, "--serial", serial, "--out", out).status == 0
        assert x509.load_pem_x509_certificate(out.read_bytes()) == root


@pytest.mark.parametrize(("delivered", "status", "code"), [(True, 0, ""), (False, 5, "write-lost")])
def test_a_change_whose_answer_is_lost_is_looked_up(
    meterlink, meter, old, tmp_path, delivered: bool, status: int, code: str
) -> None:
    made, _ = client_certificate(meter, bytes(8))
    file = tmp_path / "client.pem.crt"
    file.write_bytes(made.public_bytes(Encoding.PEM))
    weak = SecurityPolicy.AUTHENTICATED_RESPONSE | SecurityPolicy.ENCRYPTED_RESPONSE
    shared(meter).policies[Suite.SUITE_0] = weak
    of_suite_1 = with_keys(old, "suite1.toml", unicast=OTHER_UNICAST, authentication=OTHER_AUTHENTICATION)
    steps = (
        (3, ECDSA, of_suite_1, ("import", file, "--entity", "client")),
        (4, ECDSA, of_suite_1, ("remove", "--entity", "client", "--yes")),
        (4, GMAC, old, ("activate", "authenticated", "encrypted", "--yes")),
    )
    known = meter.server._device.keys
    for at, way, keys, (verb, *words) in steps:
        if verb == "remove":
            known.import_certificate(made.public_bytes(Encoding.DER), utc_now())
        cut = Cut(meter, delivered=delivered, at=at)
        with served(cut, "wrapper") as url:
            done = meterlink("cosem", "security", verb, f"{url}&{way}", *words, "--keys", keys)
        assert (done.status, done.code, cut.cuts) == (status, code, 1), verb
        if verb != "activate":
            assert (bytes(8) in known.clients) is (delivered == (verb == "import"))
    assert shared(meter).policy(Suite.SUITE_0) == (SecurityPolicy(0x6C) if delivered else weak)


@pytest.mark.parametrize(
    ("at", "verb", "words", "told"),
    [
        (3, "import", ("client.crt", "--entity", "client"), "the meter may have the certificate"),
        (4, "remove", ("--entity", "client", "--yes"), "the meter may not have the certificate any more"),
        (3, "generate-key-pair", ("--yes",), "the meter may have a new key pair"),
    ],
)
def test_ctrl_c_in_the_middle_of_a_change_is_told_as_uncertain(
    meterlink, meter, of_suite_1, tmp_path, monkeypatch, at: int, verb: str, words: tuple[str, ...], told: str
) -> None:
    made, _ = client_certificate(meter, bytes(8))
    (tmp_path / "client.crt").write_bytes(made.public_bytes(Encoding.PEM))
    monkeypatch.chdir(tmp_path)
    stop = partial(os.kill, os.getpid(), signal.SIGINT)
    for number, expected in ((at, (5, "write-uncertain")), (1, (130, "interrupted"))):
        if verb == "remove":
            meter.server._device.keys.import_certificate(made.public_bytes(Encoding.DER), utc_now())
        with served(Meanwhile(meter, stop, at=number, silent=True), "wrapper") as url:
            done = meterlink("cosem", "security", verb, f"{url}&{ECDSA}", *words, "--keys", of_suite_1)
        assert (done.status, done.code) == expected
        assert (told in done.err) is (number == at)


def test_a_list_without_an_end_and_junk_in_it_are_shown_all_the_same(meterlink, meter, old, monkeypatch) -> None:
    known = security._Known(CertificateEntity.OTHER, meter.server.identity.certificate, b"")
    monkeypatch.setattr(security.SecuritySetup, "_known", lambda self: [known] * 100)
    junk = [octet_string(b"junk"), octet_string(meter.made.domain.root.public_bytes(Encoding.DER))]
    exported = []

    def export(self, context, argument):
        exported.append(argument)
        number = (len(exported) - 1) % 64
        return junk[number] if number < 2 else octet_string(known.certificate.public_bytes(Encoding.DER))

    monkeypatch.setattr(security.SecuritySetup, "_export", export)
    with served(meter.server, "wrapper") as url:
        words = ("cosem", "security", "show", f"{url}&{GMAC}", "--keys", old)
        done, shown = meterlink(*words, "--json"), meterlink(*words).out
    assert done.status == 0
    assert shown.count("valid from") == 62
    assert shown.count("not exported (not-asked)") == 36
    assert "not exported (certificate-other)" in shown
    told = [item.get("error") for item in done.json["certificates"]]
    assert told == ["certificate-format", "certificate-other", *[None] * 62, *["not-asked"] * 36]
    assert len(exported) == 2 * 64


def test_what_cannot_be_meant(meterlink, tmp_path) -> None:
    url = f"tcp://127.0.0.1:1?{GMAC}"
    for words in (
        ("export", url, "--serial", "xyz", "--out", tmp_path / "x"),
        ("export", url, "--serial", "0", "--out", tmp_path / "x"),
        ("export", url, "--title", "xyz", "--out", tmp_path / "x"),
        ("export", url, "--entity", "nobody", "--out", tmp_path / "x"),
        ("show", url, "--instance", "nonsense"),
        ("csr", url, "--use", "other", "--out", tmp_path / "x"),
    ):
        done = meterlink("cosem", "security", *words)
        assert done.status == 2
        assert "Traceback" not in done.err


def test_a_setup_that_the_meter_does_not_have(meterlink, meter, old) -> None:
    with served(meter.server, "wrapper") as url:
        done = meterlink("cosem", "security", "show", f"{url}&{GMAC}", "--keys", old, "--instance", "0-0:43.0.9")
    assert (done.status, done.code) == (6, "object-undefined")
