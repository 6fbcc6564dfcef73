"""THREATS, rows 24 and 31: killed writers, and files that were edited or deleted on disk."""

import dataclasses
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from certs_support import Device, cli, contents, der

from certs import importing, records
from certs.entries import Status
from certs.errors import KeyStoreError, StoreError
from certs.levels import Level
from certs.store import Store

DRIVER = Path(__file__).with_name("certs_kill_driver.py")


# --- row 24 ---


def test_row_24_eight_processes_import_at_once_each_killed_at_a_random_moment(device: Device, tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    for number in range(8):
        leaf = device.authority.issue(device.request(tag=f"Tablet {number}"))
        path = folder / "new"
        path.write_bytes(der(leaf))
        path.rename(folder / importing.check_against_known(device.store(), leaf, ())[0].id)
    ran = subprocess.run(
        [sys.executable, DRIVER, device.home, folder, tmp_path / "scratch", "200"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    counted = json.loads(ran.stdout)
    assert counted["kills"] >= 200
    assert 0 < counted["imported"] < 8 * counted["rounds"]  # some were killed before, some after


def test_a_fresh_store_opened_by_eight_processes_makes_one_consumer(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from certs.store import Store; Store.open(Path(sys.argv[1]))"
    opened = [subprocess.Popen([sys.executable, "-c", program, tmp_path / "home"]) for _ in range(8)]
    assert [process.wait() for process in opened] == [0] * 8
    (entry,) = Store.open(tmp_path / "home").entries()
    assert (entry.level, entry.active, entry.status) == (Level.CONSUMER, True, Status.VALID)


# --- row 31 ---


def spoil(path: Path, how: str) -> None:
    match how:
        case "deleted":
            path.unlink()
        case "emptied":
            path.write_bytes(b"")
        case "one bit":
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 4
            path.write_bytes(data)
        case "noise":
            path.write_bytes(os.urandom(500))


HOWS = ["deleted", "emptied", "one bit", "noise"]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["certificate.pem", "key", "meta.json"])
def test_row_31_certificate_or_key_edited_or_deleted(device: Device, name: str, how: str) -> None:
    entry = device.obtain().entry
    spoil(device.home / "certificates" / entry.id / name, how)
    store = device.store()
    notices = store.notices()
    damage = [notice for notice in notices if notice.code == "store-damaged"]
    assert damage, notices
    assert entry.id[:16] in damage[0].message
    assert [notice for notice in notices if notice.code == "active-missing"]
    active = store.active()
    assert (active.level, active.status) == (Level.CONSUMER, Status.VALID)
    assert active.private_key
    assert entry.id not in {found.id for found in store.entries()}
    # It can be taken away, and the list is clean again once another certificate is chosen.
    store.remove(entry.id)
    store.activate(store.active().id)
    assert store.notices() == ()


@pytest.mark.parametrize("how", HOWS)
def test_row_31_certificate_edited_but_the_key_is_whole_imports_again(device: Device, how: str) -> None:
    leaf = device.authority.issue(device.request())
    (first,) = importing.import_bytes(device.store(), der(leaf))
    spoil(device.home / "certificates" / first.entry.id / "certificate.pem", how)
    (again,) = importing.import_bytes(device.store(), der(leaf))
    assert (again.is_new, again.entry.active) == (True, True)
    assert device.store().notices() == ()
    assert device.store().active().private_key


@pytest.mark.parametrize("names", [("certificate.pem",), ("certificate.pem", "key", "meta.json")])
def test_row_31_a_certificate_exchanged_for_another_one(device: Device, names: tuple[str, ...]) -> None:
    one, two = device.obtain(tag="One").entry, device.obtain(tag="Two").entry
    folder = device.home / "certificates"
    for name in names:
        shutil.copy(folder / one.id / name, folder / two.id / name)
    store = device.store()
    assert [notice.code for notice in store.notices()] == ["store-damaged", "active-missing"]
    assert store.active().level is Level.CONSUMER


def test_row_31_a_key_exchanged_with_care_is_found_when_it_is_used(device: Device) -> None:
    one, two = device.obtain(tag="One").entry, device.obtain(tag="Two").entry
    held = {held.id: held.record for held in device.store().look().held}
    shutil.rmtree(device.home / "certificates" / two.id)
    records.write_record(device.home / "certificates", dataclasses.replace(held[two.id], key=held[one.id].key))
    assert device.store().notices() == ()
    with pytest.raises(KeyStoreError, match="key-damaged"):
        _ = device.store().get(two.id).private_key


@pytest.mark.parametrize("how", HOWS)
def test_row_31_active_pointer(device: Device, how: str) -> None:
    entry = device.obtain().entry
    spoil(device.home / "active", how)
    store = device.store()
    assert store.active().level is Level.CONSUMER
    if how != "deleted":  # without a pointer the store is as if nothing had been chosen
        assert {notice.code for notice in store.notices()} & {"store-damaged", "active-missing"}
    store.activate(entry.id)
    assert store.notices() == ()
    assert store.active().id == entry.id


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["request.csr", "key", "meta.json"])
def test_row_31_pending_request(device: Device, name: str, how: str) -> None:
    record = device.request()
    spoil(device.home / "requests" / record.id / name, how)
    store = device.store()
    (notice,) = store.notices()
    assert notice.code == "store-damaged"
    assert record.id[:16] in notice.message
    assert store.active().level is Level.CONSUMER
    assert "damaged request" in store.label(record.id)
    store.remove(record.id)
    assert store.notices() == ()


@pytest.mark.parametrize("how", HOWS)
def test_row_31_joined_domain(device: Device, how: str) -> None:
    device.obtain()
    (path,) = (device.home / "domains").iterdir()
    spoil(path, how)
    store = device.store()
    codes = {notice.code for notice in store.notices()}
    assert "domain-missing" in codes
    assert ("domain-damaged" in codes) is (how != "deleted")
    active = store.active()
    assert (active.level, active.status) == (Level.CONSUMER, Status.VALID)
    store.join(device.authority.domain)
    assert store.active().level is Level.COMMISSIONING  # what was chosen counts again


def test_row_31_revocation_list(device: Device) -> None:
    device.obtain()
    store = device.store()
    store.add_crl(device.authority.crl(12345))
    (path,) = (device.home / "crls").iterdir()
    spoil(path, "noise")
    assert [notice.code for notice in store.notices()] == ["store-damaged"]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["certificate.pem", "key", "meta.json"])
def test_row_31_even_the_consumer_comes_back(device: Device, name: str, how: str) -> None:
    store = device.store()
    before = store.active().id
    spoil(device.home / "certificates" / before / name, how)
    again = device.store()
    assert again.active().id != before
    assert (again.active().level, again.active().status) == (Level.CONSUMER, Status.VALID)
    assert any(before[:16] in notice.message for notice in again.notices())


# --- what the store is made of ---


def test_folders_and_files_are_their_owners_alone(device: Device) -> None:
    old = os.umask(0)
    try:
        device.obtain()
        device.request(tag="Waiting")
        device.store().add_crl(device.authority.crl(1))
    finally:
        os.umask(old)
    for path in (device.home, *device.home.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_place_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path / "file" / "home")
    assert caught.value.code == "file"
    assert caught.value.hint


def test_looking_changes_nothing(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINK_HOME", str(device.home))
    device.obtain()
    before = contents(device.home)
    for arguments in (("list",), ("list", "--json"), ("show", next(iter(device.store().entries())).id)):
        assert cli(*arguments).status == 0
    assert contents(device.home) == before
