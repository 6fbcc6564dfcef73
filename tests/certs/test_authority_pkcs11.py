"""The CA's key in a security module: SoftHSM, with a token made for the test."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from authority_support import MAIL, NOW, csr, order, quick_sealing
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from certs.authority import Authority, security_module
from certs.authority.home import Location
from certs.cli.authority import authority as authority_group
from certs.cli.output import run
from certs.errors import KeyStoreError

pytestmark = pytest.mark.xdist_group("pkcs11")

PIN = "4711"
TOKEN = "Test token"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        command = ["softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "4712"]
        subprocess.run(command, check=True, capture_output=True)
        module = next((path for path in MODULES if Path(path).exists()), None)
        assert module is not None, "SoftHSM is missing: apt-get install softhsm2"
        yield Location(module, TOKEN)


def found(path: Path, location: Location, *, suite: int = 1) -> Authority:
    with quick_sealing():
        return Authority.init(
            path,
            name="Domain",
            mail="a@example.org",
            now=NOW,
            passphrase=PIN,
            suite=suite,
            token_location=location,
        )


@pytest.mark.parametrize("suite", [1, 2])
def test_an_authority_whose_key_is_in_a_token(location: Location, tmp_path: Path, suite: int) -> None:
    with found(tmp_path / "home", location, suite=suite) as authority:
        waiting = order(authority)
    assert not list((tmp_path / "home" / "keys").iterdir())
    with Authority.open(tmp_path / "home", PIN) as authority:
        certificate = authority.issue(csr(waiting), NOW)
        assert authority.domain.check_level(certificate.certificate, NOW).tag == "Tablet 3"
        assert certificate.mail == MAIL
        authority.revoke(certificate.serial, NOW)
        (crl,) = authority.crl(NOW)
        assert crl.is_signature_valid(authority.domain.issuing_ca.public_key())  # type: ignore[arg-type]
        old = authority.domain.issuing_ca
        with quick_sealing():
            new = authority.renew_ca(NOW, root_key=tmp_path / "home" / "Domain.root-key")
        assert new.public_key() != old.public_key()
        assert [len(item) for item in authority.crl(NOW)] == [0, 1]
        assert authority.issue(csr(order(authority)), NOW).chain == (new,)


def test_the_key_signs_and_does_not_come_out(location: Location) -> None:
    key = security_module.generate(location, PIN, ec.SECP256R1())
    assert (key.curve.name, key.key_size) == ("secp256r1", 256)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"data")
    for signature in (
        key.sign(b"data", ec.ECDSA(hashes.SHA256())),
        key.sign(digest.finalize(), ec.ECDSA(utils.Prehashed(hashes.SHA256()))),
    ):
        key.public_key().verify(signature, b"data", ec.ECDSA(hashes.SHA256()))
    for extract in (
        key.private_numbers,
        key.private_bytes,
        lambda: key.exchange(ec.ECDH(), key.public_key()),
    ):
        with pytest.raises(KeyStoreError) as error:
            extract()
        assert error.value.code == "key-module"
    assert copy.copy(key) is key
    assert copy.deepcopy(key) is key


def test_a_key_that_is_not_in_the_token(location: Location) -> None:
    with pytest.raises(KeyStoreError) as error:
        security_module.load(location, PIN, ec.generate_private_key(ec.SECP256R1()).public_key())
    assert error.value.code == "key-missing"


def test_what_is_not_there(location: Location, tmp_path: Path) -> None:
    for wrong in (Location(location.module, "other"), Location(str(tmp_path / "none.so"), TOKEN)):
        with pytest.raises(KeyStoreError) as error:
            security_module.generate(wrong, PIN, ec.SECP256R1())
        assert error.value.code == "key-module"


def test_a_wrong_pin(location: Location, tmp_path: Path) -> None:
    """In a process of its own: a login counts for the whole process."""
    found(tmp_path / "home", location).close()
    program = (
        "import datetime, sys; from pathlib import Path; from certs.authority import Authority;"
        "from certs.levels import Level; from certs.errors import KeyStoreError\n"
        "authority = Authority.open(Path(sys.argv[1]), sys.argv[2])\n"
        "try: authority.order(organization='O', level=Level.TEST, now=datetime.datetime.now(datetime.timezone.utc))\n"
        "except KeyStoreError as error: print(error.code)\n"
        "else: print('ordered')\n"
    )
    for pin, outcome in (("0000", "passphrase-wrong"), (PIN, "ordered")):
        ran = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "home"), pin],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        assert ran.stdout.strip() == outcome


def test_without_the_extra(tmp_path: Path, location: Location) -> None:
    (tmp_path / "pkcs11.py").write_text("raise ModuleNotFoundError('gone', name='pkcs11')")
    program = (
        "import sys; from certs.authority import home; from certs.errors import KeyStoreError\n"
        "try: home.make_key(home.Location('module', 'token'), 1, home.Secret('pin', 'x'))\n"
        "except KeyStoreError as error: print(error.code, error.hint)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(Path.cwd())))}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.strip() == "extra-missing pip install 'meterlink[pkcs11]'"


def test_founded_by_command(location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINK_AUTHORITY", str(tmp_path / "home"))
    monkeypatch.setenv("METERLINK_PASSPHRASE", PIN)
    founding = ["init", "--name", "Domain", "--mail", "a@example.org", "--json"]
    assert run(authority_group, [*founding, "--pkcs11", location.module]) == 2
    with quick_sealing():
        assert run(authority_group, [*founding, "--pkcs11", location.module, "--pkcs11-token", TOKEN]) == 0
    with Authority.open() as authority:
        order(authority)
