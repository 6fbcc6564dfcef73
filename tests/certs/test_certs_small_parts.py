"""The small parts under the store: files, locks, fetching, levels, and what each says when it cannot go on."""

import dataclasses
import errno
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cbor2
import pytest
from certs_support import NOW, Device, TestAuthority, cli, der, unchanged
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from certs import (
    cbor,
    cose,
    fetching,
    files,
    importing,
    locking,
    path,
    profile,
    records,
    request,
    requesting,
    revocation,
)
from certs.clock import now, show
from certs.domain import TrustDomain
from certs.errors import CertsError, ProfileError, RequestError, StoreError
from certs.levels import Level, Permission, levels_granting
from certs.store import Store, default_home


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "home"))
    return Device(tmp_path / "home")


# --- files ---


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a"
    files.write(target, b"old")
    with pytest.raises(TypeError):
        files.write(target, "no bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_or_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for act in (
        lambda: files.write(tmp_path / "absent" / "a", b""),
        lambda: files.write(tmp_path / "file" / "a", b""),
        lambda: files.make_folder(tmp_path / "file"),
        lambda: files.make_folder(tmp_path / "file" / "folder"),
        lambda: files.read(tmp_path / "absent", 10),
        lambda: files.read(tmp_path, 10),
    ):
        with pytest.raises(StoreError) as caught:
            act()
        assert caught.value.code == "file"
        assert str(tmp_path) in caught.value.message


def test_a_full_disk_is_named() -> None:
    with pytest.raises(StoreError) as caught, files.explained(Path("a")):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.code == "disk-full"


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_really_full_disk_loses_nothing(device: Device, tmp_path: Path, kept: int) -> None:
    """A limit on the size of files stands in for the disk: the kernel refuses the write in the same way."""
    leaf = device.authority.issue(device.request())
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from certs import importing; from certs.store import Store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))\n"
        "importing.import_bytes(Store.open(Path(sys.argv[1])), sys.stdin.buffer.read())\n"
    )
    device.store(now=now())
    with unchanged(device.home):
        ran = subprocess.run(
            [sys.executable, "-c", program, device.home, str(kept * 60)],
            input=der(leaf),
            capture_output=True,
            check=False,
        )
        assert ran.returncode == 1
        assert b"StoreError" in ran.stderr
    (result,) = importing.import_bytes(device.store(), der(leaf))
    assert result.entry.active


# --- locks ---


