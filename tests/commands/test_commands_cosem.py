"""Low-level services, settings and image transfer, with certificates of several levels."""

import datetime as dt

import pytest
from commands_security import OneCertificate
from session_support import Bench, utc_now

from certs.levels import Level
from hil.meter.objects.image import build_image
from meterlink.cli import acting
from meterlink.commands.command import perform
from meterlink.commands.configure import Configure, parse_setting
from meterlink.commands.connect import target_of
from meterlink.commands.image import TransferImage
from meterlink.commands.low_level import UNENFORCED, CallMethod, SetAttribute, class_of, index_of
from meterlink.cosem.data import u16, visible_string
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.objects.image_transfer import TransferStatus
from meterlink.errors import LinkError, LinkLost, MeterRefused, NotPermitted, UsageError
from meterlink.meters.profile import profile
from meterlink.values import Obis

HEAT = profile("cosem-heat")
PROPERTY_NUMBER = Attribute(1, Obis.parse("0-0:96.1.1"), 2)
RESET_MAXIMA = Method(9, Obis.parse("0-0:10.0.1"), 1)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def run(bench: Bench, level: Level, command):
    return await perform(command, bench.credential(level), lambda: bench.session(level), utc_now())


@pytest.mark.parametrize("level", [Level.CONSUMER, Level.INSTALLATION, Level.TEST])
@pytest.mark.parametrize(
    "command", [SetAttribute(PROPERTY_NUMBER, visible_string("5")), CallMethod(RESET_MAXIMA, u16(1))]
)
async def test_low_level_writes_ask_for_the_permission_to_commission(bench: Bench, level: Level, command) -> None:
    with pytest.raises(NotPermitted):
        await run(bench, level, command)
    assert bench.server.meter.settings.property_number == "00000000"


async def test_set_and_call(bench: Bench) -> None:
    await run(bench, Level.COMMISSIONING, SetAttribute(PROPERTY_NUMBER, visible_string("4711")))
    assert bench.server.meter.settings.property_number == "00004711"
    await run(bench, Level.COMMISSIONING, CallMethod(RESET_MAXIMA, u16(1)))
    with pytest.raises(MeterRefused):
        await run(bench, Level.COMMISSIONING, CallMethod(RESET_MAXIMA, u16(2)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("property-number=4711", "00004711"), ("set-day=02-29", "02-29"), ("averaging-period=15", "15")],
)
async def test_settings_are_written_and_read_back(bench: Bench, text: str, shown: str) -> None:
    (change,) = await run(bench, Level.INSTALLATION, Configure((parse_setting(HEAT, text, utc_now),)))
    assert str(change.after.value) == shown
    assert str(change.before.value) != shown


