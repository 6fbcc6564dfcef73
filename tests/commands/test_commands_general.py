"""general-ciphering and general-signing as the URL asks for them, against a meter of the field."""

from collections.abc import Callable
from pathlib import Path

import pytest
from commands_field import FieldMeter, served
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from session_support import credential, utc_now

from certs.domain import make_domain
from certs.entries import Credential, Notice
from certs.levels import Level
from hil.meter.association import ClientSession
from hil.meter.messages import MessageHandler, Reply
from hil.wire import WireTransport
from meterlink.cli import acting
from meterlink.commands.connect import meter_session, target_of
from meterlink.commands.secrets import meter_secrets
from meterlink.cosem import data as cosem
from meterlink.cosem.apdu import DataNotification
from meterlink.cosem.association import Notification
from meterlink.cosem.names import Attribute
from meterlink.counter_file import FileCounterStore
from meterlink.errors import SecurityError
from meterlink.session import Session
from meterlink.transport.replay import read_recording
from meterlink.values import Obis

CIPHERED, SIGNED = 0xDD, 0xDF
GENERAL = "ciphering=general-ciphering"

WAYS = [
    (48, "hls-ecdsa", f"{GENERAL}&key=known", CIPHERED),
    (49, "hls-ecdsa", GENERAL, CIPHERED),
    (49, "hls-ecdsa", f"{GENERAL}&key=Identified&signing=none&header-authenticated=YES", CIPHERED),
    (50, "hls-ecdsa", f"{GENERAL}&key=wrapped", CIPHERED),
    (51, "hls-ecdsa", f"{GENERAL}&key=agreed-c1e1s", CIPHERED),
    (52, "hls-ecdsa", f"{GENERAL}&key=agreed-c0e2s", CIPHERED),
    (53, "hls-ecdsa", "signing=both", SIGNED),
    (54, "hls-ecdsa", f"{GENERAL}&key=agreed-c1e1s&signing=both", SIGNED),
    (55, "hls-ecdsa", f"{GENERAL}&header-authenticated=no", CIPHERED),
    (56, "hls-ecdsa", "signing=both&signed-length=yes", SIGNED),
    (57, "hls-gmac", GENERAL, CIPHERED),
    (58, "lls", f"{GENERAL}&key=wrapped", CIPHERED),
]


def apdus(trace: Path) -> list[bytes]:
    """The APDUs of a trace of the wrapper, each behind a header of eight octets."""
    _, entries = read_recording(trace.read_text().splitlines())
    return [entry.data[8:] for entry in entries if entry.data]


@pytest.mark.parametrize(("sap", "security", "more", "tag"), WAYS)
def test_every_way_reads_and_goes_on_in_the_next_run(
    meterlink, field_meter: FieldMeter, tmp_path: Path, sap: int, security: str, more: str, tag: int
) -> None:
    keys, trace = field_meter.key_file(tmp_path), tmp_path / "trace"
    with served(field_meter.server, "wrapper") as url:
        url += f"&security={security}&client={sap}&{more}"
        for _ in range(2):
            done = meterlink("read", url, "--object", "serial-number", "--keys", keys, "--trace", trace, "--json")
            assert (done.status, done.err) == (0, "")
            assert [reading["value"] for reading in done.json["readings"]] == ["00815004"]
            assert len(done.json["notes"]) == 1
            assert {apdu[0] for apdu in apdus(trace)} <= {0x60, 0x61, 0x62, 0x63, tag}
            assert tag in {apdu[0] for apdu in apdus(trace)}


def test_one_meter_is_read_in_every_way_one_after_another(meterlink, field_meter: FieldMeter, tmp_path: Path) -> None:
    """The ways share the keys, so they share what is kept of the meter's counters."""
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "hdlc") as url:
        for sap, security, more, _ in (*WAYS, (19, "hls-gmac", "ciphering=ded", 0), (21, "hls-ecdsa", "", 0), *WAYS):
            way = f"{url}&security={security}&client={sap}&{more}"
            done = meterlink("cosem", "get", way, "clock", "0-0:1.0.0", "time_zone", "--keys", keys)
            assert done.status == 0, (more, done.err)


