"""Shared keys of a meter of the field, put into it through the program."""

import json
from pathlib import Path

import pytest
from commands_field import AUTHENTICATION, UNICAST, served
from commands_security import ECDSA, GMAC, MASTER, NEW, OTHER_UNICAST, Cut, OneCertificate, shared, with_keys
from hypothesis import given
from hypothesis import strategies as st

from certs.levels import Level
from meterlink.cli import acting
from meterlink.commands.secrets import MeterSecrets
from meterlink.commands.security_keys import keys_to_transfer
from meterlink.errors import UsageError
from meterlink.security.keys import KeyId, KeySet
from meterlink.security.suites import Suite

pytestmark = pytest.mark.usefixtures("commissioning")


def transfer(meterlink, url: str, old: Path, new: Path, *words: str):
    done = meterlink("cosem", "security", "transfer-key", url, "--keys", old, "--new-keys", new, "--yes", *words)
    for hidden in (MASTER, NEW, UNICAST, AUTHENTICATION):
        assert hidden.hex() not in done.out + done.err
    return done


@pytest.mark.parametrize("framing", ["hdlc", "wrapper"])
def test_a_new_unicast_key_holds_from_the_next_session_on(meterlink, meter, old, framing, tmp_path) -> None:
    new, trace = with_keys(old, "new.toml", unicast=NEW), tmp_path / "trace.jsonl"
    with served(meter.server, framing) as url:
        done = transfer(meterlink, f"{url}&{GMAC}", old, new, "--kind", "unicast", "--json", "--trace", trace)
        assert (done.status, done.err) == (0, "")
        assert done.json["transferred"] == ["unicast"]
        read = ("read", f"{url}&{GMAC}", "--object", "serial-number", "--json", "--keys")
        assert meterlink(*read, new).status == 0
        assert meterlink(*read, old).status == 6
    assert shared(meter).keys[Suite.SUITE_0].unicast == NEW
    shown = meterlink("decode", trace, "--keys", old).out
    assert "key_transfer" in shown
    assert "parameters: not shown" in shown
    assert NEW.hex() not in trace.read_text() + shown


def test_every_key_that_is_new_in_the_file_is_transferred(meterlink, meter, old) -> None:
    new = with_keys(old, "new.toml", unicast=NEW, authentication=bytes(16), master=bytes(range(16)), broadcast=NEW)
    with served(meter.server, "wrapper") as url:
        done = transfer(meterlink, f"{url}&{GMAC}", old, new, "--json")
        assert (done.status, set(done.json["transferred"])) == (0, {"unicast", "authentication", "master", "broadcast"})
        assert meterlink("read", f"{url}&{GMAC}", "--keys", new).status == 0
        # The old master key wraps nothing for this meter any more.
        later = with_keys(new, "later.toml", unicast=bytes(range(60, 76)))
        stale = with_keys(new, "stale.toml", master=MASTER)
        done = transfer(meterlink, f"{url}&{GMAC}", stale, later, "--kind", "unicast", "--kind", "master")
        assert (done.status, done.code) == (6, "other-reason")
        assert "master" in done.err
        assert transfer(meterlink, f"{url}&{GMAC}", new, later).status == 0
    keys = shared(meter).keys[Suite.SUITE_0]
    assert (keys.authentication, keys.master, keys.broadcast) == (bytes(16), bytes(range(16)), NEW)


def test_a_wrong_master_key_changes_nothing(meterlink, meter, old) -> None:
    wrong = with_keys(old, "wrong.toml", master=bytes(16))
    new = with_keys(wrong, "new.toml", unicast=NEW)
    with served(meter.server, "wrapper") as url:
        done = transfer(meterlink, f"{url}&{GMAC}", wrong, new)
        assert (done.status, done.code) == (6, "other-reason")
        assert "master key of this meter" in done.err
        assert meterlink("read", f"{url}&{GMAC}", "--keys", old).status == 0


KEYS = st.sampled_from([bytes((number,)) * 16 for number in range(3)])


