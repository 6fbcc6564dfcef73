"""Founding an authority and opening it again."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from authority_support import NOW, PASSPHRASE, found, issued, order

from certs.authority import Authority, home
from certs.authority.ledger import check_url
from certs.errors import AuthorityError, CertsError, KeyStoreError


def test_the_folder_is_private_and_holds_no_plain_key(own: Authority, tmp_path: Path) -> None:
    for path in (tmp_path / "home").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    key = own._issuing_key(NOW).private_numbers().private_value.to_bytes(32)
    for path in (tmp_path / "home").rglob("*"):
        assert path.is_dir() or key not in path.read_bytes()


def test_opens_again_with_the_passphrase_alone(own: Authority, tmp_path: Path) -> None:
    own.close()
    with Authority.open(tmp_path / "home", PASSPHRASE) as again:
        assert again.domain.id == own.domain.id
        issued(again)
    with Authority.open(tmp_path / "home", "wrong") as wrong:
        assert wrong.tokens() != ()
        with pytest.raises(KeyStoreError) as error:
            order(wrong)
        assert error.value.code == "passphrase-wrong"


def test_the_passphrase_is_asked_for_once_and_only_when_needed(own: Authority, tmp_path: Path) -> None:
    own.close()
    asked: list[bool] = []

    def ask(new: bool) -> str:
        asked.append(new)
        return PASSPHRASE

    with Authority.open(tmp_path / "home", ask) as again:
        assert again.certificates() == ()
        assert asked == []
        issued(again)
        issued(again)
    assert asked == [False]


def test_without_a_passphrase_nothing_is_signed(
    own: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.close()
    monkeypatch.delenv("METERLINK_PASSPHRASE", raising=False)
    with Authority.open(tmp_path / "home") as locked:
        with pytest.raises(KeyStoreError) as error:
            order(locked)
        assert error.value.code == "passphrase-needed"
    monkeypatch.setenv("METERLINK_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("METERLINK_AUTHORITY", str(tmp_path / "home"))
    with Authority.open() as opened:
        issued(opened)


def test_a_folder_in_use_is_left_alone(own: Authority, tmp_path: Path) -> None:
    before = own.domain_file.read_bytes()
    with pytest.raises(AuthorityError) as error:
        found(tmp_path / "home")
    assert error.value.code == "authority-exists"
    assert own.domain_file.read_bytes() == before


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    found(tmp_path / "home").close()


def test_the_root_key_goes_where_it_is_told(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    arguments = {"name": "Domain", "mail": "a@example.org", "now": NOW, "passphrase": PASSPHRASE}
    root_key = stick / "root"
    with Authority.init(tmp_path / "home", root_key=root_key, root_passphrase="other", **arguments) as authority:  # type: ignore[arg-type]
        root = authority.domain.root
    assert not list((tmp_path / "home").glob("*.root-key"))
    assert home.read_root_key(root_key, "other", root).public_key() == root.public_key()
    with pytest.raises(AuthorityError) as error:
        Authority.init(tmp_path / "second", root_key=root_key, **arguments)  # type: ignore[arg-type]
    assert error.value.code == "authority-exists"
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"mail": "a@example.org,b@example.org"}, "mail-address"),
        ({"name": ""}, "domain-format"),
        ({"name": "a\u202eb"}, "domain-format"),
        ({"ledger_url": "mysql://host/x"}, "ledger-url"),
        ({"ledger_url": "nonsense"}, "ledger-url"),
        ({"ledger_url": "sqlite://"}, "ledger-url"),
    ],
)
def test_what_cannot_be_founded_leaves_nothing(tmp_path: Path, change: dict[str, str], code: str) -> None:
    arguments = {"name": "Domain", "mail": "a@example.org", "now": NOW, "passphrase": PASSPHRASE} | change
    with pytest.raises(CertsError) as error:
        Authority.init(tmp_path / "home", **arguments)  # type: ignore[arg-type]
    assert error.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_elsewhere(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with found(tmp_path / "home", ledger_url=url) as authority:
        issued(authority)
    assert not (tmp_path / "home" / "ledger.sqlite").exists()
    assert stat.S_IMODE((tmp_path / "ledger.db").stat().st_mode) == 0o600
    assert check_url("postgres://host/db").drivername == "postgresql+psycopg"


def test_a_ledger_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError) as error:
        found(tmp_path / "home", ledger_url=f"sqlite:///{tmp_path / 'missing' / 'ledger.db'}")
    assert error.value.code == "ledger"


def test_a_ledger_that_is_no_database(own: Authority, tmp_path: Path) -> None:
    own.close()
    for path in (tmp_path / "home").glob("ledger*"):
        path.unlink()
    (tmp_path / "home" / "ledger.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(AuthorityError) as error:
        Authority.open(tmp_path / "home", PASSPHRASE)
    assert error.value.code == "ledger"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other", "version": 1}'])
def test_damaged_settings(own: Authority, tmp_path: Path, text: str) -> None:
    own.close()
    (tmp_path / "home" / "settings.json").write_text(text)
    with pytest.raises(AuthorityError) as error:
        Authority.open(tmp_path / "home", PASSPHRASE)
    assert error.value.code == "authority-settings"


def test_no_authority_there(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError) as error:
        Authority.open(tmp_path)
    assert error.value.code == "no-authority"


def test_a_missing_or_foreign_key(own: Authority, tmp_path: Path) -> None:
    own.close()
    (key_file,) = (tmp_path / "home" / "keys").iterdir()
    key_file.unlink()
    with Authority.open(tmp_path / "home", PASSPHRASE) as opened, pytest.raises(KeyStoreError) as error:
        order(opened)
    assert error.value.code == "key-missing"


def test_the_default_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("METERLINK_AUTHORITY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home.default_home() == tmp_path / "meterlink-authority"


@pytest.mark.parametrize(
    ("name", "safe"), [("Süd & Nord", "Süd-Nord"), ("../../etc", "etc"), ("...", "domain"), ("a.b", "a-b")]
)
def test_a_domain_name_in_a_file_name(name: str, safe: str) -> None:
    assert home.safe_name(name) == safe
