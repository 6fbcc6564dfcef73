"""New keys of a meter are never lost, and never said to be there when nobody knows: links, disks and users that fail in
the middle."""

import json
import os
import resource
import signal
import tomllib
from functools import partial
from pathlib import Path

import pytest
from commands_field import UNICAST, FieldMeter, served
from commands_security import ECDSA, GMAC, MASTER, NEW, OTHER_UNICAST, Cut, Meanwhile, shared, with_keys
from hypothesis import given
from hypothesis import strategies as st
from session_support import Bench

from certs import files
from certs.levels import Level
from meterlink.cli import acting
from meterlink.commands.connect import target_of
from meterlink.commands.key_file import KeyFileCopy
from meterlink.commands.secrets import MeterSecrets, meter_secrets
from meterlink.commands.security_keys import FIRST_COUNTER, proves_keys
from meterlink.errors import UsageError
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite

pytestmark = pytest.mark.usefixtures("commissioning")

AGREED = KeySet(bytes(range(0x60, 0x70)), bytes(range(0x70, 0x80)))


def transfer(meterlink, url: str, old: Path, *words: str):
    new = with_keys(old, "new.toml", unicast=NEW)
    return meterlink("cosem", "security", "transfer-key", url, "--keys", old, "--new-keys", new, "--yes", *words)


def agree(meterlink, url: str, keys: Path, out: Path):
    done = meterlink("cosem", "security", "agree-keys", f"{url}&{ECDSA}", "--keys", keys, "--out", out, "--yes")
    for hidden in (MASTER, OTHER_UNICAST):
        assert hidden.hex() not in done.out + done.err
    return done


def of_meter(meter: FieldMeter) -> KeySet:
    """The keys that are agreed on."""
    return shared(meter).keys[Suite.SUITE_1]


@pytest.mark.parametrize(
    ("at", "url"),
    [
        (2, "security=none&client=16"),
        (2, "security=lls&client=18&ciphering=none"),
        (3, "security=hls-sha256&client=24&ciphering=none"),
        (3, "security=hls-ecdsa&client=20&ciphering=none"),
    ],
)
def test_a_session_that_does_without_the_keys_proves_none(meterlink, meter, old, at, url) -> None:
    cut = Cut(meter, delivered=False, at=at)
    with served(cut, "wrapper") as address:
        done = transfer(meterlink, f"{address}&{url}", old)
    assert (done.status, done.code, cut.cuts) == (5, "write-uncertain", 1)
    assert "keep both key files" in done.err


def test_a_session_with_certificates_proves_no_shared_keys(meterlink, old, monkeypatch) -> None:
    bench = Bench()
    who = bench.credential(Level.COMMISSIONING)

    class Store:
        def notices(self) -> list[object]:
            return []

        def active(self) -> object:
            return who

    monkeypatch.setattr(acting, "open_store", Store)
    cut = Cut(bench, delivered=False, at=4)
    with served(cut, "wrapper") as url:
        done = transfer(meterlink, url, old)
    assert (done.status, done.code, cut.cuts) == (5, "write-uncertain", 1)


@pytest.mark.parametrize(
    ("query", "proves"),
    [
        ("", False),
        ("security=certificate", False),
        ("security=none", False),
        ("security=none&ciphering=glo", True),
        ("security=lls", True),
        ("security=LLS&ciphering=NONE", False),
        ("security=hls-md5&ciphering=ded", True),
        ("security=hls-gmac&ciphering=none", True),
        ("security=hls-gmac&policy=encrypted", True),
        ("security=lls&policy=encrypted", False),
        ("security=lls&policy=authenticated,encrypted-response", True),
    ],
)
def test_which_sessions_prove_the_keys(query: str, proves: bool) -> None:
    assert proves_keys(target_of(f"tcp://127.0.0.1:1?{query}").url.options) is proves