@pytest.mark.parametrize(
    "text",
    [
        "property-number=123456789",
        "property-number=12a",
        "set-day=02-30",
        "set-day=1.4.",
        "averaging-period=7",
        "averaging-period=-5",
        "averaging-period=١٥",
        "energy=0",
        "serial-number=1",
        "clock=soon",
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_sent(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_setting(HEAT, text, utc_now)
    assert caught.value.code == "setting-invalid"


IMAGE = build_image("2.00", bytes(range(256)) * 20)


async def test_an_image_is_transferred_verified_and_activated(bench: Bench) -> None:
    told: list[tuple[int, int]] = []
    command = TransferImage(IMAGE, b"fw-2.00", activate=True, progress=lambda done, total: told.append((done, total)))
    done = await run(bench, Level.COMMISSIONING, command)
    assert done.status is TransferStatus.ACTIVATION_SUCCESSFUL
    assert done.sent == done.blocks == 21
    assert told[0] == (0, 21)
    assert told[-1] == (21, 21)
    assert bench.server.meter.firmware == "2.00"


async def test_a_transfer_goes_on_after_a_lost_link(bench: Bench) -> None:
    def lose(done: int, total: int) -> None:
        if done == 8:
            raise LinkLost("pulled out")

    with pytest.raises(LinkError):
        await run(bench, Level.COMMISSIONING, TransferImage(IMAGE, b"fw", progress=lose))
    done = await run(bench, Level.COMMISSIONING, TransferImage(IMAGE, b"fw"))
    assert (done.blocks, done.sent, done.status) == (21, 13, TransferStatus.VERIFICATION_SUCCESSFUL)
    assert bench.server.meter.firmware != "2.00"


async def test_a_damaged_image_is_not_activated(bench: Bench) -> None:
    damaged = IMAGE[:-1] + bytes([IMAGE[-1] ^ 1])
    with pytest.raises(MeterRefused) as caught:
        await run(bench, Level.COMMISSIONING, TransferImage(damaged, b"fw", activate=True))
    assert caught.value.code == "image-verification-failed"
    assert bench.server.meter.firmware != "2.00"


async def test_a_consumer_transfers_no_image(bench: Bench) -> None:
    with pytest.raises(NotPermitted):
        await run(bench, Level.CONSUMER, TransferImage(IMAGE, b"fw"))


def test_names_of_classes_and_attributes() -> None:
    assert class_of("profile-generic") == class_of("7") == 7
    assert index_of(3, "scaler_unit", of_methods=False) == 3
    assert index_of(64, "key-transfer", of_methods=True) == 2
    assert index_of(9999, "-5", of_methods=False) == -5
    for wrong in (
        lambda: class_of("toaster"),
        lambda: index_of(3, "colour", of_methods=False),
        lambda: class_of("65536"),
    ):
        with pytest.raises(UsageError):
            wrong()


def test_cosem_get_through_the_program(meterlink) -> None:
    done = meterlink("cosem", "get", "sim:heat", "register", "6-0:1.0.0", "scaler_unit")
    assert (done.status, done.out.strip()) == (0, "{i8:0,enum:30}")
    done = meterlink("cosem", "get", "sim:heat", "8", "0-0:1.0.0", "time", "--json")
    assert done.json["type"] == "octet-string"
    assert len(bytes.fromhex(done.json["value"])) == 12
    assert meterlink("cosem", "get", "sim:heat", "3", "nonsense", "2").code == "obis-invalid"
    assert meterlink("cosem", "set", "sim:heat", "1", "0-0:96.1.1", "2", "text").code == "value-invalid"
    assert meterlink("cosem", "set", "sim:heat", "1", "0-0:96.1.1", "2", "text:5").code == "not-permitted"
    assert meterlink("cosem", "call", "sim:heat", "9", "0-0:10.0.1", "1", "u16:1").status == 3


def test_who_may_not_put_an_image_in_force_is_not_asked(meterlink, tmp_path, monkeypatch) -> None:
    (tmp_path / "image.bin").write_bytes(IMAGE)
    words = ("cosem", "image", "sim:heat", tmp_path / "image.bin", "--activate")
    assert meterlink(*words).code == "not-permitted"
    monkeypatch.setattr(acting, "open_store", lambda: OneCertificate(Level.COMMISSIONING))
    assert meterlink(*words).code == "confirmation-needed"


@pytest.mark.parametrize("number", ["1e99", "3.4028236e38", "-1e39"])
def test_a_number_too_large_for_a_float32_is_refused_before_anything_is_sent(meterlink, number: str) -> None:
    done = meterlink("cosem", "set", "tcp://127.0.0.1:1", "1", "0-0:96.1.1", "2", f"f32:{number}")
    assert (done.status, done.code) == (2, "value-invalid")


def test_a_file_without_an_end_is_no_image(meterlink, monkeypatch) -> None:
    monkeypatch.setattr("meterlink.cli.cosem._MAX_IMAGE", 1 << 20)
    done = meterlink("cosem", "image", "sim:heat", "/dev/zero")
    assert (done.status, done.code) == (2, "image")


def test_a_clock_is_written_in_the_notation(meterlink) -> None:
    moment = dt.datetime(2026, 11, 22, 14, 30, tzinfo=dt.UTC)
    done = meterlink("cosem", "set", "sim:heat", "clock", "0-0:1.0.0", "time", f"at:{moment.isoformat()}")
    assert done.code == "not-permitted"


@pytest.mark.parametrize(("level", "refused"), [(Level.COMMISSIONING, True), (Level.SERVICE, False)])
def test_a_meter_that_enforces_nothing_asks_for_both_permissions(monkeypatch, level: Level, refused: bool) -> None:
    monkeypatch.setattr(acting, "open_store", lambda: OneCertificate(level))
    target = target_of("tcp://127.0.0.1:1?security=none")
    with pytest.raises((NotPermitted, LinkError)) as caught:
        acting.act(target, CallMethod(RESET_MAXIMA, u16(1)), unenforced=UNENFORCED)
    assert isinstance(caught.value, NotPermitted) is refused