@given(old=st.tuples(KEYS, KEYS), new=st.tuples(KEYS, KEYS), kinds=st.sets(st.sampled_from(KeyId)))
def test_what_is_transferred_makes_the_new_file_fit(old, new, kinds) -> None:
    """Where keys go out at all, they are those that were asked for, and the new file opens the meter afterwards."""
    before, after = (MeterSecrets(keys=KeySet(*keys, master=bytes(16))) for keys in (old, new))
    both = (KeyId.UNICAST, KeyId.AUTHENTICATION)
    differing = {key_id for key_id, mine, other in zip(both, old, new, strict=True) if mine != other}
    if not differing or (kinds and kinds != differing):
        with pytest.raises(UsageError) as caught:
            keys_to_transfer(before, after, kinds)
        assert caught.value.code == "new-keys"
        return
    chosen = keys_to_transfer(before, after, kinds)
    assert chosen.keys() == differing
    assert tuple(chosen.get(key_id, mine) for key_id, mine in zip(both, old, strict=True)) == new


def refused(meterlink, old: Path | None, new: Path, *words: str) -> str:
    keys = () if old is None else ("--keys", old)
    # Nobody listens there: what is wrong with the files is told before anything is opened.
    done = meterlink(
        "cosem", "security", "transfer-key", f"tcp://127.0.0.1:1?{GMAC}", *keys, "--new-keys", new, "--yes", *words
    )
    assert done.status == 2
    return done.code


def test_files_that_do_not_fit_are_refused_before_anything_is_opened(meterlink, old, tmp_path) -> None:
    new = with_keys(old, "new.toml", unicast=NEW)
    assert refused(meterlink, None, new) == "keys-needed"
    assert refused(meterlink, old, old) == "new-keys"
    assert refused(meterlink, old, new, "--kind", "authentication") == "new-keys"
    assert refused(meterlink, old, new, "--kind", "broadcast") == "new-keys"
    assert refused(meterlink, old, with_keys(new, "both.toml", authentication=NEW), "--kind", "unicast") == "new-keys"
    assert refused(meterlink, old, with_keys(old, "long.toml", unicast=NEW * 2)) == "key-file"
    long = {"unicast": NEW * 2, "authentication": NEW * 2, "master": NEW * 2}
    assert refused(meterlink, old, with_keys(old, "suite2.toml", **long)) == "new-keys"
    assert refused(meterlink, old, tmp_path / "missing.toml") == "key-file"
    new.chmod(0o644)
    assert refused(meterlink, old, new) == "key-file-open"
    new.chmod(0o600)
    asked = meterlink(
        "cosem", "security", "transfer-key", f"tcp://127.0.0.1:1?{GMAC}", "--keys", old, "--new-keys", new
    )
    assert (asked.status, asked.code) == (2, "confirmation-needed")
    password_alone = old.with_name("password.toml")
    password_alone.touch(mode=0o600)
    password_alone.write_text('password = "12345678"')
    assert refused(meterlink, old, password_alone) == "new-keys"


@pytest.mark.parametrize(
    ("delivered", "for_ever", "status", "code"),
    [(True, False, 0, ""), (False, False, 5, "write-lost"), (True, True, 5, "write-uncertain")],
)
def test_a_transfer_whose_answer_is_lost_is_found_out(meterlink, meter, old, delivered, for_ever, status, code) -> None:
    new = with_keys(old, "new.toml", unicast=NEW)
    with served(Cut(meter, delivered=delivered, for_ever=for_ever), "wrapper") as url:
        done = transfer(meterlink, f"{url}&{GMAC}", old, new)
    assert (done.status, done.code) == (status, code)
    assert shared(meter).keys[Suite.SUITE_0].unicast == (NEW if delivered else UNICAST)
    if code == "write-uncertain":
        assert "keep both key files" in done.err


