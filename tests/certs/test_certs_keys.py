"""Private keys at rest: sealed, in the keyring, plain; backups and passphrases."""

import contextlib
import importlib
import traceback
from collections.abc import Iterator
from pathlib import Path

import cbor2
import keyring
import keyring.backend
import keyring.errors
import pytest
from certs_support import PASSPHRASE, USUAL_COST, Device, TestAuthority, cli, contents, der, unchanged
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs import backup, importing, keys, requesting, sealing
from certs.entries import Status
from certs.errors import KeyStoreError, StoreError
from certs.keys import Passphrases, Protection
from certs.levels import Level
from certs.store import Store


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("METERLINK_PASSPHRASE", raising=False)
    return Device(tmp_path / "home")


class FolderKeyring(keyring.backend.KeyringBackend):
    """A keyring that really keeps, in memory; ``locked`` behaves like one whose dialog was closed."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("closed")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("closed")
        self.kept[service, username] = password


@contextlib.contextmanager
def using(backend: keyring.backend.KeyringBackend) -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(before)


def no_keyring() -> keyring.backend.KeyringBackend:
    return importlib.import_module("keyring.backends.fail").Keyring()


# --- sealing ---


def test_sealed_and_opened() -> None:
    blob = sealing.seal(b"secret", PASSPHRASE, "key", log_n=4)
    assert sealing.unseal(blob, PASSPHRASE, "key") == b"secret"
    assert b"secret" not in blob


@pytest.mark.parametrize(("passphrase", "context"), [("wrong", "key"), (PASSPHRASE, "backup"), ("", "key")])
def test_does_not_open_with_another_passphrase_or_for_another_use(passphrase: str, context: str) -> None:
    blob = sealing.seal(b"secret", PASSPHRASE, "key", log_n=4)
    with pytest.raises(KeyStoreError, match="passphrase-wrong"):
        sealing.unseal(blob, passphrase, context)


def test_every_flipped_bit_of_a_sealed_blob_is_found() -> None:
    blob = sealing.seal(b"secret", PASSPHRASE, "key", log_n=4)
    for bit in range(len(blob) * 8):
        altered = bytearray(blob)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeyStoreError):
            sealing.unseal(bytes(altered), PASSPHRASE, "key")


@pytest.mark.parametrize("log_n", [0, 3, 19, 40, -1, 2**40])
def test_a_cost_out_of_range_is_refused_before_memory_is_taken(log_n: int) -> None:
    blob = cbor2.dumps([1, log_n, bytes(16), bytes(12), bytes(32)])
    with pytest.raises(KeyStoreError, match="key-damaged"):
        sealing.unseal(blob, PASSPHRASE, "key")


@pytest.mark.parametrize("salt", [b"", bytes(16)])
@pytest.mark.parametrize("nonce", [b"", bytes(12), bytes(500)])
def test_odd_sizes_are_our_error(salt: bytes, nonce: bytes) -> None:
    with pytest.raises(KeyStoreError):
        sealing.unseal(cbor2.dumps([1, 4, salt, nonce, b""]), PASSPHRASE, "key")


def test_a_persons_passphrase_costs_a_guesser_64_mebibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "LOG_N_PERSON", USUAL_COST)
    key = keys.generate(1)
    blob = keys.protect(key, Protection.PASSPHRASE, PASSPHRASE)
    assert cbor2.loads(blob)[1] == USUAL_COST == 16
    assert keys.unprotect(blob, Protection.PASSPHRASE, PASSPHRASE).public_key() == key.public_key()


# --- keys ---


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("protection", list(Protection))
def test_a_key_comes_back_as_it_was(suite: int, protection: Protection) -> None:
    key = keys.generate(suite)
    back = keys.unprotect(keys.protect(key, protection, PASSPHRASE), protection, PASSPHRASE)
    assert back.private_numbers() == key.private_numbers()


def test_what_is_no_key_of_ours_is_refused() -> None:
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data in (b"", b"nonsense", other):
        with pytest.raises(KeyStoreError, match="key-damaged"):
            keys.unprotect(data, Protection.PLAIN)
    with pytest.raises(KeyStoreError, match="key-damaged"):
        keys.unprotect(sealing.seal(b"nonsense", "x", "key", log_n=4), Protection.KEYRING, "x")


def test_no_secret_in_any_repr_or_traceback(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINK_PASSPHRASE", PASSPHRASE)
    store = device.joined()
    text = device.authority.token()
    record = requesting.create_request(store, text, "Tag")
    assert record.key.protection is Protection.PASSPHRASE
    secrets = (PASSPHRASE, text, repr(record.key.data)[2:40], "BEGIN PRIVATE")
    shown = [repr(store), repr(store.passphrases), repr(record), repr(store.active()), repr(store.look())]
    monkeypatch.setenv("METERLINK_PASSPHRASE", "wrong")
    try:
        device.store().open_key(record.key, public=record.request.public_key)
    except KeyStoreError as error:
        shown.append("".join(traceback.format_exception(error)))
    assert len(shown) == 6
    for secret in secrets:
        assert all(secret not in text_ for text_ in shown), secret


# --- passphrases ---


def test_without_a_terminal_a_passphrase_is_needed_and_nothing_is_made(device: Device) -> None:
    device.joined()
    text = device.authority.token()
    with using(no_keyring()), unchanged(device.home):
        ran = cli("request", "--token", text, "--tag", "Tag", "--send", "none", "--json")
    assert (ran.status, ran.error["code"]) == (4, "passphrase-needed")
    assert "METERLINK_PASSPHRASE" in ran.error["hint"]


def test_a_passphrase_is_asked_for_once_per_run_and_twice_when_new(device: Device) -> None:
    asked: list[bool] = []

    def ask(new: bool) -> str:
        asked.append(new)
        return PASSPHRASE

    with using(no_keyring()):
        device.joined()
        store = device.store(ask=ask)
        first = requesting.create_request(store, device.authority.token(), "One")
        second = requesting.create_request(store, device.authority.token(), "Two")
        assert asked == [True]
        again = device.store(ask=ask)
        for record in (first, second):
            assert again.open_key(record.key, public=record.request.public_key)
        assert asked == [True, False]


def test_a_mistyped_passphrase_seals_nothing_and_is_asked_for_again(device: Device) -> None:
    answers = ["mistyped", PASSPHRASE]
    with using(no_keyring()):
        device.joined()
        requesting.create_request(device.store(ask=lambda _: PASSPHRASE), device.authority.token(), "One")
        store = device.store(ask=lambda _: answers.pop(0))
        text = device.authority.token()
        with unchanged(device.home), pytest.raises(KeyStoreError, match="passphrase-wrong"):
            requesting.create_request(store, text, "Two")
        assert requesting.create_request(store, text, "Two").request.tag == "Two"


def test_the_passphrase_is_not_needed_to_import_and_read_as_consumer(device: Device) -> None:
    with using(no_keyring()):
        device.joined()
        record = requesting.create_request(device.store(ask=lambda _: PASSPHRASE), device.authority.token(), "One")
        (result,) = importing.import_bytes(device.store(), der(device.authority.issue(record)))
        assert result.entry.active
        with pytest.raises(KeyStoreError, match="passphrase-needed"):
            _ = device.store().active().private_key
        unlocked = device.store(ask=lambda _: PASSPHRASE).active()
        assert unlocked.private_key is unlocked.private_key  # opened once


# --- the keyring ---


def test_the_keyring_is_used_where_there_is_one(device: Device) -> None:
    vault = FolderKeyring()
    with using(vault):
        record = requesting.create_request(device.joined(), device.authority.token(), "One")
        assert record.key.protection is Protection.KEYRING
        ((account, secret),) = [(name, value) for (_, name), value in vault.kept.items()]
        assert account == str(device.home)
        assert len(bytes.fromhex(secret)) == 32
        assert device.store().open_key(record.key, public=record.request.public_key)
        requesting.create_request(device.store(), device.authority.token(), "Two")
        assert len(vault.kept) == 1
        assert all(secret.encode() not in data for data in contents(device.home).values())


def test_a_locked_or_lost_keyring_is_named(device: Device) -> None:
    vault = FolderKeyring()
    with using(vault):
        record = requesting.create_request(device.joined(), device.authority.token(), "One")
        vault.locked = True
        for act in (
            lambda: device.store().open_key(record.key, public=record.request.public_key),
            lambda: Passphrases("other").secret_for(Protection.KEYRING, new=True),
        ):
            with pytest.raises(KeyStoreError) as caught:
                act()
            assert caught.value.code == "key-locked"
        vault.locked = False
        vault.kept.clear()
        with pytest.raises(KeyStoreError, match="key-locked"):
            device.store().open_key(record.key, public=record.request.public_key)


def test_the_environment_goes_before_the_keyring(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINK_PASSPHRASE", PASSPHRASE)
    vault = FolderKeyring()
    with using(vault):
        record = requesting.create_request(device.joined(), device.authority.token(), "One")
    assert record.key.protection is Protection.PASSPHRASE
    assert not vault.kept


# --- backups ---


def test_backup_and_restore_on_another_device(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINK_PASSPHRASE", PASSPHRASE)
    store = device.joined()
    record = requesting.create_request(store, device.authority.token(Level.SERVICE), "Kept")
    leaf = device.authority.issue(record)
    importing.import_bytes(store, der(leaf))
    requesting.create_request(store, device.authority.token(), "Waiting")
    file = tmp_path / "my.backup"
    monkeypatch.setenv("METERLINK_BACKUP_PASSPHRASE", "of the backup")
    saved = cli("backup", file, "--json").json
    assert saved["keys"] == 2
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in file.read_bytes()

    assert cli("backup", file, "--json").error["code"] == "confirmation-needed"
    assert cli("backup", file, "--yes").status == 0

    other = tmp_path / "other"
    monkeypatch.setenv("METERLINK_HOME", str(other))
    monkeypatch.setenv("METERLINK_PASSPHRASE", "another device's")
    restored = cli("restore", file, "--json").json
    assert restored == {"certificates": 1, "requests": 1, "domains": 1}
    assert cli("restore", file, "--json").json == {"certificates": 0, "requests": 0, "domains": 0}
    back = Store.open(other)
    (entry,) = [entry for entry in back.entries() if entry.level is Level.SERVICE]
    assert back.get(entry.id).private_key.public_key() == leaf.public_key()
    assert [entry.tag for entry in back.entries() if entry.status is Status.PENDING] == ["Waiting"]
    assert "Restored" in cli("restore", file).out


def test_restore_refuses_what_is_no_backup(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device.obtain()
    store = device.store()
    good = tmp_path / "good"
    backup.save(store, good, PASSPHRASE)
    with unchanged(device.home), pytest.raises(KeyStoreError, match="passphrase-wrong"):
        backup.restore(store, good, "wrong")
    bodies = [b"[]", b"{}", b'{"format": "meterlink-backup", "version": 2}', b"\xff", b"nonsense",
              b'{"format": "meterlink-backup", "version": 1, "domains": ["{}"]}']  # fmt: skip
    for number, body in enumerate(bodies):
        bad = tmp_path / f"bad{number}"
        bad.write_bytes(sealing.seal(body, PASSPHRASE, "backup", log_n=4))
        with unchanged(device.home), pytest.raises(StoreError, match="backup-damaged"):
            backup.restore(store, bad, PASSPHRASE)
    monkeypatch.delenv("METERLINK_BACKUP_PASSPHRASE", raising=False)
    assert cli("restore", good, "--json").error["code"] == "passphrase-needed"


def test_a_plain_key_only_on_an_explicit_flag(device: Device, tmp_path: Path) -> None:
    device.joined()
    text = device.authority.token()
    with using(no_keyring()):
        ran = cli(
            "request", "--token", text, "--tag", "T", "--send", "none", "--out", tmp_path, "--plain-key", "--json"
        )
    assert ran.status == 0
    record = device.store().pending(ran.json["id"])
    assert record.key.protection is Protection.PLAIN


def test_keys_of_both_suites_in_one_domain(tmp_path: Path) -> None:
    device = Device(tmp_path / "home", authority=TestAuthority.create(suite=2))
    assert isinstance(device.store().active().private_key.curve, ec.SECP256R1)  # the default domain's
    device.joined()
    assert isinstance(device.store().active().private_key.curve, ec.SECP384R1)