def test_a_disk_without_room_is_found_before_keys_are_agreed_on(meterlink, meter, of_suite_1, tmp_path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with served(meter.server, "wrapper") as url:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            done = agree(meterlink, url, of_suite_1, tmp_path / "out.json")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (done.status, done.code) == (2, "key-file")
    assert of_meter(meter).unicast == OTHER_UNICAST
    assert not (tmp_path / "out.json").exists()


def test_a_folder_that_cannot_be_synced_is_found_before_keys_are_agreed_on(
    meterlink, meter, of_suite_1, tmp_path, monkeypatch
) -> None:
    folder, sync = tmp_path / "folder", files.sync_folder
    folder.mkdir()

    def sync_others(path: Path) -> None:
        if path == folder:
            raise OSError(22, "Invalid argument")
        sync(path)

    monkeypatch.setattr(files, "sync_folder", sync_others)
    with served(meter.server, "wrapper") as url:
        done = agree(meterlink, url, of_suite_1, folder / "out.json")
    assert (done.status, done.code) == (2, "key-file")
    assert of_meter(meter).unicast == OTHER_UNICAST
    assert list(folder.iterdir()) == []


def test_keys_whose_place_is_gone_are_kept_elsewhere(meterlink, meter, of_suite_1, tmp_path, home) -> None:
    out = tmp_path / "out.json"
    with served(Meanwhile(meter, partial(out.unlink, missing_ok=True)), "wrapper") as url:
        done = agree(meterlink, url, of_suite_1, out)
        assert (done.status, done.code) == (1, "key-file-elsewhere")
        (kept,) = (home / "agreed-keys").iterdir()
        assert str(kept) in done.err
        assert meterlink("read", f"{url}&{ECDSA}", "--keys", kept, "--object", "serial-number").status == 0
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["unicast"] == of_meter(meter).unicast.hex() != OTHER_UNICAST.hex()


def test_keys_that_find_no_place_at_all_are_told_as_lost(meterlink, meter, of_suite_1, tmp_path, home) -> None:
    out = tmp_path / "out.json"
    home.mkdir(exist_ok=True)
    (home / "agreed-keys").touch()
    with served(Meanwhile(meter, out.unlink), "wrapper") as url:
        done = agree(meterlink, url, of_suite_1, out)
    assert (done.status, done.code) == (5, "write-uncertain")
    assert "the meter has new keys" in done.err
    assert of_meter(meter).unicast.hex() not in done.out + done.err


def spoil(home: Path) -> None:
    """Make the record of the meter's counters unusable."""
    (home / "counters").rename(home / "moved")
    (home / "counters").touch()


@pytest.mark.parametrize("verb", ["transfer", "agree"])
def test_a_store_that_fails_at_the_answer_leaves_the_keys_uncertain(meterlink, meter, request, home, verb) -> None:
    keys = request.getfixturevalue("old" if verb == "transfer" else "of_suite_1")
    out = keys.with_name("out.json")
    with served(Meanwhile(meter, partial(spoil, home)), "wrapper") as url:
        done = transfer(meterlink, f"{url}&{GMAC}", keys) if verb == "transfer" else agree(meterlink, url, keys, out)
    assert (done.status, done.code) == (5, "write-uncertain")
    assert "counters" in done.err
    assert shared(meter).keys[Suite.SUITE_0].unicast == (NEW if verb == "transfer" else UNICAST)
    assert (of_meter(meter).unicast == OTHER_UNICAST) is (verb == "transfer")
    assert not out.exists()


@pytest.mark.parametrize("verb", ["transfer", "agree"])
def test_ctrl_c_while_the_meter_has_the_request_leaves_the_keys_uncertain(meterlink, meter, request, verb) -> None:
    keys = request.getfixturevalue("old" if verb == "transfer" else "of_suite_1")
    out = keys.with_name("out.json")
    stop = partial(os.kill, os.getpid(), signal.SIGINT)
    with served(Meanwhile(meter, stop, silent=True), "wrapper") as url:
        done = transfer(meterlink, f"{url}&{GMAC}", keys) if verb == "transfer" else agree(meterlink, url, keys, out)
    assert (done.status, done.code) == (5, "write-uncertain")
    assert "stopped on request" in done.err
    assert ("keep both key files" if verb == "transfer" else str(out)) in done.err


@pytest.mark.parametrize("verb", ["transfer", "agree"])
def test_ctrl_c_before_the_request_changes_nothing(meterlink, meter, request, verb) -> None:
    keys = request.getfixturevalue("old" if verb == "transfer" else "of_suite_1")
    out = keys.with_name("out.json")
    stop = partial(os.kill, os.getpid(), signal.SIGINT)
    with served(Meanwhile(meter, stop, at=1, silent=True), "wrapper") as url:
        done = transfer(meterlink, f"{url}&{GMAC}", keys) if verb == "transfer" else agree(meterlink, url, keys, out)
    assert (done.status, done.code) == (130, "interrupted")
    assert not out.exists()


def test_ctrl_c_after_the_keys_came_keeps_them(meterlink, meter, of_suite_1, tmp_path) -> None:
    out = tmp_path / "out.json"
    stop = partial(os.kill, os.getpid(), signal.SIGINT)
    # The fourth message is the release.
    with served(Meanwhile(meter, stop, at=4, silent=True), "wrapper") as url:
        done = agree(meterlink, url, of_suite_1, out)
    assert (done.status, done.code) == (5, "write-uncertain")
    assert str(out) in done.err
    assert json.loads(out.read_text())["unicast"] == of_meter(meter).unicast.hex()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda t: t[:2] != "0x")