def test_keys_are_agreed_on_and_kept_in_a_new_file(meterlink, meter, of_suite_1, tmp_path) -> None:
    out = tmp_path / "elsewhere" / "agreed.toml"
    out.parent.mkdir()
    agree = ("cosem", "security", "agree-keys")
    with served(meter.server, "wrapper") as url:
        url = f"{url}&{ECDSA}"
        done = meterlink(*agree, url, "--keys", of_suite_1, "--out", out, "--yes", "--json")
        assert (done.status, done.err) == (0, "")
        assert done.json["agreed"] == ["authentication", "unicast"]
        assert meterlink("read", url, "--keys", of_suite_1).status == 6
        for _ in range(2):
            assert meterlink("read", url, "--keys", out).status == 0
        done = meterlink(*agree, url, "--keys", out, "--out", out, "--yes")
        assert (done.status, done.code) == (2, "key-file")
    assert out.stat().st_mode & 0o077 == 0
    written = json.loads(out.read_text())
    keys = shared(meter).keys[Suite.SUITE_1]
    assert (written["unicast"], written["authentication"]) == (keys.unicast.hex(), keys.authentication.hex())
    assert written["unicast"] != OTHER_UNICAST.hex()
    assert written["master"] == MASTER.hex()
    assert Path(written["signing_key"]).is_absolute()


def test_keys_are_agreed_on_where_the_association_allows_it(meterlink, meter, of_suite_1, tmp_path) -> None:
    out = tmp_path / "agreed.toml"
    words = ("--keys", of_suite_1, "--out", out, "--yes")
    gmac, plain = (url.partition("=")[2] for url in (GMAC, ECDSA.replace("glo", "none")))
    for security in ("certificate", "lls&client=18", gmac, plain):
        done = meterlink("cosem", "security", "agree-keys", f"tcp://127.0.0.1:1?security={security}", *words)
        assert (done.status, done.code) == (2, "association")
    done = meterlink("cosem", "security", "agree-keys", f"tcp://127.0.0.1:1?{ECDSA}", *words)
    assert (done.status, done.code) == (5, "link-unavailable")
    assert not out.exists()
    done = meterlink(
        "cosem", "security", "agree-keys", f"tcp://127.0.0.1:1?{ECDSA}", *words[:3], tmp_path / "no/x", "--yes"
    )
    assert (done.status, done.code) == (2, "key-file")


def test_an_agreement_whose_answer_is_lost_is_told(meterlink, meter, of_suite_1, tmp_path) -> None:
    out = tmp_path / "agreed.toml"
    with served(Cut(meter, delivered=True), "wrapper") as url:
        done = meterlink(
            "cosem", "security", "agree-keys", f"{url}&{ECDSA}", "--keys", of_suite_1, "--out", out, "--yes"
        )
    assert (done.status, done.code) == (5, "write-uncertain")
    assert not out.exists()


@pytest.mark.parametrize("level", [Level.CONSUMER, Level.INSTALLATION, Level.TEST])
def test_without_the_permission_nothing_is_opened(meterlink, old, monkeypatch, tmp_path, level: Level) -> None:
    store = OneCertificate(level)
    monkeypatch.setattr(acting, "open_store", lambda: store)
    new = with_keys(old, "new.toml", unicast=NEW)
    trace = tmp_path / "trace"
    trace.write_text("an older trace")
    url, rest = f"tcp://127.0.0.1:1?{ECDSA}", ("--keys", old, "--trace", trace)
    for words in (
        ("transfer-key", url, "--new-keys", new, *rest),
        ("agree-keys", url, "--out", tmp_path / "out", *rest),
        ("generate-key-pair", url, *rest),
        ("csr", url, "--out", tmp_path / "out", *rest),
        ("activate", url, "signed", *rest),
        ("remove", url, *rest),
    ):
        # What is not permitted is not asked, either.
        for yes in ((), ("--yes",)):
            done = meterlink("cosem", "security", *words, *yes)
            assert (done.status, done.code) == (3, "not-permitted"), words
    assert not (tmp_path / "out").exists()
    assert trace.read_text() == "an older trace"


def test_an_older_trace_stays_where_the_answer_is_no(meterlink, old, tmp_path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("an older trace")
    words = ("generate-key-pair", f"tcp://127.0.0.1:1?{GMAC}", "--keys", old, "--trace", trace)
    assert meterlink("cosem", "security", *words).code == "confirmation-needed"
    assert trace.read_text() == "an older trace"
    assert meterlink("cosem", "security", *words, "--yes").code == "link-unavailable"
    assert trace.read_text() != "an older trace"