@pytest.mark.parametrize(("sap", "security", "more", "tag"), WAYS[:9:2])
def test_every_way_writes_over_hdlc(
    meterlink, field_meter: FieldMeter, tmp_path: Path, monkeypatch, sap: int, security: str, more: str, tag: int
) -> None:
    who = credential(make_domain("Any", "any@example.org", utc_now()), Level.SERVICE)

    class OneCertificate:
        def notices(self) -> list[Notice]:
            return []

        def active(self) -> Credential:
            return who

    monkeypatch.setattr(acting, "open_store", OneCertificate)
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "hdlc") as url:
        url += f"&security={security}&client={sap}&{more}"
        done = meterlink("configure", url, "property-number=4711", "--keys", keys)
        assert done.status == 0, done.err
        assert field_meter.server.meter.settings.property_number == "00004711"
        done = meterlink("cosem", "set", url, "data", "0-0:96.1.1", "value", "text:12", "--keys", keys)
        assert done.status == 0
        done = meterlink("cosem", "get", url, "data", "0-0:96.1.1", "value", "--keys", keys, "--json")
    assert done.json["value"] == field_meter.server.meter.settings.property_number == "00000012"


@pytest.mark.parametrize(
    ("query", "code", "told"),
    [
        (f"{GENERAL}&key=agreed-c2e0s", "url-invalid", "identified, known, wrapped, agreed-c1e1s, agreed-c0e2s"),
        (f"{GENERAL}&signing=maybe", "url-invalid", "none, requests, responses, both"),
        (f"{GENERAL}&header-authenticated=true", "url-invalid", "yes, no"),
        ("signing=both&signed-length=1", "url-invalid", "yes, no"),
        ("ciphering=general", "url-invalid", "general-glo, general-ded, general-ciphering"),
        ("key=wrapped", "url-invalid", "add ciphering=general-ciphering"),
        ("ciphering=glo&header-authenticated=no", "url-invalid", "add ciphering=general-ciphering"),
        (f"{GENERAL}&signed-length=yes", "url-invalid", "add signing"),
        ("ciphering=none&signing=both", "url-invalid", "ciphering=glo"),
        ("ciphering=none&meter-counter=5", "url-invalid", "ciphering=glo"),
        ("meter-counter=4294967296", "url-invalid", "0..4294967295, nor restarts"),
        ("meter-counter=-1", "url-invalid", "0..4294967295, nor restarts"),
        (f"{GENERAL}&security=hls-gmac&signing=both", "url-invalid", "security=hls-ecdsa"),
        (f"{GENERAL}&security=lls&key=agreed-c1e1s", "url-invalid", "security=hls-ecdsa"),
        (f"{GENERAL}&security=certificate", "url-invalid", "security=hls-ecdsa"),
        ("signing=both&security=certificate", "url-invalid", "security=hls-ecdsa"),
        (f"{GENERAL}&security=hls-gmac&key=agreed-c0e2s&suite=0", "key-file", "suite 0"),
        (f"{GENERAL}&key=agreed-c0e2s&suite=2", "key-file", "secp256r1"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_sent(
    meterlink, field_meter: FieldMeter, tmp_path: Path, query: str, code: str, told: str
) -> None:
    security = "" if "security=" in query else "&security=hls-ecdsa"
    keys = field_meter.key_file(tmp_path)
    done = meterlink("read", f"tcp://127.0.0.1:1?client=49{security}&{query}", "--keys", keys)
    assert (done.status, done.code) == (2, code)
    assert told in done.err


@pytest.mark.parametrize(
    ("query", "without"),
    [
        (f"{GENERAL}&key=wrapped", ["master"]),
        (f"{GENERAL}&key=agreed-c1e1s", ["agreement_key"]),
        (f"{GENERAL}&key=agreed-c1e1s", ["meter_agreement_key"]),
        (f"{GENERAL}&key=agreed-c0e2s", ["agreement_key", "meter_agreement_key"]),
        (GENERAL, ["unicast", "authentication", "master"]),
        ("ciphering=glo&signing=both", ["unicast", "authentication", "master"]),
    ],
)
def test_a_key_that_is_missing_is_told_before_anything_is_sent(
    meterlink, field_meter: FieldMeter, tmp_path: Path, query: str, without: list[str]
) -> None:
    keys = field_meter.key_file(tmp_path, *without)
    done = meterlink("read", f"tcp://127.0.0.1:1?security=hls-ecdsa&client=49&{query}", "--keys", keys)
    assert (done.status, done.code) == (2, "keys-needed")


def test_an_agreement_key_of_another_curve_is_told(meterlink, field_meter: FieldMeter, tmp_path: Path) -> None:
    field_meter.meter_agreement_key = ec.generate_private_key(ec.SECP384R1()).public_key()
    keys = field_meter.key_file(tmp_path)
    done = meterlink(
        "read", f"tcp://127.0.0.1:1?security=hls-ecdsa&client=51&{GENERAL}&key=agreed-c1e1s", "--keys", keys
    )
    assert (done.status, done.code) == (2, "key-file")
    assert "meter_agreement_key is on secp384r1" in done.err


@pytest.mark.parametrize(
    ("sap", "more"),
    [
        (50, f"{GENERAL}&key=wrapped"),
        (51, f"{GENERAL}&key=agreed-c1e1s"),
        (52, f"{GENERAL}&key=agreed-c0e2s"),
        (53, "signing=both"),
    ],
)
def test_a_wrong_key_gives_no_value(meterlink, field_meter: FieldMeter, tmp_path: Path, sap: int, more: str) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    field_meter.agreement_key = stranger
    field_meter.meter_key = stranger.public_key()
    keys = field_meter.key_file(tmp_path, master="00" * 16)
    with served(field_meter.server, "wrapper") as url:
        done = meterlink("read", f"{url}&security=hls-ecdsa&client={sap}&{more}", "--keys", keys)
    assert done.status in (4, 6)
    assert "00815004" not in done.out


@pytest.mark.parametrize(
    ("sap", "more"),
    [
        (49, f"{GENERAL}&header-authenticated=no"),
        (55, GENERAL),
        (53, "signing=both&signed-length=yes"),
        (56, "signing=both"),
        (49, "ciphering=glo"),
        (21, GENERAL),
        (21, "signing=both"),
        (53, "signing=responses"),
        (48, GENERAL),
    ],
)
def test_another_way_than_the_meters_is_refused(
    meterlink, field_meter: FieldMeter, tmp_path: Path, sap: int, more: str
) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        done = meterlink("read", f"{url}&security=hls-ecdsa&client={sap}&{more}", "--keys", keys)
    assert done.status == 6
    assert done.out == ""


@pytest.mark.parametrize("number", ["9" * 30, str(2**64 - 2**32 + 1), str(2**63 + 5), str(2**63 - 2**32 + 1)])
def test_a_record_of_transactions_beyond_ours_stops_the_session(
    meterlink, field_meter: FieldMeter, tmp_path: Path, home: Path, number: str
) -> None:
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        url += f"&security=hls-ecdsa&client=52&{GENERAL}&key=agreed-c0e2s"
        words = ("read", url, "--object", "serial-number", "--keys", keys)
        assert meterlink(*words).status == 0
        (record,) = (home / "counters").glob("*-transactions")
        record.write_text(number)
        done = meterlink(*words)
        assert (done.status, done.code, done.out) == (6, "counter-store", "")


def test_a_transaction_that_the_meter_has_seen_is_skipped_as_the_key_file_says(
    meterlink, field_meter: FieldMeter, tmp_path: Path, monkeypatch
) -> None:
    """Another computer with the same keys: its own count begins behind the meter's."""
    keys = field_meter.key_file(tmp_path)
    with served(field_meter.server, "wrapper") as url:
        url += "&security=hls-ecdsa&client=53&signing=both"
        words = ("read", url, "--object", "energy", "--keys", keys)
        assert [meterlink(*words).status for _ in range(2)] == [0, 0]
        monkeypatch.setenv("METERLINK_HOME", str(tmp_path / "another"))
        field_meter.key_file(tmp_path, counter=1000)
        assert meterlink(*words).code == "invocation-counter-error"
        field_meter.key_file(tmp_path, counter=1000, transaction=1 << 40)
        assert meterlink(*words).status == 0


@pytest.mark.parametrize("content", ["transaction = -1", "agreement_key = 'nowhere.pem'", "transaction = 5e3"])
def test_a_wrong_key_file_is_told(meterlink, tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.toml"
    path.touch(mode=0o600)
    path.write_text(content)
    done = meterlink("read", "tcp://127.0.0.1:1?security=hls-ecdsa&client=49", "--keys", path)
    assert (done.status, done.code) == (2, "key-file")


def test_the_agreement_key_must_be_private(meterlink, field_meter: FieldMeter, tmp_path: Path) -> None:
    keys = field_meter.key_file(tmp_path)
    (tmp_path / "agreement.pem").chmod(0o644)
    done = meterlink("read", f"tcp://127.0.0.1:1?security=hls-ecdsa&client=49&{GENERAL}", "--keys", keys)
    assert (done.status, done.code) == (2, "key-file-open")
    private = field_meter.agreement_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert private.decode().splitlines()[1] not in done.err


class Pushing:
    """Stands between a client's association with the meter and its line, and puts a message in front of an answer."""

    def __init__(self, meter: FieldMeter, make: Callable[[ClientSession], bytes]) -> None:
        self._meter = meter
        self._make = make
        self.pushed = b""

    def session(self, url: str, keys: Path, store: FileCounterStore, who: Credential) -> Session:
        """Return a session with the meter over a line in this process."""
        transport = WireTransport(lambda: self._meter.server.wrapper_connection(wrap=self._wrap))
        return meter_session(target_of(url), transport, who, utc_now, meter_secrets(keys, {}), store)

    def _wrap(self, session: ClientSession) -> MessageHandler:
        return _Pushed(self, session)

    def answer(self, session: ClientSession, apdu: bytes, now: float) -> Reply:
        pushes = []
        if apdu[0] in (CIPHERED, SIGNED) and session._model is not None and not self.pushed:
            self.pushed = self._make(session)
            pushes = [self.pushed]
        reply = session.receive(apdu, now)
        return Reply(pushes + reply.apdus, reply.close)


class _Pushed:
    def __init__(self, between: Pushing, session: ClientSession) -> None:
        self._between = between
        self._session = session

    def receive(self, apdu: bytes, now: float) -> Reply:
        return self._between.answer(self._session, apdu, now)

    def link_lost(self) -> None:
        self._session.link_lost()


PUSH = DataNotification(1, None, cosem.u32(4711))
SERIAL = Attribute(1, Obis.parse("0-0:96.1.0"), 2)


def notified(session: ClientSession) -> bytes:
    return session._table.notify(PUSH)


@pytest.mark.parametrize(("sap", "security", "more", "tag"), [WAYS[at] for at in (1, 3, 4, 5, 6, 7, 8, 10)])
async def test_40_notifications_come_in_every_way_and_a_recorded_one_in_no_later_session(
    field_meter: FieldMeter, tmp_path: Path, sap: int, security: str, more: str, tag: int
) -> None:
    keys, who = field_meter.key_file(tmp_path), credential(make_domain("A", "a@example.org", utc_now()), Level.TEST)
    url = f"tcp://127.0.0.1:1?security={security}&client={sap}&{more}"
    first = Pushing(field_meter, notified)
    async with first.session(url, keys, FileCounterStore(tmp_path / "counters"), who) as session:
        assert await session.get(SERIAL) == cosem.visible_string("00815004")
        assert list(session.notifications) == [Notification(PUSH, protected=True)]
    assert first.pushed[0] == tag
    again = Pushing(field_meter, lambda _: first.pushed)
    session = again.session(url, keys, FileCounterStore(tmp_path / "counters"), who)
    with pytest.raises(SecurityError) as caught:
        async with session:
            await session.get(SERIAL)
    assert caught.value.code == "replay"
    assert not session.notifications
    later = Pushing(field_meter, notified)
    async with later.session(url, keys, FileCounterStore(tmp_path / "counters"), who) as session:
        await session.get(SERIAL)
        assert len(session.notifications) == 1