KEY = st.binary(min_size=16, max_size=16).map(bytes.hex)
CONTENT = st.fixed_dictionaries(
    {"unicast": KEY, "authentication": KEY},
    optional={
        "system_title": st.binary(min_size=8, max_size=8).map(lambda title: title.hex(" ")),
        "broadcast": KEY | st.none(),
        "master": KEY | st.none(),
        "password": TEXT | st.none() | st.just("0x0102"),
        "secret": TEXT,
        "signing_key": st.none(),
        "counter": st.integers(0, 2**32 - 1),
        "transaction": st.integers(0, 2**62 - 1),
    },
)


def toml_text(text: str) -> str:
    """A basic string of TOML in which every character is an escape."""
    return '"' + "".join(f"\\U{ord(character):08X}" for character in text) + '"'


def seen(secrets: MeterSecrets) -> tuple[object, ...]:
    """What a key file says beside the keys that are agreed on and their counter."""
    assert secrets.keys is not None
    keys = secrets.keys
    return (secrets.system_title, secrets.password, secrets.secret, keys.broadcast, keys.master, secrets.transaction)


@given(content=CONTENT, raw=st.booleans(), as_toml=st.booleans())
def test_a_key_file_that_can_be_read_can_be_read_after_rewriting(tmp_path_factory, content, raw, as_toml) -> None:
    folder = tmp_path_factory.mktemp("keys")
    path, out = folder / "keys", folder / "out"
    path.touch(mode=0o600)
    if as_toml:
        given_ = {name: value for name, value in content.items() if value is not None}
        lines = (
            f"{name} = {toml_text(value) if isinstance(value, str) else value}\n" for name, value in given_.items()
        )
        path.write_text("# a key file\n" + "".join(lines))
    else:
        path.write_text(json.dumps(content, ensure_ascii=not raw))
    before = meter_secrets(path, {})
    with KeyFileCopy(path, out) as copy:
        copy.write(AGREED)
    after = meter_secrets(out, {})
    assert seen(after) == seen(before)
    assert after.keys is not None
    assert (after.keys.unicast, after.keys.authentication) == (AGREED.unicast, AGREED.authentication)
    assert after.counter == FIRST_COUNTER


def test_names_of_files_survive_that_are_no_text(meter, of_suite_1) -> None:
    folder = of_suite_1.parent / os.fsdecode(b"caf\xe9 \xf0\x9f\x94\x91")
    folder.mkdir()
    for file in [*of_suite_1.parent.glob("*.pem"), of_suite_1]:
        file.rename(folder / file.name)
    out = of_suite_1.with_name("out.json")
    with KeyFileCopy(folder / of_suite_1.name, out) as copy:
        copy.write(AGREED)
    signing_key = meter_secrets(out, {}).signing_key
    assert signing_key is not None
    assert signing_key.private_numbers() == meter.client_key.private_numbers()


def test_a_password_of_any_characters_stays(meterlink, meter, of_suite_1, tmp_path) -> None:
    content = tomllib.loads(of_suite_1.read_text()) | {"password": 'caf\u00e9 \U0001f511 "\x7f'}
    of_suite_1.write_text(json.dumps(content))
    with served(meter.server, "wrapper") as url:
        assert agree(meterlink, url, of_suite_1, tmp_path / "out.json").status == 0
        read = ("read", f"{url}&{ECDSA}", "--object", "serial-number", "--keys")
        assert meterlink(*read, tmp_path / "out.json").status == 0
    assert meter_secrets(tmp_path / "out.json", {}).password == content["password"].encode()


def test_a_file_that_would_be_too_large_is_refused(tmp_path) -> None:
    path = tmp_path / "keys.toml"
    path.touch(mode=0o600)
    path.write_text(f'unicast = "{NEW.hex()}"\nauthentication = "{NEW.hex()}"\npassword = "{chr(9) * 64000}"\n')
    assert meter_secrets(path, {}).password == b"\t" * 64000
    with pytest.raises(UsageError) as caught, KeyFileCopy(path, tmp_path / "out"):
        pass
    assert caught.value.code == "key-file"
    assert not (tmp_path / "out").exists()
