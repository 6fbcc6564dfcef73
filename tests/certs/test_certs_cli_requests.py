"""``meterlink certs`` from a token to a certificate and its renewal, as scripts use it."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from certs_support import NOW, Device, TestAuthority, ask, cli, code, der, pem, unchanged
from cryptography.hazmat.primitives.serialization import Encoding

from certs import importing, payload, profile, request, requesting
from certs.entries import Status
from certs.errors import CertsError
from certs.levels import Level
from certs.store import Store

pytestmark = pytest.mark.usefixtures("in_a_script")


# --- request ---


def test_request_writes_the_file_and_the_draft(device: Device, tmp_path: Path) -> None:
    sent = ask(device, "--out", "out")
    assert sent["sent"] == "none"  # there is no screen to open a mail program on
    assert Path(sent["file"]) == Path("out/Stadtwerke Süd_Commissioning_Tablet 3.csr")
    assert (sent["recipient"], sent["draft"]) == ("authority@example.org", sent["file"][:-4] + ".eml")
    asked = request.read_request(Path(sent["file"]).read_bytes())
    assert asked.fingerprint == sent["fingerprint"]


def test_request_human(device: Device) -> None:
    device.joined()
    ran = cli("request", "--token", device.authority.token(), "--tag", "Tablet 3", "--plain-key", "--send", "none")
    assert "Send the file to authority@example.org." in ran.out
    assert "Fingerprint" in ran.out
    assert ".eml" not in ran.out


def test_request_takes_the_token_from_a_file_with_its_text(device: Device, tmp_path: Path) -> None:
    device.joined()
    (tmp_path / "token.txt").write_text(device.authority.token() + "\n")
    assert cli("request", "--token", "token.txt", "--tag", "T", "--plain-key", "--send", "none").status == 0


def test_the_same_token_twice_is_the_same_request(device: Device) -> None:
    device.joined()
    text = device.authority.token()
    first, again = (cli("request", "--token", text, "--tag", "T", "--plain-key", "--json").json for _ in range(2))
    assert first == again
    other = cli("request", "--token", text, "--tag", "Other", "--plain-key", "--json")
    assert other.error["code"] == "token-pending"
    assert first["id"][:16] in other.error["hint"]
    assert cli("request", "--again", first["id"][:8], "--json").json == first


def test_two_requests_of_one_name_do_not_write_over_each_other(device: Device) -> None:
    one, two = ask(device), ask(device)
    assert one["file"] != two["file"]
    assert two["file"].endswith("Tablet 3-2.csr")
    assert request.read_request(Path(one["file"]).read_bytes()).fingerprint == one["fingerprint"]


def test_a_pending_request_expires_with_its_token_but_its_certificate_is_still_taken(device: Device) -> None:
    sent = ask(device)
    record = device.store().pending(sent["id"])
    later = device.store(now=NOW + dt.timedelta(days=31))
    assert later.find(sent["id"]).status is Status.EXPIRED
    with pytest.raises(CertsError, match="token-expired"):
        requesting.pending_request(later, sent["id"])
    (result,) = importing.import_bytes(later, der(device.authority.issue(record)))
    assert result.entry.active


def test_request_refuses(device: Device, tmp_path: Path) -> None:
    device.joined()
    token = device.authority.token()
    for arguments, code_, status in (
        ((), "usage", 2),
        (("--token", token, "--again", "abcd"), "usage", 2),
        (("--token", token), "usage", 2),
        (("--token", token, "--tag", "a\nb"), "csr-tag", 4),
        (("--token", "absent.jpg", "--tag", "T"), "file", 4),
        (("--token", payload.domain_text(device.authority.domain), "--tag", "T"), "wrong-kind", 4),
        (("--token", TestAuthority.create().token(), "--tag", "T"), "token-signature", 4),
        (("--again", "abcdef"), "no-such-certificate", 4),
        (("--token", token, "--tag", "T", "--send", "pigeon"), "usage", 2),
        (("--token", token, "--tag", "T", "--send", "smtp"), "mail-settings", 4),
    ):
        ran = cli("request", *arguments, "--plain-key", "--json")
        assert (ran.error["code"], ran.status) == (code_, status), arguments
        assert ran.error["hint"]


def test_a_request_whose_mail_failed_is_kept_and_can_be_sent_again(device: Device) -> None:
    device.joined()
    text = device.authority.token()
    assert cli("request", "--token", text, "--tag", "T", "--plain-key", "--send", "smtp").status == 4
    (pending,) = [entry for entry in cli("list", "--json").json if entry["status"] == "pending"]
    assert cli("request", "--again", pending["id"], "--send", "none").status == 0


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        self.mails.append(envelope.content)
        return "250 OK"


async def test_request_by_smtp(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box, hostname="localhost"), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("METERLINK_SMTP", f"smtp://127.0.0.1:{port}?from=me@example.org&encryption=none")
        sent = await asyncio.to_thread(ask, device, "--send", "smtp")
    assert sent["sent"] == "smtp"
    (mail,) = box.mails
    assert b"To: authority@example.org" in mail
    assert b"application/pkcs10" in mail


def test_request_by_link_without_a_screen(device: Device) -> None:
    assert ask(device, "--send", "mailto")["sent"] == "none"


# --- import, activate, remove ---


def test_import_of_a_lower_level_asks(device: Device, tmp_path: Path) -> None:
    device.obtain(Level.SERVICE)
    lower = tmp_path / "lower.pem"
    lower.write_bytes(pem(device.authority.issue(device.request(Level.INSTALLATION, tag="Lower"))))
    (result,) = cli("import", lower, "--json").json
    assert (result["active"], result["activation_needed"]) == (False, True)
    assert "certs activate" in cli("import", lower, "--keep").out.replace("\n", " ")
    (result,) = cli("import", lower, "--activate", "--json").json
    assert (result["active"], result["new"]) == (True, False)


def test_import_by_text(device: Device) -> None:
    leaf = device.authority.issue(device.request())
    ran = cli("import", "--text", code(leaf))
    assert "Imported: it is active" in ran.out


def test_activate_switches(device: Device) -> None:
    one, two = device.obtain(tag="One").entry, device.obtain(tag="Two").entry
    assert cli("activate", one.id[:10], "--json").json["id"] == one.id
    assert device.store().active().id == one.id
    assert "Two" in cli("activate", two.id).out
    consumer = next(entry for entry in cli("list", "--json").json if entry["level"] == "Consumer")
    assert cli("activate", consumer["id"]).status == 0
    assert device.store().active().level is Level.CONSUMER


def test_an_expired_certificate_is_not_activated_but_consumer_is_used(device: Device) -> None:
    leaf = device.authority.issue(device.request(), lifetime=dt.timedelta(days=10))
    (result,) = importing.import_bytes(device.store(), der(leaf))
    later = device.store(now=NOW + dt.timedelta(days=11))
    assert later.active().level is Level.CONSUMER
    assert later.get(result.entry.id).permissions == frozenset()
    assert later.find(result.entry.id).status is Status.EXPIRED
    assert [notice.code for notice in later.notices()] == ["expired"]
    with pytest.raises(CertsError, match="expired"):
        later.activate(result.entry.id)
    assert device.store().active().id == result.entry.id  # the clock was wrong; nothing was lost


def test_remove_asks_and_keeps_a_backup(device: Device) -> None:
    entry = device.obtain().entry
    with unchanged(device.home):
        ran = cli("remove", entry.id, "--json")
    assert (ran.status, ran.error["code"]) == (2, "confirmation-needed")
    removed = cli("remove", entry.id[:8], "--yes", "--json").json
    assert removed["removed"] == entry.id
    assert {path.name for path in Path(removed["backup"]).iterdir()} == {"certificate.pem", "key", "meta.json"}
    assert device.store().active().level is Level.CONSUMER
    assert device.store().notices() == ()
    pending = device.request(tag="Waiting")
    assert "Removed" in cli("remove", pending.id, "--yes").out
    consumer = device.store().active().id
    assert cli("remove", consumer, "--yes", "--json").error["code"] == "consumer-stays"


# --- renewal ---


def test_renewal_from_reminder_to_new_certificate(device: Device, tmp_path: Path) -> None:
    leaf = device.authority.issue(device.request(), lifetime=dt.timedelta(days=30))
    (old,) = importing.import_bytes(device.store(), der(leaf))
    sent = cli("renew", old.entry.id[:8], "--plain-key", "--json").json
    assert sent["tag"] == "Tablet 3"
    asked = request.read_request(Path(sent["file"]).read_bytes())
    assert asked.renewal is not None
    assert asked.renewal.certificate == leaf
    assert asked.public_key != leaf.public_key()
    assert (asked.organization, asked.system_title) == (old.entry.organization, old.entry.system_title)
    assert cli("renew", old.entry.id[:8], "--plain-key", "--json").json == sent  # asked again, it is the same
    assert device.store().notices() == ()  # and the reminder is silent
    record = device.store().pending(sent["id"])
    (new,) = importing.import_bytes(device.store(), der(device.authority.issue(record)))
    assert new.entry.active
    assert {entry.id for entry in device.store().entries()} >= {old.entry.id, new.entry.id}


def test_renewal_refuses(device: Device) -> None:
    consumer = device.joined().active().id
    assert cli("renew", consumer, "--json").error["code"] == "renews-itself"
    leaf = device.authority.issue(device.request(), lifetime=dt.timedelta(days=10))
    (old,) = importing.import_bytes(device.store(), der(leaf))
    with pytest.raises(CertsError, match="expired"):
        requesting.create_renewal(device.store(now=NOW + dt.timedelta(days=11)), old.entry.id, plain=True)


def test_a_renewal_signed_by_another_key_is_refused(device: Device) -> None:
    entry = device.obtain().entry
    credential = device.store().get(entry.id)
    other, new = (device.store().new_key(1, plain=True)[0] for _ in range(2))
    forged = request.build_renewal(credential.certificate, other, "Stadtwerke Süd", entry.system_title, "T", new)
    with pytest.raises(CertsError, match="csr-signature"):
        request.read_request(forged.public_bytes(Encoding.DER))
    key = device.store().new_key(2, plain=True)[0]
    with pytest.raises(CertsError, match="csr-key-type"):
        request.build_renewal(credential.certificate, credential.private_key, "S", entry.system_title, "T", key)


def test_the_consumer_renews_itself_and_keeps_its_system_title(device: Device) -> None:
    first = device.store().active()
    soon = NOW + profile.LEVEL_LIFETIME - dt.timedelta(days=59)
    second = device.store(now=soon).active()
    assert second.id != first.id
    assert (second.level, second.status, second.system_title) == (Level.CONSUMER, Status.VALID, first.system_title)
    assert second.certificate.public_key() != first.certificate.public_key()
    assert len(device.store(now=soon).entries()) == 1


@pytest.mark.parametrize("year", [1970, 2060])
def test_a_device_whose_clock_is_wrong_by_years_still_opens(tmp_path: Path, year: int) -> None:
    store = Store.open(tmp_path / "home", now=dt.datetime(year, 1, 1, tzinfo=dt.UTC))
    (entry,) = store.entries()
    assert entry.status in {Status.NOT_YET_VALID, Status.EXPIRED}
    assert entry.permissions == ()
    assert store.active().permissions == frozenset()
    assert [notice.code for notice in store.notices()] == [entry.status.value]
    assert [found.id for found in Store.open(tmp_path / "home", now=store.look().now).entries()] == [entry.id]
    right = Store.open(tmp_path / "home", now=NOW)
    assert right.active().status is Status.VALID