def test_a_lock_that_another_process_holds(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from certs.locking import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(StoreError) as caught, locking.locked(tmp_path / "lock", timeout=0.05):
        pass
    assert caught.value.code == "store-busy"
    holder.kill()
    holder.communicate()
    with locking.locked(tmp_path / "lock", timeout=5):  # it died; the lock died with it
        pass
    with pytest.raises(StoreError, match="file"), locking.locked(tmp_path / "absent" / "lock"):
        pass


# --- fetching ---


class Answering(http.server.BaseHTTPRequestHandler):
    """Serves what the test put into ``answers``: a body, or where to go instead."""

    answers: dict[str, bytes | str]

    def do_GET(self) -> None:
        answer = self.answers.get(self.path)
        if isinstance(answer, str):
            self.send_response(302)
            self.send_header("Location", answer)
            self.end_headers()
        elif answer is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving(answers: dict[str, bytes | str]) -> Iterator[str]:
    handler = type("Handler", (Answering,), {"answers": answers})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_revocation_lists_are_fetched_from_where_the_domain_says(device: Device, tmp_path: Path) -> None:
    assert cli("revoked", "--json").error["code"] == "usage"
    entry = device.obtain().entry
    serial = device.store().get(entry.id).certificate.serial_number
    crl = device.authority.crl(serial).public_bytes(Encoding.DER)
    secret = tmp_path / "secret"
    secret.write_bytes(crl)
    answers: dict[str, bytes | str] = {"/a.crl": "/b.crl", "/b.crl": crl, "/page": b"<html>", "/evil": secret.as_uri()}
    with serving(answers) as url:
        for place, code in (("/absent", "crl-unreachable"), ("/page", "crl-format"), ("/evil", "crl-unreachable")):
            with pytest.raises(CertsError) as caught:
                fetching.fetch_crl(url + place)
            assert caught.value.code == code
            assert caught.value.hint
        device.store().join(with_url(device, url + "/a.crl"))
        ran = cli("revoked", "--json")
        assert ran.json["revoked"] == [entry.id]
    for unreachable in (url + "/a.crl", "file:///etc/passwd", "nonsense", "http://"):
        with pytest.raises(StoreError, match="crl-unreachable"):
            fetching.fetch_crl(unreachable)


def with_url(device: Device, url: str) -> TrustDomain:
    return dataclasses.replace(device.authority.domain, crl_url=url)


# --- levels ---


def test_levels() -> None:
    assert Level.parse(" commissioning ") is Level.COMMISSIONING
    with pytest.raises(ValueError, match="Consumer, Installation, Commissioning, Service, Test"):
        Level.parse("Boss")
    assert levels_granting(Permission.COMMISSION) == (Level.COMMISSIONING, Level.SERVICE)
    assert levels_granting(Permission.READ)[0] is Level.CONSUMER
    assert set(levels_granting(Permission.TEST)) == {Level.TEST, Level.SERVICE}


def test_the_clock() -> None:
    assert now().tzinfo is not None
    assert show(NOW.replace(year=2026, month=1, day=2, hour=3, minute=4)) == "2026-01-02 03:04 UTC"


def test_where_the_store_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path))
    assert default_home() == tmp_path
    monkeypatch.delenv("METERLINK_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_home().name == "meterlink"


# --- messages and certificates that are nearly right ---


@pytest.mark.parametrize(
    "body",
    [
        [b"", {}, b""],
        [b"", {1: 2}, b"", b""],
        [b"", [], b"", b""],
        {},
        [b"\x80", {}, b"", b""],
        [b"\xff", {}, b"", b""],
    ],
)
def test_what_is_no_sign1_message(body: object) -> None:
    with pytest.raises(cose.CoseError):
        cose.parse_sign1(b"\xd2" + cbor2.dumps(body))


def test_a_critical_header_is_not_ignored() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(cose.CoseError, match="not known"):
        cose.parse_sign1(cose.sign1(b"x", key, {2: [99], 99: 1}))


def test_a_signature_of_another_length_or_algorithm_does_not_hold() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    good = cose.parse_sign1(cose.sign1(b"x", key, {}))
    assert good.is_signed_by(key.public_key())
    for signature in (b"", good.signature[:-1], good.signature + b"\0", bytes(64)):
        bad = cose.Sign1(good.protected, good.headers, good.payload, signature)
        assert not bad.is_signed_by(key.public_key())
    assert not cose.Sign1(good.protected, {1: -35}, good.payload, good.signature).is_signed_by(key.public_key())


@pytest.mark.parametrize(
    "data", [b"", b"\x18", b"\x1c", b"\x1f", b"\x61\xff", b"\x62a", b"\xf6", b"\xa2\x01\x01\x01\x02"]
)
def test_what_is_no_cbor_of_ours(data: bytes) -> None:
    with pytest.raises(cbor.CborError):
        cbor.read(data)


def test_a_ca_outside_the_profile_cannot_be_part_of_a_domain() -> None:
    with pytest.raises(ValueError, match="P-256 or P-384"):
        profile.build_root("X", ec.generate_private_key(ec.SECP521R1()), NOW)
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
    strange = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(5)
        .not_valid_before(NOW).not_valid_after(NOW + profile.ROOT_LIFETIME)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    with pytest.raises(ProfileError, match="domain-format"):
        path.check_ca(strange, "X", root=True)
    with pytest.raises(ProfileError, match="key-type"):
        path.check_authority(strange, is_root=True)
    crl = TestAuthority.create().crl()
    assert not revocation.is_signed_by(crl, strange)


def test_a_name_in_a_message_is_never_raw() -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a\x1b[31m\u202eb"), ])  # fmt: skip
    assert profile.describe_name(name) == "a?[31m?b"
    assert profile.describe_name(x509.Name([])) == "no name"


def test_a_name_with_a_part_of_impossible_length_is_refused_without_a_warning() -> None:
    authority = TestAuthority.create()
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.warns(UserWarning, match="length"):
        wrong = x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "Germany", _validate=False)
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([wrong])).sign(key, hashes.SHA256())
    with pytest.raises(RequestError, match="csr-format"):
        request.read_request(csr.public_bytes(Encoding.DER))
    issuer = authority.domain.issuing_ca
    leaf = profile._builder(x509.Name([wrong]), issuer.subject, key.public_key())
    signed = profile._sign(leaf, NOW, profile.LEVEL_LIFETIME, authority.made.issuing_key, issuer)
    with pytest.raises(ProfileError, match="certificate-format"):
        authority.domain.check_level(der(signed), NOW)
    with pytest.raises(ProfileError, match="certificate-format"):
        authority.domain.check_level(signed, NOW)


# --- what else a store is asked ---


def test_a_request_whose_domain_was_forgotten(device: Device, tmp_path: Path) -> None:
    record = device.request()
    (domain_file,) = (device.home / "domains").iterdir()
    domain_file.unlink()
    assert device.store().find(record.id).domain == "unknown"
    with pytest.raises(StoreError, match="domain-missing"):
        requesting.write_and_send(device.store(), record, tmp_path, "none")


def test_a_kill_between_certificate_and_request_leaves_no_request_behind(device: Device) -> None:
    record = device.request()
    entry = device.obtain_from(record)
    records.write_record(device.home / "requests", record)  # as if the last step had not been done
    assert [found.id for found in device.store().entries() if found.level is Level.COMMISSIONING] == [entry.id]
    device.store().remove(entry.id)
    assert [found.level for found in device.store().entries()] == [Level.CONSUMER, Level.CONSUMER]


def test_leftovers_of_a_killed_writer_are_swept_away(device: Device) -> None:
    device.joined()
    (device.home / ".part-active-1").write_bytes(b"half")
    folder = device.home / "certificates" / ".part-x-1"
    folder.mkdir()
    (folder / "key").write_bytes(b"half")
    assert device.store().notices() == ()
    device.obtain()
    assert not list(device.home.rglob(".part-*"))


def test_store_repr_and_credential(device: Device) -> None:
    store = Store.open(device.home, now=NOW)
    assert repr(store) == f"Store({str(device.home)!r})"
    credential = store.active()
    assert credential.certificate_der == der(credential.certificate)
    assert credential.chain[-1] == credential.domain.root
