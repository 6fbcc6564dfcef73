"""`meterlink demo` as a user runs it: a process of its own, its transcript, and the files it leaves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from certs import qr
from certs.domain import TrustDomain
from certs.payload import CertificatePayload, TokenPayload, parse
from certs.request import read_request
from hil.demo.transcript import StepFailed, Transcript
from meterlink.errors import LinkLost
from meterlink.tracing import apdus_over_hdlc
from meterlink.transport.replay import read_recording


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo printed, and its folder."""
    out = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "meterlink", "demo", "--out", str(out), "--svg", str(out / "demo.svg")]
    done = subprocess.run(command, capture_output=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, b"")
    (folder,) = (path for path in out.iterdir() if path.is_dir())
    return done.stdout.decode(), folder


def test_the_transcript_tells_all_seven_steps(demo: tuple[str, Path]) -> None:
    printed, folder = demo
    headings = [line for line in printed.splitlines() if line[:1].isdigit()]
    assert [line[0] for line in headings] == list("1234567")
    assert "\x1b" not in printed  # plain when piped
    assert f"Files: {folder}" in printed
    for said in (
        "The fresh user is Consumer already",
        "Scanned: Commissioning for Warm AG, signature good",
        "the token is spent",
        "Imported and active: Commissioning",
        "Read over Bluetooth LE",
        "Read over serial line",
        "refused by the gate, 0 bytes sent",
        "refused by the meter itself: read-write-denied",
        "A Consumer certificate on the SAP of Commissioning: authentication-failure",
        "All 7 steps done",
    ):
        assert said in printed
    assert printed.count("are encrypted and authenticated") == 2


def test_its_files_are_real(demo: tuple[str, Path]) -> None:
    _, folder = demo
    (token_code,) = folder.glob("1-order/*.jpg")
    token = parse(qr.read_one(token_code))
    assert isinstance(token, TokenPayload)
    (csr,) = folder.glob("2-request/*.csr")
    request = read_request(csr.read_bytes())
    assert (request.organization, request.tag) == ("Warm AG", "Anna")
    assert csr.name == "Warm AG_Commissioning_Anna.csr"
    assert list(folder.glob("2-request/*.eml"))
    answer = folder / "3-certificate" / "Warm AG_Commissioning_Anna.jpg"
    certificate = parse(qr.read_one(answer))
    assert isinstance(certificate, CertificatePayload)
    assert certificate.leaf.public_key() == request.public_key
    (published,) = folder.glob("authority/*.domain.json")
    checked = TrustDomain.load(published).check_level(certificate.leaf, certificate.leaf.not_valid_after_utc)
    assert checked.level is token.claims.level


@pytest.mark.parametrize("line", ["ble", "serial"])
def test_its_recordings_hold_what_it_says(demo: tuple[str, Path], line: str) -> None:
    _, folder = demo
    with (folder / f"session-{line}.jsonl").open() as file:
        _, entries = read_recording(file)
    protected = [apdu.is_protected for apdu in apdus_over_hdlc(entries)]
    assert protected[:6] == [False] * 6
    assert len(protected) > 6
    assert all(protected[6:])


def test_it_draws_itself(demo: tuple[str, Path]) -> None:
    _, folder = demo
    assert (folder.parent / "demo.svg").read_text().startswith("<svg")


def test_the_users_own_certificates_are_not_touched(demo: tuple[str, Path]) -> None:
    _, folder = demo
    assert list((folder / "technician" / "certificates").iterdir())
    assert not (folder / "home").exists()


def test_a_failing_step_says_which_and_why() -> None:
    transcript = Transcript()
    with transcript.step("Something that works"):
        pass
    with pytest.raises(StepFailed) as caught, transcript.step("Reading the meter"):
        raise LinkLost("the meter went away", hint="come closer")
    assert (caught.value.code, caught.value.exit_code) == ("demo-failed", 1)
    assert caught.value.message == "step 2, 'Reading the meter', failed: link-lost: the meter went away"
    assert caught.value.hint == "come closer"


def test_a_folder_that_cannot_be_made_is_an_error_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    command = [sys.executable, "-m", "meterlink", "demo", "--out", str(tmp_path / "file" / "x")]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode in {1, 2}
    assert done.stderr.startswith(b"error: file: ")


def test_as_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "meterlink", "demo", "--json", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, timeout=100, check=True)
    result = json.loads(done.stdout)
    assert len(result["steps"]) == 7
    assert result["seconds"] > 0
    assert (Path(result["folder"]) / "3-certificate").is_dir()


def test_the_certificate_in_the_store_is_the_issued_one(demo: tuple[str, Path]) -> None:
    _, folder = demo
    answer = parse(qr.read_one(folder / "3-certificate" / "Warm AG_Commissioning_Anna.jpg"))
    assert isinstance(answer, CertificatePayload)
    stored = [
        x509.load_pem_x509_certificate(path.read_bytes()) if path.suffix == ".pem" else None
        for path in (folder / "technician" / "certificates").rglob("*.pem")
    ]
    assert answer.leaf in stored
